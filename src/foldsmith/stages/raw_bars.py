"""The raw files of a workspace: which there are, whether they can be used, and what was found in them, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from foldsmith.errors import DataError, MissingError
from foldsmith.market.instruments import Instrument
from foldsmith.market.readers import ENDINGS, read_bars
from foldsmith.market.roll_rule import RollRule
from foldsmith.runs.store import Workspace
from foldsmith.stages.market_bars import BARS_IN_NONE, clean_bars

Say = Callable[[str], None]


def raw_file(workspace: Workspace, symbol: str) -> Path:
    """The file or folder of a symbol's raw bars, or MissingError naming what was looked for and what is there."""
    found = [workspace.raw / f"{symbol}_1m{ending}" for ending in ENDINGS]
    folder = workspace.raw / f"{symbol}_1m"
    there = [path for path in found if path.is_file()] + ([folder] if folder.is_dir() else [])
    if len(there) == 1:
        return there[0]
    if there:
        names = " and ".join(path.name for path in there)
        raise DataError(
            f"{workspace.raw} holds {names}; keep the one to use, so that there is no doubt which."
        )
    others = sorted(path.name for path in workspace.raw.glob("*_1m*")) if workspace.raw.is_dir() else []
    raise MissingError(
        f"no raw bars of {symbol}: {found[0]} is not there (nor {', '.join(ENDINGS[1:])}, nor a folder {folder.name}). "
        + (
            f"There are: {', '.join(others)}."
            if others
            else "The folder is empty; copy your 1-minute bars there."
        )
    )


def raw_symbols(workspace: Workspace) -> list[str]:
    """Symbols with a file or a folder of raw bars, in order."""
    if not workspace.raw.is_dir():
        return []
    names = {
        path.name.split("_1m.")[0] for path in workspace.raw.glob("*_1m.*") if path.name.endswith(ENDINGS)
    }
    folders = {path.name.removesuffix("_1m") for path in workspace.raw.glob("*_1m") if path.is_dir()}
    return sorted(names | folders)


def file_state(path: Path) -> list[tuple[str, int, int, int]]:
    """What changes when a file, or one in a folder, is written."""
    items = sorted(path.iterdir()) if path.is_dir() else [path]
    found = [(item.name, item.stat()) for item in items]
    return [(name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in found]


def check_raw(
    path: Path,
    instrument: Instrument,
    file_format: str | None,
    timezone: str | None,
    stamp: str | None,
    say: Say,
    *,
    rules: Mapping[str, str],
    roll: RollRule,
) -> None:
    """Read and clean raw bars as phase 1 does, say what was found, and write nothing; DataError for a useless file."""
    raw = read_bars(path, file_format=file_format, timezone=timezone, stamp=stamp, symbol=instrument.symbol)
    say(f"read {path.name}: {raw.frame.height:,} bars")
    for sentence in raw.assumptions:
        say(f"  assumed: {sentence}")
    for line in findings_lines(clean_bars(raw.frame, instrument, rules=rules, roll=roll)[2]):
        say(line)


def findings_lines(findings: Mapping[str, Any]) -> Iterator[str]:
    """What cleaning and marking found: rows kept, then each rule that was met with its count and first instant."""
    cleaning = findings["cleaning"]
    yield f"kept {cleaning['kept']:,} of {cleaning['rows']:,} rows"
    for rule, found in cleaning.items():
        if isinstance(found, dict) and found["count"]:
            first = _moment(found["examples"][0])
            done = {"drop": "dropped", "sort": "sorted"}.get(found["action"], "counted")
            yield f"  {rule}: {found['count']:,} {done}, first at {first}"
    rolls, holes = findings["blocks"]["rolls"], findings["blocks"]["holes"]
    if rolls["count"]:
        yield f"  rolls: {rolls['count']:,}, first at {_moment(rolls['at'][0])}"
    if holes["count"]:
        longest = max(holes["at"], key=lambda hole: hole["minutes"])
        yield (
            f"  holes: {holes['count']:,}, {holes['minutes']:,.0f} minutes in all, the longest from "
            f"{_moment(longest['from'])} to {_moment(longest['to'])}"
        )
    if BARS_IN_NONE in findings["blocks"]:
        yield f"  base bars in no longer bar: {findings['blocks'][BARS_IN_NONE]['count']:,}"


def _moment(at: Any) -> str:
    return str(at["at"] if isinstance(at, Mapping) else at)[:19].replace("T", " ")
