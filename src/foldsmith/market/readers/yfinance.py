"""yfinance: three header lines (`Price,Close,High,...`, `Ticker,...`, `Datetime,,,`); columns in any order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from foldsmith.errors import DataError
from foldsmith.market.readers.columns import Table, find_columns
from foldsmith.market.readers.csv import lines_of, read_text
from foldsmith.market.readers.unpack import File


def sniff(head: bytes, path: Path) -> bool:  # noqa: ARG001
    """The first words of the three lines."""
    first = [line.split(",", 1)[0] for line in lines_of(head, 3)]
    return first[:2] == ["Price", "Ticker"] and first[2:] in (["Datetime"], ["Date"])


def read(file: File) -> Table:
    """Bars of one ticker, stamped at their open."""
    lines = [line.split(",") for line in lines_of(file.head, 3)]
    if len(lines) < 3:
        raise DataError(
            f"{file.source} has no three header lines, as yfinance writes them; is the file whole?"
        )
    tickers = sorted(set(lines[1][1:]))
    if len(tickers) > 1:
        raise DataError(f"{file.source} holds {', '.join(tickers[:5])}; give a file of one ticker.")
    columns = ["date", *lines[0][1:]]
    time, names = find_columns(columns, file.source)
    table = read_text(file, columns, ",", time, names, skip=3)
    return replace(table, vendor="yfinance's bars (stamped at their open)", zone=None, stamp="open")
