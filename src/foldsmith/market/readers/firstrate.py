"""FirstRate: `2024-01-31 09:30:00,open,high,low,close[,volume]`, no header, US Eastern, stamped at the open."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from foldsmith.market.readers.columns import NUMBERS, Table
from foldsmith.market.readers.csv import lines_of, read_text, written_so
from foldsmith.market.readers.unpack import File

_LINE = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(?:,\d+(?:\.\d+)?){4,6}")
_COLUMNS = ("time", *NUMBERS, "open_interest")


def sniff(head: bytes, path: Path) -> bool:  # noqa: ARG001
    """Lines as above."""
    return written_so(head, _LINE)


def read(file: File) -> Table:
    """Five to seven values a line; an index has no volume."""
    lines = lines_of(file.head, 1)
    columns = _COLUMNS[: lines[0].count(",") + 1] if lines else _COLUMNS
    names = {name: name for name in NUMBERS if name in columns}
    table = read_text(file, columns, ",", "time", names)
    vendor = "FirstRate's bars (US Eastern time, stamped at their open)"
    return replace(table, vendor=vendor, zone="America/New_York", stamp="open")
