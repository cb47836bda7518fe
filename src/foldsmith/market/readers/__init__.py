"""Raw bars from files of the user, as one table in UTC stamped at the open, with every assumption said."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from foldsmith.errors import SettingError
from foldsmith.market.readers.catalogue import FORMATS, check_format
from foldsmith.market.readers.columns import PRICES, assign
from foldsmith.market.readers.contracts import of_product
from foldsmith.market.readers.series import read_series

ENDINGS = tuple(
    f"{ending}{packed}"
    for ending, packings in {
        ".parquet": ("",),
        ".pq": ("",),
        ".csv": ("", ".gz", ".zst"),
        ".txt": ("", ".gz", ".zst"),
        ".json": ("", ".gz"),
        ".dbn": ("", ".zst"),
        ".dbz": ("",),
        ".feather": ("",),
        ".zip": ("",),
    }.items()
    for packed in packings
)
"""How names of files of bars end."""
STAMPS = ("open", "close")


@dataclass(frozen=True)
class RawBars:
    """Bars as they stand in a file, in its order, nothing dropped.

    frame : datetime (UTC, microseconds, the bar's open), open, high, low, close, volume (float64), and where the file
    has them contract (string), trades (float64, how many each bar holds) and open_interest (float64); assumptions :
    sentences for the user about what the file did not say; metadata : a parquet file's own key-value metadata, else
    empty.
    """

    frame: pl.DataFrame
    assumptions: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)


def read_bars(
    path: Path,
    *,
    file_format: str | None = None,
    timezone: str | None = None,
    stamp: str | None = None,
    bar_seconds: int | None = None,
    symbol: str | None = None,
) -> RawBars:
    """Read bars from a file, a zip, a folder of files (one a contract or a month) or a pattern such as `raw/MES *.txt`.

    The format is told from the content, or is `file_format`, one of `FORMATS`; what follows from it is said in
    `assumptions`. A text or Parquet file that no vendor's mark is on has a time column called timestamp, datetime,
    date or time, in any case; then open, high, low, close, volume and, if there, contract, trades (or trade_count,
    bar_count) and open_interest. Its times without a zone are taken as UTC and stamped at the bar's open.

    `timezone` (such as America/Chicago) reads the clock times as local to that zone, whatever the file says;
    `stamp="close"` shifts bars back by their length, which is `bar_seconds` or else the most common spacing. Trades
    become bars of one minute. A contract is taken from a column, else from the beginning of the file's name; where
    there are contracts of several products, only those of `symbol`, if given, are kept.

    Raises MissingError for a file that is not there, SettingError for a setting that cannot be used, and
    DataError for anything in the file that cannot be read, naming the column, the line and the value.
    """
    if stamp is not None and stamp not in STAMPS:
        raise SettingError(f"--stamp {stamp!r} is unknown; a bar is stamped at its open or its close.")
    if bar_seconds is not None and bar_seconds < 1:
        raise SettingError(f"a bar of {bar_seconds} seconds is none; give at least 1.")
    if file_format is not None:
        check_format(file_format)
    elif path.suffix and not path.is_dir() and not path.name.lower().endswith(ENDINGS):
        raise SettingError(
            f"{path.name} has an ending that is not read here; there are {', '.join(ENDINGS)}. Rename it, or say "
            f"--format, one of {', '.join(FORMATS)}."
        )
    frame, said, metadata = read_series(path, file_format, timezone, stamp, bar_seconds)
    if symbol is not None:
        frame, left_out = of_product(frame, symbol, path.name)
        said += left_out
    frame = frame.select(["datetime", *assign(frame.columns)])
    # In one piece, once: whoever computes on a column in pieces would copy it each time. One column after the other, so
    # that the pieces of only one are there twice.
    for name in frame.columns:
        frame = frame.with_columns(frame[name].rechunk())
    return RawBars(frame, said, metadata)


__all__ = ["ENDINGS", "FORMATS", "PRICES", "RawBars", "read_bars"]
