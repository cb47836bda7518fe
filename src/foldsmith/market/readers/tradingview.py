"""TradingView: `time,open,high,low,close` first, then indicators; a volume column anywhere, or none.

Times are ISO with an offset, or epoch seconds; of daily and longer bars they are dates alone.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from foldsmith.market.readers.columns import Table
from foldsmith.market.readers.csv import first_value, lines_of, names_of, read_csv
from foldsmith.market.readers.unpack import File

_HEADER = "time,open,high,low,close"
_COUNTS = {"trade_count", "bar_count", "barcount"}
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}:\d{2}(?:Z|[+-]\d{2}:\d{2}))?|\d{9,10}")


def sniff(head: bytes, path: Path) -> bool:  # noqa: ARG001
    """The five columns in their order, and times as above; not what programs say that count trades."""
    first = (lines_of(head, 1) or [""])[0]
    if not f"{first},".startswith(f"{_HEADER},") or _COUNTS & set(names_of(head)):
        return False
    return _TIME.fullmatch(first_value(head)) is not None


def read(file: File) -> Table:
    """Times with their offset; a volume of 0 where there is none."""
    table = read_csv(file, volume_needed=False)
    return replace(table, vendor="a TradingView export (stamped at the bar's open)", zone=None, stamp="open")
