"""Sums, extrema and smoothed values that the kernels of the families share, compiled.

A window is never run as a sum that adds the newest and takes the oldest away: its rounding would remember
every bar it has ever seen. The bars are cut into chunks as long as the window; a window is then the tail of
one chunk and the head of the next, and both are built by adding alone (van Herk 1992; Gil and Werman 1993).
So the value at t depends, bit for bit, on the bars of its window alone.

The compiler's cache does not see a change made here from the files that call it: after one, delete
`__pycache__/*.nb*` beside this file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

FLOOR = 1e-6
"""A true range that divides is taken to be at least this part of the close."""


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def window_sum(x: Any, width: int) -> Any:
    """out[i] = x[i - width + 1] + ... + x[i]; the first width - 1 values are sums of what there is."""
    n = len(x)
    out = np.empty(n)
    tail = np.zeros(width + 1)
    for begin in range(0, n, width):
        stop = min(begin + width, n)
        head = 0.0
        for i in range(begin, stop):
            head += x[i]
            out[i] = tail[i - begin + 1] + head
        if stop - begin == width:
            total = 0.0
            for k in range(width - 1, -1, -1):
                total += x[begin + k]
                tail[k] = total
    return out


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def window_max(x: Any, width: int) -> Any:
    """out[i] = max(x[i - width + 1], ..., x[i]), of fewer at the start."""
    n = len(x)
    out = np.empty(n)
    tail = np.full(width + 1, -np.inf)
    for begin in range(0, n, width):
        stop = min(begin + width, n)
        head = -np.inf
        for i in range(begin, stop):
            head = max(head, x[i])
            out[i] = max(tail[i - begin + 1], head)
        if stop - begin == width:
            most = -np.inf
            for k in range(width - 1, -1, -1):
                most = max(most, x[begin + k])
                tail[k] = most
    return out


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def window_min(x: Any, width: int) -> Any:
    """out[i] = min(x[i - width + 1], ..., x[i]), of fewer at the start."""
    n = len(x)
    out = np.empty(n)
    tail = np.full(width + 1, np.inf)
    for begin in range(0, n, width):
        stop = min(begin + width, n)
        head = np.inf
        for i in range(begin, stop):
            head = min(head, x[i])
            out[i] = min(tail[i - begin + 1], head)
        if stop - begin == width:
            least = np.inf
            for k in range(width - 1, -1, -1):
                least = min(least, x[begin + k])
                tail[k] = least
    return out


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def differences(x: Any) -> Any:
    """out[i] = x[i] - x[i - 1], and 0 for the first, which no window of a feature reaches."""
    out = np.zeros(len(x))
    for i in range(1, len(x)):
        out[i] = x[i] - x[i - 1]
    return out


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def true_range(high: Any, low: Any, close: Any) -> Any:
    """max(high, close before) - min(low, close before); 0 for the first bar, which has no bar before."""
    out = np.zeros(len(close))
    for i in range(1, len(close)):
        out[i] = max(high[i], close[i - 1]) - min(low[i], close[i - 1])
    return out


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def wilder(x: Any, period: int) -> Any:
    """Wilder's mean: of x[1] to x[period] at `period`, then a_i = a_{i-1} + (x_i - a_{i-1}) / period."""
    n = len(x)
    out = np.zeros(n)
    if n <= period:
        return out
    mean = 0.0
    for i in range(1, period + 1):
        mean += x[i]
    mean /= period
    out[period] = mean
    weight = 1.0 / period
    for i in range(period + 1, n):
        mean += weight * (x[i] - mean)
        out[i] = mean
    return out


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def ema(x: Any, period: int, first: int) -> Any:
    """Exponential mean of x from `first` on, weight 2 / (period + 1), begun as the mean of `period` values.

    Values before first + period - 1 are 0 and mean nothing.
    """
    n = len(x)
    out = np.zeros(n)
    start = first + period - 1
    if n <= start:
        return out
    mean = 0.0
    for i in range(first, start + 1):
        mean += x[i] - x[first]
    mean = x[first] + mean / period
    out[start] = mean
    weight = 2.0 / (period + 1)
    for i in range(start + 1, n):
        mean += weight * (x[i] - mean)
        out[i] = mean
    return out
