"""Slow, obvious twins of the market room: plain Python, one bar at a time."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import log
from typing import Any

MINUTE = 60_000_000


def locate(sessions: list[tuple[int, int]], instant: int) -> int:
    """Number of the session that holds the instant, or -1."""
    for number, (start, end) in enumerate(sessions):
        if start <= instant < end:
            return number
    return -1


def open_time(sessions: list[tuple[int, int]], start: int, end: int) -> int:
    """Scheduled time inside [start, end), one session after the other."""
    return sum(max(0, min(end, close) - max(start, begin)) for begin, close in sessions)


def micros(value: datetime) -> int:
    """A zone-aware datetime as whole microseconds since 1970."""
    return (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def blocks(bars: list[dict[str, Any]], sessions: list[tuple[int, int]], max_gap_minutes: float) -> list[int]:
    """Block number of each bar: one more at a change of contract or too much open time without a bar."""
    numbers: list[int] = []
    for row, bar in enumerate(bars):
        if row == 0:
            numbers.append(0)
            continue
        before = bars[row - 1]
        lost = open_time(sessions, micros(before["close_time"]), micros(bar["datetime"]))
        cut = bar["contract"] != before["contract"] or lost > max_gap_minutes * MINUTE
        numbers.append(numbers[-1] + cut)
    return numbers


def resample(
    bars: list[dict[str, Any]], timeframe: int, sessions: list[tuple[int, int]]
) -> list[dict[str, Any]]:
    """Bars of a longer timeframe: put each base bar into its bin, then read off each bin's last block."""
    bins: dict[int, list[dict[str, Any]]] = {}
    for bar in bars:
        at = micros(bar["datetime"])
        start = sessions[locate(sessions, at)][0]
        number = (at - start) // timeframe
        bins.setdefault(start + number * timeframe, []).append(bar)
    result = []
    for start, together in bins.items():
        close = sessions[locate(sessions, start)][1]
        inside = [bar for bar in together if bar["block"] == together[-1]["block"]]
        opened = start if len(inside) == len(together) else micros(inside[0]["datetime"])
        result.append(_read_off(inside, opened, min(start + timeframe, close)))
    return result


def information_bars(
    bars: list[dict[str, Any]], amounts: list[float], size: float, sessions: list[tuple[int, int]]
) -> list[dict[str, Any]]:
    """Bars of equal sums: take base bars one by one until their amounts reach the size."""
    result = []
    inside: list[int] = []
    for row, bar in enumerate(bars):
        if inside and bar["session"] != bars[inside[0]]["session"]:
            result.append(_ended(bars, inside, sessions))
            inside = []
        if inside and bar["block"] != bars[inside[0]]["block"]:
            inside = []
        inside.append(row)
        if sum(amounts[i] for i in inside) >= size:
            together = [bars[i] for i in inside]
            result.append(
                _read_off(together, micros(together[0]["datetime"]), micros(together[-1]["close_time"]))
            )
            inside = []
    if inside:
        result.append(_ended(bars, inside, sessions))
    return result


def _ended(bars: list[dict[str, Any]], inside: list[int], sessions: list[tuple[int, int]]) -> dict[str, Any]:
    """A bar that its session's close ends."""
    together = [bars[i] for i in inside]
    opened = micros(together[0]["datetime"])
    return _read_off(together, opened, sessions[locate(sessions, opened)][1])


def _read_off(inside: list[dict[str, Any]], opened: int, closed: int) -> dict[str, Any]:
    return {
        "datetime": opened,
        "close_time": closed,
        "open": inside[0]["open"],
        "high": max(bar["high"] for bar in inside),
        "low": min(bar["low"] for bar in inside),
        "close": inside[-1]["close"],
        "volume": sum(bar["volume"] for bar in inside),
        "contract": inside[0]["contract"],
        "session": inside[0]["session"],
        "block": inside[0]["block"],
        "rows": len(inside),
    }


def bar_length(instants: list[int]) -> int:
    """Most common positive spacing, the shorter of equally common ones."""
    ordered = sorted(set(instants))
    steps = Counter(b - a for a, b in pairwise(ordered))
    most = max(steps.values())
    return min(step for step, count in steps.items() if count == most)


def bad_prints(bars: list[dict[str, Any]], length: int) -> list[bool]:
    """Which bars are bad prints: each judged by a list of the bars kept before it.

    A bar has instant, open, high, low, close, volume, session and contract.
    """
    bad: list[bool] = []
    kept: list[dict[str, Any]] = []
    for number, bar in enumerate(bars):
        if kept and kept[-1]["contract"] != bar["contract"]:
            kept = []
        near = (
            bool(kept)
            and kept[-1]["session"] == bar["session"]
            and bar["instant"] - kept[-1]["instant"] <= 10 * length
        )
        last = kept[-1]["close"] if kept else bar["open"]
        inner = [bar["open"], bar["close"]]
        if bar["low"] > last:
            jump, away = True, log(bar["low"] / last)
        elif bar["high"] < last:
            jump, away = True, log(last / bar["high"])
        else:
            jump, away = False, 0.0
        if jump:
            bottom, top = min(inner), max(inner)
        else:
            bottom = min([last] + [price for price in inner if price != bar["low"]])
            top = max([last] + [price for price in inner if price != bar["high"]])
        distance = max(away if near else 0.0, log(bottom / bar["low"]), log(bar["high"] / top))
        window = kept[-60:]
        widest = max((one["range"] for one in window), default=0.0)
        most = max((one["volume"] for one in window), default=0.0)
        reach = 10 if most > 0 else 50
        verdict = (
            len(window) >= 10
            and distance > 0.005
            and distance > reach * widest
            and bar["volume"] <= most
            and not (
                jump
                and bool(bad)
                and bad[-1]
                and abs(log(bar["open"] / bars[number - 1]["close"])) <= max(0.005, reach * widest)
            )
        )
        bad.append(verdict)
        if not verdict:
            high, low = (max(bar["high"], last), min(bar["low"], last)) if near else (bar["high"], bar["low"])
            kept.append({**bar, "range": log(high / low)})
    return bad
