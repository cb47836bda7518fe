"""Slow, obvious twin of the family `timeframe`: at each bar the longer bars are made anew from what is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from tests.oracles.features import Bars, Value, ratio
from tests.oracles.features_average import unit

LENGTHS = {"15m": (timedelta(minutes=15), 12), "1h": (timedelta(hours=1), 12), "4h": (timedelta(hours=4), 6)}


def end_of(opened: datetime, length: timedelta) -> datetime:
    """End of the stretch of New York's clock, counted from 18:00, in which a bar opens."""
    local = opened.astimezone(ZoneInfo("America/New_York"))
    since = timedelta(hours=local.hour + 6, minutes=local.minute, seconds=local.second)
    return opened + length - (since + timedelta(microseconds=local.microsecond)) % length


def closed_bars(b: Bars, length: timedelta | None) -> Callable[[int], list[list[int]]]:
    """A function that gives the rows of each longer bar that has closed when bar i has."""
    ends = [end_of(opened, length) if length else None for opened in b["datetime"]]

    @cache
    def closed(i: int) -> list[list[int]]:
        bars = [list(rows) for _, rows in groupby(range(i + 1), lambda k: (b["session"][k], ends[k]))]
        end = ends[i]
        return bars if end is not None and b["close_time"][i] >= end else bars[:-1]

    return closed


def timeframe(b: Bars) -> dict[str, tuple[int, Value]]:
    o, h, low, c = (b[name] for name in ("open", "high", "low", "close"))
    size = unit(b)

    def move(rows: list[int]) -> float:
        path = np.log(np.r_[o[rows[0]], c[rows]])
        return ratio(path[-1] - path[0], math.sqrt((np.diff(path) ** 2).sum()), 0)

    def location(rows: list[int]) -> float:
        most, least = h[rows].max(), low[rows].min()
        return ratio(2 * c[rows[-1]] - most - least, most - least, 0)

    def away(rows: list[int], price: float, i: int) -> float:
        return float((price - c[rows[-1]]) / max(h[rows].max() - low[rows].min(), size[i]))

    def of_last(bars: list[list[int]], what: Any) -> float:
        return what(bars[-1]) if bars else math.nan

    def efficiency(bars: list[list[int]], n: int) -> float:
        if len(bars) < n:
            return math.nan
        bars = bars[-n:]
        path = np.r_[o[bars[0][0]], [c[rows[-1]] for rows in bars]]
        return ratio(path[-1] - path[0], np.abs(np.diff(path)).sum(), 0)

    result: dict[str, tuple[int, Value]] = {}
    for name, (length, n) in {**LENGTHS, "1d": (None, 0)}.items():
        closed = closed_bars(b, length)
        result[f"move_{name}"] = (14, lambda i, bars=closed: of_last(bars(i), move))
        result[f"location_{name}"] = (14, lambda i, bars=closed: of_last(bars(i), location))
        result[f"distance_{name}"] = (
            14,
            lambda i, bars=closed: of_last(bars(i), lambda rows: away(rows, c[i], i)),
        )
        if length is not None:
            result[f"efficiency_{name}_{n}"] = (14, lambda i, bars=closed, n=n: efficiency(bars(i), n))

    def session_gap(i: int) -> float:
        first = b["session"].index(b["session"][i])
        return of_last(closed(i), lambda rows: away(rows, o[first], i))

    return {**result, "session_gap": (14, session_gap)}
