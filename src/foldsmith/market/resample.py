"""Bars of a longer timeframe from base bars, anchored at the session's open."""

from __future__ import annotations

import re

import numpy as np
import polars as pl

from foldsmith.errors import DataError, SettingError
from foldsmith.intervals import Instants
from foldsmith.market.sessions import DAY, Schedule

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}


def parse_timeframe(text: str) -> int:
    """The length of a bar in microseconds from text such as 30s, 5m, 1h or 1d; at most a day.

    A bar of 1d is one session. Raises SettingError for anything else.

    >>> parse_timeframe("5m")
    300000000
    """
    match = re.fullmatch(r"(\d{1,6})\s*([a-z]+)", text.strip().lower())
    if match is None or match[2] not in _UNITS:
        raise SettingError(f"timeframe {text!r} is none; write a number and s, m, h or d, such as 5m or 1h.")
    length = int(match[1]) * _UNITS[match[2]] * 1_000_000
    if not 0 < length <= DAY:
        raise SettingError(
            f"timeframe {text!r} is out of range; a bar is longer than nothing and at most 1d."
        )
    return length


def resample(bars: pl.DataFrame, timeframe_us: int, schedule: Schedule) -> pl.DataFrame:
    """Bars of `timeframe_us` microseconds from marked base bars (`contracts.BARS`).

    The bin of a base bar that opens at t in a session that opens at s is [s + k F, s + (k + 1) F), with
    k = floor((t - s) / F). Open is the first, high the largest, low the least, close the last, volume the
    sum. `datetime` is the bin's start, `close_time` its end or the session's close if that is earlier. No bar
    mixes sessions, contracts or blocks: where a block ends inside a bin, the bin's first part closes with its
    last base bar, and each later part opens with its first.

    A timeframe equal to the base bars' length gives them back unchanged. Raises SettingError for one that is
    no multiple of it.
    """
    if bars.is_empty():
        return bars
    opens = bars["datetime"].to_physical().to_numpy()
    closes = bars["close_time"].to_physical().to_numpy()
    base = int((closes - opens).max())
    if timeframe_us == base:
        return bars
    if timeframe_us < base or timeframe_us % base:
        raise SettingError(
            f"a timeframe of {timeframe_us / 6e7:g} minutes cannot be made from bars of {base / 6e7:g} "
            "minutes; "
            "give a multiple."
        )
    starts, ends = _bins(bars, opens, timeframe_us, schedule)
    block = bars["block"].to_numpy()
    new_bin = np.r_[True, np.diff(starts) != 0]
    first = np.flatnonzero(new_bin | np.r_[True, np.diff(block) != 0])
    # Where a block begins inside a bin, that part opens late and the part before closes early.
    split = ~new_bin[first]
    datetime = np.where(split, opens[first], starts[first])
    early = np.r_[split[1:], False]
    last = np.r_[first[1:], len(opens)] - 1
    close_time = np.where(early, closes[last], ends[first])
    return _aggregate(bars, first, last, datetime, close_time)


def minute_ranges(bars: pl.DataFrame, resampled: pl.DataFrame) -> tuple[Instants, Instants]:
    """Rows [first, stop) of the base bars inside each resampled bar; together all base rows, in order."""
    opens = bars["datetime"].to_physical().to_numpy()
    first = np.searchsorted(opens, resampled["datetime"].to_physical().to_numpy(), side="left").astype(
        np.int64
    )
    stop = np.r_[first[1:], len(opens)].astype(np.int64) if len(first) else first.copy()
    if (len(first) and first[0] != 0) or (stop <= first).any() or (len(opens) > 0 and not len(first)):
        raise DataError(
            "the resampled bars were not made from these base bars: one of them holds no base bar."
        )
    return first, stop


def _bins(
    bars: pl.DataFrame, opens: Instants, timeframe: int, schedule: Schedule
) -> tuple[Instants, Instants]:
    """Start and end of the bin of each base bar."""
    days = bars["session"].to_physical().to_numpy()
    edges = np.r_[0, np.flatnonzero(np.diff(days)) + 1, len(days)]
    wanted = days[edges[:-1]].astype("datetime64[D]")
    found = np.searchsorted(schedule.day, wanted)
    if (found >= len(schedule.day)).any() or (schedule.day[found] != wanted).any():
        raise DataError("the schedule does not hold every session of the bars; ask it for their whole span.")
    counts = np.diff(edges)
    anchor = np.repeat(schedule.open[found], counts)
    starts = anchor + (opens - anchor) // timeframe * timeframe
    return starts, np.minimum(starts + timeframe, np.repeat(schedule.close[found], counts))


def _aggregate(
    bars: pl.DataFrame, first: Instants, last: Instants, datetime: Instants, close_time: Instants
) -> pl.DataFrame:
    utc = pl.Datetime("us", "UTC")
    return pl.DataFrame(
        {
            "datetime": pl.Series(datetime).cast(utc),
            "close_time": pl.Series(close_time).cast(utc),
            "open": bars["open"].to_numpy()[first],
            "high": np.maximum.reduceat(bars["high"].to_numpy(), first),
            "low": np.minimum.reduceat(bars["low"].to_numpy(), first),
            "close": bars["close"].to_numpy()[last],
            "volume": np.add.reduceat(bars["volume"].to_numpy(), first),
            "contract": bars["contract"].gather(first),
            "session": bars["session"].gather(first),
            "block": bars["block"].gather(first),
        }
    )
