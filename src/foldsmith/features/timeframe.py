"""What the last closed bar of a longer timeframe says, made from the bars at hand, compiled.

A longer bar of F holds the bars of one block and one session that open in one stretch of F of New York's clock,
counted from 18:00, where CME's sessions begin; one of 1d holds a session. It begins and ends with its own bars: one
that a block cuts is what the block has of it. It has closed at bar t if t closes at or after the end of that stretch,
or if t is the first bar of the next longer bar; that a session is over shows in nothing but the next one's first bar.
Bars that are not shorter than F are longer bars themselves.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from foldsmith.features.windows import FLOOR, true_range, wilder

LENGTHS = (900, 3600, 14_400, 0)
"""Seconds of a longer bar; 0 is a session."""
PATHS = (12, 12, 6, 0)
"""Longer bars that an efficiency runs over; 0 where there is none."""
DAY_BEGINS = 64_800
"""18:00, in seconds of the day in New York."""
FIRST = 14
"""Bars of a block before `unit` is known."""


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def timeframe(
    prices: Any, logs: Any, opens: Any, closes: Any, session: Any, seconds: Any, starts: Any, out: Any
) -> None:
    """Fill `out` (16, n), rows in catalogue order. Block k is rows starts[k] to starts[k + 1].

    prices, logs : open, high, low and close, and their natural logs, (n,) each; opens, closes : microseconds
    UTC, (n,); session : day number, (n,); seconds : of the day in New York at the open, (n,).
    """
    for k in range(len(starts) - 1):
        begin, end = starts[k], starts[k + 1]
        part = (prices[0][begin:end], prices[1][begin:end], prices[2][begin:end], prices[3][begin:end])
        unit = np.maximum(wilder(true_range(part[1], part[2], part[3]), 14), FLOOR * part[3])
        days = session[begin:end]
        for j in range(len(LENGTHS)):
            over = _ends(opens[begin:end], seconds[begin:end], LENGTHS[j])
            closed, longer = _longer(
                part, logs[0][begin:end], logs[3][begin:end], closes[begin:end], days, over
            )
            _of_last(part[3], unit, closed, longer, begin, out[4 * j : 4 * j + 3])
            if PATHS[j] > 0:
                _efficiency(closed, longer, PATHS[j], out[4 * j + 3, begin:end])
            else:
                _session_gap(part[0], unit, days, closed, longer, out[4 * j + 3, begin:end])


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _ends(opens: Any, seconds: Any, length: int) -> Any:
    """When the stretch of the clock ends in which each bar opens, microseconds UTC; 0 for a session."""
    out = np.zeros(len(opens), np.int64)
    if length > 0:
        for i in range(len(opens)):
            into = (seconds[i] - DAY_BEGINS) % 86_400 % length
            out[i] = opens[i] - opens[i] % 1_000_000 + (length - into) * 1_000_000
    return out


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _longer(prices: Any, log_open: Any, log_close: Any, closes: Any, days: Any, over: Any) -> Any:
    """How many longer bars have closed at each bar, and open, high, low, close and scaled return of each."""
    open_, high, low, close = prices
    n = len(close)
    closed = np.zeros(n, np.int64)
    first, most, least, last = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    move, scaled = np.zeros(n), np.zeros(n)
    m, square = -1, 0.0
    for i in range(n):
        if i == 0 or days[i] != days[i - 1] or over[i] != over[i - 1]:
            m += 1
            first[m], most[m], least[m] = open_[i], high[i], low[i]
            step, square = log_close[i] - log_open[i], 0.0
        else:
            most[m], least[m] = max(most[m], high[i]), min(least[m], low[i])
            step = log_close[i] - log_close[i - 1]
        last[m] = close[i]
        move[m] += step
        square += step * step
        scaled[m] = move[m] / math.sqrt(square) if square > 0 else 0.0
        # No bar joins this longer bar after it has closed: the next one opens at `over` or later.
        closed[i] = m + 1 if 0 < over[i] <= closes[i] else m
    return closed, (first, most, least, last, scaled)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _of_last(close: Any, unit: Any, closed: Any, longer: Any, begin: int, out: Any) -> None:
    most, least, last, scaled = longer[1], longer[2], longer[3], longer[4]
    for i in range(FIRST, len(close)):
        k = closed[i] - 1
        if k >= 0:
            span = most[k] - least[k]
            out[0, begin + i] = scaled[k]
            out[1, begin + i] = (2 * last[k] - most[k] - least[k]) / span if span > 0 else 0.0
            out[2, begin + i] = (close[i] - last[k]) / max(span, unit[i])


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _efficiency(closed: Any, longer: Any, width: int, row: Any) -> None:
    first, last = longer[0], longer[3]
    known, value = 0, 0.0
    for i in range(FIRST, len(closed)):
        if closed[i] != known:
            known = closed[i]
            oldest = max(known - width, 0)
            path = abs(last[oldest] - first[oldest])
            for k in range(oldest + 1, known):
                path += abs(last[k] - last[k - 1])
            value = (last[known - 1] - first[oldest]) / path if path > 0 else 0.0
        if known >= width:
            row[i] = value


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _session_gap(open_: Any, unit: Any, days: Any, closed: Any, longer: Any, row: Any) -> None:
    most, least, last = longer[1], longer[2], longer[3]
    begun = 0.0
    for i in range(len(open_)):
        if i == 0 or days[i] != days[i - 1]:
            begun = open_[i]
        k = closed[i] - 1
        if i >= FIRST and k >= 0:
            row[i] = (begun - last[k]) / max(most[k] - least[k], unit[i])
