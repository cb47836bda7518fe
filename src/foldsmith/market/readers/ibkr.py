"""Interactive Brokers: a count of trades and an average price beside each bar.

A volume of 0 marks a minute without a trade that was filled in; -1 marks bid/ask bars, whose open is the average bid,
high the highest ask, low the lowest bid and close the average ask. Times are those of the login's zone, if they name
none.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from foldsmith.errors import DataError
from foldsmith.market.readers.columns import TIMES, Table
from foldsmith.market.readers.csv import names_of, read_csv
from foldsmith.market.readers.parquet import PARQUET, read_parquet
from foldsmith.market.readers.unpack import File

_COUNTS, _AVERAGES = {"bar_count", "barcount"}, {"wap", "average"}
_ZONED = r"^(\d{8}[ -]+\d{2}:\d{2}:\d{2}) +([A-Za-z][A-Za-z_]*/[A-Za-z_/]+|[A-Z]{3,4})$"


def sniff(head: bytes, path: Path) -> bool:  # noqa: ARG001
    """The count and the average, beside a time that is not called timestamp, as other programs call theirs."""
    names = set(names_of(head))
    return bool(names & _COUNTS and names & _AVERAGES and names & (set(TIMES) - {"timestamp"}))


def read(file: File) -> Table:
    """Bars as they are, and what their volumes mean."""
    table = read_parquet(file) if file.head.startswith(PARQUET) else read_csv(file)
    volume = table.frame["volume"]
    filled, quotes = int((volume == 0).sum()), int((volume == -1).sum())
    said = list(table.said)
    if filled:
        said.append(f"{filled:,} bars have volume 0: minutes without a trade, filled in by the vendor")
    if quotes:
        said.append(f"{quotes:,} bars have volume -1: averages of bid and ask, no trades")
    table = replace(
        table,
        vendor="bars of Interactive Brokers (stamped at their open)",
        zone=None,
        stamp="open",
        said=tuple(said),
    )
    return _named_zone(table) if table.frame[table.time].dtype == pl.String else table


def _named_zone(table: Table) -> Table:
    """Times such as `20240131 14:30:00 US/Central` in the zone that they name."""
    series = table.frame[table.time].str.strip_chars()
    zones = series.str.extract(_ZONED, 2)
    if zones.is_null().any():
        return replace(table, frame=table.frame.with_columns(series.str.replace(r" +", " ")))
    names = zones.unique().sort().to_list()
    if len(names) > 1:
        raise DataError(f"{table.source}: times are in the zones {' and '.join(names[:3])}; keep one zone.")
    times = series.str.extract(_ZONED, 1).str.replace(r"[ -]+", " ")
    return replace(table, frame=table.frame.with_columns(times.alias(table.time)), zone=names[0])
