"""Where volume went: behind moves, behind ranges, and around its own mean price, compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from foldsmith.features.windows import FLOOR, differences, ema, true_range, wilder, window_max, window_sum

STILL = 1e-9
"""A spread of prices below this part of the close is rounding, and counts as none."""


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def flow(prices: Any, logs: Any, volumes: Any, session: Any, starts: Any, out: Any) -> None:
    """Fill `out` (9, n), rows in catalogue order. Block k is rows starts[k] to starts[k + 1].

    prices, logs : open, high, low and close, and their natural logs, (n,) each; volumes : (n,);
    session : day number, (n,).
    """
    for k in range(len(starts) - 1):
        begin, end = starts[k], starts[k + 1]
        high, low, close = prices[1][begin:end], prices[2][begin:end], prices[3][begin:end]
        v = volumes[begin:end]
        unit = np.maximum(wilder(true_range(high, low, close), 14), FLOOR * close)
        typical = (high + low + close) / 3
        _force(close, v, unit, out[0, begin:end])
        _ease(high, low, v, unit, out[1, begin:end])
        _of_returns(logs[3][begin:end], v, begin, out)
        _concentration(v, out[5, begin:end])
        _vwap_slope(typical, v, unit, out[6, begin:end])
        _session_band(typical, close, v, session[begin:end], out[8, begin:end])


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _force(close: Any, v: Any, unit: Any, row: Any) -> None:
    force, mean = ema(differences(close) * v, 13, 1), ema(v, 13, 1)
    for i in range(14, len(close)):
        row[i] = force[i] / mean[i] / unit[i] if mean[i] > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _ease(high: Any, low: Any, v: Any, unit: Any, row: Any) -> None:
    move = differences((high + low) / 2)
    for i in range(len(v)):
        move[i] = move[i] * (high[i] - low[i]) / v[i] if v[i] > 0 else 0.0
    moves, total = window_sum(move, 14), window_sum(v, 14)
    for i in range(14, len(v)):
        row[i] = moves[i] / 14 * (total[i] / 14) / unit[i] / unit[i]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _of_returns(log_close: Any, v: Any, begin: int, out: Any) -> None:
    n = len(v)
    r = differences(log_close)
    square = r * r
    fewer, more = np.zeros(n), np.zeros(n)
    for i in range(1, n):
        if v[i] < v[i - 1]:
            fewer[i] = r[i]
        elif v[i] > v[i - 1]:
            more[i] = r[i]
    weighted, weighted2, total = window_sum(r * v, 24), window_sum(square * v, 24), window_sum(v, 24)
    falls, rises, squares = window_sum(fewer, 24), window_sum(more, 24), window_sum(square, 24)
    for i in range(24, n):
        path, mean = math.sqrt(squares[i]), math.sqrt(squares[i] / 24)
        known = squares[i] > 0 and total[i] > 0
        out[2, begin + i] = weighted[i] / total[i] / mean if known else 0.0
        out[3, begin + i] = falls[i] / path if squares[i] > 0 else 0.0
        out[4, begin + i] = rises[i] / path if squares[i] > 0 else 0.0
        ratio = weighted2[i] / total[i] / (squares[i] / 24) if known else 1.0
        out[7, begin + i] = math.sqrt(ratio)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _concentration(v: Any, row: Any) -> None:
    most, total = window_max(v, 24), window_sum(v, 24)
    for i in range(23, len(v)):
        row[i] = most[i] / total[i] if total[i] > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _vwap_slope(typical: Any, v: Any, unit: Any, row: Any) -> None:
    value, total = window_sum(typical * v, 24), window_sum(v, 24)
    for i in range(29, len(v)):
        known = total[i] > 0 and total[i - 6] > 0
        row[i] = (value[i] / total[i] - value[i - 6] / total[i - 6]) / unit[i] if known else 0.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _session_band(typical: Any, close: Any, v: Any, session: Any, row: Any) -> None:
    total = mean = square = 0.0
    for i in range(len(v)):
        if i > 0 and session[i] != session[i - 1]:
            total = mean = square = 0.0
        if v[i] > 0:
            # West's update: the squares of prices themselves would drown the spread in rounding.
            if total == 0:
                mean = typical[i]
            total += v[i]
            away = typical[i] - mean
            mean += away * v[i] / total
            square += v[i] * away * (typical[i] - mean)
        spread = math.sqrt(max(square, 0.0) / total) if total > 0 else 0.0
        row[i] = (close[i] - mean) / spread if spread > STILL * close[i] else 0.0
