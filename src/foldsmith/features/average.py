"""Distances from moving averages of many kinds, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from foldsmith.features.compiled import entry, inner
from foldsmith.features.elementwise import product, put, put_distances, ratios, sizes
from foldsmith.features.windows import (
    REACH,
    TILE,
    carry,
    differences,
    moments,
    smooth,
    twice,
    units,
    window_sum,
    wma,
)

TIE = 1e-9
"""A close nearer to its mean than this part of itself is at it: the rest is rounding."""


@entry
def average(prices: Any, volumes: Any, ranges: Any, starts: Any, out: Any) -> None:
    """Fill `out` (14, n), rows in catalogue order. Block k is rows starts[k] to starts[k + 1].

    prices : open, high, low and close, (n,) each; volumes : (n,); ranges : average true range, (n,).
    """
    once, again, adapted = (
        np.zeros((4, TILE + REACH)),
        np.zeros((4, TILE + REACH)),
        np.zeros((1, TILE + REACH)),
    )
    for k in range(len(starts) - 1):
        before = 0
        for at in range(starts[k], starts[k + 1], TILE):
            first, stop = max(at - REACH, starts[k]), min(at + TILE, starts[k + 1])
            close, v = prices[3][first:stop].copy(), volumes[first:stop].copy()
            unit = units(ranges, close, first, stop)
            _plain(close, unit, first, stop, out)
            _weighted(close, unit, first, stop, out)
            _by_volume(close, v, unit, out[9, first:stop])
            _exponential(close, unit, at - first, before, once, again, first, stop, out)
            _adaptive(close, unit, at - first, before, adapted, out[12, first:stop])
            before = stop - first


@inner
def _plain(close: Any, unit: Any, first: int, stop: int, out: Any) -> None:
    n = len(close)
    sum12 = window_sum(close, 12)
    sum24 = twice(sum12, 12)
    sum48 = twice(sum24, 24)
    fast, middle, slow = np.empty(n), np.empty(n), np.empty(n)
    for i in range(n):
        fast[i] = sum12[i] / 12
    for i in range(n):
        middle[i] = sum24[i] / 24
    for i in range(n):
        slow[i] = sum48[i] / 48
    put_distances(out[0, first:stop], 14, close, fast, unit)
    put_distances(out[1, first:stop], 23, close, middle, unit)
    put_distances(out[2, first:stop], 47, close, slow, unit)
    put_distances(out[3, first:stop], 47, fast, slow, unit)
    row, now, unit = out[4, first:stop][29:], middle[29:], unit[29:]
    before = middle[23:]
    for i in range(len(row)):
        row[i] = (now[i] - before[i]) / unit[i]
    side = np.empty(n)
    for i in range(n):
        away, least = close[i] - middle[i], TIE * close[i]
        side[i] = (1.0 if away > least else 0.0) - (1.0 if away < -least else 0.0)
    put(out[5, first:stop], 46, window_sum(side, 24), 1 / 24)


@inner
def _weighted(close: Any, unit: Any, first: int, stop: int, out: Any) -> None:
    n = len(close)
    made12 = moments(close, 12, False, True)
    linear, short = wma(close, moments(close, 24, False, True), 24), wma(close, made12, 12)
    ahead = np.empty(n)
    for i in range(n):
        ahead[i] = 2 * short[i] - linear[i]
    hull = wma(ahead, moments(ahead, 5, False, True), 5)
    # Half the window smoothed twice has the weights of a triangle.
    triangle = window_sum(window_sum(close, 13), 12)
    for i in range(n):
        triangle[i] /= 13 * 12
    put_distances(out[6, first:stop], 23, close, linear, unit)
    put_distances(out[7, first:stop], 27, close, hull, unit)
    put_distances(out[8, first:stop], 23, close, triangle, unit)


@inner
def _by_volume(close: Any, v: Any, unit: Any, row: Any) -> None:
    value, total = window_sum(product(close, v), 24), window_sum(v, 24)
    row, value, total, close, unit = row[23:], value[23:], total[23:], close[23:], unit[23:]
    for i in range(len(row)):
        away = (close[i] - value[i] / total[i]) / unit[i]
        row[i] = away if total[i] > 0 else 0.0


@inner
def _exponential(
    close: Any, unit: Any, lag: int, before: int, once: Any, again: Any, first: int, stop: int, out: Any
) -> None:
    n = len(close)
    ahead = np.zeros(n)
    now, ahead1 = close[11:], ahead[11:]
    for i in range(len(ahead1)):
        ahead1[i] = 2 * now[i] - close[i]
    slow, fast = 2 / 25, 2 / 13
    x = (close, once[0, :n], ahead, close)
    smooth(x, (slow, slow, slow, fast), (24, 24, 24, 12), (0, 23, 11, 0), lag, before, once)
    x = (once[3, :n], again[0, :n], close, close)
    smooth(x, (fast, fast, fast, fast), (12, 12, 12, 12), (11, 22, 0, 0), lag, before, again)
    mean, first24, second24 = np.empty(n), once[0, :n], once[1, :n]
    for i in range(n):
        mean[i] = 2 * first24[i] - second24[i]
    put_distances(out[10, first:stop], 46, close, mean, unit)
    once12, twice12, thrice12 = once[3, :n], again[0, :n], again[1, :n]
    for i in range(n):
        mean[i] = 3 * (once12[i] - twice12[i]) + thrice12[i]
    put_distances(out[11, first:stop], 33, close, mean, unit)
    put_distances(out[13, first:stop], 34, close, once[2, :n], unit)


@inner
def _adaptive(close: Any, unit: Any, lag: int, before: int, kept: Any, row: Any) -> None:
    n = len(close)
    path = window_sum(sizes(differences(close)), 24)
    net = np.zeros(n)
    now, net1 = close[24:], net[24:]
    for i in range(len(net1)):
        net1[i] = abs(now[i] - close[i])
    weight = ratios(net, path, 1.0)
    fast, slow = 2 / 3, 2 / 31
    for i in range(n):
        # Both are rounded, so a straight path may look shorter than its ends are apart.
        part = (weight[i] if weight[i] < 1 else 1.0) * (fast - slow) + slow
        weight[i] = part * part
    carry(kept, lag, before, n)
    begin = lag if before > 0 else 24
    mean = kept[0, :n]
    value = 0.0
    if before > 0:
        value = mean[begin - 1]
    elif n > 23:
        value = close[23]
    x, w, made = close[begin:], weight[begin:], mean[begin:]
    for i in range(len(x)):
        value += w[i] * (x[i] - value)
        made[i] = value
    put_distances(row, 24, close, mean, unit)
