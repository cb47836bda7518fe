"""When contracts end: the last trading day of a contract month, by the exchange's rule for each product.

A business day is one on which both the product's own market and the New York Stock Exchange have a session: the
futures trade on for half a day on American holidays, which the exchanges' rules do not count.

Source: the contract specifications of CME Group. A day that an exchange closed unforeseen is not known to the rules.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith.errors import SettingError
from foldsmith.market.instruments import Instrument
from foldsmith.market.sessions import DAY, schedule

Days = npt.NDArray[np.datetime64]
Month = tuple[int, int]
"""Year and month of a contract."""
_WEDNESDAY, _FRIDAY = 2, 4


@dataclass(frozen=True)
class Expiry:
    """A rule in words, and the last trading day that it gives for a contract month among sorted business days."""

    words: str
    last_day: Callable[[Days, Month], Any]


def _weekday(month: Month, weekday: int, count: int) -> np.datetime64:
    """The count-th such weekday (Monday is 0) of a month."""
    first = _first(month)
    # 1970-01-01 was a Thursday.
    ahead = (weekday - (int(first.astype(np.int64)) + 3)) % 7
    return first + np.timedelta64(ahead + 7 * (count - 1), "D")


def _first(month: Month, ahead: int = 0) -> np.datetime64:
    """The first day of the month that lies `ahead` months after."""
    day: np.datetime64 = (
        np.datetime64(f"{month[0]:04d}-{month[1]:02d}") + np.timedelta64(ahead, "M")
    ).astype("M8[D]")
    return day


def _before(days: Days, day: np.datetime64, count: int) -> Any:
    """The business day `count` before a day; with 0 that day itself, or the business day before it."""
    on_or_before = int(np.searchsorted(days, day, side="right")) - 1
    return days[on_or_before - count]


def _third_friday(days: Days, month: Month) -> Any:
    return _before(days, _weekday(month, _FRIDAY, 3), 0)


def _before_third_wednesday(days: Days, month: Month) -> Any:
    wednesday = _weekday(month, _WEDNESDAY, 3)
    return days[int(np.searchsorted(days, wednesday, side="left")) - 2]


def _before_the_25th(count: int) -> Callable[[Days, Month], Any]:
    def last_day(days: Days, month: Month) -> Any:
        return _before(days, _first(month, -1) + np.timedelta64(24, "D"), count)

    return last_day


def _third_last(days: Days, month: Month) -> Any:
    return days[int(np.searchsorted(days, _first(month, 1), side="left")) - 3]


_EQUITY = Expiry("the third Friday of the contract month, or the business day before it", _third_friday)
_FX = Expiry("the second business day before the third Wednesday of the month", _before_third_wednesday)
_CRUDE = Expiry(
    "3 business days before the 25th, or the business day before it, of the month before", _before_the_25th(3)
)
_MICRO_CRUDE = Expiry("the business day before that of CL", _before_the_25th(4))
_METAL = Expiry("the third last business day of the contract month", _third_last)

EXPIRIES: dict[str, Expiry] = {
    **dict.fromkeys(("MES", "MNQ", "M2K", "MYM", "ES", "NQ", "RTY", "YM"), _EQUITY),
    **dict.fromkeys(("M6E", "6E"), _FX),
    "CL": _CRUDE,
    "MCL": _MICRO_CRUDE,
    **dict.fromkeys(("GC", "MGC", "SI", "SIL"), _METAL),
}
"""Rule of the last trading day by symbol."""


def check_expiry(symbol: str) -> Expiry:
    """The rule of a symbol, or SettingError listing those that have one."""
    if symbol not in EXPIRIES:
        raise SettingError(
            f"--roll calendar: when contracts of {symbol} end is not known here; it is for {', '.join(EXPIRIES)}. "
            "Take --roll volume."
        )
    return EXPIRIES[symbol]


def last_trading_day(instrument: Instrument, month: Month) -> Any:
    """The last day (datetime64[D]) on which the contract of a month trades.

    Raises SettingError for an instrument without a rule.

    >>> from foldsmith.market.instruments import INSTRUMENTS
    >>> print(last_trading_day(INSTRUMENTS["ES"], (2025, 12)))
    2025-12-19
    """
    return check_expiry(instrument.symbol).last_day(_business_days(instrument.calendar, month, month), month)


def roll_days(instrument: Instrument, months: list[Month], before: int) -> list[Any]:
    """For each contract month the session (datetime64[D]) that lies `before` sessions before its last trading day.

    Raises SettingError for an instrument without a rule.
    """
    rule = check_expiry(instrument.symbol)
    if not months:
        return []
    business = _business_days(instrument.calendar, min(months), max(months))
    sessions = _days(instrument.calendar, min(months), max(months), before)
    last = [rule.last_day(business, month) for month in months]
    return [sessions[int(np.searchsorted(sessions, day)) - before] for day in last]


def _business_days(calendar: str, first: Month, last: Month) -> Days:
    return np.intersect1d(_days(calendar, first, last), _days("US_EQUITY", first, last))


def _days(calendar: str, first: Month, last: Month, margin: int = 0) -> Days:
    """Trading days from two months before the first month to the end of the last, and `margin` sessions earlier."""
    begin = _first(first, -2) - np.timedelta64(2 * margin, "D")
    span = [int(day.astype("datetime64[D]").astype(np.int64)) * DAY for day in (begin, _first(last, 1))]
    return schedule(calendar, *span).day
