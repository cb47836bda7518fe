"""Which column of a file is which, and what every reader hands on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from foldsmith.errors import DataError

TIMES = ("timestamp", "datetime", "date", "time")
PRICES = ("open", "high", "low", "close")
NUMBERS = (*PRICES, "volume")
TRADE_NUMBERS = ("price", "size")
OPTIONAL = {
    "trades": ("trades", "trade_count", "bar_count", "barcount"),
    "open_interest": ("open_interest", "openinterest", "open interest", "oi"),
}
"""Numbers that are kept where a file has them, by our name, and how files call them: trades, how many a bar holds; open
interest, contracts that are held."""
_LISTED = 40
"""Columns of a file that a message names."""


@dataclass(frozen=True)
class Table:
    """What a reader hands on: the wanted columns under our names, times not yet converted.

    frame : the time column, open to volume as float64, and contract and those of `OPTIONAL` where the file has them;
    time : name of the time column; place : words for where a row (counted from 0) stands in the file.

    vendor : what the file was taken for, and by what rules, in words; None for a plain table, of which nothing is
    known. zone : zone of times that carry none, None where the vendor's is not known. stamp : the end of a bar
    that its time stands for, open or close, if the vendor is known. layouts : how times are written, if the
    reader knows. bar_seconds : the length of a bar, if the vendor has but one. trades : the bars were made of
    trades. said : sentences for the user.
    """

    frame: pl.DataFrame
    time: str
    source: str
    place: Callable[[int], str]
    metadata: dict[str, str] = field(default_factory=dict)
    vendor: str | None = None
    zone: str | None = "UTC"
    stamp: str | None = None
    layouts: tuple[str, ...] = ()
    bar_seconds: int | None = None
    trades: bool = False
    said: tuple[str, ...] = ()


def find_columns(
    there: Sequence[str],
    source: str,
    *,
    volume_needed: bool = True,
    times: Sequence[str] = TIMES,
    also: Sequence[str] = (),
) -> tuple[str, dict[str, str]]:
    """The file's time column, one of `times`, and its other wanted columns as {name in the file: our name}.

    `also` are columns that are wanted where they are there, as contract is and those of `OPTIONAL`. Spellings differ
    in case and spaces around. Raises DataError naming a missing or doubled column.
    """
    found: dict[str, list[str]] = {}
    for column in there:
        found.setdefault(column.strip().strip('"').lower(), []).append(column)
    listing = ", ".join(there[:_LISTED]) + (" ..." if len(there) > _LISTED else "") or "none"
    clocks = [column for name in times for column in found.get(name, [])]
    if not clocks:
        raise DataError(
            f"{source}: no time column; one called {', '.join(times)} is needed, and the file has {listing}. "
            "Does it begin with a header line?"
        )
    if len(clocks) > 1:
        raise DataError(
            f"{source}: columns {' and '.join(clocks[:_LISTED])} could all be the time; keep or name one of them so."
        )
    names: dict[str, str] = {}
    for name in (*NUMBERS, "contract", *also, *OPTIONAL):
        columns = [column for spelling in OPTIONAL.get(name, (name,)) for column in found.get(spelling, [])]
        if len(columns) > 1:
            raise DataError(
                f"{source}: column {name} is there {len(columns)} times ({', '.join(columns[:_LISTED])}); keep one."
            )
        if columns:
            names[columns[0]] = name
        elif name in PRICES or (name == "volume" and volume_needed):
            raise DataError(f"{source}: column {name!r} is missing; the file has {listing}.")
    return clocks[0], names


def assign(columns: Sequence[str]) -> list[str]:
    """Our columns in our order, as far as a file has them."""
    return [name for name in (*NUMBERS, "contract", *OPTIONAL) if name in columns]


def to_numbers(frame: pl.DataFrame, source: str, place: Callable[[int], str]) -> pl.DataFrame:
    """Numbers as float64, contract as text; DataError names the first cell that is no number.

    An empty table is refused; an empty cell stays empty: cleaning counts it. What is no number in one of `OPTIONAL`
    becomes empty: only bars that are made of it need it.
    """
    refuse_empty(frame, source)
    kept = [name for name in OPTIONAL if name in frame.columns]
    frame = frame.with_columns(_lenient(frame[name]) for name in kept)
    for name in [name for name in (*NUMBERS, *TRADE_NUMBERS) if name in frame.columns]:
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


def _lenient(series: pl.Series) -> pl.Series:
    """The numbers of a column as float64, all else empty."""
    if series.dtype == pl.String:
        series = series.str.strip_chars()
    elif not series.dtype.is_numeric():
        series = pl.Series(series.name, [None] * len(series))
    return series.cast(pl.Float64, strict=False)


def refuse_empty(frame: pl.DataFrame, source: str) -> None:
    """Raise DataError for a table without rows."""
    if frame.is_empty():
        raise DataError(f"{source} holds a header and no bars; was the export cut short?")


def fill_volume(frame: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Bars with a volume of 0 where they have none, and the sentence that says so."""
    if "volume" in frame.columns or "open" not in frame.columns:
        return frame, ()
    return frame.with_columns(volume=pl.lit(0.0)), ("the file has no volume, so it is 0 in every bar",)


def one_symbol(table: Table) -> Table:
    """The table without its column `symbol`, if it has one; DataError where that names several."""
    if "symbol" not in table.frame.columns:
        return table
    symbols = table.frame["symbol"].cast(pl.String).drop_nulls().unique().sort().to_list()
    if len(symbols) > 1:
        raise DataError(
            f"{table.source} holds bars of {', '.join(symbols[:5])}; give a file of one symbol, or call the column "
            "contract if these are contracts of one."
        )
    return replace(table, frame=table.frame.drop("symbol"))


def scaled(prices: pl.Series, units: float) -> pl.Series:
    """Prices from whole numbers of `units` to one; null stays null."""
    # Polars multiplies by 1/units, which misses by the last bit.
    return pl.Series(prices.name, prices.to_numpy() / units).set(prices.is_null(), None)
