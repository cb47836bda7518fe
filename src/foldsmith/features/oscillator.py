"""More oscillators: twice smoothed, ranked within their own range, or counted, compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from foldsmith.features.compiled import entry, inner
from foldsmith.features.elementwise import (
    cut,
    halves,
    middles,
    product,
    put,
    put_distances,
    put_ratios,
    ratios,
    sizes,
)
from foldsmith.features.logarithm import logs_of
from foldsmith.features.windows import (
    REACH,
    TILE,
    carry,
    differences,
    lagged_sum,
    moments,
    smooth,
    true_range,
    units,
    window_max,
    window_min,
    window_sum,
    wma,
)

STILL = 1e-9
"""A range of RSI (0 to 100) below this is rounding, and counts as none."""
EDGE = 0.999
"""Fisher's transform is taken of values up to this, as its author does: at 1 it is infinite."""


@entry
def oscillator(prices: Any, logs: Any, average: Any, starts: Any, out: Any) -> None:
    """Fill `out` (14, n), rows in catalogue order. Block k is rows starts[k] to starts[k + 1].

    prices, logs : open, high, low and close, and their natural logs, (n,) each; average : true range, (n,).
    """
    kept = np.zeros((5, 4, TILE + REACH))
    for k in range(len(starts) - 1):
        before = run = 0
        for at in range(starts[k], starts[k + 1], TILE):
            first, stop = max(at - REACH, starts[k]), min(at + TILE, starts[k + 1])
            lag = at - first
            open_, high, low, close = cut(prices, first, stop)
            change = differences(close)
            unit = units(average, close, first, stop)
            _smoothed(close, change, lag, before, kept[0], kept[1], first, stop, out)
            _of_rsi(change, close, lag, before, kept[2], first, stop, out)
            put_distances(out[9, first:stop], 14, high, kept[2, 2, : len(close)], unit)
            put_distances(out[10, first:stop], 14, low, kept[2, 2, : len(close)], unit)
            _coppock(logs[3][first:stop].copy(), out[5, first:stop])
            middle = middles(high, low)
            _awesome(middle, unit, out[4, first:stop])
            _fisher(middle, lag, before, kept[3], out[6, first:stop])
            run = _streak(change[lag:], before == 0, run, out[7, at:stop])
            _power(open_, high, low, close, out[11, first:stop])
            _vortex(high, low, true_range(high, low, close), out[12, first:stop])
            _mass(high, low, lag, before, kept[4], out[13, first:stop])
            before = stop - first


@inner
def _smoothed(
    close: Any, change: Any, lag: int, before: int, kept: Any, other: Any, first: int, stop: int, out: Any
) -> None:
    n = len(close)
    w = 2 / 16
    x = (close, kept[0, :n], kept[1, :n], close)
    smooth(x, (w, w, w, w), (15, 15, 15, 15), (0, 14, 28, 0), lag, before, kept)
    thrice = kept[2, :n]
    row, now, once = out[0, first:stop][43:], thrice[43:], thrice[42:]
    for i in range(len(row)):
        row[i] = 100 * (now[i] / once[i] - 1)
    size = sizes(change)
    put_ratios(out[1, first:stop], 20, window_sum(change, 20), window_sum(size, 20), 100.0, 0.0)
    slow, fast = 2 / 26, 2 / 14
    x = (change, size, other[0, :n], other[1, :n])
    smooth(x, (slow, slow, fast, fast), (25, 25, 13, 13), (1, 1, 25, 25), lag, before, other)
    put_ratios(out[3, first:stop], 37, other[2, :n], other[3, :n], 100.0, 0.0)


@inner
def _of_rsi(
    change: Any,
    close: Any,
    lag: int,
    before: int,
    kept: Any,
    first: int,
    stop: int,
    out: Any,
) -> None:
    """Of RSI; the third row of `kept` becomes the exponential mean of 13 closes."""
    n = len(close)
    up, down = halves(change)
    w, fast = 1 / 14, 2 / 14
    smooth((up, down, close, close), (w, w, fast, fast), (14, 14, 13, 13), (1, 1, 0, 0), lag, before, kept)
    rsi = ratios(kept[0, :n], lagged_sum(kept[0, :n], kept[1, :n], 0), 0.5)
    for i in range(n):
        rsi[i] *= 100
    most, least, total = window_max(rsi, 14), window_min(rsi, 14), window_sum(rsi, 14)
    row, now, most, least = out[2, first:stop][27:], rsi[27:], most[27:], least[27:]
    for i in range(len(row)):
        span = most[i] - least[i]
        place = 100 * (now[i] - least[i]) / span
        row[i] = place if span > STILL else 50.0
    row, total = out[8, first:stop][27:], total[27:]
    for i in range(len(row)):
        row[i] = now[i] - total[i] / 14


@inner
def _coppock(log_close: Any, row: Any) -> None:
    r = differences(log_close)
    square = window_sum(product(r, r), 48)
    rise = np.zeros(len(r))
    now, near, rise1 = log_close[14:], log_close[3:], rise[14:]
    for i in range(len(rise1)):
        rise1[i] = 2 * now[i] - log_close[i] - near[i]
    smooth_ = wma(rise, moments(rise, 10, False, True), 10)[48:]
    square, row = square[48:], row[48:]
    for i in range(len(row)):
        part = smooth_[i] / math.sqrt(square[i] * 25 / 48)
        row[i] = part if square[i] > 0 else 0.0


@inner
def _awesome(middle: Any, unit: Any, row: Any) -> None:
    fast, slow = window_sum(middle, 5)[33:], window_sum(middle, 34)[33:]
    unit, row = unit[33:], row[33:]
    for i in range(len(row)):
        row[i] = (fast[i] / 5 - slow[i] / 34) / unit[i]


@inner
def _fisher(middle: Any, lag: int, before: int, kept: Any, row: Any) -> None:
    n = len(middle)
    most, least = window_max(middle, 10), window_min(middle, 10)
    place = np.empty(n)
    for i in range(n):
        span = most[i] - least[i]
        part = 0.66 * ((middle[i] - least[i]) / span - 0.5)
        place[i] = part if span > 0 else 0.0
    carry(kept, lag, before, n)
    begin = lag if before > 0 else 9
    x = kept[0, :n]
    value = x[begin - 1] if begin <= n else 0.0
    drawn, made = place[begin:], x[begin:]
    for i in range(len(made)):
        value = drawn[i] + 0.67 * value
        value = value if value < EDGE else EDGE
        value = value if value > -EDGE else -EDGE
        made[i] = value
    for i in range(n):
        place[i] = (1 + x[i]) / (1 - x[i])
    logs, fisher = logs_of(place)[begin:], kept[1, :n]
    value = fisher[begin - 1] if begin <= n else 0.0
    made = fisher[begin:]
    for i in range(len(made)):
        value = 0.5 * logs[i] + 0.5 * value
        made[i] = value
    put(row, 9, fisher, 1.0)


@inner
def _streak(change: Any, fresh: bool, run: int, row: Any) -> int:
    for i in range(len(row)):
        x = change[i]
        up, down = (run if run > 0 else 0) + 1, (run if run < 0 else 0) - 1
        run = up if x > 0 else (down if x < 0 else 0)
        if not (fresh and i == 0):
            row[i] = run
    return run


@inner
def _power(open_: Any, high: Any, low: Any, close: Any, row: Any) -> None:
    body = np.empty(len(close))
    for i in range(len(body)):
        span = high[i] - low[i]
        part = (close[i] - open_[i]) / span
        body[i] = part if span > 0 else 0.0
    put(row, 13, window_sum(body, 14), 1 / 14)


@inner
def _vortex(high: Any, low: Any, ranges: Any, row: Any) -> None:
    turn = np.zeros(len(high))
    high1, low1, turn1 = high[1:], low[1:], turn[1:]
    for i in range(len(turn1)):
        turn1[i] = abs(high1[i] - low[i]) - abs(low1[i] - high[i])
    put_ratios(row, 14, window_sum(turn, 14), window_sum(ranges, 14), 1.0, 0.0)


@inner
def _mass(high: Any, low: Any, lag: int, before: int, kept: Any, row: Any) -> None:
    n = len(high)
    span, w = np.empty(n), 2 / 10
    for i in range(n):
        span[i] = high[i] - low[i]
    smooth((span, kept[0, :n], span, span), (w, w, w, w), (9, 9, 9, 9), (0, 8, 0, 0), lag, before, kept)
    put(row, 40, window_sum(ratios(kept[0, :n], kept[1, :n], 1.0), 25), 1.0)
