"""Coverage and profile: against plain counting."""

import numpy as np
import polars as pl
import pytest
from tests.market.conftest import RawMaker, us

from foldsmith.market.clean import clean
from foldsmith.market.coverage import coverage, price_step, profile
from foldsmith.market.instruments import Instrument
from foldsmith.market.sessions import Schedule


def test_coverage_counts_minutes(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    raw = make_raw("2024-01-11", 4)  # Thursday to Tuesday, with the early close of Monday the 15th
    gone = pl.col("datetime").to_physical().is_between(us("2024-01-14T23:00"), us("2024-01-15T22:00"))
    thin = raw.filter(~gone & (pl.int_range(pl.len()) % 7 != 3))
    bars = clean(thin, mes, hours)[0]
    days = coverage(bars, hours)
    assert days["day"].cast(pl.String).to_list() == ["2024-01-11", "2024-01-12", "2024-01-15", "2024-01-16"]
    assert days["scheduled"].to_list() == [1380, 1380, 1140, 1380]
    by_hand = [bars.filter(pl.col("session") == day).height for day in days["day"]]
    assert days["bars"].to_list() == by_hand
    assert days["covered"].to_list() == by_hand
    assert days["bars"][2] == 0
    assert days["close"][2] is None
    for row in (0, 1, 3):
        assert days["close"][row] == bars.filter(pl.col("session") == days["day"][row])["close"][-1]


def test_bars_longer_than_what_is_left_cover_no_more_than_the_session(
    make_raw: RawMaker, mes: Instrument, hours: Schedule
) -> None:
    bars = clean(make_raw("2024-01-15", 1, minutes=7), mes, hours)[0]
    days = coverage(bars, hours)
    assert days["covered"].to_list() == days["scheduled"].to_list() == [1140]


def test_profile_of_two_contracts(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    first, second = make_raw("2024-01-11", 1), make_raw("2024-01-12", 1, contract="MES 06-24")
    bars = clean(pl.concat([first, second]), mes, hours)[0]
    found = profile(bars)
    assert (found.bars, found.length, found.step) == (2760, 60_000_000, 0.25)
    assert (found.first, found.last) == (us("2024-01-10T23:00"), us("2024-01-12T22:00"))
    assert found.contracts == (
        ("MES 03-24", 1380, us("2024-01-10T23:00"), us("2024-01-11T22:00")),
        ("MES 06-24", 1380, us("2024-01-11T23:00"), us("2024-01-12T22:00")),
    )
    assert (found.low, found.high) == (bars["low"].min(), bars["high"].max())
    assert found.volume == bars["volume"].sum()


@pytest.mark.parametrize("step", [0.25, 0.01, 0.005, 0.00005, 1.0, 5.0, 0.1])
def test_price_step_is_told_from_decimals(step: float) -> None:
    rng = np.random.default_rng(3)
    prices = np.round(rng.integers(900, 1100, 400) * step, 6)
    frame = pl.DataFrame(dict.fromkeys(("open", "high", "low", "close"), prices))
    assert price_step(frame) == pytest.approx(step)


def test_prices_of_no_step_have_none() -> None:
    odd = pl.DataFrame({name: [1.23456789, 2.0] for name in ("open", "high", "low", "close")})
    assert price_step(odd) == 0.0
