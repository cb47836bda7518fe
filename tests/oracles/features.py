"""Slow, obvious twins of the features: plain Python and numpy, one bar at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

Bars = dict[str, Any]
Value = Callable[[int], float]


def all_features(bars: pl.DataFrame, slot_minutes: float = 0) -> dict[str, list[float]]:
    """Every feature of every bar, NaN where it has none; times of day are told apart to the second, or by minutes."""
    result = {**seasonal(bars, slot_minutes), **clock(bars)}
    for _, part in bars.group_by("block", maintain_order=True):
        for name, values in of_block(part).items():
            result.setdefault(name, []).extend(values)
    return result


def of_block(part: pl.DataFrame) -> dict[str, list[float]]:
    """The features that live within one block."""
    # These are built on the parts below.
    from tests.oracles.features_average import average, oscillator
    from tests.oracles.features_flow import flow, variation

    # They take what they share from here.
    from tests.oracles.features_memory import memory, regime, wavelet
    from tests.oracles.features_microstructure import microstructure
    from tests.oracles.features_timeframe import timeframe

    bars: Bars = {name: part[name].to_numpy() for name in ("open", "high", "low", "close", "volume")}
    bars |= {name: part[name].to_list() for name in ("session", "datetime", "close_time")}
    table: dict[str, tuple[int, Value]] = {
        **price(bars),
        **momentum(bars),
        **volatility(bars),
        **trend(bars),
        **volume(bars),
        **average(bars),
        **oscillator(bars),
        **variation(bars),
        **flow(bars),
        **timeframe(bars),
        **microstructure(bars),
        **memory(bars),
        **wavelet(bars),
        **regime(bars),
    }
    n = part.height
    return {
        name: [value(i) if i >= first else math.nan for i in range(n)]
        for name, (first, value) in table.items()
    }


def ratio(a: float, b: float, otherwise: float) -> float:
    return float(a / b) if b > 0 else otherwise


def returns(bars: Bars) -> Any:
    return np.r_[np.nan, np.diff(np.log(bars["close"]))]


def ranges(bars: Bars) -> Any:
    h, low, c = bars["high"], bars["low"], bars["close"]
    return np.array([np.nan] + [max(h[i], c[i - 1]) - min(low[i], c[i - 1]) for i in range(1, len(c))])


def last(x: Any, i: int, n: int) -> Any:
    return np.asarray(x[i - n + 1 : i + 1])


def smooth(x: Any, first: int, n: int, weight: float) -> list[float]:
    """Exponential mean of x from `first` on, begun as the mean of n values."""
    out = [math.nan] * len(x)
    for i in range(first + n - 1, len(x)):
        mean = np.mean(x[first : first + n])
        out[i] = mean if i == first + n - 1 else out[i - 1] + weight * (x[i] - out[i - 1])
    return out


def ema(x: Any, n: int, first: int = 0) -> Any:
    return np.array(smooth(x, first, n, 2 / (n + 1)))


def wilder(x: Any, n: int) -> Any:
    return np.array(smooth(x, 1, n, 1 / n))


def so_far(bars: Bars, i: int) -> slice:
    """The bars of this bar's session up to it."""
    first = i
    while first > 0 and bars["session"][first - 1] == bars["session"][i]:
        first -= 1
    return slice(first, i + 1)


def price(b: Bars) -> dict[str, tuple[int, Value]]:
    o, h, low, c = (b[name] for name in ("open", "high", "low", "close"))

    def session_position(i: int) -> float:
        most, least = h[so_far(b, i)].max(), low[so_far(b, i)].min()
        return ratio(math.log(c[i] / least), math.log(most / least), 0.5)

    return {
        **{f"return_{k}": (k, lambda i, k=k: math.log(c[i] / c[i - k])) for k in (1, 3, 6, 12, 24, 48)},
        "gap": (1, lambda i: math.log(o[i] / c[i - 1])),
        "bar_range": (0, lambda i: math.log(h[i] / low[i])),
        "body": (0, lambda i: ratio(c[i] - o[i], h[i] - low[i], 0)),
        "close_location": (0, lambda i: ratio(2 * c[i] - h[i] - low[i], h[i] - low[i], 0)),
        "upper_wick": (0, lambda i: ratio(h[i] - max(o[i], c[i]), h[i] - low[i], 0)),
        "lower_wick": (0, lambda i: ratio(min(o[i], c[i]) - low[i], h[i] - low[i], 0)),
        "high_distance_48": (47, lambda i: math.log(c[i] / last(h, i, 48).max())),
        "low_distance_48": (47, lambda i: math.log(c[i] / last(low, i, 48).min())),
        "session_return": (0, lambda i: math.log(c[i] / o[so_far(b, i)][0])),
        "session_position": (0, session_position),
        "session_range": (0, lambda i: math.log(h[so_far(b, i)].max() / low[so_far(b, i)].min())),
    }


def momentum(b: Bars) -> dict[str, tuple[int, Value]]:
    h, low, c = (b[name] for name in ("high", "low", "close"))
    r, tr, change = returns(b), ranges(b), np.r_[np.nan, np.diff(c)]
    typical = (h + low + c) / 3

    def rsi(n: int) -> Value:
        up, down = wilder(np.maximum(change, 0), n), wilder(np.maximum(-change, 0), n)
        return lambda i: ratio(100 * up[i], up[i] + down[i], 50)

    def stochastic(i: int, n: int = 14) -> float:
        most, least = last(h, i, n).max(), last(low, i, n).min()
        return ratio(100 * (c[i] - least), most - least, 50)

    def cci(i: int) -> float:
        window = last(typical, i, 20)
        if np.ptp(window) == 0:
            return 0.0
        return float((typical[i] - window.mean()) / (0.015 * np.abs(window - window.mean()).mean()))

    def ultimate(i: int) -> float:
        pressure = np.array([c[k] - min(low[k], c[k - 1]) for k in range(i - 27, i + 1)])
        parts = [ratio(pressure[-n:].sum(), last(tr, i, n).sum(), 0.5) for n in (7, 14, 28)]
        return 100 * (4 * parts[0] + 2 * parts[1] + parts[2]) / 7

    def autocorrelation(i: int) -> float:
        now, before = last(r, i, 24), last(r, i - 1, 24)
        return ratio((now * before).sum(), math.sqrt((now**2).sum()) * math.sqrt((before**2).sum()), 0)

    return {
        "momentum_12": (
            48,
            lambda i: ratio(math.log(c[i] / c[i - 12]), math.sqrt(12 * np.mean(last(r, i, 48) ** 2)), 0),
        ),
        "rsi_6": (6, rsi(6)),
        "rsi_14": (14, rsi(14)),
        "stochastic_k_14": (13, stochastic),
        "stochastic_d_14": (15, lambda i: float(np.mean([stochastic(i - k) for k in range(3)]))),
        "williams_r_42": (41, lambda i: stochastic(i, 42) - 100),
        "cci_20": (19, cci),
        "ultimate_oscillator": (28, ultimate),
        "efficiency_24": (24, lambda i: ratio(c[i] - c[i - 24], np.abs(last(change, i, 24)).sum(), 0)),
        "sign_balance_24": (24, lambda i: float(np.sign(last(change, i, 24)).mean())),
        "autocorrelation_24": (25, autocorrelation),
    }


def volatility(b: Bars) -> dict[str, tuple[int, Value]]:
    o, h, low, c = (np.log(b[name]) for name in ("open", "high", "low", "close"))
    r, tr, close = returns(b), ranges(b), b["close"]
    gap = np.r_[np.nan, o[1:] - c[:-1]]
    rogers = (h - o) * (h - c) + (low - o) * (low - c)
    garman = (h - low) ** 2 / 2 - (2 * math.log(2) - 1) * (c - o) ** 2
    atr = wilder(tr, 14)

    def mean_square(i: int, n: int) -> float:
        return float(np.mean(last(r, i, n) ** 2))

    def yang_zhang(i: int) -> float:
        k = 0.34 / (1.34 + 25 / 23)
        overnight, inside = np.var(last(gap, i, 24), ddof=1), np.var(last(c - o, i, 24), ddof=1)
        return math.sqrt(overnight + k * inside + (1 - k) * max(last(rogers, i, 24).mean(), 0))

    def volatility_ratio(i: int) -> float:
        short, long = mean_square(i, 6), mean_square(i, 48)
        return math.log(math.sqrt(short / long)) if short > 0 else 0.0

    def moment(i: int, power: int, otherwise: float) -> float:
        window = last(r, i, 48)
        if not window.any():
            return otherwise
        return float(np.mean(window**power) / np.mean(window**2) ** (power / 2))

    def down_share(i: int) -> float:
        window = last(r, i, 48)
        return ratio((window[window < 0] ** 2).sum(), (window**2).sum(), 0.5)

    return {
        "close_volatility_12": (12, lambda i: math.sqrt(mean_square(i, 12))),
        "close_volatility_48": (48, lambda i: math.sqrt(mean_square(i, 48))),
        "parkinson_24": (23, lambda i: math.sqrt(np.mean(last(h - low, i, 24) ** 2) / (4 * math.log(2)))),
        "garman_klass_24": (23, lambda i: math.sqrt(last(garman, i, 24).mean())),
        "rogers_satchell_24": (23, lambda i: math.sqrt(max(last(rogers, i, 24).mean(), 0))),
        "yang_zhang_24": (24, yang_zhang),
        "natr_14": (14, lambda i: float(atr[i] / close[i])),
        "true_range_ratio_24": (24, lambda i: ratio(tr[i], last(tr, i, 24).mean(), 1)),
        "volatility_ratio_6_48": (48, volatility_ratio),
        "bollinger_width_20": (19, lambda i: float(4 * last(close, i, 20).std() / last(close, i, 20).mean())),
        "downside_share_48": (48, down_share),
        "skew_48": (48, lambda i: moment(i, 3, 0)),
        "kurtosis_48": (48, lambda i: moment(i, 4, 3)),
    }


def trend(b: Bars) -> dict[str, tuple[int, Value]]:
    h, low, c = (b[name] for name in ("high", "low", "close"))
    r, tr = returns(b), ranges(b)
    unit = np.maximum(wilder(tr, 14), 1e-6 * c)
    fast, slow, macd = ema(c, 12), ema(c, 48), ema(c, 12) - ema(c, 26)
    plus, minus, span, adx = directional(b)

    def line(i: int, n: int) -> tuple[float, float]:
        y = np.log(last(c, i, n))
        if np.ptp(y) == 0:
            return 0.0, 0.0
        slope, cut = np.polynomial.polynomial.polyfit(np.arange(n), y - y[0], 1)[::-1]
        left = y - y[0] - cut - slope * np.arange(n)
        rms = math.sqrt(np.mean(last(r, i, n - 1) ** 2))
        return float(slope / rms), float(1 - (left**2).sum() / ((y - y.mean()) ** 2).sum())

    def aroon(i: int) -> float:
        highs, lows = last(h, i, 26)[::-1], last(low, i, 26)[::-1]
        return 100 * float(np.argmin(lows) - np.argmax(highs)) / 25

    def band(i: int) -> float:
        window = last(c, i, 20)
        return 0.0 if np.ptp(window) == 0 else float((c[i] - window.mean()) / (2 * window.std()))

    def choppiness(i: int) -> float:
        span = last(h, i, 14).max() - last(low, i, 14).min()
        return 100.0 if span == 0 else 100 * math.log(last(tr, i, 14).sum() / span) / math.log(14)

    return {
        "ema_distance_12": (14, lambda i: float((c[i] - fast[i]) / unit[i])),
        "ema_distance_24": (23, lambda i: float((c[i] - ema(c, 24)[i]) / unit[i])),
        "ema_distance_48": (47, lambda i: float((c[i] - slow[i]) / unit[i])),
        "ema_cross_12_48": (47, lambda i: float((fast[i] - slow[i]) / unit[i])),
        "macd_12_26": (25, lambda i: float(macd[i] / unit[i])),
        "macd_histogram": (33, lambda i: float((macd[i] - ema(macd, 9, 25)[i]) / unit[i])),
        "adx_14": (27, lambda i: adx[i]),
        "di_difference_14": (14, lambda i: ratio(100 * (plus[i] - minus[i]), span[i], 0)),
        "aroon_25": (25, aroon),
        "slope_24": (23, lambda i: line(i, 24)[0]),
        "slope_48": (47, lambda i: line(i, 48)[0]),
        "r2_24": (23, lambda i: line(i, 24)[1]),
        "r2_48": (47, lambda i: line(i, 48)[1]),
        "bollinger_position_20": (19, band),
        "choppiness_14": (14, choppiness),
    }


def directional(b: Bars) -> tuple[list[float], list[float], list[float], list[float]]:
    """Wilder's sums of moves up and down and of true range, and ADX: 13 values, then all but a 14th kept."""
    h, low, tr = b["high"], b["low"], ranges(b)
    n = len(h)
    sums: list[list[float]] = [[0.0] * n for _ in range(3)]
    index, adx = [0.0] * n, [math.nan] * n
    for i in range(1, n):
        up, down = h[i] - h[i - 1], low[i - 1] - low[i]
        new = (up if up > max(down, 0) else 0, down if down > max(up, 0) else 0, tr[i])
        for total, value in zip(sums, new, strict=True):
            total[i] = value + total[i - 1] * (1 if i < 14 else 13 / 14)
        index[i] = ratio(100 * abs(sums[0][i] - sums[1][i]), sums[0][i] + sums[1][i], 0)
        if i == 27:
            adx[i] = float(np.mean(index[14:28]))
        if i > 27:
            adx[i] = (13 * adx[i - 1] + index[i]) / 14
    return sums[0], sums[1], sums[2], adx


def volume(b: Bars) -> dict[str, tuple[int, Value]]:
    h, low, c, v = (b[name] for name in ("high", "low", "close", "volume"))
    r, typical, log_v = returns(b), (h + low + c) / 3, np.log(1 + v)
    signed = np.r_[0, np.sign(np.diff(c)) * v[1:]]
    cost = np.array([abs(r[i]) / v[i] if v[i] > 0 else 0 for i in range(len(v))])

    def z(i: int) -> float:
        window = last(log_v, i, 48)
        return 0.0 if np.ptp(window) == 0 else float((window[-1] - window.mean()) / window.std())

    def obv_slope(i: int) -> float:
        balance = np.r_[0, np.cumsum(last(signed, i, 23))]
        x = np.arange(24) - 11.5
        return ratio((x * balance).sum() / (x**2).sum(), last(v, i, 23).mean(), 0)

    def flow(i: int) -> float:
        moves = {1: 0.0, 0: 0.0, -1: 0.0}
        for k in range(i - 13, i + 1):
            moves[int(np.sign(typical[k] - typical[k - 1]))] += typical[k] * v[k]
        return ratio(100 * moves[1], moves[1] + moves[-1], 50)

    def chaikin(i: int) -> float:
        flows = [ratio(v[k] * (2 * c[k] - h[k] - low[k]), h[k] - low[k], 0) for k in range(i - 19, i + 1)]
        return ratio(sum(flows), last(v, i, 20).sum(), 0)

    def vwap(i: int, rows: slice) -> float:
        return float(c[i] / np.average(typical[rows], weights=v[rows]) - 1) if v[rows].sum() > 0 else 0.0

    def illiquidity(i: int) -> float:
        short, long = last(cost, i, 12).mean(), last(cost, i, 48).mean()
        return math.log(short / long) if short > 0 else 0.0

    def correlation(i: int) -> float:
        x, y = last(np.log(h) - np.log(low), i, 24), last(log_v, i, 24)
        return 0.0 if np.ptp(x) < 1e-12 or np.ptp(y) < 1e-12 else float(np.corrcoef(x, y)[0, 1])

    return {
        "volume_change": (1, lambda i: math.log((1 + v[i]) / (1 + v[i - 1]))),
        "volume_z_48": (47, z),
        "volume_ratio_6_48": (
            47,
            lambda i: math.log((1 + last(v, i, 6).mean()) / (1 + last(v, i, 48).mean())),
        ),
        "obv_change_24": (24, lambda i: ratio(last(signed, i, 24).sum(), last(v, i, 24).sum(), 0)),
        "obv_slope_24": (23, obv_slope),
        "mfi_14": (14, flow),
        "chaikin_20": (19, chaikin),
        "session_vwap_distance": (0, lambda i: vwap(i, so_far(b, i))),
        "vwap_distance_24": (23, lambda i: vwap(i, slice(i - 23, i + 1))),
        "illiquidity_12_48": (48, illiquidity),
        "range_volume_correlation_24": (23, correlation),
    }


def seasonal(bars: pl.DataFrame, slot_minutes: float = 0) -> dict[str, list[float]]:
    """Volume against its time of day, from a list of earlier volumes per New York time."""
    means: dict[Any, float] = {}
    counts: dict[Any, int] = {}
    x: list[float] = []
    for opened, v in zip(bars["datetime"].to_list(), bars["volume"].to_list(), strict=True):
        slot: Any = opened.astimezone(ZoneInfo("America/New_York")).time()
        if slot_minutes:
            slot = int((slot.hour * 60 + slot.minute) / slot_minutes)
        x.append(math.log((1 + v) / (1 + means[slot])) if slot in means else math.nan)
        counts[slot] = counts.get(slot, 0) + 1
        weight = max(1 / counts[slot], 0.1)
        means[slot] = (1 - weight) * means.get(slot, 0) + weight * v
    result = {"volume_seasonal": x}
    for n in (6, 12, 24):
        values = []
        for i in range(len(x)):
            known = [value for value in x[max(i - n + 1, 0) : i + 1] if not math.isnan(value)]
            values.append(sum(known) / len(known) if i >= n - 1 and 2 * len(known) >= n else math.nan)
        result[f"volume_seasonal_{n}"] = values
    return result


def clock(bars: pl.DataFrame) -> dict[str, list[float]]:
    first: dict[Any, datetime] = {}
    result: dict[str, list[float]] = {
        name: [] for name in ("time_sin", "time_cos", "session_minutes", "day_of_week", "cash_hours")
    }
    for opened, closed, day in bars.select("datetime", "close_time", "session").iter_rows():
        local = opened.astimezone(ZoneInfo("America/New_York"))
        hours = local.hour + local.minute / 60 + local.second / 3600
        result["time_sin"].append(math.sin(2 * math.pi * hours / 24))
        result["time_cos"].append(math.cos(2 * math.pi * hours / 24))
        result["session_minutes"].append((closed - first.setdefault(day, opened)) / timedelta(minutes=1))
        result["day_of_week"].append(day.weekday())
        result["cash_hours"].append(float(9.5 <= hours < 16))
    return result
