"""One planted fault of each kind: found, named, counted and shown; and what each rule may be told to do."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from tests.market.conftest import MINUTE, RawMaker, us

from foldsmith.errors import DataError, SettingError
from foldsmith.market.clean import clean
from foldsmith.market.instruments import Instrument
from foldsmith.market.rules import RULES, parse_rules
from foldsmith.market.sessions import Schedule

Plant = Callable[[pl.DataFrame, int], pl.DataFrame]
PRICES = ("open", "high", "low", "close")


def cell(**values: float | None) -> Plant:
    def plant(raw: pl.DataFrame, row: int) -> pl.DataFrame:
        at = pl.int_range(pl.len()) == row
        return raw.with_columns(
            pl.when(at).then(pl.lit(value, dtype=pl.Float64)).otherwise(pl.col(name)).alias(name)
            for name, value in values.items()
        )

    return plant


def without(rows: int) -> Plant:
    return lambda raw, row: raw.filter(~pl.int_range(pl.len()).is_between(row, row + rows - 1))


def again(rows: int, **changed: float) -> Plant:
    """Rows of the file once more, at its end."""
    return lambda raw, row: pl.concat(
        [raw, raw[row : row + rows].with_columns(pl.col(name) + by for name, by in changed.items())]
    )


def swapped(raw: pl.DataFrame, row: int) -> pl.DataFrame:
    order = np.arange(raw.height)
    order[[row, row + 1]] = row + 1, row
    return raw[order]


def moved_columns(raw: pl.DataFrame, row: int) -> pl.DataFrame:
    """The row lost its open: the others stand one column to the left, and the volume is empty."""
    high, low, close, volume = (raw[name][row] for name in ("high", "low", "close", "volume"))
    return cell(open=high, high=low, low=close, close=volume, volume=None)(raw, row)


def at(instants: list[int]) -> Plant:
    """Bars at times of their own, at the price of the row."""

    def plant(raw: pl.DataFrame, row: int) -> pl.DataFrame:
        price = raw["close"][row]
        extra = pl.DataFrame({"datetime": instants}).select(
            pl.col("datetime").cast(pl.Datetime("us", "UTC")),
            *(pl.lit(price).alias(name) for name in PRICES),
            volume=pl.lit(2.0),
            contract=pl.lit("MES 03-24"),
        )
        return pl.concat([raw, extra.select(raw.columns)]).sort("datetime", maintain_order=True)

    return plant


def off_the_grid(raw: pl.DataFrame, row: int) -> pl.DataFrame:
    return cell(high=raw["high"][row] + 0.1)(raw, row)


def other_contract(raw: pl.DataFrame, row: int) -> pl.DataFrame:
    """Half an hour of the next contract, beside this one."""
    beside = raw[row : row + 30].with_columns(
        pl.col(*PRICES) + 50, volume=pl.lit(1.0), contract=pl.lit("MES 06-24")
    )
    return pl.concat([raw, beside]).sort("datetime", maintain_order=True)


SATURDAY, PAUSE = us("2024-01-20T15:00"), us("2024-01-18T22:15")
PLANTS: dict[str, tuple[Plant, dict[str, int]]] = {
    "out_of_order": (swapped, {"out_of_order": 1}),
    "shifted_columns": (moved_columns, {"shifted_columns": 1, "missing_minutes": 1}),
    "missing_value": (cell(close=None), {"missing_value": 1, "missing_minutes": 1}),
    "non_positive_price": (cell(low=0.0), {"non_positive_price": 1, "missing_minutes": 1}),
    "negative_volume": (cell(volume=-1.0), {"negative_volume": 1, "missing_minutes": 1}),
    "inconsistent_ohlc": (cell(high=4000.0), {"inconsistent_ohlc": 1, "missing_minutes": 1}),
    "weekend_bar": (at([SATURDAY]), {"weekend_bar": 1}),
    "outside_session": (at([PAUSE]), {"outside_session": 1}),
    "traded_closure": (
        at([PAUSE + k * MINUTE for k in range(31)]),
        {"outside_session": 31, "traded_closure": 1},
    ),
    "repeated_block": (again(25), {"out_of_order": 25, "duplicate": 25, "repeated_block": 1}),
    "duplicate": (again(1), {"out_of_order": 1, "duplicate": 1}),
    "conflicting_duplicate": (again(1, volume=1.0), {"out_of_order": 1, "conflicting_duplicate": 1}),
    "overlapping_contract": (other_contract, {"overlapping_contract": 30}),
    "bad_print": (cell(low=94.75, volume=2.0), {"bad_print": 1, "missing_minutes": 1}),
    "off_tick_price": (off_the_grid, {"off_tick_price": 1}),
    "zero_volume": (cell(volume=0.0), {"zero_volume": 1}),
    "missing_minutes": (without(7), {"missing_minutes": 7}),
}
"""Per rule: a fault put at a row of good bars, and all that cleaning must count then."""


def counts(raw: pl.DataFrame, mes: Instrument, hours: Schedule, **rules: str) -> dict[str, int]:
    found = clean(raw, mes, hours, rules=rules)[1]
    return {name: rule.count for name, rule in found.rules.items() if rule.count}


def test_every_rule_has_a_fault() -> None:
    assert list(PLANTS) == list(RULES)


def test_good_bars_break_no_rule(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    for minutes in (1, 5, 15):
        assert counts(make_raw("2024-01-16", 5, minutes=minutes), mes, hours) == {}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("row", [150, 3001, 5400])
def test_a_planted_fault_is_found_named_and_counted(
    make_raw: RawMaker, mes: Instrument, hours: Schedule, rule: str, row: int
) -> None:
    raw = make_raw("2024-01-16", 5)
    plant, expected = PLANTS[rule]
    faulty = plant(raw, row)
    frame, found = clean(faulty, mes, hours)
    assert {name: finding.count for name, finding in found.rules.items() if finding.count} == expected
    examples = found[rule].examples
    assert 1 <= len(examples) <= 5
    if rule not in ("weekend_bar", "outside_session", "traded_closure"):
        near = raw["datetime"].to_physical()[row]
        assert abs((found[rule].first or 0) - near) <= 2 * MINUTE
    # What was dropped is what the rules say that drop, and nothing else has changed.
    dropped = sum(finding.count for finding in found.rules.values() if finding.action == "drop")
    assert frame.height == faulty.height - dropped
    assert frame["datetime"].is_in(raw["datetime"].implode()).all()


@pytest.mark.parametrize("rule", RULES)
def test_every_action_of_a_rule(make_raw: RawMaker, mes: Instrument, hours: Schedule, rule: str) -> None:
    raw = make_raw("2024-01-16", 5)
    faulty = PLANTS[rule][0](raw, 3001)
    height = clean(faulty, mes, hours)[0].height
    for action in RULES[rule].actions:
        if action == "refuse":
            with pytest.raises(DataError, match=rf"rule {rule} met .*--rules"):
                clean(faulty, mes, hours, rules={rule: action})
            assert counts(raw, mes, hours, **{rule: action}) == {}
            continue
        frame, found = clean(faulty, mes, hours, rules={rule: action})
        assert (rule in found.rules) == (action != "off")
        if action == "drop":
            assert frame.height == (height if RULES[rule].action == "drop" else height - found[rule].count)
        elif rule != "shifted_columns":
            kept_now = found.rules[rule].count if RULES[rule].action == "drop" and action != "off" else 0
            assert frame.height >= height + kept_now


def test_a_shifted_row_with_the_rule_off_is_still_no_bar(
    make_raw: RawMaker, mes: Instrument, hours: Schedule
) -> None:
    faulty = moved_columns(make_raw("2024-01-16", 5), 3001)
    assert counts(faulty, mes, hours, shifted_columns="off") == {"missing_value": 1, "missing_minutes": 1}


@pytest.mark.parametrize("places", [1, 2, 3, 4])
def test_columns_displaced_either_way(
    make_raw: RawMaker, mes: Instrument, hours: Schedule, places: int
) -> None:
    raw = make_raw("2024-01-16", 5)
    names = [*PRICES, "volume"]
    values = [raw[name][3001] for name in names]
    rolled = dict(zip(names, values[places:] + values[:places], strict=True))
    assert counts(cell(**rolled)(raw, 3001), mes, hours)["shifted_columns"] == 1


def test_a_file_of_shifted_rows_is_refused_and_says_so(
    make_raw: RawMaker, mes: Instrument, hours: Schedule
) -> None:
    raw = make_raw("2024-01-16", 5)
    bad = pl.int_range(pl.len()) >= 3000
    names = [*PRICES, "volume"]
    moved = raw.with_columns(
        pl.when(bad).then(pl.col(names[(k + 1) % 5])).otherwise(pl.col(name)).alias(name)
        for k, name in enumerate(names)
    )
    with pytest.raises(DataError, match=r"mostly shifted columns.*column was likely lost"):
        clean(moved, mes, hours)


def test_a_late_print_after_the_weeks_close_is_no_weekend_bar(
    make_raw: RawMaker, mes: Instrument, hours: Schedule
) -> None:
    raw = make_raw("2024-01-16", 5)
    friday = raw["datetime"].to_physical().max() + 5 * MINUTE  # type: ignore[operator]
    assert counts(at([friday])(raw, 3001), mes, hours) == {"outside_session": 1}


def test_blocks_need_ten_rows_together(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    raw = make_raw("2024-01-16", 5)
    assert "repeated_block" not in counts(again(9)(raw, 100), mes, hours)
    twice = pl.concat([raw, raw[100:110], raw[300:350]])
    found = clean(twice, mes, hours)[1]["repeated_block"]
    assert [example["rows"] for example in found.examples] == [10, 50]
    assert found.first == raw["datetime"].to_physical()[100]
    # Every row twice, one under the other: repeated rows, and no block of them.
    doubled = pl.concat([raw, raw]).sort("datetime", maintain_order=True)
    assert counts(doubled, mes, hours) == {"duplicate": raw.height}


def test_settings_are_checked(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    assert parse_rules(" bad_print = count , zero_volume=drop,") == {
        "bad_print": "count",
        "zero_volume": "drop",
    }
    assert parse_rules("") == {}
    with pytest.raises(SettingError, match="write NAME=ACTION"):
        parse_rules("bad_print")
    with pytest.raises(SettingError, match=r"did you mean bad_print\?"):
        parse_rules("bad_prints=off")
    with pytest.raises(SettingError, match="names bad_print twice"):
        parse_rules("bad_print=off,bad_print=count")
    with pytest.raises(
        SettingError, match=r"missing_value cannot 'off'.*drop or refuse; .* cannot be used as a bar"
    ):
        clean(make_raw(), mes, hours, rules={"missing_value": "off"})


def test_nothing_left_is_said(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    raw = make_raw().with_columns(volume=pl.lit(0.0))
    with pytest.raises(DataError, match="no bar is left"):
        clean(raw, mes, hours, rules={"zero_volume": "drop"})
