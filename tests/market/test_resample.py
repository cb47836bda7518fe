"""Resampling against its twin, and the cases it must get right."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.market.conftest import MINUTE, RawMaker, us
from tests.oracles import market as oracle

from foldsmith.contracts import BARS
from foldsmith.errors import DataError, SettingError
from foldsmith.market.clean import clean
from foldsmith.market.instruments import Instrument
from foldsmith.market.resample import minute_ranges, resample
from foldsmith.market.rolls import mark_blocks
from foldsmith.market.sessions import DAY, Schedule, schedule

FIVE = 5 * MINUTE


def base_bars(raw: pl.DataFrame, mes: Instrument, hours: Schedule) -> pl.DataFrame:
    return mark_blocks(clean(raw, mes, hours)[0], hours, 60)[0]


def pairs(hours: Schedule) -> list[tuple[int, int]]:
    return list(zip(hours.open.tolist(), hours.close.tolist(), strict=True))


def as_rows(frame: pl.DataFrame) -> list[dict[str, object]]:
    return frame.with_columns(pl.col("datetime", "close_time").to_physical()).to_dicts()


def test_five_minutes(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    base = base_bars(make_raw(), mes, hours)
    five = BARS.check(resample(base, FIVE, hours))
    assert five.height == 2 * 276
    part = base[5:10]
    assert five.row(1, named=True) == {
        "datetime": part["datetime"][0],
        "close_time": part["close_time"][4],
        "open": part["open"][0],
        "high": part["high"].max(),
        "low": part["low"].min(),
        "close": part["close"][4],
        "volume": part["volume"].sum(),
        "contract": "MES 03-24",
        "session": part["session"][0],
        "block": 0,
    }


def test_the_base_timeframe_gives_the_bars_back(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    base = base_bars(make_raw(), mes, hours)
    assert resample(base, MINUTE, hours) is base
    assert resample(base.head(0), FIVE, hours).is_empty()


def test_a_day_is_a_session(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    base = base_bars(make_raw("2024-01-11", 4), mes, hours)
    days = BARS.check(resample(base, DAY, hours))
    assert days["session"].dt.to_string().to_list() == [f"2024-01-{day}" for day in (11, 12, 15, 16)]
    assert days["close_time"].dt.strftime("%H:%M").to_list() == ["22:00", "22:00", "18:00", "22:00"]


def test_a_session_that_is_no_multiple_ends_with_a_short_bar(
    make_raw: RawMaker, mes: Instrument, hours: Schedule
) -> None:
    two_hours = resample(base_bars(make_raw(sessions=1), mes, hours), 120 * MINUTE, hours)
    assert two_hours.height == 12
    assert two_hours["datetime"][-1].strftime("%H:%M") == "21:00"
    assert two_hours["close_time"][-1].strftime("%H:%M") == "22:00"


def test_of_a_bin_with_a_roll_inside_the_part_after_it_is_a_bar(
    make_raw: RawMaker, mes: Instrument, hours: Schedule
) -> None:
    """At 23:06 nobody knew that the bar of 23:05 would not go on: it has no time at which it was known."""
    raw = make_raw().with_columns(
        contract=pl.when(pl.int_range(pl.len()) < 7).then(pl.lit("MES 03-24")).otherwise(pl.lit("MES 06-24"))
    )
    base = base_bars(raw, mes, hours)
    five = BARS.check(resample(base, FIVE, hours))
    assert five["datetime"].dt.strftime("%H:%M").to_list()[:3] == ["23:00", "23:07", "23:10"]
    assert five["close_time"].dt.strftime("%H:%M").to_list()[:3] == ["23:05", "23:10", "23:15"]
    assert five["contract"].to_list()[:3] == ["MES 03-24"] + ["MES 06-24"] * 2
    first, stop = minute_ranges(base, five)
    assert list(zip(first[:3].tolist(), stop[:3].tolist(), strict=True)) == [(0, 5), (7, 10), (10, 15)]


def test_missing_minutes_do_not_move_the_bins(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    raw = make_raw().filter(pl.int_range(pl.len()).is_in([0, 1, 2, 5, 8, 20]).not_())
    five = resample(base_bars(raw, mes, hours), FIVE, hours)
    whole = resample(base_bars(make_raw(), mes, hours), FIVE, hours)
    assert five["datetime"].to_list() == whole["datetime"].to_list()
    assert five["close_time"].to_list() == whole["close_time"].to_list()


def test_ranges_hold_every_base_bar_once(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    raw = make_raw().filter(pl.int_range(pl.len()) % 7 != 3)
    base = base_bars(raw, mes, hours)
    five = resample(base, FIVE, hours)
    first, stop = minute_ranges(base, five)
    assert (first[0], stop[-1]) == (0, base.height)
    assert (stop[:-1] == first[1:]).all()
    highs = [base["high"][int(a) : int(b)].max() for a, b in zip(first, stop, strict=True)]
    assert highs == five["high"].to_list()
    with pytest.raises(DataError, match="not made from these"):
        minute_ranges(base[:1000], five)
    with pytest.raises(DataError, match="not made from these"):
        minute_ranges(base, five[1:])


def test_errors(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    base = base_bars(make_raw(minutes=5), mes, hours)
    with pytest.raises(SettingError, match="7 minutes cannot be made from bars of 5 minutes"):
        resample(base, 7 * MINUTE, hours)
    with pytest.raises(SettingError, match="1 minutes cannot be made"):
        resample(base, MINUTE, hours)
    with pytest.raises(DataError, match="whole span"):
        resample(base, 10 * MINUTE, schedule("CME_EQUITY", us("2023-06-01"), us("2023-06-02")))
    with pytest.raises(DataError, match="rise in time"):
        resample(base.reverse(), 10 * MINUTE, hours)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_resample_equals_its_twin(data: st.DataObject) -> None:
    hours = schedule("CME_EQUITY", us("2024-01-08"), us("2024-01-18"))
    begin = int((hours.day.astype(str) == "2024-01-12").argmax())
    lengths = ((hours.close - hours.open) // MINUTE)[begin : begin + 3]
    minutes = [(k, m) for k in range(3) for m in range(int(lengths[k]))]
    numbers_of_minutes = st.lists(st.integers(0, len(minutes) - 1), min_size=1, max_size=60, unique=True)
    chosen = sorted(data.draw(numbers_of_minutes))
    # Minutes, and quarters of them as trades would make: 45 seconds are three of those.
    unit = data.draw(st.sampled_from([MINUTE, MINUTE // 4]))
    timeframe = data.draw(st.sampled_from([2, 3, 5, 7, 30, 60, 240, 1440])) * unit
    cuts = sorted(data.draw(st.lists(st.integers(0, 60), max_size=4)))
    numbers = st.integers(1, 1000)
    rows = []
    for row, index in enumerate(chosen):
        k, minute = minutes[index]
        at = (
            int(hours.open[begin + k]) + minute * MINUTE + data.draw(st.integers(0, 3)) * (MINUTE - unit) // 3
        )
        prices = sorted(data.draw(st.tuples(numbers, numbers, numbers, numbers)))
        rows.append(
            {
                "datetime": at,
                "close_time": at + unit,
                "open": prices[1] / 4,
                "high": prices[3] / 4,
                "low": prices[0] / 4,
                "close": prices[2] / 4,
                "volume": float(data.draw(numbers)),
                "contract": str(sum(row >= cut for cut in cuts)),
                "session": hours.day[begin + k].item(),
                "block": sum(row >= cut for cut in cuts),
            }
        )
    base = pl.DataFrame(rows, schema_overrides={"block": pl.Int32}).with_columns(
        pl.col("datetime", "close_time").cast(pl.Datetime("us", "UTC"))
    )
    fast = resample(base, timeframe, hours)
    slow = oracle.resample(base.to_dicts(), timeframe, pairs(hours))
    first, stop = minute_ranges(base, fast)
    assert (stop - first).tolist() == [bar.pop("rows") for bar in slow]
    assert as_rows(fast) == slow
    BARS.check(fast)


def test_polars_groups_alike(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    base = base_bars(make_raw(sessions=5), mes, hours)
    other = base.group_by(pl.col("datetime").dt.truncate("15m"), maintain_order=True).agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
    )
    assert resample(base, 15 * MINUTE, hours).select(other.columns).equals(other)
