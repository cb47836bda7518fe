"""Databento: DBN (`.dbn`, `.dbn.zst`) and CSV, of bars and of trades; UTC, stamped at the bar's open.

Trades are put into the minute in which they were received, as the vendor's own bars are.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from foldsmith.errors import DataError
from foldsmith.market.readers import dbn
from foldsmith.market.readers.clock import to_utc
from foldsmith.market.readers.columns import PRICES, Table, refuse_empty, scaled
from foldsmith.market.readers.csv import header_of, lines_of, names_of, read_text
from foldsmith.market.readers.dbn import contract_names
from foldsmith.market.readers.ticks import minute_bars
from foldsmith.market.readers.unpack import File

_DBZ = b"DBZ"
_BARS, _TRADES = "Databento's bars (UTC, stamped at their open)", "Databento's trades (UTC)"
_NO_PRICE = 9.2e18
NOTES = ("metadata.json", "manifest.json", "condition.json", "symbology.json")
"""Files that lie beside the bars of a batch download."""
_MARKS = {"rtype", "publisher_id", "instrument_id"}


def sniff(head: bytes, path: Path) -> bool:  # noqa: ARG001
    """The magic of DBN or of the older DBZ, or the columns that every CSV of theirs has."""
    return head.startswith(dbn.MAGIC) or _is_dbz(head) or set(names_of(head)) >= _MARKS


def read(file: File) -> Table:
    """Bars, or trades made into bars of one minute, with the contract of each."""
    if _is_dbz(file.head):
        raise DataError(
            f"{file.source} is in DBZ, an encoding that Databento gave up in 2023; convert it with Databento's `dbn` "
            "tool, or download it again as DBN or CSV."
        )
    if not file.head.startswith(dbn.MAGIC):
        return _read_csv(file)
    content = file.content()
    header = dbn.read_header(content, file.source)

    def place(row: int) -> str:
        return f"record {row + 1}"

    table = Table(pl.DataFrame(), "time", file.source, place, vendor=_BARS, stamp="open")
    if header.schema in dbn.OHLCV:
        table = replace(table, frame=dbn.bars(content, header, file.source))
        refuse_empty(table.frame, file.source)
        return table
    if header.schema == dbn.TRADES:
        table = replace(table, vendor=_TRADES)
        return minute_bars(table, dbn.trades(content, header, file.source))
    raise _other_schema(file.source, dbn.schema_name(header.schema))


def _is_dbz(head: bytes) -> bool:
    # It begins with a frame of zstd that decoders skip.
    return head[8:11] == _DBZ and head[1:4] == b"\x2a\x4d\x18"


def _read_csv(file: File) -> Table:
    columns, delimiter = header_of(file)
    names = set(columns)
    also = [name for name in ("symbol", "instrument_id") if name in names]
    if names >= {"ts_event", "volume", *PRICES}:
        prices: tuple[str, ...] = PRICES
        wanted = [*prices, "volume", *also]
        table = read_text(file, columns, delimiter, "ts_event", {name: name for name in wanted}, skip=1)
        table = replace(table, vendor=_BARS, stamp="open")
    elif names >= {"ts_recv", "price", "size", "action"} and "bid_px_00" not in names:
        prices = ("price",)
        wanted = ["price", "size", "action", *also]
        table = read_text(file, columns, delimiter, "ts_recv", {name: name for name in wanted}, skip=1)
        table = replace(table, vendor=_TRADES, stamp="open")
    else:
        raise _other_schema(file.source, ", ".join(columns[:20]))
    if _whole_numbers(file.head, columns.index(prices[0])):
        given = table.frame.with_columns(
            pl.when(pl.col(name) < _NO_PRICE).then(name).alias(name) for name in prices
        )
        table = replace(table, frame=given.with_columns(scaled(given[name], dbn.SCALE) for name in prices))
    table = replace(table, frame=_with_contract(table.frame).drop(also))
    return table if prices == PRICES else _bars_of_trades(table)


def _bars_of_trades(table: Table) -> Table:
    received, _ = to_utc(table, None)
    frame = table.frame.with_columns(time=received).filter(pl.col("action") == "T")
    return minute_bars(table, frame.select(pl.exclude("action", table.time)))


def _with_contract(frame: pl.DataFrame) -> pl.DataFrame:
    there = [name for name in ("symbol", "instrument_id") if name in frame.columns]
    if not there:
        return frame
    symbols, ids = frame[there[0]].cast(pl.String), frame[there[-1]].cast(pl.String)
    return frame.with_columns(contract=contract_names(symbols.fill_null(ids), ids))


def _whole_numbers(head: bytes, column: int) -> bool:
    """Whether prices are whole numbers of 1e-9: written as decimals they have a point, all of them."""
    values = [line.split(",") for line in lines_of(head)[1:]]
    return not any("." in line[column] for line in values if column < len(line))


def _other_schema(source: str, schema: str) -> DataError:
    return DataError(
        f"{source} holds neither bars nor trades ({schema}); download the schema ohlcv-1m or trades instead."
    )
