"""NinjaTrader: `20240131 143000;open;high;low;close;volume`, no header, UTC, a minute's bar stamped at its end.

Ticks are `20240131 143000;price;volume`, or with fractions of a second and the quotes,
`20240131 143000 1230000;price;bid;ask;volume`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import polars as pl

from foldsmith.market.readers.columns import Table
from foldsmith.market.readers.csv import lines_of, read_text, written_so
from foldsmith.market.readers.ticks import minute_bars
from foldsmith.market.readers.unpack import File

NUMBER = r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
BAR = re.compile(rf"\d{{8}} \d{{6}}(?:;{NUMBER}){{5}}")
_TICK = re.compile(rf"\d{{8}} \d{{6}}(?: \d{{7}}(?:;{NUMBER}){{4}}|(?:;{NUMBER}){{2}})")
_BAR_COLUMNS = ("time", "open", "high", "low", "close", "volume")
_TICK_COLUMNS = {3: ("time", "price", "size"), 5: ("time", "price", "bid", "ask", "size")}
_LAYOUTS = ("%Y%m%d %H%M%S",)


def sniff(head: bytes, path: Path) -> bool:
    """Lines as above, unless the file is called as HistData's, which are written alike."""
    return not path.name.startswith("DAT_") and (written_so(head, BAR) or written_so(head, _TICK))


def read(file: File) -> Table:
    """Bars, or ticks made into bars."""
    if any(_TICK.fullmatch(line) for line in lines_of(file.head, 1)):
        return _read_ticks(file)
    names = {name: name for name in _BAR_COLUMNS[1:]}
    table = read_text(file, _BAR_COLUMNS, ";", "time", names)
    vendor = "a NinjaTrader export (UTC, 1-minute bars stamped at their end)"
    return replace(table, vendor=vendor, stamp="close", layouts=_LAYOUTS, bar_seconds=60)


def _read_ticks(file: File) -> Table:
    count = lines_of(file.head, 1)[0].count(";") + 1
    numbers = {"price": "price", "size": "size"}
    table = read_text(file, _TICK_COLUMNS[count], ";", "time", numbers)
    # What comes after the second decides no minute.
    time = pl.col("time").str.slice(0, 15).str.to_datetime(_LAYOUTS[0], time_unit="us", strict=False)
    bars = minute_bars(table, table.frame.select(time, "price", "size"))
    return replace(bars, vendor="ticks of a NinjaTrader export (UTC)", stamp="open")
