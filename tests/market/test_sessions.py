"""Sessions: known hours of known days, and look-ups equal to their slow twins."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.market.conftest import us
from tests.oracles import market as oracle

from foldsmith.errors import DataError, SettingError
from foldsmith.market import sessions as module
from foldsmith.market.sessions import CALENDARS, OVERRIDES, Schedule, schedule


def hours_of(calendar: str, day: str) -> tuple[str, str] | None:
    found = schedule(calendar, us(day), us(day))
    row = np.flatnonzero(found.day == np.datetime64(day))
    if len(row) == 0:
        return None
    both = np.r_[found.open[row], found.close[row]].astype("datetime64[us]")
    return str(both[0])[:16], str(both[1])[:16]


@pytest.mark.parametrize(
    ("calendar", "day", "expected"),
    [
        ("CME_EQUITY", "2024-01-08", ("2024-01-07T23:00", "2024-01-08T22:00")),
        ("CME_EQUITY", "2024-07-09", ("2024-07-08T22:00", "2024-07-09T21:00")),
        # The Monday after clocks go forward opens an hour earlier in UTC than the Friday before.
        ("CME_EQUITY", "2024-03-08", ("2024-03-07T23:00", "2024-03-08T22:00")),
        ("CME_EQUITY", "2024-03-11", ("2024-03-10T22:00", "2024-03-11T21:00")),
        ("CME_EQUITY", "2023-11-24", ("2023-11-23T23:00", "2023-11-24T18:15")),
        ("CME_EQUITY", "2024-12-25", None),
        ("CME_EQUITY", "2024-03-29", None),
        ("CME_EQUITY", "2025-04-18", None),
        ("CME_EQUITY", "2023-04-07", ("2023-04-06T22:00", "2023-04-07T13:15")),
        ("CME_EQUITY", "2025-01-09", ("2025-01-08T23:00", "2025-01-09T14:30")),
        ("CME_ENERGY", "2022-09-05", ("2022-09-04T22:00", "2022-09-05T18:30")),
        ("CME_ENERGY", "2019-12-24", ("2019-12-23T23:00", "2019-12-24T18:45")),
        ("CME_METALS", "2024-09-02", ("2024-09-01T22:00", "2024-09-02T18:30")),
        ("CME_FX", "2024-01-15", ("2024-01-14T23:00", "2024-01-15T22:00")),
        ("US_EQUITY", "2024-07-03", ("2024-07-03T13:30", "2024-07-03T17:00")),
        ("US_EQUITY", "2024-07-04", None),
        ("US_EQUITY_EXTENDED", "2024-01-08", ("2024-01-08T09:00", "2024-01-09T01:00")),
        ("US_EQUITY_EXTENDED", "2024-07-09", ("2024-07-09T08:00", "2024-07-10T00:00")),
        ("US_EQUITY_EXTENDED", "2024-11-29", ("2024-11-29T09:00", "2024-11-29T22:00")),
        ("24x7", "2024-12-25", ("2024-12-25T00:00", "2024-12-26T00:00")),
    ],
)
def test_known_days(calendar: str, day: str, expected: tuple[str, str] | None) -> None:
    assert hours_of(calendar, day) == expected


@pytest.mark.parametrize("calendar", list(CALENDARS))
def test_sessions_do_not_overlap_and_rise(calendar: str) -> None:
    found = schedule(calendar, us("2016-01-01"), us("2026-12-31"))
    assert (found.open < found.close).all()
    assert (found.close[:-1] <= found.open[1:]).all()
    assert (np.diff(found.day.astype(np.int64)) > 0).all()


@pytest.mark.parametrize("calendar", list(OVERRIDES))
def test_every_override_changes_a_day_of_the_source(calendar: str) -> None:
    import pandas_market_calendars

    for day, close in OVERRIDES[calendar].items():
        source = pandas_market_calendars.get_calendar(CALENDARS[calendar]).schedule(day, day)
        assert len(source) == 1, f"{calendar} {day}: the source calendar has no session to correct"
        ours = hours_of(calendar, day)
        if close is None:
            assert ours is None
        else:
            assert ours is not None
            assert ours[1] != source["market_close"].iloc[0].strftime("%Y-%m-%dT%H:%M"), f"{calendar} {day}"


def test_result_does_not_depend_on_the_range_asked() -> None:
    wide = schedule("CME_EQUITY", us("2023-12-01"), us("2024-03-01"))
    narrow = schedule("CME_EQUITY", us("2024-01-05"), us("2024-01-09"))
    part = np.isin(wide.day, narrow.day)
    assert (wide.open[part] == narrow.open).all()
    assert (wide.close[part] == narrow.close).all()


def test_midnight_and_after_belong_to_the_trading_day_that_began_in_the_evening(hours: Schedule) -> None:
    index = hours.locate(np.array([us("2024-01-07T23:00"), us("2024-01-08T00:00"), us("2024-01-08T21:59")]))
    assert hours.day[index].astype(str).tolist() == ["2024-01-08"] * 3
    shut = np.array([us("2024-01-08T22:00"), us("2024-01-08T22:59"), us("2024-01-20T17:56")])
    assert hours.locate(shut).tolist() == [-1, -1, -1]


def test_weekend_and_pause_are_not_open_time(hours: Schedule) -> None:
    friday, sunday = us("2024-01-12T21:30"), us("2024-01-14T23:30")
    assert hours.open_time(friday, sunday) == 60 * 60_000_000
    assert hours.open_time(sunday, friday) == 0


sessions = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 5)), min_size=1, max_size=6)
instants = st.lists(st.integers(-20, 120), min_size=1, max_size=20)


def _schedule(parts: list[tuple[int, int]]) -> tuple[Schedule, list[tuple[int, int]]]:
    pairs, at = [], 0
    for length, pause in parts:
        pairs.append((at, at + length))
        at += length + pause
    days = np.arange(len(pairs)).astype("datetime64[D]")
    return Schedule("x", np.array([a for a, _ in pairs]), np.array([b for _, b in pairs]), days), pairs


@given(sessions, instants, instants)
def test_look_ups_equal_their_twins(parts: list[tuple[int, int]], starts: list[int], ends: list[int]) -> None:
    fast, slow = _schedule(parts)
    assert fast.locate(np.array(starts)).tolist() == [oracle.locate(slow, t) for t in starts]
    for start in starts:
        expected = [oracle.open_time(slow, start, end) for end in ends]
        assert fast.open_time(start, np.array(ends)).tolist() == expected


def test_errors() -> None:
    with pytest.raises(SettingError, match="'LSE' is unknown"):
        schedule("LSE", 0, 1)
    with pytest.raises(SettingError, match="end lies before"):
        schedule("24x7", us("2024-01-02"), us("2024-01-01"))
    with pytest.raises(DataError, match=r"year 1970.*another unit"):
        schedule("24x7", 1_704_067_200, us("2024-01-01"))
    with pytest.raises(DataError, match="another unit"):
        schedule("24x7", us("2024-01-01"), us("2024-01-01") * 1000)


@pytest.mark.parametrize("calendar", ["CME_EQUITY", "US_EQUITY"])
def test_days_cut_from_whole_years_are_those_asked_for_alone(calendar: str) -> None:
    """Served bars ask for later days each day, and must not wait for a calendar to be worked out."""
    for first, last in ((date(2023, 12, 23), date(2024, 1, 4)), (date(2022, 6, 19), date(2022, 7, 5))):
        cut, alone = (
            module._schedule(calendar, first, last),
            module._sessions.__wrapped__(calendar, first, last),
        )
        for name in ("open", "close", "day"):
            np.testing.assert_array_equal(getattr(cut, name), getattr(alone, name))
    before = module._sessions.cache_info().misses
    module._schedule(calendar, date(2022, 6, 20), date(2022, 7, 6))
    assert module._sessions.cache_info().misses == before
