"""Oscillators, and how one-sided recent moves were, compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from foldsmith.features.windows import differences, true_range, wilder, window_max, window_min, window_sum


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def momentum(prices: Any, logs: Any, starts: Any, out: Any) -> None:
    """Fill `out` (11, n), rows in catalogue order. Block k is rows starts[k] to starts[k + 1].

    prices, logs : open, high, low and close, and their natural logs, (n,) each.
    """
    for k in range(len(starts) - 1):
        begin, end = starts[k], starts[k + 1]
        high, low, close = prices[1][begin:end], prices[2][begin:end], prices[3][begin:end]
        _of_returns(logs[3][begin:end], begin, out)
        change = differences(close)
        _rsi(change, 6, out[1, begin:end])
        _rsi(change, 14, out[2, begin:end])
        _stochastic(high, low, close, begin, out)
        _cci(high, low, close, out[6, begin:end])
        _ultimate(high, low, close, out[7, begin:end])
        _one_sided(close, change, begin, out)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _of_returns(log_close: Any, begin: int, out: Any) -> None:
    r = differences(log_close)
    product = np.zeros(len(r))
    for i in range(1, len(r)):
        product[i] = r[i] * r[i - 1]
    square = r * r
    long, short, cross = window_sum(square, 48), window_sum(square, 24), window_sum(product, 24)
    for i in range(48, len(r)):
        spread = math.sqrt(long[i] * 12 / 48)
        out[0, begin + i] = (log_close[i] - log_close[i - 12]) / spread if spread > 0 else 0.0
    for i in range(25, len(r)):
        scale = math.sqrt(short[i]) * math.sqrt(short[i - 1])
        out[10, begin + i] = cross[i] / scale if scale > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _rsi(change: Any, period: int, row: Any) -> None:
    up = wilder(np.maximum(change, 0.0), period)
    down = wilder(np.maximum(-change, 0.0), period)
    for i in range(period, len(change)):
        total = up[i] + down[i]
        row[i] = 100 * up[i] / total if total > 0 else 50.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _stochastic(high: Any, low: Any, close: Any, begin: int, out: Any) -> None:
    most, least = window_max(high, 14), window_min(low, 14)
    fast = np.zeros(len(close))
    for i in range(13, len(close)):
        span = most[i] - least[i]
        fast[i] = 100 * (close[i] - least[i]) / span if span > 0 else 50.0
        out[3, begin + i] = fast[i]
    for i in range(15, len(close)):
        out[4, begin + i] = (fast[i] + fast[i - 1] + fast[i - 2]) / 3
    most, least = window_max(high, 42), window_min(low, 42)
    for i in range(41, len(close)):
        span = most[i] - least[i]
        out[5, begin + i] = -100 * (most[i] - close[i]) / span if span > 0 else -50.0


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc"})  # type: ignore[untyped-decorator, unused-ignore]
def _cci(high: Any, low: Any, close: Any, row: Any) -> None:
    width = 20
    typical = (high + low + close) / 3
    for i in range(width - 1, len(close)):
        # A view, not an offset: the compiler adds several at a time only where no index can be below 0.
        window, newest = typical[i - width + 1 : i + 1], typical[i]
        mean = 0.0
        # About the newest value: equal prices then leave exactly nothing.
        for j in range(width):
            mean += window[j] - newest
        mean /= width
        deviation = 0.0
        for j in range(width):
            deviation += abs((window[j] - newest) - mean)
        deviation /= width
        row[i] = -mean / (0.015 * deviation) if deviation > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _ultimate(high: Any, low: Any, close: Any, row: Any) -> None:
    pressure = np.zeros(len(close))
    for i in range(1, len(close)):
        pressure[i] = close[i] - min(low[i], close[i - 1])
    ranges = true_range(high, low, close)
    p7, p14, p28 = window_sum(pressure, 7), window_sum(pressure, 14), window_sum(pressure, 28)
    r7, r14, r28 = window_sum(ranges, 7), window_sum(ranges, 14), window_sum(ranges, 28)
    for i in range(28, len(close)):
        a = p7[i] / r7[i] if r7[i] > 0 else 0.5
        b = p14[i] / r14[i] if r14[i] > 0 else 0.5
        c = p28[i] / r28[i] if r28[i] > 0 else 0.5
        row[i] = 100 * (4 * a + 2 * b + c) / 7


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _one_sided(close: Any, change: Any, begin: int, out: Any) -> None:
    path, balance = window_sum(np.abs(change), 24), window_sum(np.sign(change), 24)
    for i in range(24, len(close)):
        out[8, begin + i] = (close[i] - close[i - 24]) / path[i] if path[i] > 0 else 0.0
        out[9, begin + i] = balance[i] / 24
