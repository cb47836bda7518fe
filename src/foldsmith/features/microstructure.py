"""What bars tell of spread, price impact and the side of trades, compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from foldsmith.features.windows import differences, window_sum

NOISE = 1e-12
"""A variance below this part of the mean square is rounding, and counts as none."""


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def microstructure(prices: Any, logs: Any, volumes: Any, starts: Any, out: Any) -> None:
    """Fill `out` (15, n), rows in catalogue order. Block k is rows starts[k] to starts[k + 1].

    prices, logs : open, high, low and close, and their natural logs, (n,) each; volumes : contracts, (n,).
    """
    for k in range(len(starts) - 1):
        begin, end = starts[k], starts[k + 1]
        high, low = prices[1][begin:end], prices[2][begin:end]
        # A copy: the sums are then compiled for one kind of array alone.
        v = volumes[begin:end].copy()
        r = differences(logs[3][begin:end])
        side = np.sign(differences(prices[3][begin:end]))
        _roll(r, out[0, begin:end])
        _corwin_schultz(logs[1][begin:end], logs[2][begin:end], logs[3][begin:end], out[1, begin:end])
        _abdi_ranaldo(logs[1][begin:end], logs[2][begin:end], logs[3][begin:end], out[2, begin:end])
        _impact(r, side * v, v, out[3, begin:end])
        _impact(r, side * np.sqrt(v), np.sqrt(v), out[4, begin:end])
        _cost(r, logs[1][begin:end] - logs[2][begin:end], v, begin, out)
        _bulk(r, v, begin, out)
        _sides(side, v, begin, out)
        _flow(prices[0][begin:end], high, low, prices[3][begin:end], v, begin, out)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _roll(r: Any, row: Any) -> None:
    width = 48
    product = np.zeros(len(r))
    for i in range(1, len(r)):
        product[i] = r[i] * r[i - 1]
    cross, total = window_sum(product, width), window_sum(r, width)
    for i in range(width + 1, len(r)):
        covariance = (cross[i] - total[i] * total[i - 1] / width) / width
        row[i] = 2 * math.sqrt(max(-covariance, 0.0))


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _corwin_schultz(high: Any, low: Any, close: Any, row: Any) -> None:
    width, part = 24, 3 - 2 * math.sqrt(2.0)
    spread = np.zeros(len(close))
    for i in range(1, len(close)):
        # A jump between the two bars is no spread: the newer one is moved to touch the close before.
        jump = max(low[i] - close[i - 1], 0.0) + min(high[i] - close[i - 1], 0.0)
        both = max(high[i] - jump, high[i - 1]) - min(low[i] - jump, low[i - 1])
        beta = (high[i] - low[i]) ** 2 + (high[i - 1] - low[i - 1]) ** 2
        alpha = (math.sqrt(2 * beta) - math.sqrt(beta)) / part - both / math.sqrt(part)
        # 2 (exp(a) - 1) / (exp(a) + 1), without overflow.
        spread[i] = 2 * math.tanh(max(alpha, 0.0) / 2)
    total = window_sum(spread, width)
    for i in range(width, len(close)):
        row[i] = total[i] / width


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _abdi_ranaldo(high: Any, low: Any, close: Any, row: Any) -> None:
    width = 24
    product = np.zeros(len(close))
    for i in range(1, len(close)):
        before, now = (high[i - 1] + low[i - 1]) / 2, (high[i] + low[i]) / 2
        product[i] = (close[i - 1] - before) * (close[i - 1] - now)
    total = window_sum(product, width)
    for i in range(width, len(close)):
        row[i] = 2 * math.sqrt(max(total[i] / width, 0.0))


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _impact(r: Any, signed: Any, size: Any, row: Any) -> None:
    """Least-squares slope of r on signed size, times the mean size."""
    width = 48
    sx, sy, sxy = window_sum(signed, width), window_sum(r, width), window_sum(signed * r, width)
    sxx, sizes = window_sum(signed * signed, width), window_sum(size, width)
    for i in range(width, len(r)):
        xx = sxx[i] - sx[i] * sx[i] / width
        known = xx > NOISE * sxx[i]
        row[i] = (sxy[i] - sx[i] * sy[i] / width) / xx * (sizes[i] / width) if known else 0.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _cost(r: Any, span: Any, v: Any, begin: int, out: Any) -> None:
    """Move and range per contract: Amihud's ratio, and how the range per contract changed."""
    width = 48
    move, reach = np.zeros(len(v)), np.zeros(len(v))
    for i in range(len(v)):
        if v[i] > 0:
            move[i] = abs(r[i]) / v[i]
            reach[i] = span[i] / v[i]
    moves, sizes = window_sum(move, width), window_sum(v, width)
    short, long = window_sum(reach, 12), window_sum(reach, width)
    for i in range(width, len(v)):
        out[5, begin + i] = (moves[i] / width) * (sizes[i] / width)
    for i in range(width - 1, len(v)):
        known = short[i] > 0 and long[i] > 0
        out[6, begin + i] = math.log((short[i] / 12) / (long[i] / width)) if known else 0.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _bulk(r: Any, v: Any, begin: int, out: Any) -> None:
    """Volume split into bought and sold by how far the bar moved, in units of the volatility at the bar."""
    width = 48
    square = window_sum(r * r, width)
    net = np.zeros(len(v))
    for i in range(width, len(v)):
        if square[i] > 0:
            # 2 Phi(z) - 1 = erf(z / sqrt(2)).
            net[i] = v[i] * math.erf(r[i] / math.sqrt(2 * square[i] / width))
    toxic, sizes = window_sum(np.abs(net), width), window_sum(v, width)
    short, long, short_sizes = window_sum(net, 12), window_sum(net, width), window_sum(v, 12)
    for i in range(width + 11, len(v)):
        out[8, begin + i] = short[i] / short_sizes[i] if short_sizes[i] > 0 else 0.0
    for i in range(2 * width - 1, len(v)):
        out[7, begin + i] = toxic[i] / sizes[i] if sizes[i] > 0 else 0.0
        out[9, begin + i] = long[i] / sizes[i] if sizes[i] > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _sides(side: Any, v: Any, begin: int, out: Any) -> None:
    """How long bars keep to one side, by number and by volume, and how many take none."""
    width = 48
    signed = side * v
    pair, product = np.zeros(len(v)), np.zeros(len(v))
    for i in range(1, len(v)):
        pair[i] = side[i] * side[i - 1]
        product[i] = signed[i] * signed[i - 1]
    balance, pairs = window_sum(pair, width), window_sum(np.abs(pair), width)
    cross, square = window_sum(product, width), window_sum(signed * signed, width)
    moves = window_sum(np.abs(side), width)
    for i in range(width, len(v)):
        out[12, begin + i] = 1 - moves[i] / width
    for i in range(width + 1, len(v)):
        out[10, begin + i] = (1 + balance[i] / pairs[i]) / 2 if pairs[i] > 0 else 0.5
        scale = math.sqrt(square[i]) * math.sqrt(square[i - 1])
        out[11, begin + i] = cross[i] / scale if scale > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _flow(open_: Any, high: Any, low: Any, close: Any, v: Any, begin: int, out: Any) -> None:
    """The side of trades from highs and lows: wicks, and the volume at which the middle of the range moved."""
    width = 24
    wicks, signed = np.zeros(len(v)), np.zeros(len(v))
    for i in range(len(v)):
        wicks[i] = (min(open_[i], close[i]) - low[i]) - (high[i] - max(open_[i], close[i]))
        if i > 0:
            signed[i] = v[i] * np.sign((high[i] + low[i]) - (high[i - 1] + low[i - 1]))
    wick, span = window_sum(wicks, width), window_sum(high - low, width)
    net, sizes = window_sum(signed, width), window_sum(v, width)
    for i in range(width - 1, len(v)):
        out[13, begin + i] = wick[i] / span[i] if span[i] > 0 else 0.0
    for i in range(width, len(v)):
        out[14, begin + i] = net[i] / sizes[i] if sizes[i] > 0 else 0.0
