"""Distances from smoothed prices, directional movement and straight lines through log closes, compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from foldsmith.features.windows import (
    FLOOR,
    differences,
    ema,
    true_range,
    wilder,
    window_max,
    window_min,
    window_sum,
)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def trend(prices: Any, logs: Any, starts: Any, out: Any) -> None:
    """Fill `out` (14, n), rows in catalogue order. Block k is rows starts[k] to starts[k + 1].

    prices, logs : open, high, low and close, and their natural logs, (n,) each.
    """
    for k in range(len(starts) - 1):
        begin, end = starts[k], starts[k + 1]
        high, low, close = prices[1][begin:end], prices[2][begin:end], prices[3][begin:end]
        ranges = true_range(high, low, close)
        unit = np.maximum(wilder(ranges, 14), FLOOR * close)
        _averages(close, unit, begin, out)
        _directional(high, low, ranges, begin, out)
        _aroon(high, low, out[8, begin:end])
        square = differences(logs[3][begin:end])
        square *= square
        _line(logs[3][begin:end], window_sum(square, 23), 24, out[9, begin:end], out[11, begin:end])
        _line(logs[3][begin:end], window_sum(square, 47), 48, out[10, begin:end], out[12, begin:end])
        _choppiness(high, low, ranges, out[13, begin:end])


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _averages(close: Any, unit: Any, begin: int, out: Any) -> None:
    n = len(close)
    fast, middle, slow = ema(close, 12, 0), ema(close, 24, 0), ema(close, 48, 0)
    for i in range(14, n):
        out[0, begin + i] = (close[i] - fast[i]) / unit[i]
    for i in range(23, n):
        out[1, begin + i] = (close[i] - middle[i]) / unit[i]
    for i in range(47, n):
        out[2, begin + i] = (close[i] - slow[i]) / unit[i]
        out[3, begin + i] = (fast[i] - slow[i]) / unit[i]
    line = fast - ema(close, 26, 0)
    signal = ema(line, 9, 25)
    for i in range(25, n):
        out[4, begin + i] = line[i] / unit[i]
    for i in range(33, n):
        out[5, begin + i] = (line[i] - signal[i]) / unit[i]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _directional(high: Any, low: Any, ranges: Any, begin: int, out: Any) -> None:
    period = 14
    plus = minus = span = total = mean = 0.0
    for i in range(1, len(high)):
        up, down = high[i] - high[i - 1], low[i - 1] - low[i]
        keep = 1.0 if i < period else 1 - 1 / period
        plus = plus * keep + (up if up > 0 and up > down else 0.0)
        minus = minus * keep + (down if down > 0 and down > up else 0.0)
        span = span * keep + ranges[i]
        if i < period:
            continue
        both = plus + minus
        index = 100 * abs(plus - minus) / both if both > 0 else 0.0
        out[7, begin + i] = 100 * (plus - minus) / span if span > 0 else 0.0
        if i < 2 * period:
            total += index
            mean = total / period
        else:
            mean += (index - mean) / period
        if i >= 2 * period - 1:
            out[6, begin + i] = mean


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _aroon(high: Any, low: Any, row: Any) -> None:
    period = 25
    top = bottom = 0
    for i in range(len(high)):
        oldest = max(i - period, 0)
        # Of equal extremes the newest counts.
        if high[i] >= high[top]:
            top = i
        elif top < oldest:
            top = oldest
            for j in range(oldest + 1, i + 1):
                if high[j] >= high[top]:
                    top = j
        if low[i] <= low[bottom]:
            bottom = i
        elif bottom < oldest:
            bottom = oldest
            for j in range(oldest + 1, i + 1):
                if low[j] <= low[bottom]:
                    bottom = j
        if i >= period:
            row[i] = 100 * (top - bottom) / period


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc"})  # type: ignore[untyped-decorator, unused-ignore]
def _line(x: Any, squares: Any, width: int, slope: Any, fit: Any) -> None:
    """Least-squares line through `width` log closes: slope over root mean square return, and R2."""
    middle = (width - 1) / 2
    sxx = width * (width * width - 1) / 12
    for i in range(width - 1, len(x)):
        window, newest = x[i - width + 1 : i + 1], x[i]
        total = cross = square = 0.0
        for j in range(width):
            y = window[j] - newest
            total += y
            cross += (j - middle) * y
            square += y * y
        syy = square - total * total / width
        spread = math.sqrt(squares[i] / (width - 1))
        slope[i] = cross / sxx / spread if spread > 0 else 0.0
        fit[i] = min(cross * cross / (sxx * syy), 1.0) if syy > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _choppiness(high: Any, low: Any, ranges: Any, row: Any) -> None:
    width = 14
    path, most, least = window_sum(ranges, width), window_max(high, width), window_min(low, width)
    for i in range(width, len(high)):
        span = most[i] - least[i]
        row[i] = 100 * math.log(path[i] / span) / math.log(float(width)) if span > 0 else 100.0
