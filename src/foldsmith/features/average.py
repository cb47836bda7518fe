"""Distances from moving averages of many kinds, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from foldsmith.features.windows import FLOOR, differences, ema, true_range, wilder, window_sum

TIE = 1e-9
"""A close nearer to its mean than this part of itself is at it: the rest is rounding."""


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def average(prices: Any, volumes: Any, starts: Any, out: Any) -> None:
    """Fill `out` (14, n), rows in catalogue order. Block k is rows starts[k] to starts[k + 1].

    prices : open, high, low and close, (n,) each; volumes : (n,).
    """
    for k in range(len(starts) - 1):
        begin, end = starts[k], starts[k + 1]
        high, low, close = prices[1][begin:end], prices[2][begin:end], prices[3][begin:end]
        unit = np.maximum(wilder(true_range(high, low, close), 14), FLOOR * close)
        _plain(close, unit, begin, out)
        _weighted(close, unit, begin, out)
        _by_volume(close, volumes[begin:end], unit, out[9, begin:end])
        _exponential(close, unit, begin, out)
        _adaptive(close, unit, out[12, begin:end])


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _plain(close: Any, unit: Any, begin: int, out: Any) -> None:
    n = len(close)
    fast, middle, slow = window_sum(close, 12) / 12, window_sum(close, 24) / 24, window_sum(close, 48) / 48
    side = np.zeros(n)
    for i in range(14, n):
        out[0, begin + i] = (close[i] - fast[i]) / unit[i]
    for i in range(23, n):
        away = close[i] - middle[i]
        out[1, begin + i] = away / unit[i]
        side[i] = np.sign(away) if abs(away) > TIE * close[i] else 0.0
    for i in range(47, n):
        out[2, begin + i] = (close[i] - slow[i]) / unit[i]
        out[3, begin + i] = (fast[i] - slow[i]) / unit[i]
    for i in range(29, n):
        out[4, begin + i] = (middle[i] - middle[i - 6]) / unit[i]
    balance = window_sum(side, 24)
    for i in range(46, n):
        out[5, begin + i] = balance[i] / 24


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _weighted(close: Any, unit: Any, begin: int, out: Any) -> None:
    n = len(close)
    linear = wma(close, 24, 0)
    hull = wma(2 * wma(close, 12, 0) - linear, 5, 23)
    # Half the window smoothed twice has the weights of a triangle.
    triangle = window_sum(window_sum(close, 13), 12) / (13 * 12)
    for i in range(23, n):
        out[6, begin + i] = (close[i] - linear[i]) / unit[i]
        out[8, begin + i] = (close[i] - triangle[i]) / unit[i]
    for i in range(27, n):
        out[7, begin + i] = (close[i] - hull[i]) / unit[i]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc"})  # type: ignore[untyped-decorator, unused-ignore]
def wma(x: Any, period: int, first: int) -> Any:
    """Mean of x from `first` on with weights 1 to `period`, the newest the heaviest.

    Values before first + period - 1 are 0 and mean nothing.
    """
    n = len(x)
    out = np.zeros(n)
    weight = np.arange(1, period + 1) / (period * (period + 1) / 2)
    for i in range(first + period - 1, n):
        window, newest = x[i - period + 1 : i + 1], x[i]
        total = 0.0
        for j in range(period):
            total += weight[j] * (window[j] - newest)
        out[i] = newest + total
    return out


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _by_volume(close: Any, v: Any, unit: Any, row: Any) -> None:
    value, total = window_sum(close * v, 24), window_sum(v, 24)
    for i in range(23, len(close)):
        row[i] = (close[i] - value[i] / total[i]) / unit[i] if total[i] > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _exponential(close: Any, unit: Any, begin: int, out: Any) -> None:
    n = len(close)
    once = ema(close, 24, 0)
    twice = ema(once, 24, 23)
    for i in range(46, n):
        out[10, begin + i] = (close[i] - (2 * once[i] - twice[i])) / unit[i]
    once = ema(close, 12, 0)
    twice = ema(once, 12, 11)
    thrice = ema(twice, 12, 22)
    for i in range(33, n):
        out[11, begin + i] = (close[i] - (3 * (once[i] - twice[i]) + thrice[i])) / unit[i]
    ahead = np.zeros(n)
    for i in range(11, n):
        ahead[i] = 2 * close[i] - close[i - 11]
    without_lag = ema(ahead, 24, 11)
    for i in range(34, n):
        out[13, begin + i] = (close[i] - without_lag[i]) / unit[i]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _adaptive(close: Any, unit: Any, row: Any) -> None:
    path = window_sum(np.abs(differences(close)), 24)
    fast, slow = 2 / 3, 2 / 31
    mean = close[23] if len(close) > 23 else 0.0
    for i in range(24, len(close)):
        # Both are rounded, so a straight path may look shorter than its ends are apart.
        efficiency = min(abs(close[i] - close[i - 24]) / path[i], 1.0) if path[i] > 0 else 1.0
        weight = efficiency * (fast - slow) + slow
        mean += weight * weight * (close[i] - mean)
        row[i] = (close[i] - mean) / unit[i]
