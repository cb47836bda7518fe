"""Volume against its past and against price, compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from foldsmith.features.compiled import entry, inner
from foldsmith.features.elementwise import (
    NOISE,
    cut,
    growth,
    product,
    put_correlations,
    put_logs,
    put_ratios,
    signs,
    sizes,
    typical_prices,
)
from foldsmith.features.windows import REACH, TILE, differences, lagged_sum, moments, twice, window_sum


@entry
def volume(
    prices: Any, logs: Any, volumes: Any, log_volume: Any, session: Any, starts: Any, out: Any
) -> None:
    """Fill `out` (11, n), rows in catalogue order. Block k is rows starts[k] to starts[k + 1].

    prices, logs : open, high, low and close, and their natural logs, (n,) each; log_volume : ln(1 + volume);
    session : day number, (n,).
    """
    for k in range(len(starts) - 1):
        value = total = 0.0
        for at in range(starts[k], starts[k + 1], TILE):
            first, stop = max(at - REACH, starts[k]), min(at + TILE, starts[k + 1])
            _, high, low, close = cut(prices, first, stop)
            _, log_high, log_low, log_close = cut(logs, first, stop)
            v, lv = volumes[first:stop].copy(), log_volume[first:stop].copy()
            typical = typical_prices(high, low, close)
            v6 = window_sum(v, 6)
            v24 = twice(twice(v6, 6), 12)
            lv24 = window_sum(lv, 24), window_sum(product(lv, lv), 24)
            _against_past(lv, lv24, v6, twice(v24, 24), first, stop, out)
            _balance(differences(close), v, v24, out[3, first:stop], out[4, first:stop])
            money = product(typical, v)
            _flow(typical, money, out[5, first:stop])
            _location(high, low, close, v, out[6, first:stop])
            where = at - first
            value, total = _session_vwap(
                money[where:], close[where:], v[where:], session[max(at - 1, 0) : stop],
                at - max(at - 1, 0), value, total, out[7, at:stop],
            )  # fmt: skip
            _vwap(window_sum(money, 24), v24, close, out[8, first:stop])
            _illiquidity(log_close, v, out[9, first:stop])
            for i in range(len(log_high)):
                log_high[i] -= log_low[i]
            _correlation(log_high, lv, lv24, out[10, first:stop])


@inner
def _against_past(lv: Any, lv24: Any, v6: Any, v48: Any, first: int, stop: int, out: Any) -> None:
    row, now = out[0, first:stop][1:], lv[1:]
    for i in range(len(row)):
        row[i] = now[i] - lv[i]
    total, squares, now = twice(lv24[0], 24)[47:], twice(lv24[1], 24)[47:], lv[47:]
    row = out[1, first:stop][47:]
    for i in range(len(row)):
        variance = (squares[i] - total[i] * total[i] / 48) / 48
        z = (now[i] - total[i] / 48) / math.sqrt(variance)
        row[i] = z if variance > NOISE * squares[i] / 48 else 0.0
    ratio = np.empty(len(lv))
    for i in range(len(ratio)):
        ratio[i] = (1 + v6[i] / 6) / (1 + v48[i] / 48)
    put_logs(out[2, first:stop], 47, ratio, 1.0)


@inner
def _balance(change: Any, v: Any, v24: Any, net_row: Any, slope_row: Any) -> None:
    width, n = 24, len(v)
    signed = product(signs(change), v)
    put_ratios(net_row, width, window_sum(signed, width), v24, 1.0, 0.0)
    # The running balance, whose slope does not depend on where it began.
    balance, run = np.empty(n), 0.0
    for i in range(n):
        run += signed[i]
        balance[i] = run
    total, _, aged = moments(balance, width, False, True)
    middle, sxx = (width - 1) / 2, width * (width * width - 1) / 12
    for i in range(n):
        total[i] = (middle * total[i] - aged[i]) / sxx
    # It sums the volumes of all bars of the window but the oldest.
    put_ratios(slope_row, width - 1, total, window_sum(v, width - 1), width - 1.0, 0.0)


@inner
def _flow(typical: Any, money: Any, row: Any) -> None:
    n = len(typical)
    up, down = np.zeros(n), np.zeros(n)
    now, sums, up1, down1 = typical[1:], money[1:], up[1:], down[1:]
    for i in range(len(up1)):
        up1[i] = sums[i] if now[i] > typical[i] else 0.0
    for i in range(len(down1)):
        down1[i] = sums[i] if now[i] < typical[i] else 0.0
    ups = window_sum(up, 14)
    put_ratios(row, 14, ups, lagged_sum(ups, window_sum(down, 14), 0), 100.0, 50.0)


@inner
def _location(high: Any, low: Any, close: Any, v: Any, row: Any) -> None:
    flow = np.empty(len(v))
    for i in range(len(v)):
        span = high[i] - low[i]
        part = v[i] * ((close[i] - low[i]) - (high[i] - close[i])) / span
        flow[i] = part if span > 0 else 0.0
    put_ratios(row, 19, window_sum(flow, 20), window_sum(v, 20), 1.0, 0.0)


@inner
def _session_vwap(
    money: Any, close: Any, v: Any, session: Any, known: int, value: float, total: float, row: Any
) -> Any:
    """From row `at` of the table on; `session` begins `known` rows before. Returns the running sums."""
    day = session[known:]
    for i in range(len(row)):
        last = day[i - 1] if i > 0 else session[0]
        if day[i] != last:
            value = total = 0.0
        value += money[i]
        total += v[i]
        part = close[i] / (value / total) - 1
        row[i] = part if total > 0 else 0.0
    return value, total


@inner
def _vwap(value: Any, total: Any, close: Any, row: Any) -> None:
    value, total, close, row = value[23:], total[23:], close[23:], row[23:]
    for i in range(len(row)):
        part = close[i] / (value[i] / total[i]) - 1
        row[i] = part if total[i] > 0 else 0.0


@inner
def _illiquidity(log_close: Any, v: Any, row: Any) -> None:
    cost = sizes(differences(log_close))
    for i in range(len(v)):
        part = cost[i] / v[i]
        cost[i] = part if v[i] > 0 else 0.0
    short = window_sum(cost, 12)
    put_logs(row, 48, growth(short, twice(twice(short, 12), 24), 4.0), 1.0)


@inner
def _correlation(x: Any, y: Any, y24: Any, row: Any) -> None:
    sums = window_sum(x, 24), window_sum(product(x, x), 24), window_sum(product(x, y), 24)
    put_correlations(row, 23, sums[0], sums[1], y24[0], y24[1], sums[2])
