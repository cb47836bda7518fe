"""Which models a command was asked for, and `foldsmith models`: the workspace's own, tried before they are used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from foldsmith.cli.command import Command, open_workspace, say, workspace_option
from foldsmith.errors import SettingError

if TYPE_CHECKING:
    from foldsmith.models.own import OwnModel
    from foldsmith.runs.store import Workspace


def chosen_models(workspace: Workspace, words: Sequence[str]) -> tuple[tuple[str, ...], dict[str, OwnModel]]:
    """The models that words stand for, and those of them that the user wrote, each tried on a small table."""
    from foldsmith.models.catalogue import left_out, resolve
    from foldsmith.stages.models_file import check_named, own_lines

    names = resolve(words, tuple(own_lines(workspace, words)))
    told = left_out(words)
    if told:
        say(told)
    return names, check_named(workspace, names, say)


@click.group()
def models() -> None:
    """Models of one's own, which the workspace names in models.toml."""


@models.command(cls=Command)
@click.argument("name")
@workspace_option
def check(name: str, workspace_dir: Path) -> None:
    """Try a model of models.toml on a small made-up table: bytes, saving, probabilities; writes nothing."""
    from foldsmith.cli.listing import parameter_list
    from foldsmith.models.conformance import check_model
    from foldsmith.stages.models_file import FILE, load_named, read_models_file

    workspace = open_workspace(workspace_dir)
    lines = read_models_file(workspace)
    if name not in lines:
        there = ", ".join(lines) or "none"
        raise SettingError(f"{workspace.root / FILE} names no model {name!r:.60}; there is {there}.")
    own = load_named(workspace, [name])[name]
    found = own.load()
    for rule in check_model(found):
        say(f"holds: {rule}")
    say(f"hyperparameters: {parameter_list(found.parameters)}")
    say(f"{own.said} keeps the contract of a model; SHA-256 {own.record.sha256}")
