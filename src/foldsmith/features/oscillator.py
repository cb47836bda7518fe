"""More oscillators: twice smoothed, ranked within their own range, or counted, compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from foldsmith.features.average import wma
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

STILL = 1e-9
"""A range of RSI (0 to 100) below this is rounding, and counts as none."""
EDGE = 0.999
"""Fisher's transform is taken of values up to this, as its author does: at 1 it is infinite."""


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def oscillator(prices: Any, logs: Any, starts: Any, out: Any) -> None:
    """Fill `out` (14, n), rows in catalogue order. Block k is rows starts[k] to starts[k + 1].

    prices, logs : open, high, low and close, and their natural logs, (n,) each.
    """
    for k in range(len(starts) - 1):
        begin, end = starts[k], starts[k + 1]
        open_, high, low, close = (
            prices[0][begin:end],
            prices[1][begin:end],
            prices[2][begin:end],
            prices[3][begin:end],
        )
        ranges = true_range(high, low, close)
        unit = np.maximum(wilder(ranges, 14), FLOOR * close)
        _smoothed(close, begin, out)
        _of_rsi(close, begin, out)
        _coppock(logs[3][begin:end], out[5, begin:end])
        middle = (high + low) / 2
        _awesome(middle, unit, out[4, begin:end])
        _fisher(middle, out[6, begin:end])
        _streak(close, out[7, begin:end])
        _power(open_, high, low, close, unit, begin, out)
        _vortex(high, low, ranges, out[12, begin:end])
        _mass(high - low, out[13, begin:end])


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _smoothed(close: Any, begin: int, out: Any) -> None:
    n = len(close)
    thrice = ema(ema(ema(close, 15, 0), 15, 14), 15, 28)
    for i in range(43, n):
        out[0, begin + i] = 100 * (thrice[i] / thrice[i - 1] - 1)
    change = differences(close)
    size = np.abs(change)
    net, path = window_sum(change, 20), window_sum(size, 20)
    for i in range(20, n):
        out[1, begin + i] = 100 * net[i] / path[i] if path[i] > 0 else 0.0
    net, path = ema(ema(change, 25, 1), 13, 25), ema(ema(size, 25, 1), 13, 25)
    for i in range(37, n):
        out[3, begin + i] = 100 * net[i] / path[i] if path[i] > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _of_rsi(close: Any, begin: int, out: Any) -> None:
    n = len(close)
    change = differences(close)
    up, down = wilder(np.maximum(change, 0.0), 14), wilder(np.maximum(-change, 0.0), 14)
    rsi = np.zeros(n)
    for i in range(14, n):
        total = up[i] + down[i]
        rsi[i] = 100 * up[i] / total if total > 0 else 50.0
    most, least, mean = window_max(rsi, 14), window_min(rsi, 14), window_sum(rsi, 14)
    for i in range(27, n):
        span = most[i] - least[i]
        out[2, begin + i] = 100 * (rsi[i] - least[i]) / span if span > STILL else 50.0
        out[8, begin + i] = rsi[i] - mean[i] / 14


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _coppock(log_close: Any, row: Any) -> None:
    n = len(log_close)
    r = differences(log_close)
    square = window_sum(r * r, 48)
    rise = np.zeros(n)
    for i in range(14, n):
        rise[i] = 2 * log_close[i] - log_close[i - 14] - log_close[i - 11]
    smooth = wma(rise, 10, 14)
    for i in range(48, n):
        row[i] = smooth[i] / math.sqrt(square[i] * 25 / 48) if square[i] > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _awesome(middle: Any, unit: Any, row: Any) -> None:
    fast, slow = window_sum(middle, 5), window_sum(middle, 34)
    for i in range(33, len(middle)):
        row[i] = (fast[i] / 5 - slow[i] / 34) / unit[i]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _fisher(middle: Any, row: Any) -> None:
    most, least = window_max(middle, 10), window_min(middle, 10)
    x = fisher = 0.0
    for i in range(9, len(middle)):
        span = most[i] - least[i]
        place = (middle[i] - least[i]) / span - 0.5 if span > 0 else 0.0
        x = min(max(0.66 * place + 0.67 * x, -EDGE), EDGE)
        fisher = 0.5 * math.log((1 + x) / (1 - x)) + 0.5 * fisher
        row[i] = fisher


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _streak(close: Any, row: Any) -> None:
    run = 0
    for i in range(1, len(close)):
        if close[i] > close[i - 1]:
            run = max(run, 0) + 1
        elif close[i] < close[i - 1]:
            run = min(run, 0) - 1
        else:
            run = 0
        row[i] = run


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _power(open_: Any, high: Any, low: Any, close: Any, unit: Any, begin: int, out: Any) -> None:
    n = len(close)
    mean = ema(close, 13, 0)
    for i in range(14, n):
        out[9, begin + i] = (high[i] - mean[i]) / unit[i]
        out[10, begin + i] = (low[i] - mean[i]) / unit[i]
    body = np.zeros(n)
    for i in range(n):
        span = high[i] - low[i]
        body[i] = (close[i] - open_[i]) / span if span > 0 else 0.0
    total = window_sum(body, 14)
    for i in range(13, n):
        out[11, begin + i] = total[i] / 14


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _vortex(high: Any, low: Any, ranges: Any, row: Any) -> None:
    n = len(high)
    turn = np.zeros(n)
    for i in range(1, n):
        turn[i] = abs(high[i] - low[i - 1]) - abs(low[i] - high[i - 1])
    net, path = window_sum(turn, 14), window_sum(ranges, 14)
    for i in range(14, n):
        row[i] = net[i] / path[i] if path[i] > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _mass(span: Any, row: Any) -> None:
    n = len(span)
    once = ema(span, 9, 0)
    twice = ema(once, 9, 8)
    ratio = np.zeros(n)
    for i in range(16, n):
        ratio[i] = once[i] / twice[i] if twice[i] > 0 else 1.0
    total = window_sum(ratio, 25)
    for i in range(40, n):
        row[i] = total[i]
