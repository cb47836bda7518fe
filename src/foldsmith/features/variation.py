"""Realised measures that tell jumps, gaps and ranges apart, compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from foldsmith.features.windows import differences, window_max, window_min, window_sum

NOISE = 1e-12
"""A variance below this part of the mean square is rounding, and counts as none."""


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def variation(prices: Any, logs: Any, starts: Any, out: Any) -> None:
    """Fill `out` (10, n), rows in catalogue order. Block k is rows starts[k] to starts[k + 1].

    prices, logs : open, high, low and close, and their natural logs, (n,) each.
    """
    for k in range(len(starts) - 1):
        begin, end = starts[k], starts[k + 1]
        part = (logs[0][begin:end], logs[1][begin:end], logs[2][begin:end], logs[3][begin:end])
        _without_jumps(part[3], begin, out)
        _of_ranges(part, begin, out)
        _channels(prices[1][begin:end], prices[2][begin:end], part, begin, out)
        _together(part[1], part[2], out[7, begin:end])
        _gaps(part[0], part[3], out[8, begin:end])
        _ulcer(part[3], out[9, begin:end])


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _without_jumps(log_close: Any, begin: int, out: Any) -> None:
    n = len(log_close)
    size = np.abs(differences(log_close))
    product, middle = np.zeros(n), np.zeros(n)
    for i in range(2, n):
        product[i] = size[i] * size[i - 1]
        a, b, c = size[i], size[i - 1], size[i - 2]
        median = max(min(a, b), min(max(a, b), c))
        middle[i] = median * median
    square, products, medians = window_sum(size * size, 48), window_sum(product, 47), window_sum(middle, 46)
    unbiased = math.pi / (6 - 4 * math.sqrt(3.0) + math.pi)
    for i in range(48, n):
        bipower = math.pi / 2 * products[i] / 47
        out[0, begin + i] = math.sqrt(bipower)
        out[1, begin + i] = max(1 - bipower / (square[i] / 48), 0.0) if square[i] > 0 else 0.0
        out[2, begin + i] = math.sqrt(unbiased * medians[i] / 46)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _of_ranges(logs: Any, begin: int, out: Any) -> None:
    r = differences(logs[3])
    span = logs[1] - logs[2]
    square, spans, spans2 = window_sum(r * r, 48), window_sum(span, 48), window_sum(span * span, 48)
    for i in range(48, len(r)):
        known = square[i] > 0 and spans2[i] > 0
        out[3, begin + i] = 0.5 * math.log(spans2[i] / (4 * math.log(2.0)) / square[i]) if known else 0.0
    for i in range(47, len(r)):
        variance = spans2[i] - spans[i] * spans[i] / 48
        known = variance > NOISE * spans2[i]
        out[4, begin + i] = math.sqrt(variance / 48) / (spans[i] / 48) if known else 0.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _channels(high: Any, low: Any, logs: Any, begin: int, out: Any) -> None:
    most, least = window_max(logs[1], 24), window_min(logs[2], 24)
    for i in range(23, len(high)):
        out[5, begin + i] = most[i] - least[i]
    high12, low12 = window_max(high, 12), window_min(low, 12)
    high48, low48 = window_max(high, 48), window_min(low, 48)
    for i in range(47, len(high)):
        span = high48[i] - low48[i]
        out[6, begin + i] = (high12[i] - low12[i]) / span if span > 0 else 1.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _together(log_high: Any, log_low: Any, row: Any) -> None:
    width = 24
    x, y = differences(log_high), differences(log_low)
    sx, sy, sxy = window_sum(x, width), window_sum(y, width), window_sum(x * y, width)
    sxx, syy = window_sum(x * x, width), window_sum(y * y, width)
    for i in range(width, len(x)):
        xx, yy = sxx[i] - sx[i] * sx[i] / width, syy[i] - sy[i] * sy[i] / width
        if xx > NOISE * sxx[i] and yy > NOISE * syy[i]:
            r = (sxy[i] - sx[i] * sy[i] / width) / (math.sqrt(xx) * math.sqrt(yy))
            row[i] = min(max(r, -1.0), 1.0)
        else:
            row[i] = 0.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _gaps(log_open: Any, log_close: Any, row: Any) -> None:
    gap = np.zeros(len(log_open))
    for i in range(1, len(gap)):
        gap[i] = abs(log_open[i] - log_close[i - 1])
    gaps, bodies = window_sum(gap, 48), window_sum(np.abs(log_close - log_open), 48)
    for i in range(48, len(gap)):
        total = gaps[i] + bodies[i]
        row[i] = gaps[i] / total if total > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _ulcer(log_close: Any, row: Any) -> None:
    below = log_close - window_max(log_close, 24)
    total = window_sum(below * below, 24)
    for i in range(46, len(row)):
        row[i] = math.sqrt(total[i] / 24)
