"""Where volume went: behind moves, behind ranges, and around its own mean price, compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from foldsmith.features.compiled import entry, inner
from foldsmith.features.elementwise import cut, middles, product, put_ratios, typical_prices
from foldsmith.features.windows import REACH, TILE, differences, smooth, units, window_max, window_sum

STILL = 1e-9
"""A spread of prices below this part of the close is rounding, and counts as none."""


@entry
def flow(prices: Any, logs: Any, volumes: Any, ranges: Any, session: Any, starts: Any, out: Any) -> None:
    """Fill `out` (9, n), rows in catalogue order. Block k is rows starts[k] to starts[k + 1].

    prices, logs : open, high, low and close, and their natural logs, (n,) each; volumes : (n,); ranges : average true
    range, (n,); session : day number, (n,).
    """
    kept = np.zeros((4, TILE + REACH))
    for k in range(len(starts) - 1):
        before = 0
        for at in range(starts[k], starts[k + 1], TILE):
            first, stop = max(at - REACH, starts[k]), min(at + TILE, starts[k + 1])
            _, high, low, close = cut(prices, first, stop)
            v = volumes[first:stop].copy()
            unit = units(ranges, close, first, stop)
            sum24 = window_sum(v, 24)
            _force(close, v, unit, at - first, before, kept, out[0, first:stop])
            _ease(high, low, v, unit, out[1, first:stop])
            _of_returns(logs[3][first:stop].copy(), v, sum24, first, stop, out)
            put_ratios(out[5, first:stop], 23, window_max(v, 24), sum24, 1.0, 0.0)
            _vwap_slope(product(typical_prices(high, low, close), v), sum24, unit, out[6, first:stop])
            before = stop - first
        _session_band(prices, volumes, session, starts[k], starts[k + 1], out[8])


@inner
def _force(close: Any, v: Any, unit: Any, lag: int, before: int, kept: Any, row: Any) -> None:
    w = 2 / 14
    force = product(differences(close), v)
    smooth((force, v, v, v), (w, w, w, w), (13, 13, 13, 13), (1, 1, 1, 1), lag, before, kept)
    row, force, mean, unit = row[14:], kept[0, : len(close)][14:], kept[1, : len(close)][14:], unit[14:]
    for i in range(len(row)):
        part = force[i] / mean[i] / unit[i]
        row[i] = part if mean[i] > 0 else 0.0


@inner
def _ease(high: Any, low: Any, v: Any, unit: Any, row: Any) -> None:
    move = differences(middles(high, low))
    for i in range(len(v)):
        part = move[i] * (high[i] - low[i]) / v[i]
        move[i] = part if v[i] > 0 else 0.0
    moves, total, unit, row = window_sum(move, 14)[14:], window_sum(v, 14)[14:], unit[14:], row[14:]
    for i in range(len(row)):
        row[i] = moves[i] / 14 * (total[i] / 14) / (unit[i] * unit[i])


@inner
def _of_returns(log_close: Any, v: Any, sum24: Any, first: int, stop: int, out: Any) -> None:
    n = len(v)
    r = differences(log_close)
    square = product(r, r)
    fewer, more = np.zeros(n), np.zeros(n)
    now, moved, fewer1, more1 = v[1:], r[1:], fewer[1:], more[1:]
    for i in range(len(fewer1)):
        fewer1[i] = moved[i] if now[i] < v[i] else 0.0
    for i in range(len(more1)):
        more1[i] = moved[i] if now[i] > v[i] else 0.0
    total, squares = sum24[24:], window_sum(square, 24)[24:]
    row, weighted = out[2, first:stop][24:], window_sum(product(r, v), 24)[24:]
    for i in range(len(row)):
        part = weighted[i] / total[i] / math.sqrt(squares[i] / 24)
        row[i] = part if (squares[i] > 0) & (total[i] > 0) else 0.0
    row, falls = out[3, first:stop][24:], window_sum(fewer, 24)[24:]
    for i in range(len(row)):
        part = falls[i] / math.sqrt(squares[i])
        row[i] = part if squares[i] > 0 else 0.0
    row, rises = out[4, first:stop][24:], window_sum(more, 24)[24:]
    for i in range(len(row)):
        part = rises[i] / math.sqrt(squares[i])
        row[i] = part if squares[i] > 0 else 0.0
    row, weighted = out[7, first:stop][24:], window_sum(product(square, v), 24)[24:]
    for i in range(len(row)):
        part = math.sqrt(weighted[i] / total[i] / (squares[i] / 24))
        row[i] = part if (squares[i] > 0) & (total[i] > 0) else 1.0


@inner
def _vwap_slope(money: Any, total: Any, unit: Any, row: Any) -> None:
    value = window_sum(money, 24)
    row, value6, total6, unit = row[29:], value[29:], total[29:], unit[29:]
    value, total = value[23:], total[23:]
    for i in range(len(row)):
        part = (value6[i] / total6[i] - value[i] / total[i]) / unit[i]
        row[i] = part if (total6[i] > 0) & (total[i] > 0) else 0.0


@inner
def _session_band(prices: Any, volumes: Any, session: Any, begin: int, end: int, row: Any) -> None:
    high, low, close = prices[1][begin:end], prices[2][begin:end], prices[3][begin:end]
    v, day, row = volumes[begin:end], session[begin:end], row[begin:end]
    total = mean = square = 0.0
    for i in range(len(v)):
        if i > 0 and day[i] != day[i - 1]:
            total = mean = square = 0.0
        if v[i] > 0:
            # West's update: the squares of prices themselves would drown the spread in rounding.
            typical = (high[i] + low[i] + close[i]) / 3
            if total == 0:
                mean = typical
            total += v[i]
            away = typical - mean
            mean += away * (v[i] / total)
            square += v[i] * away * (typical - mean)
        spread = math.sqrt((square if square > 0 else 0.0) / total) if total > 0 else 0.0
        row[i] = (close[i] - mean) / spread if spread > STILL * close[i] else 0.0
