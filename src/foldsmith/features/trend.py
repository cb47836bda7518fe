"""Distances from smoothed prices, directional movement and straight lines through log closes, compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from foldsmith.features.compiled import entry, inner
from foldsmith.features.elementwise import cut, product, put, put_distances, put_logs, put_ratios
from foldsmith.features.windows import (
    REACH,
    TILE,
    carry,
    differences,
    lagged_sum,
    moments,
    smooth,
    true_range,
    twice_moments,
    units,
    window_max,
    window_min,
    window_sum,
)


@entry
def trend(prices: Any, logs: Any, average: Any, starts: Any, out: Any) -> None:
    """Fill `out` (14, n), rows in catalogue order. Block k is rows starts[k] to starts[k + 1].

    prices, logs : open, high, low and close, and their natural logs, (n,) each; average : true range, (n,).
    """
    kept, line, directed = (
        np.zeros((4, TILE + REACH)),
        np.zeros((4, TILE + REACH)),
        np.zeros((4, TILE + REACH)),
    )
    for k in range(len(starts) - 1):
        before = 0
        for at in range(starts[k], starts[k + 1], TILE):
            first, stop = max(at - REACH, starts[k]), min(at + TILE, starts[k + 1])
            _, high, low, close = cut(prices, first, stop)
            log_close = logs[3][first:stop].copy()
            unit = units(average, close, first, stop)
            ranges = true_range(high, low, close)
            _averages(close, unit, at - first, before, kept, line, first, stop, out)
            _directional(high, low, ranges, at - first, before, directed, first, stop, out)
            _aroon(high, low, out[8, first:stop])
            _lines(log_close, first, stop, out)
            _choppiness(high, low, ranges, out[13, first:stop])
            before = stop - first


@inner
def _averages(
    close: Any, unit: Any, lag: int, before: int, kept: Any, line: Any, first: int, stop: int, out: Any
) -> None:
    n = len(close)
    weights = (2 / 13, 2 / 25, 2 / 49, 2 / 27)
    smooth((close, close, close, close), weights, (12, 24, 48, 26), (0, 0, 0, 0), lag, before, kept)
    fast, middle, slow, other = kept[0, :n], kept[1, :n], kept[2, :n], kept[3, :n]
    put_distances(out[0, first:stop], 14, close, fast, unit)
    put_distances(out[1, first:stop], 23, close, middle, unit)
    put_distances(out[2, first:stop], 47, close, slow, unit)
    put_distances(out[3, first:stop], 47, fast, slow, unit)
    put_distances(out[4, first:stop], 25, fast, other, unit)
    macd = np.empty(n)
    for i in range(n):
        macd[i] = fast[i] - other[i]
    w = 2 / 10
    smooth((macd, macd, macd, macd), (w, w, w, w), (9, 9, 9, 9), (25, 25, 25, 25), lag, before, line)
    put_distances(out[5, first:stop], 33, macd, line[0, :n], unit)


@inner
def _directional(
    high: Any, low: Any, ranges: Any, lag: int, before: int, kept: Any, first: int, stop: int, out: Any
) -> None:
    period, n = 14, len(high)
    rise, fall = np.zeros(n), np.zeros(n)
    high1, low1, rise1, fall1 = high[1:], low[1:], rise[1:], fall[1:]
    for i in range(len(rise1)):
        up, down = high1[i] - high[i], low[i] - low1[i]
        rise1[i] = up if (up > 0) & (up > down) else 0.0
    for i in range(len(fall1)):
        up, down = high1[i] - high[i], low[i] - low1[i]
        fall1[i] = down if (down > 0) & (down > up) else 0.0
    # Rows of `kept`: movement up, movement down, true range, and the average of their index.
    carry(kept, lag, before, n)
    plus, minus, span, mean = kept[0, :n], kept[1, :n], kept[2, :n], kept[3, :n]
    _accumulate(rise, fall, ranges, max(lag, 1), before == 0, period, plus, minus, span)
    both = lagged_sum(plus, minus, 0)
    net, index = np.empty(n), np.empty(n)
    for i in range(n):
        net[i] = plus[i] - minus[i]
    for i in range(n):
        part = 100 * abs(net[i]) / both[i]
        index[i] = part if both[i] > 0 else 0.0
    put_ratios(out[7, first:stop], period, net, span, 100.0, 0.0)
    begin = lag
    if before == 0:
        total = 0.0
        begin = 2 * period
        for i in range(period, min(begin, n)):
            total += index[i]
            mean[i] = total / period
    value = mean[begin - 1] if begin <= n else 0.0
    index, mean_row = index[begin:], mean[begin:]
    for i in range(len(index)):
        value += (index[i] - value) / period
        mean_row[i] = value
    put(out[6, first:stop], 2 * period - 1, mean, 1.0)


@inner
def _accumulate(
    rise: Any, fall: Any, ranges: Any, begin: int, fresh: bool, period: int, plus: Any, minus: Any, span: Any
) -> None:
    """Sums that keep 1 - 1 / period of themselves, and in the first `period` bars of a block all."""
    a, b, c = plus[begin - 1], minus[begin - 1], span[begin - 1]
    if fresh:
        a = b = c = 0.0
        for i in range(begin, min(period, len(rise))):
            a, b, c = a + rise[i], b + fall[i], c + ranges[i]
            plus[i], minus[i], span[i] = a, b, c
        begin = period
    keep = 1 - 1 / period
    rise, fall, ranges = rise[begin:], fall[begin:], ranges[begin:]
    plus, minus, span = plus[begin:], minus[begin:], span[begin:]
    for i in range(len(rise)):
        a = a * keep + rise[i]
        plus[i] = a
        b = b * keep + fall[i]
        minus[i] = b
        c = c * keep + ranges[i]
        span[i] = c


@inner
def _aroon(high: Any, low: Any, row: Any) -> None:
    period = 25
    top = bottom = 0
    for i in range(len(high)):
        oldest = max(i - period, 0)
        # Of equal extremes the newest counts.
        if high[i] >= high[top]:
            top = i
        elif top < oldest:
            top = oldest
            for j in range(oldest + 1, i + 1):
                if high[j] >= high[top]:
                    top = j
        if low[i] <= low[bottom]:
            bottom = i
        elif bottom < oldest:
            bottom = oldest
            for j in range(oldest + 1, i + 1):
                if low[j] <= low[bottom]:
                    bottom = j
        if i >= period:
            row[i] = 100 * (top - bottom) / period


@inner
def _lines(x: Any, first: int, stop: int, out: Any) -> None:
    r = differences(x)
    square = product(r, r)
    # The 23 and the 47 returns between 24 and 48 closes.
    short = window_sum(square, 23)
    long = lagged_sum(lagged_sum(short, short, 23), square, 46)
    made = moments(x, 24, True, True)
    _line(made, short, 24, out[9, first:stop], out[11, first:stop])
    _line(twice_moments(x, made, 24), long, 48, out[10, first:stop], out[12, first:stop])


@inner
def _line(made: Any, squares: Any, width: int, slope: Any, fit: Any) -> None:
    """Least-squares line through `width` log closes: slope over root mean square return, and R2."""
    middle = (width - 1) / 2
    sxx = width * (width * width - 1) / 12
    total, square, aged = made[0][width - 1 :], made[1][width - 1 :], made[2][width - 1 :]
    squares, slope, fit = squares[width - 1 :], slope[width - 1 :], fit[width - 1 :]
    for i in range(len(slope)):
        spread = math.sqrt(squares[i] / (width - 1))
        steep = (middle * total[i] - aged[i]) / sxx / spread
        slope[i] = steep if spread > 0 else 0.0
    for i in range(len(fit)):
        cross = middle * total[i] - aged[i]
        syy = square[i] - total[i] * total[i] / width
        part = cross * cross / (sxx * syy)
        fit[i] = (part if part < 1 else 1.0) if syy > 0 else 0.0


@inner
def _choppiness(high: Any, low: Any, ranges: Any, row: Any) -> None:
    width = 14
    path, most, least = window_sum(ranges, width), window_max(high, width), window_min(low, width)
    ratio = np.empty(len(high))
    for i in range(len(ratio)):
        span = most[i] - least[i]
        part = path[i] / span
        ratio[i] = part if span > 0 else float(width)
    put_logs(row, width, ratio, 100 / math.log(float(width)))
