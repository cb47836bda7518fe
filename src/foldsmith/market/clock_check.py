"""Whether a file's clock can be right: bars against the hours in which their market is open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from foldsmith.errors import DataError
from foldsmith.intervals import Instants
from foldsmith.market.findings import iso
from foldsmith.market.sessions import DAY, Schedule

HOUR = 3_600_000_000
_SAMPLE = 50_000
_STRAY_SHARE = 0.01
"""Below this share of bars outside the sessions nothing is suspected."""
_STRAY_DAYS = 3
_EXPLAINED = 0.25
"""A shift of the clock is the likely cause if it leaves at most this part of them outside."""
_STAMP_SESSIONS = 3
_STAMP_SHARE = 0.8


def check_clock(instants: Instants, length: int, schedule: Schedule) -> None:
    """Raise DataError if bars (sorted opens) fit the sessions badly and another clock would fit well.

    Three mistakes are looked for: no bar inside any session; a clock that is whole hours off, through the
    year or in the part of it with or without daylight saving, the market's or Europe's; stamps at the
    other end of the bar.
    """
    inside = schedule.locate(instants) >= 0
    if not inside.any():
        raise DataError(
            f"none of {len(instants):,} bars lies inside the sessions of {schedule.calendar} (the first is "
            f"at {iso(int(instants[0]))}). The clock or the calendar is likely wrong: say --timezone, or "
            "look at the calendar of the instrument."
        )
    if len(schedule.open) and int((schedule.close - schedule.open).max()) < 24 * HOUR:
        _check_hours(instants, inside, schedule)
        _check_stamp(instants, length, schedule)


def _check_hours(instants: Instants, inside: np.ndarray, schedule: Schedule) -> None:
    """A part of the year whose stray bars mostly vanish under a shift by whole hours."""
    summer, european = _summer(instants, schedule), _european_summer(instants)
    for part, words in (
        (summer, " in summer"),
        (~summer, " in winter"),
        (european, " in European summer"),
        (~european, " in European winter"),
    ):
        strays = part & ~inside
        count = int(part.sum())
        # One wrong holiday in the calendar is no wrong clock: strays on several days are.
        days = len(np.unique(instants[strays] // DAY))
        if count == 0 or strays.sum() <= _STRAY_SHARE * count or days < _STRAY_DAYS:
            continue
        sample = instants[part][:: max(1, count // _SAMPLE)]
        now = float((schedule.locate(sample) < 0).mean())
        shifts = [hours for hours in range(-14, 15) if hours]
        left = [float((schedule.locate(sample + hours * HOUR) < 0).mean()) for hours in shifts]
        # Of equal fits, the smallest shift.
        best = min(range(len(shifts)), key=lambda i: (round(left[i], 4), abs(shifts[i])))
        if left[best] <= _EXPLAINED * now:
            raise DataError(
                f"{now:.1%} of the bars{'' if part.all() else words} lie outside the sessions of "
                f"{schedule.calendar} (the first at {iso(int(instants[strays][0]))}); with the clock moved by "
                f"{shifts[best]:+d} h only {left[best]:.1%} would. The times are likely in another zone than "
                "taken: say --timezone, such as America/Chicago; or the instrument has another calendar."
            )


def _summer(instants: Instants, schedule: Schedule) -> np.ndarray:
    """Which bars fall into daylight saving: sessions that open at the earliest hour of UTC."""
    hour = (schedule.open // HOUR) % 24
    summer = hour == hour.min()
    session = np.maximum(np.searchsorted(schedule.open, instants, side="right") - 1, 0)
    return np.asarray(summer[session], dtype=np.bool_)


def _european_summer(instants: Instants) -> np.ndarray:
    """Which bars fall into Europe's summer time: between the last Sundays of March and October, 1:00 UTC."""
    years = [datetime.fromtimestamp(instants[end] / 1e6, UTC).year for end in (0, -1)]
    changes = [_last_sunday(year, month) for year in range(years[0], years[1] + 1) for month in (3, 10)]
    return np.asarray(np.searchsorted(changes, instants, side="right") % 2 == 1, dtype=np.bool_)


def _last_sunday(year: int, month: int) -> int:
    last = datetime(year, month, 31, 1, tzinfo=UTC)
    return round((last - timedelta(days=last.isoweekday() % 7)).timestamp()) * 1_000_000


def _check_stamp(instants: Instants, length: int, schedule: Schedule) -> None:
    """Bars at one edge of the sessions, none at the other: the stamp is at the other end of the bar."""
    first = np.searchsorted(schedule.open, instants[0], side="left")
    last = np.searchsorted(schedule.close, instants[-1], side="left")
    opens, closes = schedule.open[first:last], schedule.close[first:last]
    traded = np.searchsorted(instants, closes) - np.searchsorted(instants, opens) > 1
    if np.count_nonzero(traded) < _STAMP_SESSIONS:
        return

    def share(edges: Instants) -> float:
        at = np.searchsorted(instants, edges[traded])
        return float((instants[np.minimum(at, len(instants) - 1)] == edges[traded]).mean())

    at_open, at_close = share(opens), share(closes)
    before_open, before_close = share(opens - length), share(closes - length)
    if at_close >= _STAMP_SHARE and at_open < 1 - _STAMP_SHARE:
        raise DataError(
            f"{at_close:.0%} of the sessions have a bar stamped at their close and {at_open:.0%} one at "
            "their open: the bars are likely stamped at their end. Say --stamp close, or each would look "
            "one bar ahead."
        )
    if before_open >= _STAMP_SHARE and before_close < 1 - _STAMP_SHARE:
        raise DataError(
            f"{before_open:.0%} of the sessions have a bar just before their open and {before_close:.0%} "
            "their last one: the bars are likely stamped at their start. Leave --stamp close out."
        )
