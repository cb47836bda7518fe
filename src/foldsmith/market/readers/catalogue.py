"""The formats that are read, by name; and which of them a file is in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from foldsmith.errors import DataError, SettingError
from foldsmith.market.readers import (
    alpaca,
    binance,
    databento,
    dukascopy,
    firstrate,
    freqtrade,
    histdata,
    ibkr,
    lean,
    ninjatrader,
    projectx,
    tradingview,
    yfinance,
)
from foldsmith.market.readers.columns import Table
from foldsmith.market.readers.csv import read_csv, read_day_first, read_month_first
from foldsmith.market.readers.parquet import ARROW, PARQUET, read_parquet
from foldsmith.market.readers.unpack import File


def _never(head: bytes, path: Path) -> bool:  # noqa: ARG001
    """Of a format without a mark of its own: taken where no other fits, or where it is named."""
    return False


@dataclass(frozen=True)
class Reader:
    """One format: whether a file is in it, by the first bytes of its content and by its name; and how it is read."""

    sniff: Callable[[bytes, Path], bool]
    read: Callable[[File], Table]


FORMATS: dict[str, Reader] = {
    "csv": Reader(_never, read_csv),
    "csv-day-first": Reader(_never, read_day_first),
    "csv-month-first": Reader(_never, read_month_first),
    "parquet": Reader(_never, read_parquet),
    "ninjatrader": Reader(ninjatrader.sniff, ninjatrader.read),
    "databento": Reader(databento.sniff, databento.read),
    "tradingview": Reader(tradingview.sniff, tradingview.read),
    "ibkr": Reader(ibkr.sniff, ibkr.read),
    "projectx": Reader(projectx.sniff, projectx.read),
    "firstrate": Reader(firstrate.sniff, firstrate.read),
    "histdata": Reader(histdata.sniff, histdata.read),
    "binance": Reader(binance.sniff, binance.read),
    "alpaca": Reader(alpaca.sniff, alpaca.read),
    "freqtrade": Reader(freqtrade.sniff, freqtrade.read),
    "dukascopy": Reader(dukascopy.sniff, dukascopy.read),
    "yfinance": Reader(yfinance.sniff, yfinance.read),
    "lean": Reader(lean.sniff, lean.read),
}
_NO_TEXT = {".dbn", ".dbz", ".feather", ".json"}
"""Endings of files that are no lines of text: what is called so and is not in any such format is damaged."""


def check_format(name: str) -> None:
    """Raise SettingError for a format that there is not."""
    if name not in FORMATS:
        near = get_close_matches(name, FORMATS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise SettingError(f"--format {name!r:.60} is unknown; there are {', '.join(FORMATS)}.{hint}")


def format_of(file: File) -> str:
    """The one format that a file's content fits; DataError where it fits several, or is nothing that is known."""
    fits = [name for name, reader in FORMATS.items() if reader.sniff(file.head, Path(file.name))]
    if len(fits) > 1:
        raise DataError(
            f"{file.source} may be of {' or '.join(fits)}, which are written alike and mean other times; say --format "
            f"{fits[0]} or --format {fits[1]}."
        )
    if fits:
        return fits[0]
    suffixes = set(Path(file.name.lower()).suffixes)
    if file.head.startswith(PARQUET) or suffixes & {".parquet", ".pq"}:
        return "parquet"
    if file.head.startswith(ARROW) or suffixes & _NO_TEXT:
        found = "an Arrow file of other columns" if file.head.startswith(ARROW) else f"{file.head[:12]!r}"
        raise DataError(
            f"{file.source} begins as no file that is known here ({found}); was it damaged, or renamed? Formats are "
            f"{', '.join(FORMATS)}."
        )
    return "csv"
