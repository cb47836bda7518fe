"""Alpaca: a trade_count and a vwap beside each bar; times with an offset, which changes with daylight saving."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from foldsmith.market.readers.columns import Table
from foldsmith.market.readers.csv import names_of, read_csv
from foldsmith.market.readers.unpack import File


def sniff(head: bytes, path: Path) -> bool:  # noqa: ARG001
    """The two columns beside the bar."""
    return {"trade_count", "vwap", "open", "volume"} <= set(names_of(head))


def read(file: File) -> Table:
    """Bars of one symbol, stamped at their open."""
    table = read_csv(file)
    return replace(table, vendor="Alpaca's bars (stamped at their open)", zone=None, stamp="open")
