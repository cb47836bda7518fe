"""Bars of a longer timeframe from base bars, anchored at the session's open."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.errors import DataError, SettingError
from foldsmith.intervals import Instants
from foldsmith.market.sessions import Schedule


def resample(bars: pl.DataFrame, timeframe_us: int, schedule: Schedule) -> pl.DataFrame:
    """Bars of `timeframe_us` microseconds from marked base bars (`contracts.BARS`).

    The bin of a base bar that opens at t in a session that opens at s is [s + k F, s + (k + 1) F), with
    k = floor((t - s) / F). Open is the first, high the largest, low the least, close the last, volume the
    sum. `datetime` is the bin's start, `close_time` its end or the session's close if that is earlier. No bar
    mixes sessions, contracts or blocks: where a block begins inside a bin, the bar opens with its first base bar,
    and what came before it in the bin is no bar: that it was over showed only in what came after.

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
            "minutes; give a multiple."
        )
    # Compiled code comes with 0.9 s of import, so only where there is work for it.
    from foldsmith.market.resample_kernel import one_pass

    edges, session_open, session_close = session_rows(bars, schedule)
    prices = tuple(frozen(bars[name]) for name in ("open", "high", "low", "close"))
    first, start, end, *values = one_pass(
        frozen(bars["datetime"].to_physical()),
        frozen(bars["block"]),
        prices,
        frozen(bars["volume"]),
        edges,
        session_open,
        session_close,
        timeframe_us,
    )
    utc = pl.Datetime("us", "UTC")
    return pl.DataFrame(
        {
            "datetime": pl.Series(start).cast(utc),
            "close_time": pl.Series(end).cast(utc),
            **dict(zip(("open", "high", "low", "close", "volume"), values, strict=True)),
            **{name: bars[name].gather(first) for name in ("contract", "session", "block")},
        }
    )


def minute_ranges(bars: pl.DataFrame, resampled: pl.DataFrame) -> tuple[Instants, Instants]:
    """Rows [first, stop) of the base bars inside each resampled bar: those that open in [datetime, close_time).

    Together all base rows, in order, but those that a new block left in no bar, and those of a last bar that is left
    out. Raises DataError where the bars were not made from these base bars.
    """
    opens = bars["datetime"].to_physical().to_numpy()
    block = bars["block"].to_numpy()
    first, stop = (
        np.searchsorted(opens, resampled[name].to_physical().to_numpy(), side="left").astype(np.int64)
        for name in ("datetime", "close_time")
    )
    wrong = (stop <= first).any() or (len(opens) > 0 and not len(first))
    if not wrong and len(first):
        before = np.r_[0, stop[:-1]]
        skips = first > before
        wrong = (first < before).any() or (block[first[skips]] == block[first[skips] - 1]).any()
    if wrong:
        raise DataError(
            "the resampled bars were not made from these base bars: one of them holds no base bar, or a base bar is in "
            "none."
        )
    return first, stop


def frozen(series: pl.Series) -> npt.NDArray[Any]:
    """The values, never writable: writable and read-only arrays would each be compiled for."""
    values = series.to_numpy().view()
    values.flags.writeable = False
    return values


def session_rows(bars: pl.DataFrame, schedule: Schedule) -> tuple[Instants, Instants, Instants]:
    """Rows at which a session begins (and the end), and scheduled open and close of each."""
    days = bars["session"].to_physical().to_numpy()
    edges = np.r_[0, np.flatnonzero(np.diff(days)) + 1, len(days)].astype(np.int64)
    wanted = days[edges[:-1]].astype("datetime64[D]")
    found = np.searchsorted(schedule.day, wanted)
    if (found >= len(schedule.day)).any() or (schedule.day[found] != wanted).any():
        raise DataError("the schedule does not hold every session of the bars; ask it for their whole span.")
    # The compiled pass relies on this: it sizes its arrays by the sessions.
    opens = bars["datetime"].to_physical().to_numpy()
    outside = (opens[edges[:-1]] < schedule.open[found]) | (opens[edges[1:] - 1] >= schedule.close[found])
    if outside.any() or not (np.diff(opens) > 0).all():
        raise DataError(
            "bars must rise in time and lie inside their sessions; clean them and mark blocks first."
        )
    return edges, schedule.open[found], schedule.close[found]
