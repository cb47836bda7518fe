"""Slow, obvious twins of the families `average` and `oscillator`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from tests.oracles.features import Bars, Value, ema, last, ranges, ratio, returns, wilder


def unit(b: Bars) -> Any:
    return np.maximum(wilder(ranges(b), 14), 1e-6 * b["close"])


def means(x: Any, n: int) -> Any:
    """Plain means of the last n values, NaN where there are fewer."""
    return np.array([np.mean(last(x, i, n)) if i >= n - 1 else math.nan for i in range(len(x))])


def linear(x: Any, n: int) -> Any:
    weights = np.arange(1, n + 1)
    out = [np.average(last(x, i, n), weights=weights) if i >= n - 1 else math.nan for i in range(len(x))]
    return np.array(out)


def adaptive(c: Any) -> Any:
    out = np.full(len(c), math.nan)
    for i in range(24, len(c)):
        path = np.abs(np.diff(c[i - 24 : i + 1])).sum()
        efficiency = abs(c[i] - c[i - 24]) / path if path > 0 else 1.0
        weight = (2 / 31 + (2 / 3 - 2 / 31) * efficiency) ** 2
        before = c[i - 1] if i == 24 else out[i - 1]
        out[i] = before + weight * (c[i] - before)
    return out


def average(b: Bars) -> dict[str, tuple[int, Value]]:
    c, v, size = b["close"], b["volume"], unit(b)
    fast, middle, slow = means(c, 12), means(c, 24), means(c, 48)
    once, short = ema(c, 24), ema(c, 12)
    dema = 2 * once - ema(once, 24, 23)
    twice = ema(short, 12, 11)
    tema = 3 * short - 3 * twice + ema(twice, 12, 22)
    hull = linear(2 * linear(c, 12) - linear(c, 24), 5)
    ahead = np.r_[[math.nan] * 11, 2 * c[11:] - c[:-11]] if len(c) > 11 else c
    zlema, kama = ema(ahead, 24, 11), adaptive(c)
    side = np.array([0.0 if abs(x) <= 1e-9 * y else np.sign(x) for x, y in zip(c - middle, c, strict=True)])

    def vwma(i: int) -> float:
        weights = last(v, i, 24)
        return float((c[i] - np.average(last(c, i, 24), weights=weights)) / size[i]) if weights.any() else 0.0

    def distance(x: Any) -> Value:
        return lambda i: float((c[i] - x[i]) / size[i])

    return {
        "sma_distance_12": (14, distance(fast)),
        "sma_distance_24": (23, distance(middle)),
        "sma_distance_48": (47, distance(slow)),
        "sma_cross_12_48": (47, lambda i: float((fast[i] - slow[i]) / size[i])),
        "sma_slope_24": (29, lambda i: float((middle[i] - middle[i - 6]) / size[i])),
        "sma_side_24": (46, lambda i: float(last(side, i, 24).mean())),
        "wma_distance_24": (23, distance(linear(c, 24))),
        "hull_distance_24": (27, distance(hull)),
        "trima_distance_24": (23, distance(means(means(c, 13), 12))),
        "vwma_distance_24": (23, vwma),
        "dema_distance_24": (46, distance(dema)),
        "tema_distance_12": (33, distance(tema)),
        "kama_distance_24": (24, distance(kama)),
        "zlema_distance_24": (34, distance(zlema)),
    }


def fisher(middle: Any) -> list[float]:
    x, value, out = 0.0, 0.0, [math.nan] * len(middle)
    for i in range(9, len(middle)):
        window = last(middle, i, 10)
        place = ratio(middle[i] - window.min(), window.max() - window.min(), 0.5)
        x = float(np.clip(0.66 * (place - 0.5) + 0.67 * x, -0.999, 0.999))
        value = math.atanh(x) + value / 2
        out[i] = value
    return out


def oscillator(b: Bars) -> dict[str, tuple[int, Value]]:
    o, h, low, c = (b[name] for name in ("open", "high", "low", "close"))
    r, tr, size, middle = returns(b), ranges(b), unit(b), (h + low) / 2
    change = np.r_[np.nan, np.diff(c)]
    thrice = ema(ema(ema(c, 15), 15, 14), 15, 28)
    net, path = (ema(ema(x, 25, 1), 13, 25) for x in (change, np.abs(change)))
    up, down = wilder(np.maximum(change, 0), 14), wilder(np.maximum(-change, 0), 14)
    rsi = np.array([ratio(100 * up[i], up[i] + down[i], 50) for i in range(len(c))])
    mean, short = ema(c, 13), ema(h - low, 9)
    mass, transformed = ema(short, 9, 8), fisher(middle)

    def stochastic_rsi(i: int) -> float:
        window = last(rsi, i, 14)
        return 50.0 if np.ptp(window) <= 1e-9 else 100 * float((rsi[i] - window.min()) / np.ptp(window))

    def coppock(i: int) -> float:
        rises = [math.log(c[k] / c[k - 14]) + math.log(c[k] / c[k - 11]) for k in range(i - 9, i + 1)]
        spread = math.sqrt(25 * np.mean(last(r, i, 48) ** 2))
        return ratio(float(np.average(rises, weights=np.arange(1, 11))), spread, 0)

    def streak(i: int) -> float:
        sign, run = np.sign(change[i]), 0
        while sign != 0 and i - run > 0 and np.sign(change[i - run]) == sign:
            run += 1
        return float(sign * run)

    def vortex(i: int) -> float:
        turns = [abs(h[k] - low[k - 1]) - abs(low[k] - h[k - 1]) for k in range(i - 13, i + 1)]
        return ratio(sum(turns), last(tr, i, 14).sum(), 0)

    def balance(i: int) -> float:
        return float(np.mean([ratio(c[k] - o[k], h[k] - low[k], 0) for k in range(i - 13, i + 1)]))

    def mass_index(i: int) -> float:
        return sum(ratio(short[k], mass[k], 1) for k in range(i - 24, i + 1))

    return {
        "trix_15": (43, lambda i: float(100 * (thrice[i] / thrice[i - 1] - 1))),
        "chande_20": (20, lambda i: ratio(100 * (c[i] - c[i - 20]), np.abs(last(change, i, 20)).sum(), 0)),
        "stochastic_rsi_14": (27, stochastic_rsi),
        "true_strength_25_13": (37, lambda i: ratio(100 * net[i], path[i], 0)),
        "awesome_5_34": (
            33,
            lambda i: float((last(middle, i, 5).mean() - last(middle, i, 34).mean()) / size[i]),
        ),
        "coppock_10": (48, coppock),
        "fisher_10": (9, lambda i: transformed[i]),
        "streak": (1, streak),
        "rsi_divergence_14": (27, lambda i: float(rsi[i] - last(rsi, i, 14).mean())),
        "bull_power_13": (14, lambda i: float((h[i] - mean[i]) / size[i])),
        "bear_power_13": (14, lambda i: float((low[i] - mean[i]) / size[i])),
        "balance_of_power_14": (13, balance),
        "vortex_14": (14, vortex),
        "mass_index_25": (40, mass_index),
    }
