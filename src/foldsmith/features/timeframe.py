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

from foldsmith.features.compiled import entry, inner
from foldsmith.features.windows import FLOOR

LENGTHS = (900, 3600, 14_400, 0)
"""Seconds of a longer bar; 0 is a session."""
PATHS = (12, 12, 6, 0)
"""Longer bars that an efficiency runs over; 0 where there is none."""
DAY_BEGINS = 64_800
"""18:00, in seconds of the day in New York."""
FIRST = 14
"""Bars of a block before `unit` is known."""


@entry
def timeframe(
    prices: Any,
    logs: Any,
    opens: Any,
    closes: Any,
    session: Any,
    seconds: Any,
    ranges: Any,
    starts: Any,
    out: Any,
) -> None:
    """Fill `out` (16, n), rows in catalogue order. Block k is rows starts[k] to starts[k + 1].

    prices, logs : open, high, low and close, and their natural logs, (n,) each; opens, closes : microseconds
    UTC, (n,); session : day number, (n,); seconds : of the day in New York at the open, (n,); ranges : average true
    range, (n,).
    """
    for k in range(len(starts) - 1):
        begin, end = starts[k], starts[k + 1]
        part = (prices[0][begin:end], prices[1][begin:end], prices[2][begin:end], prices[3][begin:end])
        unit = ranges[begin:end].copy()
        for i in range(len(unit)):
            least = FLOOR * part[3][i]
            unit[i] = unit[i] if unit[i] > least else least
        for j in range(len(LENGTHS)):
            over = _ends(opens[begin:end], seconds[begin:end], LENGTHS[j])
            steps = logs[0][begin:end], logs[3][begin:end]
            row = 4 * j
            rows = (
                out[row, begin:end],
                out[row + 1, begin:end],
                out[row + 2, begin:end],
                out[row + 3, begin:end],
            )
            _walk(part, steps, closes[begin:end], session[begin:end], over, unit, PATHS[j], rows)


@inner
def _ends(opens: Any, seconds: Any, length: int) -> Any:
    """When the stretch of the clock ends in which each bar opens, microseconds UTC; 0 for a session."""
    out = np.zeros(len(opens), np.int64)
    if length > 0:
        for i in range(len(opens)):
            since = float(seconds[i] - DAY_BEGINS)
            since = since + 86_400.0 if since < 0 else since
            into = since - length * math.floor(since / length)
            out[i] = opens[i] // 1_000_000 * 1_000_000 + np.int64(length - into) * 1_000_000
    return out


@inner
def _walk(
    prices: Any, logs: Any, closes: Any, days: Any, over: Any, unit: Any, width: int, rows: Any
) -> None:
    """Fill the rows of one length, four features: from bar to bar, with what the last closed longer bar says."""
    open_, high, low, close = prices
    log_open, log_close = logs
    moves, locations, distances, others = rows
    n = len(close)
    firsts, lasts = np.empty(n), np.empty(n)
    first = most = least = last = move = square = begun = 0.0
    scaled = location = span = shown = efficiency = np.nan
    closed, is_open = 0, False
    for i in range(n):
        fresh = i == 0 or days[i] != days[i - 1]
        begun = open_[i] if fresh else begun
        new = fresh or over[i] != over[i - 1]
        done = new and is_open
        if not new:
            most, least = (high[i] if high[i] > most else most), (low[i] if low[i] < least else least)
            step = log_close[i] - log_close[i - 1]
            move, square, last = move + step, square + step * step, close[i]
            # No bar joins this longer bar after it has closed: the next one opens at `over` or later.
            done = is_open and 0 < over[i] <= closes[i]
        for again in range(2):
            if done:
                scaled = move / math.sqrt(square) if square > 0 else 0.0
                span, shown = most - least, last
                location = (2 * last - most - least) / span if span > 0 else 0.0
                firsts[closed], lasts[closed] = first, last
                closed += 1
                is_open = False
                efficiency = _efficiency(firsts, lasts, closed, width)
            if again == 1 or not new:
                break
            first, most, least, last, is_open = open_[i], high[i], low[i], close[i], True
            move = log_close[i] - log_open[i]
            square = move * move
            done = 0 < over[i] <= closes[i]
        known = i >= FIRST
        moves[i] = scaled if known else np.nan
        locations[i] = location if known else np.nan
        scale = span if span > unit[i] else unit[i]
        distances[i] = (close[i] - shown) / scale if known else np.nan
        value = (begun - shown) / scale if width == 0 else efficiency
        others[i] = value if known else np.nan


@inner
def _efficiency(first: Any, last: Any, closed: int, width: int) -> float:
    """Net over path of the last `width` longer bars of those closed; NaN while there are fewer."""
    if width == 0 or closed < width:
        return np.nan
    oldest = closed - width
    path = abs(last[oldest] - first[oldest])
    for k in range(oldest + 1, closed):
        path += abs(last[k] - last[k - 1])
    return (last[closed - 1] - first[oldest]) / path if path > 0 else 0.0
