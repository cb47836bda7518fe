"""`foldsmith pipeline continuous`: one series of raw bars from contracts that overlap, to look at or to give away."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from foldsmith.cli.command import (
    Command,
    format_option,
    instrument_of,
    open_workspace,
    refuse,
    say,
    workspace_option,
)
from foldsmith.cli.market_options import roll_days_option, roll_option, stamp_option, timezone_option
from foldsmith.errors import SettingError, TakenError
from foldsmith.market.roll_rule import RollRule

if TYPE_CHECKING:
    from foldsmith.market.instruments import Instrument
    from foldsmith.runs.store import Workspace

ENDINGS = (".parquet", ".csv")


@click.command(cls=Command)
@click.argument("source", metavar="SYMBOL|FILE")
@click.option("--symbol", help="Instrument of a FILE.  [default: what its name begins with]")
@format_option
@timezone_option
@stamp_option
@roll_option
@roll_days_option
@click.option(
    "--adjust",
    type=click.Choice(["none", "difference", "ratio"]),
    default="none",
    show_default=True,
    help="Whether prices are moved so that they do not jump at rolls, by what.",
)
@click.option(
    "--anchor",
    type=click.Choice(["forward", "back"]),
    default="forward",
    show_default=True,
    help="Whose level is kept: the first contract's (no price knows a later roll), or the latest's (for charts only).",
)
@click.option(
    "--output", required=True, type=click.Path(path_type=Path), help="File to write, .parquet or .csv."
)
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@workspace_option
@click.pass_context
def continuous(
    ctx: click.Context,
    source: str,
    symbol: str | None,
    file_format: str | None,
    timezone: str | None,
    stamp: str | None,
    roll: str,
    roll_days: int | None,
    adjust: str,
    anchor: str,
    output: Path,
    overwrite: bool,
    workspace_dir: Path,
) -> None:
    """Write the bars of the front contract as one series, from data/raw or from a file; one line for each roll.

    Datasets are always made of prices as they stood; `run` needs no file of this command.
    """
    if output.suffix not in ENDINGS:
        raise SettingError(f"--output {output} has an unknown ending; there are {' and '.join(ENDINGS)}.")
    if output.exists() and not overwrite:
        raise TakenError(
            f"{output} exists and was left untouched; choose another --output, or say --overwrite."
        )
    if adjust == "none":
        refuse(ctx, ["anchor"], "prices are not moved without --adjust")
    rule = RollRule(roll, roll_days)
    path, instrument = _source(ctx, open_workspace(workspace_dir), source, symbol)
    if path.resolve() in (output.resolve(), output.resolve().parent):
        raise TakenError(f"--output {output} is among the bars that are read; choose another.")
    from foldsmith.runs.files import write_whole
    from foldsmith.stages import continuous as stage

    made = stage.continuous(
        path, instrument, roll=rule, method=adjust, anchor=anchor,
        file_format=file_format, timezone=timezone, stamp=stamp,
    )  # fmt: skip
    for sentence in made.assumptions:
        say(f"assumed: {sentence}")
    for line in map(stage.roll_line, made.rolls):
        say(line)
    if adjust != "none" and anchor == "back":
        say("prices know later rolls: for charts only")
    write_whole(output, stage.as_csv(made.bars) if output.suffix == ".csv" else stage.as_parquet(made.bars))
    say(f"wrote {made.bars.height:,} bars with {len(made.rolls)} rolls to {output}")


def _source(
    ctx: click.Context, workspace: Workspace, source: str, symbol: str | None
) -> tuple[Path, Instrument]:
    """The file of bars, and the instrument: of a symbol that has raw bars, or of a path."""
    path = Path(source)
    if not re.fullmatch(r"[A-Z0-9]+", source):
        begins = re.match(r"[A-Z0-9]+", path.name)
        if symbol is None and begins is None:
            raise SettingError(f"{path} does not begin with a symbol; say which it is of with --symbol.")
        return path, instrument_of(workspace, symbol or (begins[0] if begins else ""))
    from foldsmith.stages.raw_bars import raw_file

    refuse(ctx, ["symbol"], f"{source} is a symbol")
    return raw_file(workspace, source), instrument_of(workspace, source)
