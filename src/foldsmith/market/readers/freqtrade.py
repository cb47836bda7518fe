"""freqtrade: feather with date, open, high, low, close, volume; or JSON `[[milliseconds, o, h, l, c, v], ...]`.

UTC, stamped at the bar's open.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from foldsmith.errors import DataError
from foldsmith.market.readers.columns import NUMBERS, Table
from foldsmith.market.readers.csv import names_of
from foldsmith.market.readers.json import parse, records_table
from foldsmith.market.readers.parquet import ARROW, read_arrow
from foldsmith.market.readers.unpack import File

_JSON = re.compile(rb"^\s*\[\s*\[\s*\d{12,13}\s*,[^\[\]\"{}]*\]")


def sniff(head: bytes, path: Path) -> bool:  # noqa: ARG001
    """An Arrow file of just these columns, or a list of lists that begin with epoch milliseconds."""
    if head.startswith(ARROW):
        return names_of(head) == ["date", *NUMBERS]
    return _JSON.match(head) is not None


def read(file: File) -> Table:
    """Either way of storing."""
    vendor = "freqtrade's candles (UTC, stamped at their open)"
    if file.head.startswith(ARROW):
        return replace(read_arrow(file), vendor=vendor, stamp="open")
    content = parse(file)
    if not isinstance(content, list):
        raise DataError(f"{file.source} is no list of candles; is it freqtrade's?")
    return replace(records_table(content, ("date", *NUMBERS), file), vendor=vendor, stamp="open")
