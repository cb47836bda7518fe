"""ProjectX and TopstepX: JSON `{"bars": [{"t": time, "o": ..., "h": ..., "l": ..., "c": ..., "v": ...}]}`, or CSV.

UTC, stamped at the bar's open. The CSV has no mark of its own and is read as any other.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from foldsmith.errors import DataError
from foldsmith.market.readers.columns import NUMBERS, Table
from foldsmith.market.readers.csv import read_csv
from foldsmith.market.readers.json import parse, records_table
from foldsmith.market.readers.unpack import File

_KEYS = ("t", "o", "h", "l", "c", "v")
_BARS = re.compile(rb'^\s*(?:\{.{0,200}"bars"\s*:\s*)?\[\s*\{([^{}]*)\}', re.DOTALL)


def sniff(head: bytes, path: Path) -> bool:  # noqa: ARG001
    """A list of bars with these keys and no other."""
    found = _BARS.match(head)
    return found is not None and set(re.findall(rb'"(\w+)"\s*:', found[1])) == {key.encode() for key in _KEYS}


def read(file: File) -> Table:
    """Bars of the answer of the API, or of a CSV file."""
    vendor = "bars of ProjectX (UTC, stamped at their open)"
    if file.head.lstrip()[:1] not in (b"{", b"["):
        return replace(read_csv(file), vendor=vendor, stamp="open")
    content: Any = parse(file)
    bars = content.get("bars") if isinstance(content, dict) else content
    if not isinstance(bars, list):
        raise DataError(f"{file.source} has no list of bars; did the request fail?")
    rows = [[bar.get(key) for key in _KEYS] if isinstance(bar, dict) else [] for bar in bars]
    return replace(records_table(rows, ("time", *NUMBERS), file), vendor=vendor, stamp="open")
