"""How much prices moved, by several estimators, and the form of the moves, compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from foldsmith.features.windows import differences, true_range, wilder, window_sum


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def volatility(prices: Any, logs: Any, starts: Any, out: Any) -> None:
    """Fill `out` (14, n), rows in catalogue order. Block k is rows starts[k] to starts[k + 1].

    prices, logs : open, high, low and close, and their natural logs, (n,) each.
    """
    for k in range(len(starts) - 1):
        begin, end = starts[k], starts[k + 1]
        high, low, close = prices[1][begin:end], prices[2][begin:end], prices[3][begin:end]
        part = (logs[0][begin:end], logs[1][begin:end], logs[2][begin:end], logs[3][begin:end])
        _of_returns(part[3], begin, out)
        _of_ranges(part, begin, out)
        ranges = true_range(high, low, close)
        smooth, mean = wilder(ranges, 14), window_sum(ranges, 24)
        for i in range(14, len(close)):
            out[6, begin + i] = smooth[i] / close[i]
        for i in range(24, len(close)):
            out[7, begin + i] = 24 * ranges[i] / mean[i] if mean[i] > 0 else 1.0
        _band(close, out[9, begin:end], out[13, begin:end])


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _of_returns(log_close: Any, begin: int, out: Any) -> None:
    r = differences(log_close)
    square = r * r
    six, twelve, long = window_sum(square, 6), window_sum(square, 12), window_sum(square, 48)
    down = window_sum(np.where(r < 0, square, 0.0), 48)
    for i in range(12, len(r)):
        out[0, begin + i] = math.sqrt(twelve[i] / 12)
    for i in range(48, len(r)):
        out[1, begin + i] = math.sqrt(long[i] / 48)
        quiet = six[i] <= 0 or long[i] <= 0
        out[8, begin + i] = 0.0 if quiet else 0.5 * math.log((six[i] / 6) / (long[i] / 48))
        out[10, begin + i] = down[i] / long[i] if long[i] > 0 else 0.5
    _moments(r, square, long, begin, out)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _moments(r: Any, square: Any, long: Any, begin: int, out: Any) -> None:
    third, fourth = window_sum(square * r, 48), window_sum(square * square, 48)
    for i in range(48, len(r)):
        # Moves too small for their fourth power to be a number count as none.
        if long[i] > 1e-60:
            out[11, begin + i] = math.sqrt(48) * third[i] / (long[i] * math.sqrt(long[i]))
            out[12, begin + i] = 48 * fourth[i] / (long[i] * long[i])
        else:
            out[11, begin + i] = 0.0
            out[12, begin + i] = 3.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _of_ranges(logs: Any, begin: int, out: Any) -> None:
    open_, high, low, close = logs
    n, width = len(close), 24
    parkinson, garman, rogers, gap = np.empty(n), np.empty(n), np.empty(n), np.zeros(n)
    body = close - open_
    for i in range(n):
        span = high[i] - low[i]
        parkinson[i] = span * span / (4 * math.log(2.0))
        garman[i] = 0.5 * span * span - (2 * math.log(2.0) - 1) * body[i] * body[i]
        up, down = high[i] - open_[i], low[i] - open_[i]
        rogers[i] = up * (up - body[i]) + down * (down - body[i])
        if i > 0:
            gap[i] = open_[i] - close[i - 1]
    p, g, rs = window_sum(parkinson, width), window_sum(garman, width), window_sum(rogers, width)
    gaps, gaps2 = window_sum(gap, width), window_sum(gap * gap, width)
    bodies, bodies2 = window_sum(body, width), window_sum(body * body, width)
    k = 0.34 / (1.34 + (width + 1) / (width - 1))
    for i in range(width - 1, n):
        out[2, begin + i] = math.sqrt(p[i] / width)
        out[3, begin + i] = math.sqrt(max(g[i], 0.0) / width)
        out[4, begin + i] = math.sqrt(max(rs[i], 0.0) / width)
    for i in range(width, n):
        overnight = max(gaps2[i] - gaps[i] * gaps[i] / width, 0.0) / (width - 1)
        inside = max(bodies2[i] - bodies[i] * bodies[i] / width, 0.0) / (width - 1)
        out[5, begin + i] = math.sqrt(overnight + k * inside + (1 - k) * max(rs[i], 0.0) / width)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc"})  # type: ignore[untyped-decorator, unused-ignore]
def _band(close: Any, width_row: Any, position: Any) -> None:
    width = 20
    for i in range(width - 1, len(close)):
        window, newest = close[i - width + 1 : i + 1], close[i]
        total = squares = 0.0
        for j in range(width):
            away = window[j] - newest
            total += away
            squares += away * away
        deviation = math.sqrt(max(squares - total * total / width, 0.0) / width)
        width_row[i] = 4 * deviation / (newest + total / width)
        position[i] = -total / width / (2 * deviation) if deviation > 0 else 0.0
