"""Slow, obvious twins of the families `memory`, `wavelet` and `regime`: one bar at a time."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
from scipy.stats import linregress
from tests.oracles.features import Bars, Value, last, ratio, returns


def memory(b: Bars) -> dict[str, tuple[int, Value]]:
    c, x, r = b["close"], np.log(b["close"]), returns(b)

    def autocorrelation(i: int, lag: int) -> float:
        now, before = last(r, i, 96), last(r, i - lag, 96)
        return ratio((now * before).sum(), math.sqrt((now**2).sum() * (before**2).sum()), 0)

    def absolute(i: int, lag: int) -> float:
        now, before = abs(last(r, i, 96)), abs(last(r, i - lag, 96))
        return float(np.corrcoef(now, before)[0, 1]) if np.ptp(now) > 0 and np.ptp(before) > 0 else 0.0

    def moves(i: int, step: int, width: int) -> float:
        window = last(x, i, width + 1)
        return float(np.mean((window[step:] - window[:-step]) ** 2))

    def hurst(i: int) -> float:
        steps = [1, 2, 4, 8, 16]
        sizes = [math.sqrt(moves(i, step, 128)) for step in steps]
        return float(np.polyfit(np.log(steps), np.log(sizes), 1)[0]) if min(sizes) > 0 else 0.5

    def fractional(i: int) -> float:
        weights = [1.0]
        for k in range(1, 100):
            weights.append(-weights[-1] * (0.4 - k + 1) / k)
        moved = sum(w * (x[i - k] - x[i - 99]) for k, w in enumerate(weights))
        return ratio(moved, math.sqrt(np.mean(last(r, i, 99) ** 2)), 0)

    def entropy(words: list[Any], kinds: int) -> float:
        assert len(words) == 62
        shares = [count / 62 for count in Counter(words).values()]
        return -sum(p * math.log(p) for p in shares) / math.log(kinds)

    def signs(i: int) -> float:
        up = [c[k] > c[k - 1] for k in range(i - 63, i + 1)]
        return entropy([tuple(up[k : k + 3]) for k in range(62)], 8)

    def orders(i: int) -> float:
        window = last(c, i, 64)
        return entropy([tuple(np.argsort(window[k : k + 3], kind="stable")) for k in range(62)], 6)

    return {
        **{
            f"autocorrelation_{k}_96": (96 + k, lambda i, k=k: autocorrelation(i, k))
            for k in (1, 2, 3, 6, 12)
        },
        **{f"absolute_autocorrelation_{k}_96": (96 + k, lambda i, k=k: absolute(i, k)) for k in (1, 6)},
        **{
            f"variance_ratio_{k}_96": (96, lambda i, k=k: ratio(moves(i, k, 96), k * moves(i, 1, 96), 1))
            for k in (2, 6)
        },
        "hurst_128": (128, hurst),
        "fractional_difference_100": (99, fractional),
        "sign_entropy_64": (64, signs),
        "permutation_entropy_64": (63, orders),
    }


def wavelet(b: Bars) -> dict[str, tuple[int, Value]]:
    x, r = np.log(b["close"]), returns(b)

    def detail(i: int, level: int) -> float:
        # Less the newest: a mean of large numbers would round a still market's details away from 0.
        return float(last(x - x[i], i, 2 ** (level - 1)).mean() - last(x - x[i], i, 2**level).mean())

    details = {
        level: [detail(i, level) if i >= 2**level - 1 else math.nan for i in range(len(x))]
        for level in range(1, 6)
    }

    def scaled(i: int, level: int) -> float:
        return ratio(details[level][i], math.sqrt(np.mean(last(r, i, 64) ** 2)), 0)

    def share(i: int, level: int) -> float:
        energy = {k: float((last(details[k], i, 64) ** 2).sum()) for k in details}
        return ratio(energy[level], sum(energy.values()), 0.2)

    return {
        **{f"haar_{k}": (64, lambda i, k=k: scaled(i, k)) for k in range(1, 6)},
        **{f"haar_energy_{k}_64": (94, lambda i, k=k: share(i, k)) for k in range(1, 5)},
    }


def regime(b: Bars) -> dict[str, tuple[int, Value]]:
    h, low, c, r = b["high"], b["low"], b["close"], returns(b)
    spread = np.array(
        [math.sqrt(np.mean(last(r, i, 24) ** 2)) if i >= 24 else math.nan for i in range(len(c))]
    )

    def rank(x: Any, i: int, width: int) -> float:
        window = last(x, i, width)
        same = np.isclose(window, x[i], rtol=1e-9, atol=0)
        return float(np.mean(np.where(same, 0.5, window < x[i])))

    def state(i: int) -> float:
        place = rank(spread, i, 456)
        return 0.0 if place <= 1 / 3 else 1.0 if place <= 2 / 3 else 2.0

    def t(i: int) -> float:
        y = np.log(last(c, i, 48))
        if np.ptp(y) == 0:
            return 0.0
        fit = linregress(np.arange(48), y - y[0])
        return float(np.clip(fit.slope / fit.stderr, -100, 100))

    def position(i: int) -> float:
        most, least = last(h, i, 480).max(), last(low, i, 480).min()
        return ratio(c[i] - least, most - least, 0.5)

    return {
        "volatility_rank_456": (479, lambda i: rank(spread, i, 456)),
        "volatility_state_456": (479, state),
        "range_rank_480": (479, lambda i: rank(np.log(h) - np.log(low), i, 480)),
        "volume_rank_480": (479, lambda i: rank(b["volume"], i, 480)),
        "trend_t_48": (47, t),
        "trend_state_48": (47, lambda i: float(t(i) > 2) - float(t(i) < -2)),
        "range_position_480": (479, position),
    }
