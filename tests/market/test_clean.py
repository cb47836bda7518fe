"""Cleaning: each rule does what it says, on bars in which a test has put the fault."""

import json
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from tests.market.conftest import MINUTE, RawMaker, us

from foldsmith.errors import DataError
from foldsmith.market.clean import clean
from foldsmith.market.instruments import Instrument
from foldsmith.market.rules import RULES
from foldsmith.market.sessions import Schedule


def set_cell(frame: pl.DataFrame, row: int, **values: object) -> pl.DataFrame:
    at = pl.int_range(pl.len()) == row
    return frame.with_columns(
        pl.when(at).then(pl.lit(value)).otherwise(pl.col(name)).alias(name) for name, value in values.items()
    )


def bar(frame: pl.DataFrame, at: str, price: float = 4800.0, contract: str = "MES 03-24") -> pl.DataFrame:
    """One more bar, flat at a price, put at the end of the file."""
    row = dict.fromkeys(("open", "high", "low", "close"), price)
    one = pl.DataFrame({"datetime": [us(at)], **row, "volume": 2.0, "contract": contract}).with_columns(
        pl.col("datetime").cast(pl.Datetime("us", "UTC"))
    )
    return pl.concat([frame, one.select(frame.columns)])


def test_whole_bars_stay_as_they_are(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    raw = make_raw()
    frame, found = clean(raw, mes, hours)
    assert frame.select(raw.columns).equals(raw)
    assert {name: rule.count for name, rule in found.rules.items() if rule.count} == {}
    assert (found.rows, found.kept, found.dropped) == (2760, 2760, 0)
    assert frame["session"].unique().to_list() == [datetime(2024, 1, 8).date(), datetime(2024, 1, 9).date()]
    assert (frame["close_time"] - frame["datetime"]).unique().to_list() == [timedelta(minutes=1)]


def test_findings_are_json_with_every_rule(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    _, found = clean(set_cell(make_raw(), 5, volume=0.0), mes, hours)
    as_dict = json.loads(json.dumps(found.as_dict()))
    assert list(as_dict) == ["rows", "kept", "dropped", *RULES]
    example = {"at": "2024-01-07T23:05:00+00:00", **found["zero_volume"].examples[0]}
    assert as_dict["zero_volume"] == {
        "count": 1,
        "action": "count",
        "examples": [{**example, "at": "2024-01-07T23:05:00+00:00", "volume": 0.0}],
    }


@pytest.mark.parametrize(
    ("rule", "values", "stays"),
    [
        ("missing_value", {"open": None}, False),
        ("missing_value", {"high": float("nan")}, False),
        ("missing_value", {"close": float("inf")}, False),
        ("missing_value", {"volume": None}, False),
        ("non_positive_price", {"low": 0.0}, False),
        ("non_positive_price", {"low": -37.63}, False),
        ("negative_volume", {"volume": -1.0}, False),
        ("inconsistent_ohlc", {"high": 4000.0}, False),
        ("inconsistent_ohlc", {"low": 5000.0}, False),
        ("off_tick_price", {"high": 4815.1}, True),
        ("zero_volume", {"volume": 0.0}, True),
    ],
)
def test_rule_on_one_cell(
    make_raw: RawMaker, mes: Instrument, hours: Schedule, rule: str, values: dict[str, object], stays: bool
) -> None:
    raw = make_raw()
    frame, found = clean(set_cell(raw, 100, **values), mes, hours)
    counts = {name: finding.count for name, finding in found.rules.items() if finding.count}
    # A bar that is dropped leaves its minute without one.
    assert counts == ({rule: 1} if stays else {rule: 1, "missing_minutes": 1})
    assert found[rule].first == us("2024-01-08T00:40")
    assert frame.height == raw.height - (not stays)


def test_bad_saturday_print_goes(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    raw = bar(make_raw("2024-01-19"), "2024-01-20T17:56", 94.75)
    frame, found = clean(raw, mes, hours)
    assert (found["weekend_bar"].count, found["out_of_order"].count) == (1, 1)
    assert found["weekend_bar"].first == us("2024-01-20T17:56")
    assert frame["low"].min() > 4000


def test_a_week_on_a_wrong_clock_is_pointed_at(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    raw = make_raw(sessions=29)
    early = raw.with_columns(
        pl.when(pl.int_range(pl.len()).is_between(5000, 10_000))
        .then(pl.col("datetime") - timedelta(hours=11))
        .otherwise("datetime")
        .alias("datetime")
    )
    _, found = clean(early, mes, hours)
    # From 2024-01-11 13:20 to 2024-01-17 08:40: the closures after the 11th, 12th and 15th are traded.
    assert found["traded_closure"].count == 3
    assert found["traded_closure"].first == us("2024-01-11T22:00")
    _, found = clean(bar(raw, "2024-01-20T17:56", 94.75), mes, hours)
    assert found["traded_closure"].count == 0


def test_disorder_is_sorted(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    raw = make_raw()
    frame, found = clean(pl.concat([raw[1000:], raw[:1000]]), mes, hours)
    assert frame.select(raw.columns).equals(raw)
    assert found["out_of_order"].count == 1000
    assert found["out_of_order"].first == us("2024-01-07T23:00")


def test_duplicates(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    raw = make_raw()
    twice, found = clean(pl.concat([raw, raw]), mes, hours)
    assert twice.select(raw.columns).equals(raw)
    assert (found["duplicate"].count, found["conflicting_duplicate"].count) == (raw.height, 0)
    conflict = bar(raw, "2024-01-08T00:00", 4801.0)
    frame, found = clean(conflict, mes, hours)
    assert (found["duplicate"].count, found["conflicting_duplicate"].count) == (0, 1)
    at = frame.filter(pl.col("datetime") == pl.lit(us("2024-01-08T00:00")).cast(pl.Datetime("us", "UTC")))
    assert at["close"].to_list() == [4801.0]


def test_close_time_is_cut_at_the_close(mes: Instrument, hours: Schedule, make_raw: RawMaker) -> None:
    raw = make_raw("2024-01-12", 3, minutes=10)
    frame, _ = clean(raw, mes, hours)
    # 2024-01-15 closes at 18:00 UTC; an hour has whole tens of minutes, 1380 of them too.
    assert frame["close_time"][-1] == frame["datetime"][-1] + timedelta(minutes=10)
    odd, _ = clean(make_raw("2024-01-15", 1, minutes=7), mes, hours)
    assert odd["datetime"][-1].strftime("%H:%M") == "17:54"
    assert odd["close_time"][-1].strftime("%H:%M") == "18:00"


def test_missing_minutes_count_scheduled_time_only(
    make_raw: RawMaker, mes: Instrument, hours: Schedule
) -> None:
    raw = make_raw("2024-01-12", 2)
    _, found = clean(raw.filter(pl.int_range(pl.len()).is_between(1370, 1389).not_()), mes, hours)
    # 20 minutes across the weekend are missing, and the weekend itself is not.
    assert found["missing_minutes"].count == 20
    assert found["missing_minutes"].first == us("2024-01-12T21:50")


def test_contract_column_is_made_if_absent(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    frame, _ = clean(make_raw(contract=None), mes, hours)
    assert frame["contract"].dtype == pl.String
    assert frame["contract"].null_count() == frame.height


def test_refusals(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    raw = make_raw()
    zero = raw.with_columns(low=pl.when(pl.int_range(pl.len()) % 10 == 3).then(0.0).otherwise("low"))
    with pytest.raises(
        DataError, match=r"276 of 2,760 rows \(10%\).*non positive price, first at 2024-01-07"
    ):
        clean(zero, mes, hours)
    with pytest.raises(DataError, match=r"100%.*missing value"):
        clean(raw.with_columns(close=pl.lit(None, dtype=pl.Float64)), mes, hours)
    with pytest.raises(DataError, match="no bars"):
        clean(raw.head(0), mes, hours)
    with pytest.raises(DataError, match="fewer than two bars"):
        clean(raw.head(1), mes, hours)


def shifted(raw: pl.DataFrame, **by: int) -> pl.DataFrame:
    return raw.with_columns(pl.col("datetime") + timedelta(**by))


def test_wrong_clocks_are_refused(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    raw = make_raw(sessions=10)
    with pytest.raises(DataError, match=r"none of 60 bars lies inside.*--timezone"):
        clean(shifted(raw[:60], hours=-1), mes, hours)
    for wrong in (-6, -1, 5):
        with pytest.raises(DataError, match=rf"moved by \{-wrong:+d} h.*--timezone"):
            clean(shifted(raw, hours=wrong), mes, hours)
    with pytest.raises(DataError, match=r"100% of the sessions have a bar.* at their close.*--stamp close"):
        clean(shifted(raw, minutes=1), mes, hours)
    with pytest.raises(DataError, match=r"Leave --stamp close out"):
        clean(shifted(raw, minutes=-1), mes, hours)


def test_clock_wrong_only_in_summer_is_refused(mes: Instrument) -> None:
    from foldsmith.market.sessions import schedule

    year = schedule("CME_EQUITY", us("2023-11-01"), us("2024-09-01"))
    inside = slice(20, 200)
    opens = np.concatenate(
        [np.arange(a, b, MINUTE) for a, b in zip(year.open[inside], year.close[inside], strict=True)]
    )
    frame = pl.DataFrame({"datetime": pl.Series(opens).cast(pl.Datetime("us", "UTC"))}).with_columns(
        *(pl.lit(4800.0).alias(name) for name in ("open", "high", "low", "close")), volume=pl.lit(1.0)
    )
    clean(frame, mes, year)
    # A fixed offset of winter, all year: an hour off in summer alone.
    late = frame.with_columns(
        pl.when(pl.col("datetime").dt.convert_time_zone("America/New_York").dt.dst_offset() > timedelta(0))
        .then(pl.col("datetime") + timedelta(hours=1))
        .otherwise("datetime")
        .alias("datetime")
    )
    with pytest.raises(DataError, match=r"in summer.*moved by -1 h"):
        clean(late, mes, year)
