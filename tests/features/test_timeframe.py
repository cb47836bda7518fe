"""Longer bars: seen once they have closed and never before, whatever the minute, clock change or length of bars."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.features.conftest import make_bars
from tests.features.test_rules import spoil, values
from tests.oracles.features_timeframe import timeframe

from foldsmith.contracts import BARS
from foldsmith.features import FEATURES, compute

NAMES = [name for name, feature in FEATURES.items() if feature.memory == "timeframe"]
NEW_YORK = ZoneInfo("America/New_York")


def timed(opens: list[datetime], minutes: int, sessions: list[date], seed: int = 3) -> pl.DataFrame:
    """One block of bars that open then, of which a tenth is missing."""
    times = pl.Series(opens, dtype=pl.Datetime("us", "UTC"))
    bars = make_bars(seed, (len(opens),)).with_columns(
        times.alias("datetime"),
        (times + timedelta(minutes=minutes)).alias("close_time"),
        pl.Series("session", sessions),
    )
    return BARS.check(bars.filter(pl.Series(np.random.default_rng(seed).random(len(opens)) < 0.9)))


def session_bars(days: list[date], minutes: int) -> pl.DataFrame:
    """Sessions of 23 hours from 18:00 in New York of the day before, in winter."""
    count = 1380 // minutes
    begin = [datetime(day.year, day.month, day.day, 23, tzinfo=UTC) - timedelta(days=1) for day in days]
    opens = [start + timedelta(minutes=minutes * k) for start in begin for k in range(count)]
    return timed(opens, minutes, [day for day in days for _ in range(count)])


def endless(start: datetime, minutes: int, count: int, seed: int = 3) -> pl.DataFrame:
    """Bars of a market that never closes; its sessions change at 18:00 in New York."""
    opens = [start + timedelta(minutes=minutes * k) for k in range(count)]
    days = [
        (opened.astimezone(NEW_YORK).replace(tzinfo=None) + timedelta(hours=6)).date() for opened in opens
    ]
    return timed(opens, minutes, days, seed)


THREE_DAYS = [date(2024, 3, 6), date(2024, 3, 7), date(2024, 3, 8)]


@pytest.mark.proof
def test_nothing_comes_from_the_future_at_any_minute() -> None:
    bars = session_bars(THREE_DAYS, 1)
    whole = values(compute(bars), NAMES)
    second = (bars["session"] == THREE_DAYS[1]).arg_true()
    # Every minute of a session is every phase of each longer bar, the session among them; and the pause after it.
    for cut in range(second[0] - 1, second[-1] + 3):
        spoiled = values(compute(spoil(bars, np.arange(bars.height) > cut).head(cut + 300)), NAMES)
        np.testing.assert_array_equal(spoiled[: cut + 1], whole[: cut + 1], err_msg=f"{cut}")


def test_a_longer_bar_is_seen_at_its_last_minute() -> None:
    bars = session_bars(THREE_DAYS, 1)
    made = compute(bars)
    closes = bars["close_time"].dt.convert_time_zone("America/New_York")
    for length, minutes in (("15m", 15), ("1h", 60)):
        ends = (closes.dt.hour().cast(int) * 60 + closes.dt.minute()) % minutes == 0
        # Where a bar ends with the longer one, c is the close of that.
        there = made[f"distance_{length}"].filter(ends & (made[f"distance_{length}"].is_finite()))
        assert len(there) > 50
        assert (there == 0).all()


def test_a_session_is_seen_at_the_first_bar_of_the_next() -> None:
    bars = session_bars(THREE_DAYS, 5)
    made, session = compute(bars), bars["session"]
    first = (session != session.shift(1)).fill_null(True).arg_true().to_list()
    assert made["distance_1d"].is_nan().to_list() == [row < first[1] for row in range(bars.height)]
    for before, begin, end in ((0, first[1], first[2]), (first[1], first[2], bars.height)):
        old = bars[before:begin]
        span = old["high"].max() - old["low"].min()  # type: ignore[operator]
        close, now = old["close"][-1], bars[begin:end]
        np.testing.assert_allclose(made["distance_1d"][begin:end], (now["close"] - close) / span, rtol=1e-5)
        np.testing.assert_allclose(made["session_gap"][begin:end], (now["open"][0] - close) / span, rtol=1e-5)


def test_warm_up_counts_longer_bars() -> None:
    bars = session_bars(THREE_DAYS, 5)
    made = compute(bars)
    for name in NAMES:
        rows = made[name].is_finite().arg_true()
        assert rows.to_list() == list(range(rows[0], bars.height)), name
        closed_hours = (bars["close_time"][rows[0]] - bars["datetime"][0]) / timedelta(hours=1)
        length = {"15m": 0.25, "1h": 1, "4h": 4}.get(name.split("_")[1])
        if length:
            assert rows[0] >= 14
            due = max(length * FEATURES[name].warmup, 1.1)
            assert due <= closed_hours + 1e-9 <= due + (1.5 if due > 23 else 0.6), name


@pytest.mark.parametrize("minutes", [1, 7, 15, 60, 240, 1440])
def test_equal_to_the_twin_for_bars_of_any_length(minutes: int) -> None:
    agrees(endless(datetime(2024, 3, 9, 20, tzinfo=UTC), minutes, min(5000 // minutes, 1000)))


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 1440), st.sampled_from([3, 5, 11]), st.sampled_from([3, 11]))
def test_equal_to_the_twin_where_clocks_change(seed: int, late: int, minutes: int, month: int) -> None:
    start = datetime(2024, month, 9 if month == 3 else 2, tzinfo=UTC) + timedelta(minutes=late, seconds=17)
    agrees(endless(start, minutes, 300, seed))


def agrees(bars: pl.DataFrame) -> None:
    block = {name: bars[name].to_numpy() for name in ("open", "high", "low", "close")}
    block |= {name: bars[name].to_list() for name in ("session", "datetime", "close_time")}
    made = compute(bars)
    for name, (first, value) in timeframe(block).items():
        slow = np.array([value(i) if i >= first else np.nan for i in range(bars.height)])
        scale = np.nanmax(np.abs(slow), initial=1e-9)
        np.testing.assert_allclose(made[name], slow, rtol=2e-6, atol=2e-6 * scale, err_msg=name)


def test_bars_as_long_are_longer_bars_themselves() -> None:
    bars = session_bars(THREE_DAYS, 60)
    made = compute(bars)[14:]
    for name in ("distance_15m", "distance_1h"):
        assert (made[name] == 0).all()
    for name in ("move_15m", "location_1h"):
        assert made[name].is_finite().all()
    np.testing.assert_allclose(made["location_1h"], made["close_location"], atol=1e-6)
