"""Trading sessions: when a market is open by schedule, holidays and early closes included.

A session is one trading day, from its open to its close. CME's daily pause (17:00 to 18:00 New York)
separates two sessions; the 15:15 to 15:30 Chicago halt of earlier years is not modelled. Half-open: a bar
that opens at a session's close is outside it.

Source: pandas_market_calendars, corrected by `OVERRIDES`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from foldsmith.errors import DataError, SettingError
from foldsmith.intervals import Instants

CALENDARS: dict[str, str | None] = {
    "CME_EQUITY": "CME Globex Equity",
    "CME_ENERGY": "CMEGlobex_Energy",
    "CME_METALS": "CMEGlobex_Metals",
    "CME_FX": "CMEGlobex_FX",
    "US_EQUITY": "NYSE",
    "US_EQUITY_EXTENDED": "NYSE",
    "24x7": None,
}
"""Our calendars, and what pandas_market_calendars calls them; None is a market that never closes."""
EXTENDED = {"US_EQUITY_EXTENDED": ("pre", "post")}
"""Calendars whose sessions run from before the regular open to after the regular close, by the source's columns."""

_CHRISTMAS_EVES = tuple(f"{year}-12-24" for year in (2018, 2019, 2020, 2024, 2025))
_LABOUR_DAYS = ("2022-09-05", "2023-09-04", "2024-09-02", "2025-09-01")
_ENERGY_AND_METALS: dict[str, str | None] = {
    **dict.fromkeys(_CHRISTMAS_EVES, "13:45"),
    **dict.fromkeys(_LABOUR_DAYS, "14:30"),
    "2026-06-19": "14:30",
    "2026-07-03": "14:30",
    "2026-11-27": "13:45",
}
_GOOD_FRIDAYS: dict[str, str | None] = {"2024-03-29": None, "2025-04-18": None}
OVERRIDES: dict[str, dict[str, str | None]] = {
    # Days of national mourning close equity products at 9:30.
    "CME_EQUITY": {**_GOOD_FRIDAYS, "2018-12-05": "09:30", "2025-01-09": "09:30"},
    "CME_FX": dict(_GOOD_FRIDAYS),
    "CME_ENERGY": _ENERGY_AND_METALS,
    "CME_METALS": _ENERGY_AND_METALS,
}
"""Where the source calendar is wrong: trading day -> close in New York time, or None for a closed day.

Known from bars of those days, from the exchange's holiday notices, or (2026) from the same holiday in other
years.
"""

DAY = 86_400_000_000
"""Microseconds of a day."""
_MARGIN_DAYS = 14
_NEW_YORK = ZoneInfo("America/New_York")
_EARLIEST, _LATEST = datetime(1980, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class Schedule:
    """Sessions of one calendar in order of time.

    open, close : int64 (n,) microseconds since 1970 UTC, open < close <= next open;
    day : datetime64[D] (n,) the trading day, which for CME begins the evening before.
    """

    calendar: str
    open: Instants
    close: Instants
    day: npt.NDArray[np.datetime64]

    def locate(self, instants: Instants) -> npt.NDArray[np.int64]:
        """Number of the session with open <= instant < close, or -1 where the market is closed.

        >>> days = np.array(["2024-01-01", "2024-01-02"], "M8[D]")
        >>> hours = Schedule("x", np.array([0, 100]), np.array([50, 150]), days)
        >>> hours.locate(np.array([0, 49, 50, 120, 150]))
        array([ 0,  0, -1,  1, -1])
        """
        index = np.searchsorted(self.open, instants, side="right") - 1
        inside = (index >= 0) & (instants < self.close[index])
        return np.where(inside, index, -1).astype(np.int64)

    def open_time(self, start: Any, end: Any) -> Any:
        """Microseconds of scheduled trading inside [start, end), broadcast; 0 where end <= start.

        >>> days = np.array(["2024-01-01", "2024-01-02"], "M8[D]")
        >>> hours = Schedule("x", np.array([0, 100]), np.array([50, 150]), days)
        >>> hours.open_time(np.array([40, 60]), np.array([110, 90]))
        array([20,  0])
        """
        return np.maximum(self._elapsed(np.asarray(end)) - self._elapsed(np.asarray(start)), 0)

    def _elapsed(self, instants: Instants) -> Instants:
        """Open time from the first session's open up to each instant."""
        before = np.concatenate([[0], np.cumsum(self.close - self.open)])
        index = np.searchsorted(self.open, instants, side="right") - 1
        last = np.maximum(index, 0)
        within = np.clip(instants - self.open[last], 0, self.close[last] - self.open[last])
        return np.asarray(np.where(index < 0, 0, before[last] + within), dtype=np.int64)


def schedule(calendar: str, first: int, last: int) -> Schedule:
    """Sessions of `calendar` over the instants [first, last] (microseconds UTC) and two weeks either side.

    Raises SettingError for an unknown calendar, DataError for instants before 1980 or after 2100.
    """
    if calendar not in CALENDARS:
        raise SettingError(f"calendar {calendar!r} is unknown; there are {', '.join(CALENDARS)}.")
    if first > last:
        raise SettingError(f"the schedule is asked from {first} to {last}; its end lies before its start.")
    check_plausible(first, last)
    margin = timedelta(days=_MARGIN_DAYS)
    return _schedule(calendar, _date(first) - margin, _date(last) + margin)


def check_plausible(first: int, last: int, source: str = "") -> None:
    """Raise DataError for instants (microseconds UTC) before 1980 or after 2099: likely a wrong unit."""
    for instant in (first, last):
        if not _EARLIEST.timestamp() * 1e6 <= instant < _LATEST.timestamp() * 1e6:
            year = 1970 + instant / (365.2425 * DAY)
            raise DataError(
                f"{source + ': ' if source else ''}a bar is dated in the year {year:.0f}; years 1980 to 2099 "
                "are possible. Are the times epoch numbers of another unit?"
            )


@lru_cache(maxsize=32)
def _schedule(calendar: str, first: date, last: date) -> Schedule:
    """Sessions of these days, cut from those of whole years: a feed asks for later days each day."""
    years = _sessions(calendar, date(first.year, 1, 1), date(last.year, 12, 31))
    kept = (years.day >= np.datetime64(first)) & (years.day <= np.datetime64(last))
    return Schedule(calendar, years.open[kept], years.close[kept], years.day[kept])


@lru_cache(maxsize=32)
def _sessions(calendar: str, first: date, last: date) -> Schedule:
    """Sessions of these days: a tenth of a second, however many they are."""
    source = CALENDARS[calendar]
    if source is None:
        days = np.arange(np.datetime64(first), np.datetime64(last) + 1)
        opens = days.astype("datetime64[us]").astype(np.int64)
        return Schedule(calendar, opens, opens + DAY, days)
    # 0.6 s of import, so only where a market has hours.
    import pandas_market_calendars

    ends = EXTENDED.get(calendar, ("market_open", "market_close"))
    table = pandas_market_calendars.get_calendar(source).schedule(first, last, start=ends[0], end=ends[1])
    days = table.index.to_numpy().astype("datetime64[D]")
    opens, closes = (
        table[column]
        .dt.tz_convert("UTC")
        .dt.tz_localize(None)
        .to_numpy()
        .astype("datetime64[us]")
        .astype(np.int64)
        for column in ends
    )
    keep = np.ones(len(days), dtype=np.bool_)
    for day, close in OVERRIDES.get(calendar, {}).items():
        row = np.flatnonzero(days == np.datetime64(day))
        if close is None:
            keep[row] = False
        else:
            closes[row] = _new_york(date.fromisoformat(day), time.fromisoformat(close))
    return Schedule(calendar, opens[keep], closes[keep], days[keep])


def _new_york(day: date, at: time) -> int:
    return round(datetime.combine(day, at, _NEW_YORK).timestamp()) * 1_000_000


def _date(instant: int) -> date:
    return datetime.fromtimestamp(instant / 1e6, UTC).date()
