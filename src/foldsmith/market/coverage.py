"""How much of every session there are bars for, and what the bars of a file are like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.market.readers.columns import PRICES
from foldsmith.market.sessions import Schedule

_STEPS = 200_000
"""Bars that the price step is told from, taken evenly."""


@dataclass(frozen=True)
class Profile:
    """Bars of one file in a few numbers.

    bars : rows; length : of a bar, microseconds (the longest); first, last : open of the first bar and close of the
    last, microseconds UTC; low, high : of all prices; step : the largest number that all prices are multiples of, to
    a millionth, 0 if there is none; volume : of all bars; contracts : (name, bars, first open, last close) in order
    of time, empty if none is named.
    """

    bars: int
    length: int
    first: int
    last: int
    low: float
    high: float
    step: float
    volume: float
    contracts: tuple[tuple[str, int, int, int], ...]


def profile(bars: pl.DataFrame) -> Profile:
    """What cleaned bars (datetime, close_time, prices, volume, contract) are like."""
    opens, closes = (bars[name].to_physical().to_numpy() for name in ("datetime", "close_time"))
    named = (
        bars.filter(pl.col("contract").is_not_null())
        .group_by("contract", maintain_order=True)
        .agg(
            pl.len(),
            pl.col("datetime").to_physical().min().alias("first"),
            pl.col("close_time").to_physical().max().alias("last"),
        )
    )
    return Profile(
        bars=bars.height,
        length=int((closes - opens).max()),
        first=int(opens[0]),
        last=int(closes[-1]),
        low=float(bars["low"].to_numpy().min()),
        high=float(bars["high"].to_numpy().max()),
        step=price_step(bars),
        volume=float(bars["volume"].sum()),
        contracts=tuple(
            (str(name), int(rows), int(first), int(last)) for name, rows, first, last in named.rows()
        ),
    )


def price_step(bars: pl.DataFrame) -> float:
    """The largest step that all prices are multiples of, to a millionth of a unit; 0 if there is none.

    >>> price_step(pl.DataFrame({name: [4800.25, 4801.0, 4799.75] for name in PRICES}))
    0.25
    """
    every = max(1, bars.height // _STEPS)
    millionths = np.concatenate([bars[name].gather_every(every).to_numpy() * 1e6 for name in PRICES])
    whole = np.rint(millionths)
    if len(whole) == 0 or (np.abs(millionths - whole) > 1e-3 * np.maximum(1.0, np.abs(whole) * 1e-9)).any():
        return 0.0
    return float(np.gcd.reduce(whole.astype(np.int64))) / 1e6


def coverage(bars: pl.DataFrame, schedule: Schedule) -> pl.DataFrame:
    """Per session from the first with a bar to the last: day, bars, scheduled and covered minutes, last close.

    Covered is the time of the session that bars lie over, at most all of it; `close` is empty where there is no bar.
    """
    opens, closes = (bars[name].to_physical().to_numpy() for name in ("datetime", "close_time"))
    session = schedule.locate(opens)
    first, last = int(session[0]), int(session[-1])
    size = last - first + 1
    number = session - first
    counts = np.bincount(number, minlength=size)
    covered = np.bincount(number, weights=closes - opens, minlength=size)
    scheduled = (schedule.close - schedule.open)[first : last + 1]
    at_end: npt.NDArray[np.float64] = np.full(size, np.nan)
    at_end[number] = bars["close"].to_numpy()  # of several bars of a session, the last is written last
    return pl.DataFrame(
        {
            "day": schedule.day[first : last + 1],
            "bars": counts,
            "scheduled": scheduled / 60e6,
            "covered": np.minimum(covered, scheduled) / 60e6,
            "close": pl.Series(at_end, nan_to_null=True),
        }
    )
