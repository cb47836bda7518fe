"""HistData: `20240131 143000;open;high;low;close;0` or `2024.01.31,14:30,open,high,low,close,0`, no header.

Eastern Standard Time all the year, without daylight saving; stamped at the open; prices are bids, and there is no
volume. A status report lies beside the bars, or stands in their place.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import polars as pl

from foldsmith.errors import DataError
from foldsmith.market.readers.columns import NUMBERS, Table
from foldsmith.market.readers.csv import lines_of, read_text, written_so
from foldsmith.market.readers.unpack import File

_NUMBER = r"\d+(?:\.\d+)?"
_ASCII = re.compile(rf"\d{{8}} \d{{6}}(?:;{_NUMBER}){{4}};(\d+)")
_META = re.compile(rf"\d{{4}}\.\d{{2}}\.\d{{2}},\d{{2}}:\d{{2}}(?:,{_NUMBER}){{4}},0")
_REPORT = b"HistData.com (c)"
_OTHERS_NAME = re.compile(r"\.(?:Last|Bid|Ask)\.txt$")
_ZONE = "Etc/GMT+5"


def is_report(head: bytes) -> bool:
    """Whether this is a status report, which lists gaps and holds no bars."""
    return head.lstrip().startswith(_REPORT)


def sniff(head: bytes, path: Path) -> bool:
    """Lines as above whose volume is always 0, or a report; not if the file is called as NinjaTrader's."""
    if is_report(head) or written_so(head, _META):
        return True
    if not written_so(head, _ASCII) or _OTHERS_NAME.search(path.name):
        return False
    volumes = {found[1] for found in map(_ASCII.fullmatch, lines_of(head)) if found}
    return volumes == {"0"}


def read(file: File) -> Table:
    """Either way of writing; DataError for a report."""
    if is_report(file.head):
        raise DataError(
            f"{file.source} is the status report of a HistData file: it lists gaps and holds no bars. The bars are in "
            "the other file of the same zip."
        )
    names = {name: name for name in NUMBERS}
    if b";" in file.head.split(b"\n", 1)[0]:
        table = read_text(file, ("time", *NUMBERS), ";", "time", names)
        layouts = ("%Y%m%d %H%M%S",)
    else:
        table = read_text(file, ("time", "minute", *NUMBERS), ",", "time", {"minute": "minute", **names})
        both = pl.concat_str("time", "minute", separator=" ").alias("time")
        table = replace(table, frame=table.frame.with_columns(both).drop("minute"))
        layouts = ("%Y.%m.%d %H:%M",)
    vendor = "HistData's bars (Eastern Standard Time without daylight saving, stamped at their open)"
    return replace(table, vendor=vendor, zone=_ZONE, stamp="open", layouts=layouts)
