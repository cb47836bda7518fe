"""Volume against its past and against price, compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from foldsmith.features.windows import differences, window_sum

NOISE = 1e-12
"""A variance below this part of the mean square is rounding, and counts as none."""


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def volume(
    prices: Any, logs: Any, volumes: Any, log_volume: Any, session: Any, starts: Any, out: Any
) -> None:
    """Fill `out` (11, n), rows in catalogue order. Block k is rows starts[k] to starts[k + 1].

    prices, logs : open, high, low and close, and their natural logs, (n,) each; log_volume : ln(1 + volume);
    session : day number, (n,).
    """
    for k in range(len(starts) - 1):
        begin, end = starts[k], starts[k + 1]
        high, low, close = prices[1][begin:end], prices[2][begin:end], prices[3][begin:end]
        v, lv = volumes[begin:end], log_volume[begin:end]
        typical = (high + low + close) / 3
        change = differences(close)
        _against_past(v, lv, begin, out)
        _balance(change, v, begin, out)
        _flow(typical, v, out[5, begin:end])
        _location(high, low, close, v, out[6, begin:end])
        _session_vwap(typical, close, v, session[begin:end], out[7, begin:end])
        _vwap(typical, close, v, out[8, begin:end])
        _illiquidity(logs[3][begin:end], v, out[9, begin:end])
        _correlation(logs[1][begin:end] - logs[2][begin:end], lv, out[10, begin:end])


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _against_past(v: Any, lv: Any, begin: int, out: Any) -> None:
    total, squares = window_sum(lv, 48), window_sum(lv * lv, 48)
    short, long = window_sum(v, 6), window_sum(v, 48)
    for i in range(1, len(v)):
        out[0, begin + i] = lv[i] - lv[i - 1]
    for i in range(47, len(v)):
        variance = (squares[i] - total[i] * total[i] / 48) / 48
        known = variance > NOISE * squares[i] / 48
        out[1, begin + i] = (lv[i] - total[i] / 48) / math.sqrt(variance) if known else 0.0
        out[2, begin + i] = math.log((1 + short[i] / 6) / (1 + long[i] / 48))


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc"})  # type: ignore[untyped-decorator, unused-ignore]
def _balance(change: Any, v: Any, begin: int, out: Any) -> None:
    width = 24
    signed = np.sign(change) * v
    net, total, last = window_sum(signed, width), window_sum(v, width), window_sum(v, width - 1)
    # Least-squares slope of the running balance, as weights of the signed volumes that it sums.
    weight = np.zeros(width)
    for j in range(width - 1, 0, -1):
        weight[j - 1] = (j - (width - 1) / 2) / (width * (width * width - 1) / 12)
        weight[j - 1] += weight[j]
    for i in range(width, len(v)):
        out[3, begin + i] = net[i] / total[i] if total[i] > 0 else 0.0
    for i in range(width - 1, len(v)):
        slope = 0.0
        window = signed[i - width + 2 : i + 1]
        for j in range(width - 1):
            slope += weight[j] * window[j]
        out[4, begin + i] = slope / (last[i] / (width - 1)) if last[i] > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _flow(typical: Any, v: Any, row: Any) -> None:
    up, down = np.zeros(len(v)), np.zeros(len(v))
    for i in range(1, len(v)):
        if typical[i] > typical[i - 1]:
            up[i] = typical[i] * v[i]
        elif typical[i] < typical[i - 1]:
            down[i] = typical[i] * v[i]
    ups, downs = window_sum(up, 14), window_sum(down, 14)
    for i in range(14, len(v)):
        total = ups[i] + downs[i]
        row[i] = 100 * ups[i] / total if total > 0 else 50.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _location(high: Any, low: Any, close: Any, v: Any, row: Any) -> None:
    flow = np.zeros(len(v))
    for i in range(len(v)):
        span = high[i] - low[i]
        if span > 0:
            flow[i] = v[i] * ((close[i] - low[i]) - (high[i] - close[i])) / span
    flows, total = window_sum(flow, 20), window_sum(v, 20)
    for i in range(19, len(v)):
        row[i] = flows[i] / total[i] if total[i] > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _session_vwap(typical: Any, close: Any, v: Any, session: Any, row: Any) -> None:
    value = total = 0.0
    for i in range(len(v)):
        if i > 0 and session[i] != session[i - 1]:
            value = total = 0.0
        value += typical[i] * v[i]
        total += v[i]
        row[i] = close[i] / (value / total) - 1 if total > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _vwap(typical: Any, close: Any, v: Any, row: Any) -> None:
    value, total = window_sum(typical * v, 24), window_sum(v, 24)
    for i in range(23, len(v)):
        row[i] = close[i] / (value[i] / total[i]) - 1 if total[i] > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _illiquidity(log_close: Any, v: Any, row: Any) -> None:
    cost = np.abs(differences(log_close))
    for i in range(len(v)):
        cost[i] = cost[i] / v[i] if v[i] > 0 else 0.0
    short, long = window_sum(cost, 12), window_sum(cost, 48)
    for i in range(48, len(v)):
        known = short[i] > 0 and long[i] > 0
        row[i] = math.log((short[i] / 12) / (long[i] / 48)) if known else 0.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _correlation(x: Any, y: Any, row: Any) -> None:
    width = 24
    sx, sy, sxy = window_sum(x, width), window_sum(y, width), window_sum(x * y, width)
    sxx, syy = window_sum(x * x, width), window_sum(y * y, width)
    for i in range(width - 1, len(x)):
        xx, yy = sxx[i] - sx[i] * sx[i] / width, syy[i] - sy[i] * sy[i] / width
        if xx > NOISE * sxx[i] and yy > NOISE * syy[i]:
            r = (sxy[i] - sx[i] * sy[i] / width) / (math.sqrt(xx) * math.sqrt(yy))
            row[i] = min(max(r, -1.0), 1.0)
        else:
            row[i] = 0.0
