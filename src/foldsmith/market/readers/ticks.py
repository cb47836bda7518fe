"""From trades to bars of one minute."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from foldsmith.errors import DataError
from foldsmith.market.readers.columns import Table

_SAID = "{:,} trades are made into bars of one minute; a minute without trades has none"


def minute_bars(table: Table, trades: pl.DataFrame) -> Table:
    """The table of the bars of `trades`: time (naive or UTC), price, size and maybe contract, in their order.

    >>> from datetime import datetime
    >>> trades = pl.DataFrame(
    ...     {
    ...         "time": [datetime(2024, 1, 8, 14, 30, 1), datetime(2024, 1, 8, 14, 30, 59)],
    ...         "price": [5.0, 4.0],
    ...         "size": [1.0, 2.0],
    ...     }
    ... )
    >>> minute_bars(Table(trades, "time", "x", str), trades).frame.row(0)
    (datetime.datetime(2024, 1, 8, 14, 30), 5.0, 5.0, 4.0, 4.0, 3.0, 2.0)
    """
    for name in ("time", "price", "size"):
        if trades[name].null_count() or (name != "time" and not trades[name].is_finite().all()):
            bad = (
                trades[name].is_null() if name == "time" else ~trades[name].is_finite().fill_null(value=False)
            )
            row = int(bad.arg_max() or 0)
            raise DataError(
                f"{table.source}: the {name} of the trade at {table.place(row)} is empty or cannot be read "
                f"({int(bad.sum())} in all). Mend or remove the line."
            )
    if trades.is_empty():
        raise DataError(f"{table.source} holds no trades; was the export cut short?")
    price, size = pl.col("price"), pl.col("size")
    bars = (
        trades.group_by(
            pl.col("time").dt.truncate("1m"),
            *([pl.col("contract")] if "contract" in trades.columns else []),
            maintain_order=True,
        )
        .agg(
            open=price.first(),
            high=price.max(),
            low=price.min(),
            close=price.last(),
            volume=size.sum(),
            trades=pl.len().cast(pl.Float64),
        )
        .sort("time", maintain_order=True)
    )

    def place(row: int) -> str:
        return f"minute {row + 1}"

    said = (*table.said, _SAID.format(trades.height))
    return replace(table, frame=bars, time="time", place=place, layouts=(), trades=True, said=said)


def joined(bars: pl.DataFrame) -> pl.DataFrame:
    """Bars of trades with the parts of a minute that two files share made one, in their order."""
    keys = ["datetime", *(["contract"] if "contract" in bars.columns else [])]
    if not bars.select(keys).is_duplicated().any():
        return bars
    return bars.group_by(keys, maintain_order=True).agg(
        pl.col("open").first(), pl.col("high").max(), pl.col("low").min(), pl.col("close").last(),
        pl.col("volume", "trades").sum(),
    ).select(bars.columns)  # fmt: skip
