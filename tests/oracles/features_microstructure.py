"""Slow, obvious twins of the family `microstructure`: plain Python and numpy, one bar at a time."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
from tests.oracles.features import Bars, Value, last, ratio, returns


def microstructure(b: Bars) -> dict[str, tuple[int, Value]]:
    h, low, c = (np.log(b[name]) for name in ("high", "low", "close"))
    r, v = returns(b), b["volume"]
    side = np.r_[np.nan, np.sign(np.diff(b["close"]))]
    span = h - low

    def roll(i: int) -> float:
        return 2 * math.sqrt(max(-np.cov(last(r, i, 48), last(r, i - 1, 48), ddof=0)[0, 1], 0))

    def two_bars(i: int) -> float:
        jump = 0.0
        if low[i] > c[i - 1]:
            jump = low[i] - c[i - 1]
        if h[i] < c[i - 1]:
            jump = h[i] - c[i - 1]
        gamma = (max(h[i] - jump, h[i - 1]) - min(low[i] - jump, low[i - 1])) ** 2
        beta, k = span[i] ** 2 + span[i - 1] ** 2, 3 - 2 * math.sqrt(2)
        alpha = (math.sqrt(2 * beta) - math.sqrt(beta)) / k - math.sqrt(gamma / k)
        return max(2 * (math.exp(alpha) - 1) / (1 + math.exp(alpha)), 0)

    def abdi_ranaldo(i: int) -> float:
        middle = (h + low) / 2
        products = [(c[k - 1] - middle[k - 1]) * (c[k - 1] - middle[k]) for k in range(i - 23, i + 1)]
        return math.sqrt(max(4 * np.mean(products), 0))

    def slope(i: int, size: Any) -> float:
        x, y = last(side * size, i, 48), last(r, i, 48)
        if np.ptp(x) == 0:
            return 0.0
        return float(np.polynomial.polynomial.polyfit(x, y, 1)[1] * last(size, i, 48).mean())

    def per_contract(x: Any) -> Any:
        return np.array([x[k] / v[k] if v[k] > 0 else 0.0 for k in range(len(v))])

    def range_per_volume(i: int) -> float:
        x = per_contract(span)
        short, long = last(x, i, 12).mean(), last(x, i, 48).mean()
        return math.log(short / long) if short > 0 else 0.0

    net = np.full(len(v), np.nan)
    for i in range(48, len(v)):
        spread = math.sqrt(np.mean(last(r, i, 48) ** 2))
        bought = NormalDist().cdf(r[i] / spread) if spread > 0 else 0.5
        net[i] = v[i] * bought - v[i] * (1 - bought)

    def persistence(i: int) -> float:
        pairs = [(side[k], side[k - 1]) for k in range(i - 47, i + 1) if side[k] and side[k - 1]]
        return sum(a == z for a, z in pairs) / len(pairs) if pairs else 0.5

    def signed_autocorrelation(i: int) -> float:
        now, before = last(side * v, i, 48), last(side * v, i - 1, 48)
        return ratio((now * before).sum(), math.sqrt((now**2).sum() * (before**2).sum()), 0)

    def wicks(i: int) -> float:
        rows = range(i - 23, i + 1)
        lower = sum(min(b["open"][k], b["close"][k]) - b["low"][k] for k in rows)
        upper = sum(b["high"][k] - max(b["open"][k], b["close"][k]) for k in rows)
        return ratio(lower - upper, sum(b["high"][k] - b["low"][k] for k in rows), 0)

    def midrange(i: int) -> float:
        middle = b["high"] + b["low"]
        flow = [v[k] * np.sign(middle[k] - middle[k - 1]) for k in range(i - 23, i + 1)]
        return ratio(sum(flow), last(v, i, 24).sum(), 0)

    return {
        "roll_spread_48": (49, roll),
        "corwin_schultz_24": (24, lambda i: float(np.mean([two_bars(k) for k in range(i - 23, i + 1)]))),
        "abdi_ranaldo_24": (24, abdi_ranaldo),
        "kyle_lambda_48": (48, lambda i: slope(i, v)),
        "hasbrouck_lambda_48": (48, lambda i: slope(i, np.sqrt(v))),
        "amihud_48": (48, lambda i: float(last(per_contract(abs(r)), i, 48).mean() * last(v, i, 48).mean())),
        "range_per_volume_12_48": (47, range_per_volume),
        "vpin_48": (95, lambda i: ratio(abs(last(net, i, 48)).sum(), last(v, i, 48).sum(), 0)),
        "bulk_imbalance_12": (59, lambda i: ratio(last(net, i, 12).sum(), last(v, i, 12).sum(), 0)),
        "bulk_imbalance_48": (95, lambda i: ratio(last(net, i, 48).sum(), last(v, i, 48).sum(), 0)),
        "side_persistence_48": (49, persistence),
        "signed_volume_autocorrelation_48": (49, signed_autocorrelation),
        "zero_return_share_48": (48, lambda i: float(np.mean(last(side, i, 48) == 0))),
        "wick_imbalance_24": (23, wicks),
        "midrange_flow_24": (24, midrange),
    }
