"""Binance klines: twelve columns, with or without a header, epoch milliseconds or microseconds, at the open."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from foldsmith.market.readers.columns import NUMBERS, Table
from foldsmith.market.readers.csv import names_of, read_text, written_so
from foldsmith.market.readers.unpack import File

_COLUMNS = (
    "open_time", *NUMBERS, "close_time", "quote_volume", "count", "taker_buy_volume", "taker_buy_quote_volume",
    "ignore",
)  # fmt: skip
_LINE = re.compile(r"\d{13}(?:\d{3})?(?:,\d+(?:\.\d+)?){5},\d{13}(?:\d{3})?(?:,\d+(?:\.\d+)?){5}")


def sniff(head: bytes, path: Path) -> bool:  # noqa: ARG001
    """Their header, or twelve numbers a line of which the first and the seventh are times."""
    return tuple(names_of(head)[:7]) == _COLUMNS[:7] or written_so(head, _LINE)


def read(file: File) -> Table:
    """By place: the header, if there is one, says no more."""
    skip = 1 if names_of(file.head)[:1] == ["open_time"] else 0
    names = {name: name for name in NUMBERS} | {"count": "trades"}
    table = read_text(file, _COLUMNS, ",", "open_time", names, skip=skip)
    return replace(table, vendor="Binance klines (epoch times, stamped at the bar's open)", stamp="open")
