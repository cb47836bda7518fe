"""The state of a market against its last two days or so: ranks and trend, nothing fitted, compiled."""

from __future__ import annotations

import math
from typing import Any

from foldsmith.features.compiled import entry, inner
from foldsmith.features.windows import differences, moments, window_max, window_min, window_sum

SAME = 1e-9
"""Values this close, relative to their size, are equal: what is left of a tie is rounding."""
MOST_T = 100.0
"""A t-statistic is cut here: on a straight line it has no bound."""


@entry
def regime(prices: Any, logs: Any, volumes: Any, starts: Any, out: Any) -> None:
    """Fill `out` (7, n), rows in catalogue order. Block k is rows starts[k] to starts[k + 1].

    prices, logs : open, high, low and close, and their natural logs, (n,) each; volumes : contracts, (n,).
    """
    for k in range(len(starts) - 1):
        begin, end = starts[k], starts[k + 1]
        r = differences(logs[3][begin:end])
        _volatility(window_sum(r * r, 24), begin, out)
        span = logs[1][begin:end] - logs[2][begin:end]
        v = volumes[begin:end].copy()
        for i in range(479, end - begin):
            out[2, begin + i] = _twice_below(span[i - 479 : i + 1]) / 960
            out[3, begin + i] = _twice_below(v[i - 479 : i + 1]) / 960
        _trend(logs[3][begin:end], begin, out)
        _position(prices[1][begin:end], prices[2][begin:end], prices[3][begin:end], out[6, begin:end])


@inner
def _twice_below(window: Any) -> int:
    """How many values are below the last, twice, and how many equal it, itself included, once."""
    low, high = window[-1] * (1 - SAME), window[-1] * (1 + SAME)
    count = 0
    for j in range(len(window)):
        count += int(window[j] < low) + int(window[j] <= high)
    return count


@inner
def _volatility(square: Any, begin: int, out: Any) -> None:
    # Squares have the order of their roots; the first of them is known at row 24.
    width = 456
    for i in range(width + 23, len(square)):
        count = _twice_below(square[i - width + 1 : i + 1])
        out[0, begin + i] = count / (2 * width)
        out[1, begin + i] = float(int(3 * count > 2 * width) + int(3 * count > 4 * width))


@inner
def _trend(x: Any, begin: int, out: Any) -> None:
    width = 48
    middle, sxx = (width - 1) / 2, width * (width * width - 1) / 12
    total, square, aged = moments(x, width, True, True)
    for i in range(width - 1, len(x)):
        cross = middle * total[i] - aged[i]
        syy = square[i] - total[i] * total[i] / width
        t = 0.0
        if syy > 0:
            fit = min(cross * cross / (sxx * syy), 1.0)
            size = math.sqrt((width - 2) * fit / (1 - fit)) if fit < 1 else MOST_T
            t = math.copysign(min(size, MOST_T), cross)
        out[4, begin + i] = t
        out[5, begin + i] = float(int(t > 2) - int(t < -2))


@inner
def _position(high: Any, low: Any, close: Any, row: Any) -> None:
    width = 480
    most, least = window_max(high, width), window_min(low, width)
    for i in range(width - 1, len(close)):
        span = most[i] - least[i]
        row[i] = (close[i] - least[i]) / span if span > 0 else 0.5
