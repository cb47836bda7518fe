"""What the clock says of a bar: known at its close at the latest."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.intervals import Instants

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY_SECONDS = 86_400
CASH_HOURS = (34_200, 57_600)
"""The stock market's hours, 9:30 to 16:00 in New York, in seconds of the day."""


def new_york_seconds(instants: Instants) -> Instants:
    """Second of the day on New York's clock of instants (n,) in microseconds UTC.

    >>> new_york_seconds(np.array([1_704_724_200_000_000])).tolist()  # 2024-01-08 14:30 UTC
    [34200]
    """
    hours = instants // HOUR
    fresh = np.flatnonzero(np.r_[True, hours[1:] != hours[:-1]]) if len(hours) else np.zeros(0, np.int64)
    # Clocks change on the hour, so one look per hour is enough.
    utc = pl.Series(hours[fresh] * HOUR).cast(pl.Datetime("us", "UTC"))
    local = utc.dt.convert_time_zone("America/New_York").dt
    shift = (local.base_utc_offset() + local.dst_offset()).to_physical().to_numpy() * 1000
    lengths = np.diff(np.r_[fresh, len(hours)])
    seconds: Instants = (instants + np.repeat(shift, lengths)) // SECOND % DAY_SECONDS
    return seconds


def clock(
    opens: Instants,
    closes: Instants,
    session: npt.NDArray[Any],
    seconds: Instants,
    out: npt.NDArray[np.float32],
) -> None:
    """Fill `out` (5, n), rows in catalogue order.

    opens, closes : microseconds UTC, (n,); session : day number since 1970, (n,); seconds : of the day in New
    York at the open, (n,).
    """
    # float32 has a vector loop, float64 has none: a quarter of the time, and right to 1e-6.
    angle = (seconds * (2 * np.pi / DAY_SECONDS)).astype(np.float32)
    out[0] = np.sin(angle)
    out[1] = np.cos(angle)
    first = np.flatnonzero(np.r_[True, session[1:] != session[:-1]])
    began = np.repeat(opens[first], np.diff(np.r_[first, len(opens)]))
    out[2] = (closes - began) / (60 * SECOND)
    # Day 0, 1970-01-01, was a Thursday.
    out[3] = (session.astype(np.int64) + 3) % 7
    out[4] = (seconds >= CASH_HOURS[0]) & (seconds < CASH_HOURS[1])
