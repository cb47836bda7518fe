"""Blocks: stretches of bars over which prices may be compared, cut at contract rolls and data holes."""

from __future__ import annotations

import numpy as np
import polars as pl

from foldsmith.market.clean import uncovered
from foldsmith.market.findings import Blocks, Hole
from foldsmith.market.sessions import Schedule


def mark_blocks(
    bars: pl.DataFrame, schedule: Schedule, max_gap_minutes: float
) -> tuple[pl.DataFrame, Blocks]:
    """Number the blocks of cleaned bars in a column `block` (int32, from 0), and say where they end.

    A new block begins at bar i where `contract` differs from that of bar i - 1, or where more than
    `max_gap_minutes` of scheduled trading lie between the close of bar i - 1 and the open of bar i. Scheduled
    closures (daily pause, weekend, holiday) are no holes. The result keeps `contracts.BARS`.
    """
    height = bars.height
    begins = np.zeros(height, dtype=np.bool_)
    changed = bars["contract"].ne_missing(bars["contract"].shift(1)).to_numpy().copy()
    changed[:1] = False
    rows, lost = uncovered(bars, schedule)
    wide = lost > max_gap_minutes * 60_000_000
    rows, lost = rows[wide], lost[wide]
    begins |= changed
    begins[rows + 1] = True
    opens = bars["datetime"].to_physical().to_numpy()
    closes = bars["close_time"].to_physical().to_numpy()
    blocks = Blocks(
        rolls=tuple(int(instant) for instant in opens[changed]),
        holes=tuple(
            Hole(int(closes[row]), int(opens[row + 1]), float(time) / 6e7)
            for row, time in zip(rows, lost, strict=True)
        ),
    )
    return bars.with_columns(pl.Series("block", np.cumsum(begins, dtype=np.int32))), blocks
