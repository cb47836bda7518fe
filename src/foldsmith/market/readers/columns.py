"""Which column of a file is which, and what every reader hands on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import polars as pl

from foldsmith.errors import DataError

TIMES = ("timestamp", "datetime", "date", "time")
PRICES = ("open", "high", "low", "close")
NUMBERS = (*PRICES, "volume")


@dataclass(frozen=True)
class Table:
    """What a reader hands on: the wanted columns under our names, times not yet converted.

    time : name of the time column in the file; place : words for where a row (counted from 0) stands in the
    file.
    """

    frame: pl.DataFrame
    time: str
    source: str
    place: Callable[[int], str]
    metadata: dict[str, str] = field(default_factory=dict)


def find_columns(there: Sequence[str], source: str) -> tuple[str, dict[str, str]]:
    """The file's time column, and its other wanted columns as {name in the file: our name}.

    Spellings differ in case and spaces around. Raises DataError naming a missing or doubled column.
    """
    found: dict[str, list[str]] = {}
    for column in there:
        found.setdefault(column.strip().strip('"').lower(), []).append(column)
    listing = ", ".join(there) or "none"
    times = [column for name in TIMES for column in found.get(name, [])]
    if not times:
        raise DataError(
            f"{source}: no time column; one called {', '.join(TIMES)} is needed, and the file has {listing}. "
            "Does it begin with a header line?"
        )
    if len(times) > 1:
        raise DataError(
            f"{source}: columns {' and '.join(times)} could all be the time; keep or name one of them so."
        )
    names: dict[str, str] = {}
    for name in (*NUMBERS, "contract"):
        columns = found.get(name, [])
        if len(columns) > 1:
            raise DataError(
                f"{source}: column {name} is there {len(columns)} times ({', '.join(columns)}); keep one."
            )
        if columns:
            names[columns[0]] = name
        elif name != "contract":
            raise DataError(f"{source}: column {name!r} is missing; the file has {listing}.")
    return times[0], names


def assign(columns: Sequence[str]) -> list[str]:
    """Our columns in our order, as far as a file has them."""
    return [name for name in (*NUMBERS, "contract") if name in columns]


def to_numbers(frame: pl.DataFrame, source: str, place: Callable[[int], str]) -> pl.DataFrame:
    """Prices and volume as float64, contract as text; DataError names the first cell that is no number.

    An empty cell stays empty: cleaning counts it.
    """
    for name in NUMBERS:
        series = frame[name]
        if series.dtype == pl.Float64:
            continue
        text = series.dtype == pl.String
        cells = series.str.strip_chars().replace("", None) if text else series
        if not (text or series.dtype.is_numeric() or series.dtype == pl.Null):
            raise DataError(f"{source}: column {name!r} has type {series.dtype}; numbers are needed.")
        cast = cells.cast(pl.Float64, strict=False)
        bad = cast.is_null() & cells.is_not_null()
        if bad.any():
            row = int(bad.arg_max() or 0)
            raise DataError(
                f"{source}: column {name!r} holds {cells[row]!r} at {place(row)}, which is no number "
                f"({int(bad.sum())} in all). Mend or remove the line."
            )
        frame = frame.with_columns(cast.alias(name))
    if "contract" in frame.columns and frame["contract"].dtype != pl.String:
        frame = frame.with_columns(pl.col("contract").cast(pl.String))
    return frame
