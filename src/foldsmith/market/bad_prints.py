"""Bad prints: prices far outside local bounds, told from real crashes by the volume that these come with.

The bounds are robust and causal: a bar is judged by the bars before it and by itself, so what is known at a
bar's close never depends on a later bar. A crash cannot be told from a bad print by its size. It can by its
volume: prices that run bring orders, and a stray print brings none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

WINDOW = 60
"""Kept bars before a bar that make its bounds."""
LEAST = 10
"""Bars that a bound needs; with fewer nothing is judged."""
REACH = 10.0
"""How many times the widest range of the window a price must lie off."""
REACH_WITHOUT_VOLUME = 50.0
"""The same where no bar of the window has a volume, so that nothing else speaks for the print."""
FLOOR = 0.005
"""Least distance, as a log ratio of prices, that is judged."""
_PAUSE = 10
"""Bar lengths between two bars up to which the second cannot open anywhere unseen."""


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def bad_prints(
    instants: Any, prices: tuple[Any, Any, Any, Any], volume: Any, session: Any, contract: Any, length: int
) -> Any:
    """Which bars are bad prints, (n,) bool; a forward pass over bars sorted by time, one contract at a time.

    instants : int64 (n,) opens, microseconds; prices : open, high, low, close, each float64 (n,), positive;
    volume : float64 (n,); session, contract : int64 (n,) numbers of the session and the contract of each bar;
    length : of a bar, microseconds.

    With p the close of the last kept bar, the distance of a bar is the larger of

        ln(l / low), ln(high / h),    l = min(p, open, close), h = max(p, open, close),

    of open and close only those that are not the extreme itself (a print that opened or closed the bar), and,
    if p is of the same session and at most 10 bar lengths old, of how far the whole bar lies from p. It is a
    bad print if that is above `FLOOR` and above `REACH` times the widest true range of the `WINDOW` kept bars
    before it, and its volume is at most the largest of theirs. A bar next to a dropped one of the same level
    confirms the level, and is kept.
    """
    open_, high, low, close = prices
    n = len(instants)
    bad = np.zeros(n, np.bool_)
    ranges, volumes = np.empty(WINDOW), np.empty(WINDOW)
    count = 0
    last = -1  # the last kept bar
    for i in range(n):
        if last >= 0 and contract[i] != contract[last]:
            count, last = 0, -1
        p = close[last] if last >= 0 else open_[i]
        near = last >= 0 and session[i] == session[last] and instants[i] - instants[last] <= _PAUSE * length
        below, above = p, p
        if open_[i] != low[i]:
            below = min(below, open_[i])
        if close[i] != low[i]:
            below = min(below, close[i])
        if open_[i] != high[i]:
            above = max(above, open_[i])
        if close[i] != high[i]:
            above = max(above, close[i])
        # A bar of one price, or one wholly beyond p, is at a level of its own: a jump, not a print inside it.
        jumps = low[i] > p or high[i] < p
        if jumps:
            distance = (np.log(low[i] / p) if low[i] > p else np.log(p / high[i])) if near else 0.0
            below, above = min(open_[i], close[i]), max(open_[i], close[i])
        else:
            distance = 0.0
        distance = max(distance, np.log(below / low[i]), np.log(high[i] / above))
        if distance > FLOOR and count >= LEAST:
            filled = min(count, WINDOW)
            widest, most = 0.0, 0.0
            for k in range(filled):
                widest = max(widest, ranges[k])
                most = max(most, volumes[k])
            reach = REACH if most > 0 else REACH_WITHOUT_VOLUME
            confirmed = (
                jumps
                and i > 0
                and bad[i - 1]
                and abs(np.log(open_[i] / close[i - 1])) <= max(FLOOR, reach * widest)
            )
            if distance > reach * widest and volume[i] <= most and not confirmed:
                bad[i] = True
                continue
        # Where the session changes the gap is no range of the bars.
        top, bottom = (max(high[i], p), min(low[i], p)) if near else (high[i], low[i])
        ranges[count % WINDOW] = np.log(top / bottom)
        volumes[count % WINDOW] = volume[i]
        count += 1
        last = i
    return bad
