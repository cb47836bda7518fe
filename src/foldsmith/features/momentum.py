"""Oscillators, and how one-sided recent moves were, compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from foldsmith.features.compiled import entry, inner
from foldsmith.features.elementwise import cut, halves, product, put, put_ratios, ratios, signs, sizes
from foldsmith.features.windows import (
    REACH,
    TILE,
    differences,
    lagged_product,
    lagged_sum,
    moments,
    smooth,
    true_range,
    twice,
    window_max,
    window_min,
    window_sum,
)


@entry
def momentum(prices: Any, logs: Any, starts: Any, out: Any) -> None:
    """Fill `out` (11, n), rows in catalogue order. Block k is rows starts[k] to starts[k + 1].

    prices, logs : open, high, low and close, and their natural logs, (n,) each.
    """
    kept = np.zeros((4, TILE + REACH))
    for k in range(len(starts) - 1):
        before = 0
        for at in range(starts[k], starts[k + 1], TILE):
            first, stop = max(at - REACH, starts[k]), min(at + TILE, starts[k + 1])
            _, high, low, close = cut(prices, first, stop)
            _of_returns(logs[3][first:stop].copy(), first, stop, out)
            change = differences(close)
            _rsi(change, at - first, before, kept, out[1, first:stop], out[2, first:stop])
            _stochastic(high, low, close, first, stop, out)
            _cci(high, low, close, out[6, first:stop])
            _ultimate(high, low, close, out[7, first:stop])
            _one_sided(close, change, out[8, first:stop], out[9, first:stop])
            before = stop - first


@inner
def _of_returns(log_close: Any, first: int, stop: int, out: Any) -> None:
    r = differences(log_close)
    cross = window_sum(lagged_product(r, 1), 24)
    short = window_sum(product(r, r), 24)
    long = twice(short, 24)
    row, now, before, squares = out[0, first:stop][48:], log_close[48:], log_close[36:], long[48:]
    for i in range(len(row)):
        scaled = (now[i] - before[i]) / math.sqrt(squares[i] * 12 / 48)
        row[i] = scaled if squares[i] > 0 else 0.0
    row, crosses, now, before = out[10, first:stop][25:], cross[25:], short[25:], short[24:]
    for i in range(len(row)):
        scale = math.sqrt(now[i]) * math.sqrt(before[i])
        rho = crosses[i] / scale
        row[i] = rho if scale > 0 else 0.0


@inner
def _rsi(change: Any, lag: int, before: int, kept: Any, six: Any, fourteen: Any) -> None:
    up, down = halves(change)
    weights = (1 / 6, 1 / 6, 1 / 14, 1 / 14)
    smooth((up, down, up, down), weights, (6, 6, 14, 14), (1, 1, 1, 1), lag, before, kept)
    n = len(change)
    put_ratios(six, 6, kept[0, :n], lagged_sum(kept[0, :n], kept[1, :n], 0), 100.0, 50.0)
    put_ratios(fourteen, 14, kept[2, :n], lagged_sum(kept[2, :n], kept[3, :n], 0), 100.0, 50.0)


@inner
def _stochastic(high: Any, low: Any, close: Any, first: int, stop: int, out: Any) -> None:
    most, least = window_max(high, 14), window_min(low, 14)
    fast = np.empty(len(close))
    for i in range(len(fast)):
        span = most[i] - least[i]
        place = 100 * (close[i] - least[i]) / span
        fast[i] = place if span > 0 else 50.0
    put(out[3, first:stop], 13, fast, 1.0)
    row, now, once, twice_ = out[4, first:stop][15:], fast[15:], fast[14:], fast[13:]
    for i in range(len(row)):
        row[i] = (now[i] + once[i] + twice_[i]) / 3
    # 42 bars are three times 14.
    most, least = window_max(high, 42), window_min(low, 42)
    row, most, least, close = out[5, first:stop][41:], most[41:], least[41:], close[41:]
    for i in range(len(row)):
        span = most[i] - least[i]
        place = -100 * (most[i] - close[i]) / span
        row[i] = place if span > 0 else -50.0


@inner
def _cci(high: Any, low: Any, close: Any, row: Any) -> None:
    width = 20
    n = len(close)
    typical = np.empty(n)
    for i in range(n):
        typical[i] = (high[i] + low[i] + close[i]) / 3
    mean = moments(typical, width, False, False)[0][width - 1 :]
    newest, deviation, row = typical[width - 1 :], np.zeros(len(mean)), row[width - 1 :]
    for i in range(len(mean)):
        mean[i] /= width
    # A row at a time in the outer loop would be four times as slow: no vectors.
    for j in range(0, width, 4):
        a, b, c, d = typical[j:], typical[j + 1 :], typical[j + 2 :], typical[j + 3 :]
        for i in range(len(deviation)):
            u, m = newest[i], mean[i]
            ab, cd = abs((a[i] - u) - m) + abs((b[i] - u) - m), abs((c[i] - u) - m) + abs((d[i] - u) - m)
            deviation[i] += ab + cd
    for i in range(len(row)):
        index = -mean[i] / (0.015 * (deviation[i] / width))
        row[i] = index if deviation[i] > 0 else 0.0


@inner
def _ultimate(high: Any, low: Any, close: Any, row: Any) -> None:
    pressure = np.zeros(len(close))
    now, floor, out1 = close[1:], low[1:], pressure[1:]
    for i in range(len(out1)):
        out1[i] = now[i] - (floor[i] if floor[i] < close[i] else close[i])
    p7 = window_sum(pressure, 7)
    r7 = window_sum(true_range(high, low, close), 7)
    p14, r14 = twice(p7, 7), twice(r7, 7)
    a, b, c = ratios(p7, r7, 0.5), ratios(p14, r14, 0.5), ratios(twice(p14, 14), twice(r14, 14), 0.5)
    row, a, b, c = row[28:], a[28:], b[28:], c[28:]
    for i in range(len(row)):
        row[i] = 100 * (4 * a[i] + 2 * b[i] + c[i]) / 7


@inner
def _one_sided(close: Any, change: Any, efficiency: Any, balance: Any) -> None:
    path = window_sum(sizes(change), 24)
    row, now, path = efficiency[24:], close[24:], path[24:]
    for i in range(len(row)):
        part = (now[i] - close[i]) / path[i]
        row[i] = part if path[i] > 0 else 0.0
    put(balance, 24, window_sum(signs(change), 24), 1 / 24)
