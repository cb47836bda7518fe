"""Two contracts of one market over the same minutes, as a folder of exports holds them."""

from __future__ import annotations

from datetime import date

import polars as pl

OLD, NEW = "MES 03-22", "MES 06-22"
"""The old one trades until Friday the 18th of March 2022."""


def two_contracts(bars: pl.DataFrame, larger_from: date, offset: float = 20.0) -> pl.DataFrame:
    """Raw bars of both: the new one `offset` above, its volume half the old one's, and twice from that day on."""
    day = pl.col("timestamp").dt.convert_time_zone("America/New_York").dt.offset_by("6h").dt.date()
    new = bars.with_columns(
        pl.col("open", "high", "low", "close") + offset,
        contract=pl.lit(NEW),
        volume=pl.when(day < larger_from).then(pl.col("volume") * 0.5).otherwise(pl.col("volume") * 2.0),
    )
    old = bars.with_columns(pl.col("volume").cast(pl.Float64), contract=pl.lit(OLD))
    return pl.concat([old, new]).sort("timestamp", maintain_order=True)
