"""Barrier widths chosen for a stated share of neutral labels, on rows that are over before an instant."""

from __future__ import annotations

import numpy as np
import polars as pl

from foldsmith.errors import DataError, SettingError
from foldsmith.intervals import Instants
from foldsmith.labels.triple_barrier import Barriers, Floats, LabelCounts, PathTable
from foldsmith.labels.window_end import Windows, fixed_horizon

STEPS_PER_UNIT = 1000
"""Widths are tried in thousandths, so that a chosen one can be typed in again."""
_WIDEST = 100 * STEPS_PER_UNIT - 1


def choose_barriers(
    bars: pl.DataFrame,
    base: pl.DataFrame,
    ranges: tuple[Instants, Instants],
    sigma: Floats,
    *,
    horizon: int,
    max_bars: int,
    until: int,
    neutral_share: float,
    tick_size: float,
    least_ticks: float = 1.0,
    at_end: bool = False,
) -> Barriers:
    """The width k of symmetric barriers, in thousandths, whose share of neutral labels is nearest `neutral_share`.

    Counted are the events whose whole window of `max_bars` bars closes at or before the instant `until` (microseconds
    UTC), labelled as by `triple_barrier`, or `at_end` as by `fixed_horizon`; all later bars are cut off before
    anything is computed. By bisection: the share grows with k, but for the few ambiguous labels. Of two widths
    equally near, the narrower. Raises DataError if there is no event.
    """
    if not 0 < neutral_share < 1:
        raise SettingError(
            f"neutral_share={neutral_share!r} is no share of labels; give one between 0 and 1."
        )
    n = int(np.searchsorted(bars["close_time"].to_physical().to_numpy(), until, side="right"))
    known = ranges[0][:n], ranges[1][:n]
    table = PathTable.of(bars.head(n), base.head(int(known[1][-1]) if n else 0), known, sigma[:n], tick_size)
    seen: dict[int, float] = {}

    def count(barriers: Barriers) -> LabelCounts:
        if not at_end:
            return table.labels(horizon, max_bars, barriers, least_ticks, only_count=True)[1]
        windows = Windows.of(
            bars.head(n),
            sigma[:n],
            max_bars=max_bars,
            barriers=barriers,
            tick_size=tick_size,
            least_ticks=least_ticks,
        )
        return windows.counts(horizon, fixed_horizon(windows))

    def share(width: int) -> float:
        if width not in seen:
            both = width / STEPS_PER_UNIT
            counts = count(Barriers(both, both))
            # Every event can be lost to barriers that leave no room; that is beyond any width wanted.
            seen[width] = counts.neutral / counts.events if counts.events else 1.0
            if width == 1 and not counts.events:
                raise DataError(
                    f"no label of horizon {horizon} ends in the training segment: each window of {max_bars} bars "
                    f"there crosses a roll or a hole, or begins before volatility is known ({counts.as_dict()}). "
                    "Use a shorter horizon or longer data, or fix the widths with --k-up and --k-down."
                )
        return seen[width]

    low, high = 1, STEPS_PER_UNIT
    share(low)
    while share(high) < neutral_share and high < _WIDEST:
        low, high = high, min(2 * high, _WIDEST)
    while high - low > 1:
        middle = (low + high) // 2
        if share(middle) < neutral_share:
            low = middle
        else:
            high = middle
    best = min(seen, key=lambda width: (abs(seen[width] - neutral_share), width)) / STEPS_PER_UNIT
    return Barriers(best, best)
