"""`foldsmith runs`: what there is, where it comes from, whether it is still what it was, and what may go."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foldsmith.cli.command import Command, open_workspace, say, workspace_option
from foldsmith.config import parse_instant
from foldsmith.errors import FoldsmithError, IntegrityError, SettingError

if TYPE_CHECKING:
    from foldsmith.runs.registry import Registry, Wanted
    from foldsmith.runs.removal import CleanPlan
    from foldsmith.runs.store import Workspace

# As in foldsmith.runs.registry, which is too heavy to be imported for --help.
KINDS = ("dataset", "cv", "model", "evaluation")
SORTS = ("newest", "oldest", "id", "kind", "symbol", "model", "state")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
also_option = click.option(
    "--also",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A further folder that holds runs, one that the ledger does not know; may be repeated.",
)


def place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags that say where runs lie."""
    return also_option(workspace_option(command))


def list_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags that choose among runs."""
    for option in reversed(
        (
            click.option("--symbol", help="Only runs of this symbol."),
            click.option("--model", help="Only runs of this model; a CV run that has it among others too."),
            click.option("--horizon", type=int, help="Only runs that have this horizon, in bars."),
            click.option("--kind", type=click.Choice(KINDS), help="Only runs of this kind."),
            click.option(
                "--since", help="Only runs begun at this instant (UTC) or later, such as 2024-01-31."
            ),
            click.option("--until", help="Only runs begun before this instant (UTC)."),
            click.option("--tag", help="Only runs with this tag."),
            click.option(
                "--sort", type=click.Choice(SORTS), default=SORTS[0], show_default=True, help="Order."
            ),
            json_option,
        )
    ):
        command = option(command)
    return command


@click.group()
def runs() -> None:
    """List, show, compare, verify, explain, tag and remove runs."""


@runs.command("list", cls=Command)
@list_options
@place_options
def list_runs(workspace_dir: Path, also: Sequence[Path], sort: str, as_json: bool, **flags: Any) -> None:
    """List runs: datasets, CV runs, models, evaluations; damaged and unfinished ones too."""
    from foldsmith.runs.registry import Wanted, places, read_registry

    for flag in ("since", "until"):
        if flags[flag] is not None:
            flags[flag] = parse_instant(flags[flag], f"--{flag}")
    workspace = open_workspace(workspace_dir)
    print_runs(read_registry(workspace, places(workspace, also)), Wanted(**flags), sort, as_json)


def print_runs(registry: Registry, wanted: Wanted, sort: str, as_json: bool) -> None:
    """Print the wanted runs; a ledger that cannot be asked (for tags) is told after them."""
    from foldsmith.cli.run_lines import listed
    from foldsmith.runs.registry import ordered

    chosen = ordered(filter(wanted, registry.entries), sort)
    if as_json:
        # A line a run: indented JSON of thousands takes seconds.
        say("[" + ",\n ".join(json.dumps(run.as_dict(), ensure_ascii=False) for run in chosen) + "]")
    elif not registry.entries:
        say("no run is there yet; begin with: ./pipeline run --symbols SYMBOL")
    elif not chosen:
        say(f"none of {len(registry.entries)} runs is like that; leave out a flag to see more")
    else:
        say("\n".join(listed(chosen)))
    if registry.trouble is not None:
        raise registry.trouble


@runs.command(cls=Command)
@click.argument("run_id")
@json_option
@place_options
def show(run_id: str, as_json: bool, workspace_dir: Path, also: Sequence[Path]) -> None:
    """Say what a run is, was made with and scored, and what audits proved of it; its whole manifest with --json."""
    from foldsmith.cli.run_lines import shown
    from foldsmith.runs.audits import audits, stands
    from foldsmith.runs.ledger import Ledger
    from foldsmith.runs.registry import find_run
    from foldsmith.runs.source import source_hash

    workspace = open_workspace(workspace_dir)
    run = find_run(workspace, run_id, also)
    if as_json:
        _print_json(run.manifest.model_dump(mode="json"))
        return
    size = sum((run.path / path).stat().st_size for path in run.manifest.files if (run.path / path).is_file())
    ledger = Ledger(workspace.ledger)
    audit = stands(audits(ledger), run.manifest, source_hash)["said"]
    for line in shown(run, ledger.tags().get(run.id, ()), size, audit):
        say(line)


@runs.command(cls=Command)
@click.argument("first")
@click.argument("second")
@json_option
@place_options
def compare(first: str, second: str, as_json: bool, workspace_dir: Path, also: Sequence[Path]) -> None:
    """Put two runs of a kind side by side: what differs, and their scores."""
    from foldsmith.cli.run_lines import compared
    from foldsmith.runs.comparison import compare_runs
    from foldsmith.runs.registry import find_run

    workspace = open_workspace(workspace_dir)
    found = compare_runs(*(find_run(workspace, run_id, also) for run_id in (first, second)))
    if as_json:
        _print_json(found)
        return
    for line in compared(found):
        say(line)


@runs.command(cls=Command)
@click.argument("run_id", required=False)
@json_option
@place_options
def verify(run_id: str | None, as_json: bool, workspace_dir: Path, also: Sequence[Path]) -> None:
    """Compare every file of a run (of all runs) with its hash, its manifest with the ledger, the ledger with itself.

    Files that were added to a run are named, and, without RUN_ID, runs that were published and are gone.
    """
    from foldsmith.cli.run_lines import NAMED
    from foldsmith.runs.ledger import Ledger
    from foldsmith.runs.registry import DAMAGED, FINISHED, find_folder, gone_runs, places, read_registry
    from foldsmith.runs.verification import problems_of_run

    workspace = open_workspace(workspace_dir)
    tell = _say_nothing if as_json else say
    where = find_folder(workspace, run_id, also) if run_id is not None else None
    found: dict[str, Any] = {"ledger": None, "runs": [], "gone": []}
    ledger: Path | None = workspace.ledger
    try:
        Ledger(workspace.ledger).check()
    except FoldsmithError as error:
        found["ledger"] = str(error)
        ledger = None
    tell(f"the ledger: {found['ledger'] or 'whole'}")
    every = read_registry(workspace, places(workspace, also)).entries
    chosen = [run for run in every if run.state in (FINISHED, DAMAGED)]
    if where is not None:
        chosen = [run for run in chosen if where in (run.path, run.path.parents[1])]
    for number, run in enumerate(chosen, 1):
        problems = problems_of_run(run.path, ledger)
        found["runs"].append({"id": run.id, "kind": run.kind, "path": str(run.path), "problems": problems})
        for problem in problems or ["whole"]:
            tell(f"[{number}/{len(chosen)}] {run.id}: {problem}")
    if where is None and ledger is not None:
        for lost in gone_runs(Ledger(ledger), every):
            found["gone"].append(lost._asdict())
            tell(
                f"{lost.run_id}: gone: this {lost.kind} run was published on {lost.at[:10]} and is in no folder that "
                "was looked at. Restore it, name its folder with --also, or, if it was deleted on purpose, enter that "
                "with: foldsmith runs clean --gone"
            )
    if as_json:
        _print_json(found)
    damaged = ["the ledger"] if found["ledger"] else []
    damaged += [run["id"] for run in found["runs"] if run["problems"]]
    damaged += [lost["run_id"] for lost in found["gone"]]
    if damaged:
        more = f" and {len(damaged) - NAMED} more" if len(damaged) > NAMED else ""
        raise IntegrityError(
            f"{len(damaged)} damaged or gone: {', '.join(damaged[:NAMED])}{more}; {len(chosen)} runs were looked at."
        )


def _say_nothing(_: str) -> None:
    """For a command that prints JSON instead."""


@runs.command(cls=Command)
@click.argument("run_id")
@json_option
@place_options
def explain(run_id: str, as_json: bool, workspace_dir: Path, also: Sequence[Path]) -> None:
    """Say where a run comes from, back to the raw file, what became of that, and how to make the run again."""
    from foldsmith.cli.again import again, config, typed
    from foldsmith.cli.run_lines import explained, quoted
    from foldsmith.runs.lineage import trace
    from foldsmith.runs.registry import find_run

    workspace = open_workspace(workspace_dir)
    chain = trace(workspace, find_run(workspace, run_id, also), also)
    folders: dict[str, Path] = {}
    for link in chain:
        if link.path is not None and link.named.kind != "raw":
            folders[link.named.kind] = link.path.parent
    if chain[0].named.kind == "evaluation" and chain[0].path is not None:
        folders["model"] = chain[0].path.parents[2]
    known = [link.manifest for link in chain if link.manifest is not None]
    words = {manifest.id: again(manifest, folders, workspace) for manifest in known}
    places = [] if workspace_dir == Path() else ["--workspace", str(workspace_dir)]
    places += [word for folder in also for word in ("--also", str(folder))]
    reproduce = quoted(["foldsmith", "runs", "reproduce", run_id, *places])
    if as_json:
        details = [
            link.as_dict()
            | (
                {}
                if link.manifest is None
                else {"again": words[link.manifest.id], "config": config(link.manifest)}
            )
            for link in chain
        ]
        _print_json({"chain": details, "reproduce": reproduce})
        return
    commands = {}
    for manifest in known:
        now = words[manifest.id]
        line = None if now is None else quoted(now)
        commands[manifest.id] = (quoted(typed(manifest)), line, config(manifest))
    for line in explained(chain, commands):
        say(line)
    say(f"Make it again and compare the hashes: {reproduce}")


@runs.command(cls=Command)
@click.argument("run_id")
@click.argument("name")
@click.option("--remove", is_flag=True, help="Take the tag away.")
@place_options
def tag(run_id: str, name: str, remove: bool, workspace_dir: Path, also: Sequence[Path]) -> None:
    """Give a run a tag: it can be listed by it, and `clean` keeps what is tagged."""
    from foldsmith.runs.ids import check_name
    from foldsmith.runs.ledger import Ledger
    from foldsmith.runs.registry import find_folder

    workspace = open_workspace(workspace_dir)
    check_name(name, "the tag")
    ledger = Ledger(workspace.ledger)
    # A tag can be taken from a run that is gone.
    run_id = run_id.rpartition("/")[2] if remove else find_folder(workspace, run_id, also).name
    before = ledger.tags().get(run_id, ())
    if remove and name not in before:
        raise SettingError(f"run {run_id!r:.80} has no tag {name}; it has {', '.join(before) or 'none'}.")
    if remove or name not in before:
        ledger.record_tag(run_id, name, not remove)
    now = ", ".join(ledger.tags().get(run_id, ()))
    say(f"{run_id}: tagged {now}" if now else f"{run_id}: no tag")


@runs.command(cls=Command)
@click.option(
    "--keep-last", type=int, metavar="N", help="Remove finished runs but the last N of each kind and symbol."
)
@click.option(
    "--partial", is_flag=True, help="Remove unfinished runs whose owner is dead; they can no longer resume."
)
@click.option(
    "--gone", is_flag=True, help="Enter in the ledger as removed what is gone from its folder already."
)
@click.option(
    "--yes", is_flag=True, help="Do it without asking; without a terminal, nothing is done otherwise."
)
@json_option
@place_options
def clean(
    keep_last: int | None,
    partial: bool,
    gone: bool,
    yes: bool,
    as_json: bool,
    workspace_dir: Path,
    also: Sequence[Path],
) -> None:
    """Say what may go, and remove it once that is confirmed: what kills left behind, and old runs.

    Kept whatever the flags: what is tagged, being made or damaged, and all that a kept run was made from.
    """
    from foldsmith.cli.run_lines import bytes_of, planned
    from foldsmith.runs.removal import Policy, carry_out, plan_clean

    if keep_last is not None and keep_last < 0:
        raise SettingError(f"--keep-last {keep_last} is too small; the least is 0.")
    workspace = open_workspace(workspace_dir)
    plan = plan_clean(workspace, Policy(keep_last, partial, gone, tuple(also)))
    if as_json:
        _print_json(plan.as_dict())
    else:
        for line in planned(plan):
            say(line)
    if plan.is_empty:
        _say_beside(as_json, "nothing to remove")
    elif _is_confirmed(yes, as_json, plan):
        left = carry_out(workspace, plan, lambda text: _say_beside(as_json, text))
        more = f"; {left} runs were left, as they have come into use" if left else ""
        _say_beside(as_json, f"done: about {bytes_of(plan.bytes)} freed{more}")
    else:
        _say_beside(as_json, "nothing was removed; to remove it, say --yes")


def _is_confirmed(yes: bool, as_json: bool, plan: CleanPlan) -> bool:
    from foldsmith.cli.run_lines import bytes_of

    if yes or as_json or not sys.stdin.isatty():
        return yes
    return click.confirm(f"Do it, and free about {bytes_of(plan.bytes)}?", default=False)


def _say_beside(as_json: bool, text: str) -> None:
    """Say something that is no part of the JSON."""
    click.echo(text, err=as_json)


def _print_json(content: Any) -> None:
    from foldsmith.runs.files import canonical_json

    say(canonical_json(content).decode().rstrip())


def status_lines(workspace: Workspace) -> list[str]:
    """What the workspace holds, in a few lines."""
    from foldsmith.cli.run_lines import what
    from foldsmith.runs.ledger import Ledger
    from foldsmith.runs.registry import DAMAGED, FINISHED, places, read_registry
    from foldsmith.stages.raw_bars import raw_symbols

    registry = read_registry(workspace, places(workspace))
    lines = [f"raw bars: {', '.join(raw_symbols(workspace)) or 'none'} (in {workspace.raw})"]
    for kind, name in zip(KINDS, ("datasets", "CV runs", "models", "evaluations"), strict=True):
        found = [run for run in registry.entries if run.kind == kind]
        finished = [run.id for run in found if run.state == FINISHED]
        newest = f", the newest {finished[0]}" if finished else ""
        lines.append(f"{name}: {len(finished)}{newest}")
        lines += [f"  {run.state}: {run.id} ({what(run)})" for run in found if run.state != FINISHED]
    damaged = sum(run.state == DAMAGED for run in registry.entries)
    if damaged:
        lines.append(f"damaged: {damaged}; see: foldsmith runs verify")
    if registry.trouble is not None:
        return [*lines, f"the ledger cannot be asked: {registry.trouble}"]
    looks = Ledger(workspace.ledger).looks()
    at_test = sum(look.split == "test" for look in looks)
    return [*lines, f"looks at held-out rows: {len(looks)}, of them {at_test} at test rows"]
