"""`foldsmith features`: which features there are, and what each is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foldsmith.cli.command import Command, open_workspace, say, workspace_option
from foldsmith.errors import SettingError

if TYPE_CHECKING:
    from foldsmith.stages.features_file import FeaturesFile

INSIDE = "inside each fold, on its training rows; no dataset holds it"
"""What is said of a fitted feature."""
OWN = "own"
"""What stands for the family and memory of a feature that the workspace adds."""


@click.group()
def features() -> None:
    """Features by name and their sets; a workspace adds its own in features.toml."""


@features.command("list", cls=Command)
@click.option(
    "--set", "chosen", metavar="NAME", help="Only those of a set, family or feature; or several: a,b."
)
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@workspace_option
def list_features(chosen: str | None, as_json: bool, workspace_dir: Path) -> None:
    """List features with family, warm-up in bars and memory, and the sets there are."""
    from foldsmith.config import parse_words
    from foldsmith.features.catalogue import FEATURES
    from foldsmith.features.fitted import FITTED
    from foldsmith.stages.features_file import read_features_file

    own = read_features_file(open_workspace(workspace_dir))
    names = (*FEATURES, *FITTED, *own.features) if chosen is None else own.resolve(parse_words(chosen))
    records = [_record(own, name) for name in names]
    if as_json:
        say(
            json.dumps(
                [{key: record[key] for key in record if key != "sets"} for record in records], indent=2
            )
        )
        return
    width = max(len(record["name"]) for record in records)
    for record in records:
        say(f"{record['name']:<{width}}  {record['family']:<14}  {record['warmup']:>6}  {record['memory']}")
    for line in _set_lines(own) if chosen is None else ():
        say(line)


@features.command(cls=Command)
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@workspace_option
def show(name: str, as_json: bool, workspace_dir: Path) -> None:
    """Show what a feature is: equation, source, where it has no value, and the sets it is in."""
    from foldsmith.features.catalogue import FEATURES
    from foldsmith.features.fitted import FITTED
    from foldsmith.stages.features_file import read_features_file

    own = read_features_file(open_workspace(workspace_dir))
    every = (*FEATURES, *FITTED, *own.features)
    if name not in every:
        near = [known for known in every if name.lower() in known][:8]
        raise SettingError(
            f"unknown feature {name!r:.60}; "
            + (f"there are {', '.join(near)}." if near else "see `foldsmith features list`.")
        )
    record = _record(own, name)
    if as_json:
        say(json.dumps(record, indent=2))
        return
    width = max(map(len, record))
    for key, value in record.items():
        say(f"{key:<{width}}  {', '.join(value) if isinstance(value, list) else value}".rstrip())


def _record(own: FeaturesFile, name: str) -> dict[str, Any]:
    from dataclasses import asdict

    from foldsmith.features.catalogue import FEATURES
    from foldsmith.features.fitted import FITTED
    from foldsmith.features.sets import holding

    sets = list(holding(name, own.sets, tuple(own.features)))
    if name in FEATURES:
        return {**asdict(FEATURES[name]), "sets": sets}
    if name in FITTED:
        return {**asdict(FITTED[name]), "fitted": INSIDE, "sets": sets}
    mine = own.features[name]
    return {
        "name": name, "family": OWN, "warmup": mine.warmup, "memory": OWN, "equation": mine.equation,
        "degenerate": "", "source": f"{mine.file}, function {mine.function}", "sets": sets,
    }  # fmt: skip


def _set_lines(own: FeaturesFile) -> Iterator[str]:
    """The sets there are, each with what it stands for."""
    from foldsmith.features.sets import DEFAULT_SET, EVERYTHING, SETS

    yield "sets (and each family by its name):"
    for name, words in SETS.items():
        default = " (unless told otherwise)" if name == DEFAULT_SET else ""
        yield f"  {name:<14} {', '.join(words)}{default}"
    yield f"  {EVERYTHING:<14} every feature that comes with the program, but those fitted inside each fold (hmm)"
    for name, words in own.sets.items():
        yield f"  {name:<14} {', '.join(words)} (features.toml)"
