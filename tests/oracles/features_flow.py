"""Slow, obvious twins of the families `variation` and `flow`."""

from __future__ import annotations

import math

import numpy as np
from tests.oracles.features import Bars, Value, ema, last, ratio, returns, so_far
from tests.oracles.features_average import unit


def variation(b: Bars) -> dict[str, tuple[int, Value]]:
    o, h, low, c = (np.log(b[name]) for name in ("open", "high", "low", "close"))
    high, lows = b["high"], b["low"]
    r, span = returns(b), h - low

    def bipower(i: int) -> float:
        return math.pi / 2 * float(np.mean([abs(r[k] * r[k - 1]) for k in range(i - 46, i + 1)]))

    def jump_share(i: int) -> float:
        total = np.mean(last(r, i, 48) ** 2)
        return max(1 - bipower(i) / total, 0) if total > 0 else 0.0

    def median_volatility(i: int) -> float:
        medians = [np.median(np.abs(last(r, k, 3))) ** 2 for k in range(i - 45, i + 1)]
        return math.sqrt(math.pi / (6 - 4 * math.sqrt(3) + math.pi) * float(np.mean(medians)))

    def parkinson_ratio(i: int) -> float:
        inside = np.mean(last(span, i, 48) ** 2) / (4 * math.log(2))
        between = np.mean(last(r, i, 48) ** 2)
        return math.log(math.sqrt(inside / between)) if inside > 0 and between > 0 else 0.0

    def range_variation(i: int) -> float:
        window = last(span, i, 48)
        return 0.0 if np.ptp(window) < 1e-12 else float(window.std() / window.mean())

    def range_share(i: int) -> float:
        short, long = (last(high, i, n).max() - last(lows, i, n).min() for n in (12, 48))
        return ratio(short, long, 1)

    def correlation(i: int) -> float:
        x, y = np.diff(last(h, i, 25)), np.diff(last(low, i, 25))
        return 0.0 if np.ptp(x) < 1e-12 or np.ptp(y) < 1e-12 else float(np.corrcoef(x, y)[0, 1])

    def gap_share(i: int) -> float:
        gaps = np.abs(last(o, i, 48) - last(c, i - 1, 48)).sum()
        return ratio(gaps, gaps + np.abs(last(c - o, i, 48)).sum(), 0)

    def ulcer(i: int) -> float:
        return math.sqrt(np.mean([(c[k] - last(c, k, 24).max()) ** 2 for k in range(i - 23, i + 1)]))

    return {
        "bipower_48": (48, lambda i: math.sqrt(bipower(i))),
        "jump_share_48": (48, jump_share),
        "median_volatility_48": (48, median_volatility),
        "parkinson_ratio_48": (48, parkinson_ratio),
        "range_variation_48": (47, range_variation),
        "donchian_width_24": (23, lambda i: math.log(last(high, i, 24).max() / last(lows, i, 24).min())),
        "range_share_12_48": (47, range_share),
        "high_low_correlation_24": (24, correlation),
        "gap_share_48": (48, gap_share),
        "ulcer_24": (46, ulcer),
    }


def flow(b: Bars) -> dict[str, tuple[int, Value]]:
    h, low, c, v = (b[name] for name in ("high", "low", "close", "volume"))
    r, size, middle, typical = returns(b), unit(b), (h + low) / 2, (h + low + c) / 3
    change = np.r_[np.nan, np.diff(c)]
    force, mean = ema(change * v, 13, 1), ema(v, 13, 1)
    rise = np.r_[np.nan, np.diff(v)]

    def ease(i: int) -> float:
        moves = [ratio((middle[k] - middle[k - 1]) * (h[k] - low[k]), v[k], 0) for k in range(i - 13, i + 1)]
        return float(np.mean(moves) * last(v, i, 14).mean() / size[i] ** 2)

    def weighted_return(i: int) -> float:
        moves, weights = last(r, i, 24), last(v, i, 24)
        if not weights.any():
            return 0.0
        return ratio(float(np.average(moves, weights=weights)), math.sqrt(np.mean(moves**2)), 0)

    def at_volume(i: int, sign: int) -> float:
        moves = last(r, i, 24)
        return ratio(moves[np.sign(last(rise, i, 24)) == sign].sum(), math.sqrt((moves**2).sum()), 0)

    def vwap(i: int) -> float:
        return float(np.average(last(typical, i, 24), weights=last(v, i, 24)))

    def vwap_slope(i: int) -> float:
        known = last(v, i, 24).any() and last(v, i - 6, 24).any()
        return (vwap(i) - vwap(i - 6)) / size[i] if known else 0.0

    def weighted_volatility(i: int) -> float:
        squares, weights = last(r, i, 24) ** 2, last(v, i, 24)
        if not (squares.any() and weights.any()):
            return 1.0
        return math.sqrt(np.average(squares, weights=weights) / squares.mean())

    def band(i: int) -> float:
        rows = so_far(b, i)
        if not v[rows].any():
            return 0.0
        middle = np.average(typical[rows], weights=v[rows])
        spread = math.sqrt(np.average((typical[rows] - middle) ** 2, weights=v[rows]))
        return float((c[i] - middle) / spread) if spread > 1e-9 * c[i] else 0.0

    return {
        "force_index_13": (14, lambda i: ratio(force[i], mean[i] * size[i], 0)),
        "ease_of_movement_14": (14, ease),
        "volume_weighted_return_24": (24, weighted_return),
        "negative_volume_24": (24, lambda i: at_volume(i, -1)),
        "positive_volume_24": (24, lambda i: at_volume(i, 1)),
        "volume_concentration_24": (23, lambda i: ratio(last(v, i, 24).max(), last(v, i, 24).sum(), 0)),
        "vwap_slope_24": (29, vwap_slope),
        "volume_weighted_volatility_24": (24, weighted_volatility),
        "session_vwap_band": (0, band),
    }
