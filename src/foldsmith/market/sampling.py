"""From base bars to the bars of a timeframe, whichever closes them, with the base bars inside each."""

from __future__ import annotations

import polars as pl

from foldsmith.errors import DataError
from foldsmith.intervals import Instants
from foldsmith.market.information_bars import information_bars
from foldsmith.market.resample import minute_ranges, resample
from foldsmith.market.sessions import Schedule
from foldsmith.market.timeframe import Timeframe


def sample(
    base: pl.DataFrame, timeframe: Timeframe, schedule: Schedule, point_value: float
) -> tuple[pl.DataFrame, Instants, Instants]:
    """Bars of a timeframe from marked base bars (`contracts.BARS`), and the rows [first, stop) of each in those.

    A last bar that closes after the last base bar does is left out: it is not over, and more data would change it.
    Raises DataError where no bar is over. See `resample` and `information_bars` for what a bar is.
    """
    length = timeframe.microseconds
    if length is None:
        bars = information_bars(base, timeframe, schedule, point_value)
    else:
        bars = resample(base, length, schedule)
    # Bars follow one another, so only the last can be unfinished.
    bars = bars.filter(pl.col("close_time") <= base["close_time"].max())
    if bars.is_empty():
        raise DataError(
            f"{base.height:,} base bars, from {base['datetime'][0]} on, make no bar that is over; use shorter or "
            "smaller bars, or more data."
        )
    return bars, *minute_ranges(base, bars)
