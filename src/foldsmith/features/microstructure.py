"""What bars tell of spread, price impact and the side of trades, compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from foldsmith.features.compiled import entry, inner
from foldsmith.features.elementwise import (
    cut,
    growth,
    product,
    put,
    put_logs,
    put_ratios,
    put_roots,
    signs,
    sizes,
)
from foldsmith.features.logarithm import error_function, exponentials
from foldsmith.features.windows import REACH, TILE, differences, lagged_product, twice, window_sum

NOISE = 1e-12
"""A variance below this part of the mean square is rounding, and counts as none."""


@entry
def microstructure(prices: Any, logs: Any, volumes: Any, starts: Any, out: Any) -> None:
    """Fill `out` (15, n), rows in catalogue order. Block k is rows starts[k] to starts[k + 1].

    prices, logs : open, high, low and close, and their natural logs, (n,) each; volumes : contracts, (n,).
    """
    for k in range(len(starts) - 1):
        for at in range(starts[k], starts[k + 1], TILE):
            first, stop = max(at - REACH, starts[k]), min(at + TILE, starts[k + 1])
            part = cut(prices, first, stop)
            _, log_high, log_low, log_close = cut(logs, first, stop)
            v = volumes[first:stop].copy()
            v24 = window_sum(v, 24)
            v48 = twice(v24, 24)
            r, side = differences(log_close), signs(differences(part[3]))
            total = window_sum(r, 48)
            _roll(r, total, out[0, first:stop])
            _corwin_schultz(log_high, log_low, log_close, out[1, first:stop])
            _abdi_ranaldo(log_high, log_low, log_close, out[2, first:stop])
            root = np.empty(len(v))
            for i in range(len(v)):
                root[i] = math.sqrt(v[i])
            _impact(r, total, product(side, v), v48, out[3, first:stop])
            _impact(r, total, product(side, root), window_sum(root, 48), out[4, first:stop])
            _cost(r, log_high, log_low, v, v48, first, stop, out)
            _bulk(r, v, v48, first, stop, out)
            _sides(side, v, first, stop, out)
            _flow(part, v, v24, first, stop, out)


@inner
def _roll(r: Any, total: Any, row: Any) -> None:
    width = 48
    cross = window_sum(lagged_product(r, 1), width)[width + 1 :]
    now, before, row = total[width + 1 :], total[width:], row[width + 1 :]
    for i in range(len(row)):
        covariance = (cross[i] - now[i] * before[i] / width) / width
        row[i] = 2 * math.sqrt(-covariance if covariance < 0 else 0.0)


@inner
def _corwin_schultz(high: Any, low: Any, close: Any, row: Any) -> None:
    n, part = len(close), 3 - 2 * math.sqrt(2.0)
    both, square, alpha, spread = np.zeros(n), np.empty(n), np.zeros(n), np.zeros(n)
    for i in range(n):
        square[i] = (high[i] - low[i]) * (high[i] - low[i])
    high1, low1, both1 = high[1:], low[1:], both[1:]
    for i in range(len(both1)):
        # A jump between the two bars is no spread: the newer one is moved to touch the close before.
        above, below = low1[i] - close[i], high1[i] - close[i]
        jump = (above if above > 0 else 0.0) + (below if below < 0 else 0.0)
        top, bottom = high1[i] - jump, low1[i] - jump
        both1[i] = (top if top > high[i] else high[i]) - (bottom if bottom < low[i] else low[i])
    square1, both1, alpha1 = square[1:], both[1:], alpha[1:]
    for i in range(len(alpha1)):
        beta = square1[i] + square[i]
        a = (math.sqrt(2 * beta) - math.sqrt(beta)) / part - both1[i] / math.sqrt(part)
        alpha1[i] = a if a > 0 else 0.0
    power = exponentials(alpha)
    for i in range(n):
        spread[i] = 2 * (power[i] - 1) / (power[i] + 1)
    put(row, 24, window_sum(spread, 24), 1 / 24)


@inner
def _abdi_ranaldo(high: Any, low: Any, close: Any, row: Any) -> None:
    product_ = np.zeros(len(close))
    high1, low1, out1 = high[1:], low[1:], product_[1:]
    for i in range(len(out1)):
        before, now = (high[i] + low[i]) / 2, (high1[i] + low1[i]) / 2
        out1[i] = (close[i] - before) * (close[i] - now)
    put_roots(row, 24, window_sum(product_, 24), 4 / 24)


@inner
def _impact(r: Any, total: Any, signed: Any, size48: Any, row: Any) -> None:
    """Least-squares slope of r on signed size, times the mean size."""
    width = 48
    sx, sxy = window_sum(signed, width)[width:], window_sum(product(signed, r), width)[width:]
    sxx = window_sum(product(signed, signed), width)[width:]
    sy, size48, row = total[width:], size48[width:], row[width:]
    for i in range(len(row)):
        xx = sxx[i] - sx[i] * sx[i] / width
        slope = (sxy[i] - sx[i] * sy[i] / width) / xx * (size48[i] / width)
        row[i] = slope if xx > NOISE * sxx[i] else 0.0


@inner
def _cost(r: Any, high: Any, low: Any, v: Any, v48: Any, first: int, stop: int, out: Any) -> None:
    """Move and range per contract: Amihud's ratio, and how the range per contract changed."""
    width, n = 48, len(v)
    move, reach = np.empty(n), np.empty(n)
    for i in range(n):
        part = abs(r[i]) / v[i]
        move[i] = part if v[i] > 0 else 0.0
    for i in range(n):
        part = (high[i] - low[i]) / v[i]
        reach[i] = part if v[i] > 0 else 0.0
    put(out[5, first:stop], width, product(window_sum(move, width), v48), 1 / (width * width))
    short = window_sum(reach, 12)
    put_logs(out[6, first:stop], width - 1, growth(short, twice(twice(short, 12), 24), 4.0), 1.0)


@inner
def _bulk(r: Any, v: Any, v48: Any, first: int, stop: int, out: Any) -> None:
    """Volume split into bought and sold by how far the bar moved, in units of the volatility at the bar."""
    width, n = 48, len(v)
    square = window_sum(product(r, r), width)
    net = np.zeros(n)
    for i in range(n):
        z = r[i] / math.sqrt(2 * square[i] / width)
        net[i] = z if square[i] > 0 else 0.0
    # 2 Phi(z) - 1 = erf(z / sqrt(2)).
    part = error_function(net)
    for i in range(n):
        net[i] = v[i] * part[i]
    for i in range(min(width, n)):
        net[i] = 0.0
    short = window_sum(net, 12)
    put_ratios(out[8, first:stop], width + 11, short, window_sum(v, 12), 1.0, 0.0)
    put_ratios(out[7, first:stop], 2 * width - 1, window_sum(sizes(net), width), v48, 1.0, 0.0)
    put_ratios(out[9, first:stop], 2 * width - 1, twice(twice(short, 12), 24), v48, 1.0, 0.0)


@inner
def _sides(side: Any, v: Any, first: int, stop: int, out: Any) -> None:
    """How long bars keep to one side, by number and by volume, and how many take none."""
    width = 48
    signed, pair = product(side, v), lagged_product(side, 1)
    pairs, balance = window_sum(sizes(pair), width)[49:], window_sum(pair, width)[49:]
    cross, square = (
        window_sum(lagged_product(signed, 1), width)[49:],
        window_sum(product(signed, signed), width),
    )
    moves = window_sum(sizes(side), width)[48:]
    row = out[12, first:stop][48:]
    for i in range(len(row)):
        row[i] = 1 - moves[i] / width
    row = out[10, first:stop][49:]
    for i in range(len(row)):
        kept = (1 + balance[i] / pairs[i]) / 2
        row[i] = kept if pairs[i] > 0 else 0.5
    row, now, before = out[11, first:stop][49:], square[49:], square[48:]
    for i in range(len(row)):
        scale = math.sqrt(now[i]) * math.sqrt(before[i])
        part = cross[i] / scale
        row[i] = part if scale > 0 else 0.0


@inner
def _flow(prices: Any, v: Any, v24: Any, first: int, stop: int, out: Any) -> None:
    """The side of trades from highs and lows: wicks, and the volume at which the middle of the range moved."""
    open_, high, low, close = prices
    n = len(v)
    wicks, middle, span = np.empty(n), np.empty(n), np.empty(n)
    for i in range(n):
        o, c = open_[i], close[i]
        wicks[i] = ((o if o < c else c) - low[i]) - (high[i] - (o if o > c else c))
    for i in range(n):
        middle[i] = high[i] + low[i]
    for i in range(n):
        span[i] = high[i] - low[i]
    put_ratios(out[13, first:stop], 23, window_sum(wicks, 24), window_sum(span, 24), 1.0, 0.0)
    signed = product(signs(differences(middle)), v)
    put_ratios(out[14, first:stop], 24, window_sum(signed, 24), v24, 1.0, 0.0)
