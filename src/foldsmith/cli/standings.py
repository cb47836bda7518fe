"""`foldsmith compare` and `foldsmith leaderboard`: stored evaluations beside each other; no held-out row is opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from foldsmith.cli.command import Command, open_workspace, say
from foldsmith.cli.runs import json_option, place_options

SPLITS = ("test", "validation")
BY = ("direction_auc", "log_loss_gain", "net", "sharpe")
"""As `stages.leaderboard.SORTS`, which is too heavy to be imported for --help."""

split_option = click.option(
    "--split", type=click.Choice(SPLITS), default="validation", show_default=True, help="Segment looked at."
)


@click.command(cls=Command)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@split_option
@json_option
@place_options
def compare(
    runs: Sequence[str], split: str, as_json: bool, workspace_dir: Path, also: Sequence[Path]
) -> None:
    """Compare evaluations (or the newest of models at --split) with the first named, on the rows that all have.

    Differences are paired, day by day, with 95% intervals. `runs compare` says what two runs were made with.
    """
    from foldsmith.stages.compare_evaluations import compare_evaluations, evaluation_named

    workspace = open_workspace(workspace_dir)
    found = compare_evaluations([evaluation_named(workspace, one, split, also) for one in runs])
    if as_json:
        _print_json(found)
        return
    for line in _compared(found):
        say(line)


@click.command(cls=Command)
@split_option
@click.option("--symbol", help="Only evaluations of this symbol.")
@click.option("--by", type=click.Choice(BY), default=BY[0], show_default=True, help="Score to sort by.")
@json_option
@place_options
def leaderboard(
    split: str, symbol: str | None, by: str, as_json: bool, workspace_dir: Path, also: Sequence[Path]
) -> None:
    """List stored evaluations, best first, each with its interval and what had been tried by then."""
    from foldsmith.stages.leaderboard import leaderboard as made

    found = made(open_workspace(workspace_dir), split, by, symbol, also)
    if as_json:
        _print_json(found)
        return
    for line in _listed(found):
        say(line)


def _compared(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{found['rows']:,} {found['split']} rows and {found['days']:,} days that all have"
    for number, run in enumerate(found["runs"]):
        shown = ", ".join(
            f"{name.replace('_', ' ')} {_number(value)}" for name, value in run["scores"].items()
        )
        mark = "first  " if number == 0 else "       "
        yield f"{mark}{run['id']} of {run['model']}: {shown}, after costs {run['net']:,.2f}"
    for other in found["against"]:
        yield f"{other['id']} less the first (95% of days drawn in blocks of {found['block_days']}):"
        for name, told in other["differences"].items():
            between = (
                "no interval: too few days" if told["low"] is None
                else f"[{_number(told['low'])}, {_number(told['high'])}]"
            )  # fmt: skip
            yield f"  {name.replace('_', ' '):<20} {_number(told['difference'])} {between}"


def _listed(found: Mapping[str, Any]) -> Iterator[str]:
    if not found["rows"]:
        yield f"no evaluation at {found['split']} rows; make one with: foldsmith evaluate --split {found['split']}"
    else:
        yield (
            f"{found['split']} rows, by {found['name']} (yardstick {found['yardstick']:g}); up to "
            f"{found['things_tried']:,} trials on these raw bars, of which the best looks good by chance alone"
        )
    for number, row in enumerate(found["rows"], 1):
        between = "" if row["low"] is None else f" [{_number(row['low'])}, {_number(row['high'])}]"
        yield (
            f"{number:>3}  {_number(row['score'])}{between}  {row['symbol']} {row['model']}: {row['trades']:,} trades, "
            f"after costs {row['net']:,.2f}; {row['verdict'] or 'no verdict kept'}; model "
            f"{row['place'] or 'unknown'} looked at, {row['trials'] or 'unknown'} trials, looks {row['looks']}; "
            f"{row['audit']['said']}"
        )
    for run_id in found["unread"]:
        yield f"left out, damaged or unfinished: {run_id}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:,.5g}"


def _print_json(content: Any) -> None:
    from foldsmith.runs.files import canonical_json

    say(canonical_json(content).decode().rstrip())
