"""QuantConnect LEAN: zips of `milliseconds since midnight,open,high,low,close,volume`; the date is in the file's name.

`20240131_gc_minute_trade_202402.csv` is a future, in UTC, in prices; `20240131_spy_minute_trade.csv` is a US equity, in
New York time, in ten-thousandths of a dollar. Both are stamped at the bar's open.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl

from foldsmith.errors import DataError
from foldsmith.market.readers.columns import NUMBERS, PRICES, Table, scaled
from foldsmith.market.readers.csv import read_text, written_so
from foldsmith.market.readers.unpack import File

_NAME = re.compile(
    r"(?P<day>\d{8})_(?P<symbol>[a-z0-9.]+)_(?:minute|second)_(?P<kind>[a-z]+)(?:_(?P<expiry>\d{6}(?:\d{2})?))?\.csv"
)
_LINE = re.compile(r"\d{1,8}(?:,-?\d+(?:\.\d+)?){5}")
_UNITS = 10_000


def sniff(head: bytes, path: Path) -> bool:
    """Their name, and lines as above."""
    return _NAME.fullmatch(path.name) is not None and written_so(head, _LINE)


def read(file: File) -> Table:
    """Bars of one day of one contract, or of an equity."""
    name = _NAME.fullmatch(file.name)
    if name is None or name["kind"] != "trade":
        raise DataError(
            f"{file.source} is not named as LEAN's files of trade bars are, such as "
            "20240131_gc_minute_trade_202402.csv; the date and the contract are known from the name alone."
        )
    table = read_text(file, ("time", *NUMBERS), ",", "time", {column: column for column in NUMBERS})
    table = replace(table, frame=_with_date(table, name["day"]), stamp="open")
    if name["expiry"]:
        contract = f"{name['symbol'].upper()} {name['expiry']}"
        frame = table.frame.with_columns(contract=pl.lit(contract))
        return replace(table, frame=frame, vendor="LEAN's bars of a future (UTC, stamped at their open)")
    prices = table.frame.select(PRICES)
    if not prices.select(
        pl.all_horizontal((pl.all() == pl.all().round()).fill_null(value=True)).all()
    ).item():
        raise DataError(
            f"{file.source} has no expiry in its name, as a future has, and prices that are no whole numbers, as "
            "LEAN's US equities are; other markets are not read here. Write its bars as CSV with a header."
        )
    return replace(
        table,
        frame=table.frame.with_columns(scaled(table.frame[column], _UNITS) for column in PRICES),
        vendor="LEAN's bars of a US equity (New York time, prices in 1/10,000, stamped at their open)",
        zone="America/New_York",
    )


def _with_date(table: Table, day: str) -> pl.DataFrame:
    """Milliseconds since midnight as datetimes of the day."""
    try:
        midnight = date(int(day[:4]), int(day[4:6]), int(day[6:]))
    except ValueError:
        raise DataError(f"{table.source} is named after {day}, which is no date.") from None
    cells = table.frame["time"].str.strip_chars()
    numbers = cells.cast(pl.Int64, strict=False)
    bad = numbers.is_null() | (numbers < 0) | (numbers >= 86_400_000)
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise DataError(
            f"{table.source}: {cells[row]!r} at {table.place(row)} is no number of milliseconds of a day, 0 to "
            "86,399,999."
        )
    times = pl.lit(midnight).cast(pl.Datetime("us")) + pl.Series("time", numbers * 1000).cast(
        pl.Duration("us")
    )
    return table.frame.with_columns(time=times)
