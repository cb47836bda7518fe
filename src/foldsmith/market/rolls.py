"""Blocks: stretches of bars over which prices may be compared, cut at contract rolls and data holes."""

from __future__ import annotations

import numpy as np
import polars as pl

from foldsmith.intervals import Mask
from foldsmith.market.clean import uncovered
from foldsmith.market.findings import Blocks, Hole, Roll
from foldsmith.market.sessions import Schedule


def mark_blocks(
    bars: pl.DataFrame, schedule: Schedule, max_gap_minutes: float, others: pl.DataFrame | None = None
) -> tuple[pl.DataFrame, Blocks]:
    """Number the blocks of cleaned bars in a column `block` (int32, from 0), and say where they end.

    A new block begins at bar i where `contract` differs from that of bar i - 1, or where more than
    `max_gap_minutes` of scheduled trading lie between the close of bar i - 1 and the open of bar i. Scheduled
    closures (daily pause, weekend, holiday) are no holes. The result keeps `contracts.BARS`.

    `others` are raw bars of all contracts, from which offsets at rolls are measured; without them there are none.
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
    rolls = _rolls(bars, changed)
    blocks = Blocks(
        rolls=rolls if others is None or not rolls else measured(rolls, others, schedule),
        holes=tuple(
            Hole(int(closes[row]), int(opens[row + 1]), float(time) / 6e7)
            for row, time in zip(rows, lost, strict=True)
        ),
    )
    return bars.with_columns(pl.Series("block", np.cumsum(begins, dtype=np.int32))), blocks


def _rolls(bars: pl.DataFrame, changed: Mask) -> tuple[Roll, ...]:
    rows = np.flatnonzero(changed)
    instants = bars["datetime"].to_physical()[rows]
    old, new = bars["contract"][rows - 1], bars["contract"][rows]
    return tuple(Roll(*found) for found in zip(instants, old, new, strict=True))


def measured(rolls: tuple[Roll, ...], others: pl.DataFrame, schedule: Schedule) -> tuple[Roll, ...]:
    """The rolls with offset and ratio, from the last bar before each that both contracts have with a sound close.

    `others` are raw bars, in any order; of repeated ones the last counts, and those outside the sessions do not.
    """
    asked = pl.DataFrame(
        [(k, roll.old, roll.new, roll.at) for k, roll in enumerate(rolls)],
        schema={"roll": pl.Int64, "old": pl.String, "new": pl.String, "at": pl.Int64},
        orient="row",
    )
    named = pl.concat([asked["old"], asked["new"]]).unique()
    sound = others.filter(
        pl.col("contract").is_in(named.implode()),
        pl.col("close").is_finite() & (pl.col("close") > 0),
        pl.col("close").is_between("low", "high"),
        pl.Series(schedule.locate(others["datetime"].to_physical().to_numpy()) >= 0),
    ).select(pl.col("datetime").to_physical(), "contract", "close")
    sound = sound.unique(["datetime", "contract"], keep="last", maintain_order=True)
    both = (
        asked.join(sound, left_on="new", right_on="contract")
        .filter(pl.col("datetime") < pl.col("at"))
        .join(sound, left_on=["old", "datetime"], right_on=["contract", "datetime"], suffix="_old")
        .sort("datetime")
        .unique("roll", keep="last")
    )
    found = {row["roll"]: row for row in both.iter_rows(named=True)}
    return tuple(_with(roll, found.get(k)) for k, roll in enumerate(rolls))


def _with(roll: Roll, bar: dict[str, float] | None) -> Roll:
    if bar is None:
        return roll
    new, old = bar["close"], bar["close_old"]
    # Decimals stored as binary numbers: what lies beyond the tenth is no price.
    return Roll(roll.at, roll.old, roll.new, round(new - old, 10), new / old, int(bar["datetime"]))
