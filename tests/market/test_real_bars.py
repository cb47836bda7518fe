"""The whole way on real bars: what is real stays, what is not goes, and the counts are known."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.market.conftest import us

from foldsmith.contracts import BARS
from foldsmith.market.clean import clean
from foldsmith.market.findings import Blocks, Findings
from foldsmith.market.information_bars import information_bars
from foldsmith.market.instruments import instrument, parse_instruments
from foldsmith.market.readers import read_bars
from foldsmith.market.resample import minute_ranges, resample
from foldsmith.market.rolls import mark_blocks
from foldsmith.market.sessions import schedule
from foldsmith.market.timeframe import parse_timeframe

pytestmark = pytest.mark.real
OWN = parse_instruments(
    '[FILUSDT]\ncalendar = "24x7"\ntick_size = 0.001\ntick_value = 0.001\n'
    '[SPY]\ncalendar = "US_EQUITY"\ntick_size = 0.01\ntick_value = 0.01\n'
)
Find = Callable[[str], Path]


def whole_way(path: Path) -> tuple[pl.DataFrame, Findings, Blocks]:
    raw = read_bars(path).frame
    mine = instrument(path.name.split("_")[0], OWN)
    span = raw["datetime"].to_physical()
    hours = schedule(mine.calendar, span.min(), span.max())  # type: ignore[arg-type]
    bars, found = clean(raw, mine, hours)
    bars, blocks = mark_blocks(bars, hours, mine.max_gap_minutes)
    BARS.check(bars)
    for text in ("15m", "1h", "1d", "volume:5000", "dollar:1e8"):
        timeframe = parse_timeframe(text)
        if timeframe.microseconds:
            longer = BARS.check(resample(bars, timeframe.microseconds, hours))
        else:
            longer = BARS.check(information_bars(bars, timeframe, hours, mine.point_value))
        first, stop = minute_ranges(bars, longer)
        inside = np.zeros(bars.height, dtype=np.bool_)
        for start, end in zip(first.tolist(), stop.tolist(), strict=True):
            inside[start:end] = True
        assert longer["volume"].sum() == pytest.approx(bars.filter(pl.Series(inside))["volume"].sum())
        # In no bar is only what a roll or a hole later in the session cut off.
        block, session = bars["block"].to_numpy(), bars["session"].to_physical().to_numpy()
        follows = np.searchsorted(block, block[~inside], side="right")
        assert (session[follows] == session[~inside]).all()
    return bars, found, blocks


def counts(found: Findings) -> dict[str, int]:
    return {name: rule.count for name, rule in found.rules.items() if rule.count}


@pytest.mark.parametrize(
    ("name", "expected", "rolls", "holes"),
    [
        ("MES", {"outside_session": 50, "missing_minutes": 528_616}, 1, 2),
        ("MNQ", {"outside_session": 54, "missing_minutes": 526_901}, 1, 1),
        ("NQ", {"outside_session": 68, "overlapping_contract": 2487, "missing_minutes": 511_816}, 3, 2),
        ("6E", {"missing_minutes": 423}, 0, 0),
        ("SPY", {"outside_session": 2972, "traded_closure": 8, "off_tick_price": 57_123}, 0, 0),
        ("FILUSDT", {"zero_volume": 175, "missing_minutes": 624_960}, 0, 10),
    ],
)
def test_counts(real_bars: Find, name: str, expected: dict[str, int], rolls: int, holes: int) -> None:
    _, found, blocks = whole_way(real_bars(f"{name}_1m.parquet"))
    met = counts(found)
    # Bars of weekends are told apart from other strays; how many there are in all is known from the files.
    closed = met.pop("weekend_bar", 0) + met.pop("outside_session", 0)
    assert {**met, **({"outside_session": closed} if closed else {})} == expected
    assert (len(blocks.rolls), len(blocks.holes)) == (rolls, holes)


@pytest.mark.parametrize(("name", "floor"), [("MES", 4600), ("MNQ", 15_000)])
def test_bad_saturday_print_is_gone(real_bars: Find, name: str, floor: float) -> None:
    path = real_bars(f"{name}_1m.parquet")
    assert pl.read_parquet(path)["low"].min() < 100
    bars, _, _ = whole_way(path)
    assert bars["low"].min() > floor


def test_bad_prints_are_seen_without_the_calendars_help(real_bars: Find) -> None:
    """Put into trading hours, the two known bad prints are found by their price; nothing real is."""
    for name, first, minute in (("MES", "2024-01-19T20:00", 94.75), ("MNQ", "2024-01-19T20:00", 0.5)):
        raw = read_bars(real_bars(f"{name}_1m.parquet")).frame
        at = pl.col("datetime").to_physical() == us(first)
        spoilt = raw.with_columns(
            low=pl.when(at).then(minute).otherwise("low"),
            open=pl.when(at).then(minute).otherwise("open"),
            volume=pl.when(at).then(3.0).otherwise("volume"),
        )
        mine = instrument(name)
        span = raw["datetime"].to_physical()
        hours = schedule(mine.calendar, span.min(), span.max())  # type: ignore[arg-type]
        found = clean(spoilt, mine, hours)[1]["bad_print"]
        assert (found.count, found.first) == (1, us(first))


def test_the_spike_of_april_2025_is_real(real_bars: Find) -> None:
    bars, _, _ = whole_way(real_bars("NQ_1m.parquet"))
    minute = bars.filter(pl.col("datetime").to_physical() == us("2025-04-07T14:15"))
    raw = pl.read_parquet(real_bars("NQ_1m.parquet")).filter(
        pl.col("timestamp") == pl.datetime(2025, 4, 7, 14, 15)
    )
    assert minute["high"].to_list() == raw["high"].to_list()
    assert minute.height == 1


def test_crude_oils_worst_days_are_real(real_bars: Find) -> None:
    bars, found, blocks = whole_way(real_bars("CL_1m.parquet"))
    by_day = bars.group_by("session").agg(pl.col("low").min(), pl.col("open").first(), pl.col("close").last())
    day = {row["session"].isoformat(): row for row in by_day.to_dicts()}
    assert day["2020-04-21"]["low"] == 6.5
    assert day["2020-03-09"]["open"] / day["2020-03-06"]["close"] - 1 < -0.2
    assert found["outside_session"].count + found["weekend_bar"].count == 829
    assert found.dropped == 829
    # A week in October 2020 is about eleven hours early in the file.
    assert found["traded_closure"].count == 5
    assert us("2020-10-17T18:00") <= (found["traded_closure"].first or 0) < us("2020-10-19")
    assert len(blocks.rolls) == 72
    # No bar of a Saturday, and none of a Sunday before the evening in New York.
    local = bars["datetime"].dt.convert_time_zone("America/New_York")
    assert (local.dt.weekday() != 6).all()
    assert (local.filter(local.dt.weekday() == 7).dt.hour() >= 18).all()


def test_overlapping_contracts_become_one_series(real_bars: Find) -> None:
    path = real_bars("ES_5m_by_contract.parquet")
    bars, found, blocks = whole_way(path)
    assert counts(found)["overlapping_contract"] == 16_332
    order = bars["contract"].rle().struct.field("value").to_list()
    assert order == sorted(pl.read_parquet(path)["contract"].unique().to_list())
    assert len(blocks.rolls) == 6
    # Each roll is on the Tuesday before the third Friday of its month, known from Monday's volume.
    assert all(
        (day.weekday(), 16 <= day.day <= 19) == (1, True)
        for day in bars.filter(pl.col("contract") != pl.col("contract").shift(1))["session"].to_list()
    )
