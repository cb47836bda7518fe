"""Realised measures that tell jumps, gaps and ranges apart, compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from foldsmith.features.compiled import entry, inner
from foldsmith.features.elementwise import (
    cut,
    product,
    put_correlations,
    put_logs,
    put_ratios,
    put_roots,
    sizes,
)
from foldsmith.features.windows import (
    REACH,
    TILE,
    differences,
    lagged_product,
    window_max,
    window_min,
    window_sum,
)

NOISE = 1e-12
"""A variance below this part of the mean square is rounding, and counts as none."""


@entry
def variation(prices: Any, logs: Any, starts: Any, out: Any) -> None:
    """Fill `out` (10, n), rows in catalogue order. Block k is rows starts[k] to starts[k + 1].

    prices, logs : open, high, low and close, and their natural logs, (n,) each.
    """
    for k in range(len(starts) - 1):
        for at in range(starts[k], starts[k + 1], TILE):
            first, stop = max(at - REACH, starts[k]), min(at + TILE, starts[k + 1])
            part = cut(logs, first, stop)
            r = differences(part[3])
            square48 = window_sum(product(r, r), 48)
            _without_jumps(sizes(r), square48, first, stop, out)
            _of_ranges(part[1], part[2], square48, first, stop, out)
            _channels(prices[1][first:stop].copy(), prices[2][first:stop].copy(), part, first, stop, out)
            _together(part[1], part[2], out[7, first:stop])
            _gaps(part[0], part[3], out[8, first:stop])
            _ulcer(part[3], out[9, first:stop])


@inner
def _without_jumps(size: Any, square48: Any, first: int, stop: int, out: Any) -> None:
    middle = np.zeros(len(size))
    now, once, out2 = size[2:], size[1:], middle[2:]
    for i in range(len(out2)):
        a, b, c = now[i], once[i], size[i]
        low, high = (a if a < b else b), (a if a > b else b)
        high = high if high < c else c
        median = low if low > high else high
        out2[i] = median * median
    products = window_sum(lagged_product(size, 1), 47)
    unbiased = math.pi / (6 - 4 * math.sqrt(3.0) + math.pi)
    put_roots(out[0, first:stop], 48, products, math.pi / 2 / 47)
    row, products, squares = out[1, first:stop][48:], products[48:], square48[48:]
    for i in range(len(row)):
        share = 1 - (math.pi / 2 * products[i] / 47) / (squares[i] / 48)
        row[i] = (share if share > 0 else 0.0) if squares[i] > 0 else 0.0
    put_roots(out[2, first:stop], 48, window_sum(middle, 46), unbiased / 46)


@inner
def _of_ranges(log_high: Any, log_low: Any, square48: Any, first: int, stop: int, out: Any) -> None:
    n = len(log_high)
    span, ratio = np.empty(n), np.empty(n)
    for i in range(n):
        span[i] = log_high[i] - log_low[i]
    spans, spans2 = window_sum(span, 48), window_sum(product(span, span), 48)
    for i in range(n):
        part = spans2[i] / (4 * math.log(2.0)) / square48[i]
        ratio[i] = part if (square48[i] > 0) & (spans2[i] > 0) else 1.0
    put_logs(out[3, first:stop], 48, ratio, 0.5)
    row, spans, spans2 = out[4, first:stop][47:], spans[47:], spans2[47:]
    for i in range(len(row)):
        variance = spans2[i] - spans[i] * spans[i] / 48
        part = math.sqrt(variance / 48) / (spans[i] / 48)
        row[i] = part if variance > NOISE * spans2[i] else 0.0


@inner
def _channels(high: Any, low: Any, logs: Any, first: int, stop: int, out: Any) -> None:
    row, most, least = out[5, first:stop][23:], window_max(logs[1], 24)[23:], window_min(logs[2], 24)[23:]
    for i in range(len(row)):
        row[i] = most[i] - least[i]
    high12, low12 = window_max(high, 12), window_min(low, 12)
    # Of four neighbouring windows of 12 bars.
    high48, low48 = window_max(high, 48)[47:], window_min(low, 48)[47:]
    row, high12, low12 = out[6, first:stop][47:], high12[47:], low12[47:]
    for i in range(len(row)):
        span = high48[i] - low48[i]
        part = (high12[i] - low12[i]) / span
        row[i] = part if span > 0 else 1.0


@inner
def _together(log_high: Any, log_low: Any, row: Any) -> None:
    x, y = differences(log_high), differences(log_low)
    sx, sxx, sxy = window_sum(x, 24), window_sum(product(x, x), 24), window_sum(product(x, y), 24)
    put_correlations(row, 24, sx, sxx, window_sum(y, 24), window_sum(product(y, y), 24), sxy)


@inner
def _gaps(log_open: Any, log_close: Any, row: Any) -> None:
    n = len(log_open)
    gap, both = np.zeros(n), np.empty(n)
    opened, gap1 = log_open[1:], gap[1:]
    for i in range(len(gap1)):
        gap1[i] = abs(opened[i] - log_close[i])
    for i in range(n):
        both[i] = gap[i] + abs(log_close[i] - log_open[i])
    put_ratios(row, 48, window_sum(gap, 48), window_sum(both, 48), 1.0, 0.0)


@inner
def _ulcer(log_close: Any, row: Any) -> None:
    below = window_max(log_close, 24)
    for i in range(len(below)):
        below[i] = (log_close[i] - below[i]) * (log_close[i] - below[i])
    put_roots(row, 46, window_sum(below, 24), 1 / 24)
