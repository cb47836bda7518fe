"""Raw bars from a file of the user, as one table in UTC stamped at the open, with every assumption said."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from foldsmith.errors import DataError, MissingError, SettingError
from foldsmith.market.readers.clock import to_utc_open
from foldsmith.market.readers.columns import PRICES, assign
from foldsmith.market.readers.csv import read_csv
from foldsmith.market.readers.parquet import read_parquet

CSV_ENDINGS = (".csv", ".csv.gz", ".txt")
PARQUET_ENDINGS = (".parquet", ".pq")
STAMPS = ("open", "close")


@dataclass(frozen=True)
class RawBars:
    """Bars as they stand in a file, in its order, nothing dropped.

    frame : datetime (UTC, microseconds, the bar's open), open, high, low, close, volume (float64), and
    contract (string) where the file has one; assumptions : sentences for the user about what the file did not
    say; metadata : a parquet file's own key-value metadata, else empty.
    """

    frame: pl.DataFrame
    assumptions: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)


def read_bars(
    path: Path, *, timezone: str | None = None, stamp: str | None = None, bar_seconds: int | None = None
) -> RawBars:
    """Read bars from a CSV (also .csv.gz, .txt) or Parquet file with a header.

    The time column is called timestamp, datetime, date or time, in any case; then open, high, low, close,
    volume and, if there, contract. Times without a zone are taken as UTC and stamped at the bar's open, and
    that is said in `assumptions`. `timezone` (such as America/Chicago) reads the clock times as local to that
    zone, whatever the file says; `stamp="close"` shifts bars back by their length, which is `bar_seconds` or
    else the most common spacing.

    Raises MissingError for a file that is not there, SettingError for a setting that cannot be used, and
    DataError for anything in the file that cannot be read, naming the column, the line and the value.
    """
    if stamp is not None and stamp not in STAMPS:
        raise SettingError(f"--stamp {stamp!r} is unknown; a bar is stamped at its open or its close.")
    if bar_seconds is not None and bar_seconds < 1:
        raise SettingError(f"a bar of {bar_seconds} seconds is none; give at least 1.")
    name = path.name.lower()
    reader = (
        read_csv if name.endswith(CSV_ENDINGS) else read_parquet if name.endswith(PARQUET_ENDINGS) else None
    )
    if reader is None:
        raise SettingError(
            f"{path.name} has an ending that is not read here; there are "
            f"{', '.join(CSV_ENDINGS + PARQUET_ENDINGS)}."
        )
    _check_there(path)
    table = reader(path)
    if table.frame.is_empty():
        raise DataError(f"{path.name} holds a header and no bars; was the export cut short?")
    instants, assumptions = to_utc_open(table, timezone, stamp, bar_seconds)
    frame = table.frame.select(instants.alias("datetime"), pl.exclude(table.time))
    return RawBars(frame.select(["datetime", *assign(frame.columns[1:])]), assumptions, table.metadata)


def _check_there(path: Path) -> None:
    if not path.is_file():
        folder = path.parent
        there = (
            sorted(item.name for item in folder.iterdir() if item.is_file())[:10] if folder.is_dir() else []
        )
        listing = f"There are: {', '.join(there)}." if there else "The folder is empty or not there."
        raise MissingError(f"no file {path}. {listing}")
    try:
        size = path.stat().st_size
        with path.open("rb"):
            pass
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error.strerror}. Look at its permissions.") from None
    if size == 0:
        raise DataError(f"{path.name} is empty (0 bytes); was the download or export cut short?")


__all__ = ["CSV_ENDINGS", "PARQUET_ENDINGS", "PRICES", "RawBars", "read_bars"]
