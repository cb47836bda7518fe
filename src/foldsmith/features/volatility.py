"""How much prices moved, by several estimators, and the form of the moves, compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from foldsmith.features.compiled import entry, inner
from foldsmith.features.elementwise import cut, product, put_logs, put_ratios, put_roots
from foldsmith.features.windows import REACH, TILE, differences, moments, true_range, twice, window_sum


@entry
def volatility(prices: Any, logs: Any, average: Any, starts: Any, out: Any) -> None:
    """Fill `out` (14, n), rows in catalogue order. Block k is rows starts[k] to starts[k + 1].

    prices, logs : open, high, low and close, and their natural logs, (n,) each; average : true range, (n,).
    """
    for k in range(len(starts) - 1):
        for at in range(starts[k], starts[k + 1], TILE):
            first, stop = max(at - REACH, starts[k]), min(at + TILE, starts[k + 1])
            _, high, low, close = cut(prices, first, stop)
            part = cut(logs, first, stop)
            _of_returns(part[3], first, stop, out)
            _of_ranges(part, first, stop, out)
            put_ratios(out[6, first:stop], 14, average[first:stop].copy(), close, 1.0, 0.0)
            ranges = true_range(high, low, close)
            put_ratios(out[7, first:stop], 24, ranges, window_sum(ranges, 24), 24.0, 1.0)
            _band(close, out[9, first:stop], out[13, first:stop])


@inner
def _of_returns(log_close: Any, first: int, stop: int, out: Any) -> None:
    r = differences(log_close)
    square = product(r, r)
    six = window_sum(square, 6)
    twelve = twice(six, 6)
    long = twice(twice(twelve, 12), 24)
    falls = np.empty(len(r))
    for i in range(len(r)):
        falls[i] = square[i] if r[i] < 0 else 0.0
    put_roots(out[0, first:stop], 12, twelve, 1 / 12)
    put_roots(out[1, first:stop], 48, long, 1 / 48)
    ratio = np.empty(len(r))
    for i in range(len(r)):
        part = (six[i] / 6) / (long[i] / 48)
        ratio[i] = part if (six[i] > 0) & (long[i] > 0) else 1.0
    put_logs(out[8, first:stop], 48, ratio, 0.5)
    put_ratios(out[10, first:stop], 48, window_sum(falls, 48), long, 1.0, 0.5)
    _moments(r, square, long, out[11, first:stop], out[12, first:stop])


@inner
def _moments(r: Any, square: Any, long: Any, skew: Any, kurtosis: Any) -> None:
    third, fourth = window_sum(product(square, r), 48), window_sum(product(square, square), 48)
    third, fourth, long, skew, kurtosis = third[48:], fourth[48:], long[48:], skew[48:], kurtosis[48:]
    # Moves too small for their fourth power to be a number count as none.
    for i in range(len(skew)):
        part = math.sqrt(48.0) * third[i] / (long[i] * math.sqrt(long[i]))
        skew[i] = part if long[i] > 1e-60 else 0.0
    for i in range(len(kurtosis)):
        part = 48 * fourth[i] / (long[i] * long[i])
        kurtosis[i] = part if long[i] > 1e-60 else 3.0


@inner
def _of_ranges(logs: Any, first: int, stop: int, out: Any) -> None:
    open_, high, low, close = logs
    n, width = len(close), 24
    body, square = np.empty(n), np.empty(n)
    for i in range(n):
        body[i] = close[i] - open_[i]
    for i in range(n):
        square[i] = (high[i] - low[i]) * (high[i] - low[i])
    bodies2 = product(body, body)
    garman, rogers, gap = np.empty(n), np.empty(n), np.zeros(n)
    for i in range(n):
        garman[i] = 0.5 * square[i] - (2 * math.log(2.0) - 1) * bodies2[i]
    for i in range(n):
        up, down = high[i] - open_[i], low[i] - open_[i]
        rogers[i] = up * (up - body[i]) + down * (down - body[i])
    opened, out1 = open_[1:], gap[1:]
    for i in range(len(out1)):
        out1[i] = opened[i] - close[i]
    put_roots(out[2, first:stop], width - 1, window_sum(square, width), 1 / (4 * math.log(2.0) * width))
    put_roots(out[3, first:stop], width - 1, window_sum(garman, width), 1 / width)
    rs = window_sum(rogers, width)
    put_roots(out[4, first:stop], width - 1, rs, 1 / width)
    overnight = _variance(window_sum(product(gap, gap), width), window_sum(gap, width), width)
    inside = _variance(window_sum(bodies2, width), window_sum(body, width), width)
    k = 0.34 / (1.34 + (width + 1) / (width - 1))
    row, overnight, inside, rs = out[5, first:stop][width:], overnight[width:], inside[width:], rs[width:]
    for i in range(len(row)):
        drift = rs[i] if rs[i] > 0 else 0.0
        row[i] = math.sqrt(overnight[i] + k * inside[i] + (1 - k) * drift / width)


@inner
def _variance(squares: Any, total: Any, width: int) -> Any:
    """Sample variances from window sums, 0 where rounding leaves less."""
    out = np.empty(len(total))
    for i in range(len(out)):
        left = squares[i] - total[i] * total[i] / width
        out[i] = (left if left > 0 else 0.0) / (width - 1)
    return out


@inner
def _band(close: Any, width_row: Any, position: Any) -> None:
    width = 20
    total, squares, _ = moments(close, width, True, False)
    deviation = np.empty(len(close))
    for i in range(len(close)):
        left = squares[i] - total[i] * total[i] / width
        deviation[i] = math.sqrt((left if left > 0 else 0.0) / width)
    deviation, total, close = deviation[width - 1 :], total[width - 1 :], close[width - 1 :]
    width_row, position = width_row[width - 1 :], position[width - 1 :]
    for i in range(len(width_row)):
        width_row[i] = 4 * deviation[i] / (close[i] + total[i] / width)
    for i in range(len(position)):
        part = -total[i] / width / (2 * deviation[i])
        position[i] = part if deviation[i] > 0 else 0.0
