"""Markets small enough to label by hand, and strategies that make awkward ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from hypothesis import strategies as st

from foldsmith.labels.triple_barrier import Barriers, LabelCounts, triple_barrier
from foldsmith.labels.window_end import Windows

MINUTE = 60_000_000


@dataclass(frozen=True)
class Market:
    """Bars, base bars, and the rows of base bars in each bar."""

    bars: pl.DataFrame
    base: pl.DataFrame
    first: Any
    stop: Any
    tick: float = 0.25

    def labels(
        self, sigma: Any, max_bars: int, up: float = 1.0, down: float = 1.0, least: float = 1.0
    ) -> tuple[pl.DataFrame, LabelCounts]:
        return triple_barrier(
            self.bars,
            self.base,
            (self.first, self.stop),
            np.asarray(sigma, dtype=float),
            horizon=max_bars,
            max_bars=max_bars,
            barriers=Barriers(up, down),
            tick_size=self.tick,
            least_ticks=least,
        )

    def windows(
        self, sigma: Any, max_bars: int, up: float = 1.0, down: float = 1.0, least: float = 1.0
    ) -> Windows:
        return Windows.of(
            self.bars,
            np.asarray(sigma, dtype=float),
            max_bars=max_bars,
            barriers=Barriers(up, down),
            tick_size=self.tick,
            least_ticks=least,
        )

    def head(self, n: int) -> Market:
        rows = int(self.stop[n - 1]) if n else 0
        return Market(self.bars.head(n), self.base.head(rows), self.first[:n], self.stop[:n], self.tick)


def frame(
    rows: list[tuple[float, float, float, float]], blocks: Any, minutes: int = 1, start: int = 0
) -> pl.DataFrame:
    """A bars table from (open, high, low, close), one after the other without a pause."""
    n = len(rows)
    opens = start + np.arange(n) * minutes * MINUTE
    utc = pl.Datetime("us", "UTC")
    prices = np.asarray(rows, dtype=float).reshape(n, 4)
    return pl.DataFrame(
        {
            "datetime": pl.Series(opens, dtype=pl.Int64).cast(utc),
            "close_time": pl.Series(opens + minutes * MINUTE, dtype=pl.Int64).cast(utc),
            **{name: prices[:, k] for k, name in enumerate(("open", "high", "low", "close"))},
            "volume": np.ones(n),
            "contract": pl.Series(["A"] * n, dtype=pl.String),
            "session": pl.Series([0] * n, dtype=pl.Int32).cast(pl.Date),
            "block": pl.Series(np.asarray(blocks), dtype=pl.Int32),
        }
    )


def market(
    rows: list[tuple[float, float, float, float]], blocks: Any = None, size: int = 1, tick: float = 0.25
) -> Market:
    """Bars of `size` base bars each, from base bars."""
    n = len(rows) // size
    rows = rows[: n * size]
    blocks = np.zeros(n, dtype=int) if blocks is None else np.asarray(blocks)
    base = frame(rows, np.repeat(blocks, size))
    bars = [
        (group[0][0], max(r[1] for r in group), min(r[2] for r in group), group[-1][3])
        for group in (rows[i * size : (i + 1) * size] for i in range(n))
    ]
    first = np.arange(n, dtype=np.int64) * size
    return Market(frame(bars, blocks, minutes=size), base, first, first + size, tick)


@st.composite
def markets(draw: st.DrawFn, least: int = 2, most: int = 90) -> Market:
    """Random paths on (mostly) the tick grid: gaps, ties, flat stretches, wide minutes, rolls."""
    n = draw(st.integers(least, most))
    size = draw(st.sampled_from((1, 1, 3, 5)))
    tick = draw(st.sampled_from((0.25, 0.01, 0.1, 0.00005, 5.0, 0.03)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    step = draw(st.integers(0, 4))
    gap = draw(st.sampled_from((0, 0, 1, 3)))
    wide = draw(st.integers(0, 4))
    total = n * size
    moves = rng.integers(-step, step + 1, total)
    jumps = rng.integers(-gap, gap + 1, total) * (rng.random(total) < 0.3)
    level = draw(st.sampled_from((8, 200, 19_000)))
    close = np.maximum(level + np.cumsum(moves + jumps), 3)
    open_ = np.maximum(np.r_[level, close[:-1]] + np.r_[0, jumps[1:]], 3)
    high = np.maximum(open_, close) + rng.integers(0, wide + 1, total)
    low = np.maximum(np.minimum(open_, close) - rng.integers(0, wide + 1, total), 1)
    # As a vendor writes them: decimals, not multiples of a binary tick.
    prices = [np.round(column * tick, 10) for column in (open_, high, low, close)]
    if draw(st.booleans()) and draw(st.booleans()):
        off = np.round(prices[3] + tick * rng.choice([0.0, 0.37], total), 10)
        prices = [prices[0], np.maximum(prices[1], off), prices[2], off]
    cuts = draw(st.sampled_from((0.0, 0.0, 0.02, 0.1)))
    blocks = np.cumsum(np.r_[0, rng.random(n - 1) < cuts])
    return market(list(zip(*(p.tolist() for p in prices), strict=True)), blocks, size, tick)
