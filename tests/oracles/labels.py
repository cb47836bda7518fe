"""Slow, obvious twins of foldsmith.labels: one event at a time, in exact fractions of a tick."""

from __future__ import annotations

import math
import statistics
from fractions import Fraction
from typing import Any

Bar = dict[str, Any]


def volatility(bars: list[Bar], window: int) -> list[float]:
    """Standard deviation of the last `window` returns of the bar's own block; NaN where there are fewer."""
    result = []
    for t in range(len(bars)):
        returns = []
        for i in range(t - window + 1, t + 1):
            if i >= 1 and all(bars[k]["block"] == bars[t]["block"] for k in range(i - 1, t + 1)):
                returns.append(math.log(bars[i]["close"]) - math.log(bars[i - 1]["close"]))
        result.append(statistics.stdev(returns) if len(returns) == window else math.nan)
    return result


def range_volatility(bars: list[Bar], window: int, kind: str) -> list[float]:
    """Mean true range over close, or Parkinson's estimate, of the last `window` bars; NaN before w + 1 of the block."""
    result = []
    for t in range(len(bars)):
        inside = range(t - window, t + 1)
        if t < window or any(bars[i]["block"] != bars[t]["block"] for i in inside):
            result.append(math.nan)
            continue
        true, squares = [], []
        for i in inside[1:]:
            high, low, before = bars[i]["high"], bars[i]["low"], bars[i - 1]["close"]
            true.append(max(high - low, abs(high - before), abs(low - before)))
            squares.append(math.log(high / low) ** 2)
        parkinson = math.sqrt(statistics.fmean(squares) / (4 * math.log(2)))
        result.append(statistics.fmean(true) / bars[t]["close"] if kind == "atr" else parkinson)
    return result


def ticks(price: float, tick: float) -> Fraction:
    """The price in ticks, a whole number where it is meant to be one."""
    exact = Fraction(price) / Fraction(tick)
    whole = Fraction(round(exact))
    return whole if abs(exact - whole) <= Fraction(1, 10**6) else exact


def barriers(
    entry: Fraction, sigma: float, max_bars: int, up: float, down: float, least: float = 1.0
) -> tuple[int, int]:
    """Whole ticks, away from the entry by at least `least`, rounded outward (a millionth of a tick is none)."""
    unit = float(entry) * sigma * math.sqrt(max_bars)
    slack = Fraction(1, 10**6)
    upper = math.ceil(entry + max(Fraction(up * unit), Fraction(least)) - slack)
    lower = math.floor(entry - max(Fraction(down * unit), Fraction(least)) + slack)
    return upper, lower


def settle(bar: Bar, upper: int, lower: int, tick: float) -> tuple[str, Fraction | None]:
    """What one bar alone tells: (up, down, both or none, and the price in ticks of a fill at its open)."""
    opened = ticks(bar["open"], tick)
    if opened >= upper:
        return "up", opened
    if opened <= lower:
        return "down", opened
    above = ticks(bar["high"], tick) >= upper
    below = ticks(bar["low"], tick) <= lower
    if above and below:
        return "both", None
    return ("up" if above else "down" if below else "none"), None


def label(
    bars: list[Bar],
    base: list[Bar],
    ranges: list[tuple[int, int]],
    sigma: float,
    t: int,
    max_bars: int,
    up: float,
    down: float,
    tick: float,
    least: float = 1.0,
) -> Bar | str:
    """The label of bar t, or the reason why there is none. Prices are in ticks."""
    event = opened(bars, sigma, t, max_bars, up, down, tick, least)
    if isinstance(event, str):
        return event
    upper, lower = int(event["upper"]), int(event["lower"])
    for i in range(t + 1, t + max_bars + 1):
        side, fill = settle(bars[i], upper, lower, tick)
        if side == "both":
            for minute in base[slice(*ranges[i])]:
                side, fill = settle(minute, upper, lower, tick)
                if side != "none":
                    break
        if side == "none":
            continue
        event |= {"label_end": bars[i]["close_time"], "gap": fill is not None}
        if side == "both":
            return event | {
                "y": 0,
                "ambiguous": True,
                "exit_long": Fraction(lower),
                "exit_short": Fraction(upper),
            }
        price = fill if fill is not None else Fraction(upper if side == "up" else lower)
        return event | {"y": 1 if side == "up" else -1, "exit_long": price, "exit_short": price}
    last = bars[t + max_bars]
    price = ticks(last["close"], tick)
    return event | {"y": 0, "label_end": last["close_time"], "exit_long": price, "exit_short": price}


def opened(
    bars: list[Bar], sigma: float, t: int, max_bars: int, up: float, down: float, tick: float, least: float
) -> Bar | str:
    """What is known of a label when it is entered, or the reason why there is none."""
    if math.isnan(sigma):
        return "warm_up"
    if sigma <= 0:
        return "no_volatility"
    if t + max_bars >= len(bars):
        return "end_of_data"
    if any(bars[i]["block"] != bars[t]["block"] for i in range(t, t + max_bars + 1)):
        return "crosses_block"
    entry = ticks(bars[t + 1]["open"], tick)
    upper, lower = barriers(entry, sigma, max_bars, up, down, least)
    if lower < 1:
        return "no_room"
    return {
        "unit": float(entry) * sigma * math.sqrt(max_bars),
        "bar": t,
        "datetime": bars[t]["close_time"],
        "entry": entry,
        "upper": Fraction(upper),
        "lower": Fraction(lower),
        "ambiguous": False,
        "gap": False,
    }


def targets(event: Bar) -> tuple[float, float]:
    """Return from entry to exit in volatilities, and its logarithm; halfway between two exits that differ."""
    leave = (event["exit_long"] + event["exit_short"]) / 2
    return float(leave - event["entry"]) / event["unit"], math.log(leave / event["entry"])


def average_uniqueness(t0: list[int], t1: list[int], bars: list[int]) -> list[float]:
    """Count the labels alive at every bar of every label."""
    result = []
    for start, end in zip(t0, t1, strict=True):
        shares = [
            1 / sum(a <= s <= b for a, b in zip(t0, t1, strict=True)) for s in bars if start <= s <= end
        ]
        result.append(sum(shares) / len(shares))
    return result


def return_attribution(
    t0: list[int], t1: list[int], bars: list[int], returns: dict[int, float]
) -> list[float]:
    """Divide the return of every bar among the labels alive at its close, and add up each label's after t0."""
    result = []
    for start, end in zip(t0, t1, strict=True):
        shares = [
            returns[s] / sum(a <= s <= b for a, b in zip(t0, t1, strict=True))
            for s in bars
            if start < s <= end
        ]
        result.append(abs(sum(shares)))
    return result


def time_decay(uniqueness: list[float], oldest: float) -> list[float]:
    """Snippet 4.11 of the book, line by line."""
    ages = [sum(uniqueness[: i + 1]) for i in range(len(uniqueness))]
    slope = (1 - oldest) / ages[-1] if oldest >= 0 else 1 / ((oldest + 1) * ages[-1])
    const = 1 - slope * ages[-1]
    return [max(const + slope * age, 0.0) for age in ages]


def draw_probabilities(t0: list[int], t1: list[int], bars: list[int], drawn: list[int]) -> list[float]:
    """Average uniqueness of each label among those drawn and itself, divided by their sum."""
    unique = []
    for start, end in zip(t0, t1, strict=True):
        inside = [s for s in bars if start <= s <= end]
        shares = [1 / (1 + sum(t0[j] <= s <= t1[j] for j in drawn)) for s in inside]
        unique.append(sum(shares) / len(inside))
    return [each / sum(unique) for each in unique]


def sequential_bootstrap(
    t0: list[int], t1: list[int], bars: list[int], uniform: list[float]
) -> list[tuple[int, float]]:
    """Each draw, and how near the uniform number was to the next label's share: a tie that rounding may break."""
    drawn: list[int] = []
    result = []
    for u in uniform:
        probabilities = draw_probabilities(t0, t1, bars, drawn)
        edges = [sum(probabilities[: i + 1]) for i in range(len(probabilities))]
        row = next((i for i, edge in enumerate(edges) if u < edge), len(edges) - 1)
        drawn.append(row)
        result.append((row, min(abs(u - edge) for edge in edges)))
    return result


def fixed_horizon(
    bars: list[Bar], sigma: float, t: int, max_bars: int, up: float, down: float, tick: float, least: float
) -> Bar | str:
    """The label of bar t by the close max_bars later, or the reason why there is none. Prices are in ticks."""
    event = opened(bars, sigma, t, max_bars, up, down, tick, least)
    if isinstance(event, str):
        return event
    last = bars[t + max_bars]
    close = ticks(last["close"], tick)
    y = 1 if close >= event["upper"] else -1 if close <= event["lower"] else 0
    return event | {"y": y, "label_end": last["close_time"], "exit_long": close, "exit_short": close}


def trend_value(closes: list[Fraction], least: int) -> float:
    """The t-value of largest size among lines through the first least + 1, least + 2, ... of these closes."""
    best = 0.0
    for last in range(least, len(closes)):
        y = closes[: last + 1]
        x_mean, y_mean = Fraction(last, 2), sum(y) / (last + 1)
        xx = sum((x - x_mean) ** 2 for x in range(last + 1))
        slope = sum((x - x_mean) * (v - y_mean) for x, v in enumerate(y)) / xx
        errors = sum((v - y_mean - slope * (x - x_mean)) ** 2 for x, v in enumerate(y))
        if slope == 0:
            value = 0.0
        elif errors <= Fraction(1, 10**12) * sum((v - y_mean) ** 2 for v in y):  # a line, but for rounding
            value = math.inf if slope > 0 else -math.inf
        else:
            value = float(slope) / math.sqrt(errors / (last - 1) / xx)
        if abs(value) > abs(best) * (1 + 1e-9):
            best = value
    return best


def payoff(
    bars: list[Bar],
    base: list[Bar],
    ranges: list[tuple[int, int]],
    sigma: float,
    max_bars: int,
    width: float,
    tick: float,
    edge: float,
    cost: float,
) -> dict[str, float] | None:
    """What barriers of one width pay, in ticks a trade: every event, right and wrong, weighed by its chance."""
    outcomes: list[tuple[float, float]] = []
    held = []
    for t in range(len(bars)):
        event = label(bars, base, ranges, sigma, t, max_bars, width, width, tick)
        if isinstance(event, str):
            continue
        gains = [float(event["exit_long"] - event["entry"]), float(event["entry"] - event["exit_short"])]
        outcomes += [(0.5 + edge, max(gains)), (0.5 - edge, min(gains))]
        held.append(next(i for i in range(len(bars)) if bars[i]["close_time"] == event["label_end"]) - t)
    if not held:
        return None
    gross = math.fsum(p * gain for p, gain in outcomes) / len(held)
    variance = math.fsum(p * (gain - gross) ** 2 for p, gain in outcomes) / len(held)
    if variance <= 1e-12 * math.fsum(p * gain**2 for p, gain in outcomes):
        return None
    trades = len(bars) / len({bar["session"] for bar in bars}) * 252 / statistics.fmean(held)
    sharpe = (gross - cost) / math.sqrt(variance) * math.sqrt(trades)
    return {
        "width": width,
        "gross": gross,
        "deviation": math.sqrt(variance),
        "held": statistics.fmean(held),
        "sharpe": sharpe,
    }
