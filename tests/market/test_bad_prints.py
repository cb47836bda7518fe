"""Bad prints: judged by what came before, told from crashes by their volume, and never by what comes after."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.market.conftest import MINUTE, RawMaker, us
from tests.oracles import market as oracle

from foldsmith.market.bad_prints import bad_prints
from foldsmith.market.clean import clean
from foldsmith.market.instruments import Instrument
from foldsmith.market.sessions import Schedule


def planted(frame: pl.DataFrame, row: int, **values: float) -> pl.DataFrame:
    """The bars with one of them changed."""
    at = pl.int_range(pl.len()) == row
    return frame.with_columns(
        pl.when(at).then(pl.lit(value)).otherwise(pl.col(name)).alias(name) for name, value in values.items()
    )


@pytest.mark.parametrize(
    "values",
    [
        {"low": 94.75},
        {"high": 5200.0},
        {"open": 94.75, "low": 94.75},
        {"close": 9600.0, "high": 9600.0},
        dict.fromkeys(("open", "high", "low", "close"), 480.0),
        dict.fromkeys(("open", "high", "low", "close"), 48_000.0),
    ],
)
@pytest.mark.parametrize("row", [200, 1400, 2700])
def test_a_print_that_nothing_bears_out_goes(
    make_raw: RawMaker, mes: Instrument, hours: Schedule, row: int, values: dict[str, float]
) -> None:
    raw = make_raw()
    frame, found = clean(planted(raw, row, volume=3.0, **values), mes, hours)
    assert {name: rule.count for name, rule in found.rules.items() if rule.count} == {
        "bad_print": 1,
        "missing_minutes": 1,
    }
    assert found["bad_print"].first == raw["datetime"].to_physical()[row]
    assert {key: found["bad_print"].examples[0][key] for key in values} == values
    assert frame.select(raw.columns).equals(raw.filter(pl.int_range(pl.len()) != row))


def test_a_crash_stays_for_its_volume(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    raw = make_raw()
    spike = planted(raw, 200, low=4300.0, volume=80_000.0)
    frame, found = clean(spike, mes, hours)
    assert found.dropped == 0
    assert frame.select(raw.columns).equals(spike)
    # All prices a third lower from one bar on, as when oil opened in March 2020: no bar is a stray one.
    crash = raw.with_columns(
        pl.when(pl.int_range(pl.len()) >= 1380).then(pl.col(name) - 1600).otherwise(name).alias(name)
        for name in ("open", "high", "low", "close")
    )
    frame, found = clean(crash, mes, hours)
    assert found.dropped == 0


def test_a_new_level_inside_a_session_costs_at_most_its_first_bar(
    make_raw: RawMaker, mes: Instrument, hours: Schedule
) -> None:
    raw = make_raw()
    jump = raw.with_columns(
        pl.when(pl.int_range(pl.len()) >= 700).then(pl.col(name) - 1600).otherwise(name).alias(name)
        for name in ("open", "high", "low", "close")
    ).with_columns(volume=pl.lit(10.0))
    frame, found = clean(jump, mes, hours)
    assert found["bad_print"].count == 1
    assert frame.height == raw.height - 1


def test_without_volume_only_the_farthest_go(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    raw = make_raw().with_columns(volume=pl.lit(0.0))
    assert clean(planted(raw, 200, low=4740.0), mes, hours)[1]["bad_print"].count == 0
    assert clean(planted(raw, 200, low=2400.0), mes, hours)[1]["bad_print"].count == 1


def test_the_rule_can_be_told_otherwise(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    raw = planted(make_raw(), 200, low=94.75, volume=3.0)
    kept, found = clean(raw, mes, hours, rules={"bad_print": "count"})
    assert (found["bad_print"].count, found["bad_print"].action, kept.height) == (1, "count", raw.height)
    kept, found = clean(raw, mes, hours, rules={"bad_print": "off"})
    assert "bad_print" not in found.rules
    assert kept.height == raw.height


steps = st.tuples(
    st.sampled_from([0, 0, 0, 1, -1, 3, -40, 40, -400]),  # ticks from the last close to the open
    st.sampled_from([0, 1, -1, 2, 60, -60]),  # from the open to the close
    st.sampled_from([0, 0, 1, 5, 90, 500]),  # above both
    st.sampled_from([0, 0, 1, 5, 90, 500]),  # below both
    st.sampled_from([0, 1, 5, 50]),  # volume
    st.sampled_from([1, 1, 1, 5, 20]),  # minutes since the bar before
    st.sampled_from([0] * 20 + [1, 2]),  # a new session, or a new contract
)


def walk(moves: list[tuple[int, ...]]) -> list[dict[str, Any]]:
    """Bars from moves in ticks of 0.25, never below 10."""
    bars: list[dict[str, Any]] = []
    last, instant, session, contract = 1000.0, us("2024-01-08"), 0, 0
    for jump, body, up, down, volume, minutes, change in moves:
        open_ = max(last + jump * 0.25, 20.0)
        close = max(open_ + body * 0.25, 20.0)
        instant += minutes * MINUTE
        session += change == 1
        contract += change == 2
        high, low = max(open_, close) + up * 0.25, max(min(open_, close) - down * 0.25, 10.0)
        bars.append(
            {"instant": instant, "open": open_, "high": high, "low": low, "close": close}
            | {"volume": float(volume), "session": session, "contract": contract}
        )
        last = close
    return bars


def judged(bars: list[dict[str, Any]]) -> list[bool]:
    column = {name: np.array([bar[name] for bar in bars]) for name in bars[0]}
    prices = tuple(column[name].astype(float) for name in ("open", "high", "low", "close"))
    return bad_prints(
        column["instant"], prices, column["volume"], column["session"], column["contract"], MINUTE
    ).tolist()  # type: ignore[no-any-return]


quiet = [(0, 1, 1, 1, 5, 1, 0)] * 12


@given(st.lists(steps, min_size=1, max_size=120))
@settings(max_examples=300, deadline=None)  # the first call may compile
def test_equal_to_the_slow_twin(moves: list[tuple[int, ...]]) -> None:
    bars = walk(quiet + moves)
    assert judged(bars) == oracle.bad_prints(bars, MINUTE)


@settings(deadline=None)
@given(
    st.lists(steps, min_size=20, max_size=60), st.integers(1, 59), st.lists(steps, min_size=5, max_size=20)
)
def test_later_bars_change_nothing(
    moves: list[tuple[int, ...]], cut: int, others: list[tuple[int, ...]]
) -> None:
    bars = walk(quiet + moves)
    other = walk(quiet + moves[:cut] + others)
    known = len(quiet) + min(cut, len(moves))
    assert judged(bars)[:known] == judged(other)[:known]


def test_the_twins_see_bad_prints_at_all() -> None:
    bars = walk([*quiet * 6, (0, 1, 1, 500, 1, 1, 0), *quiet, (400, 0, 1, 1, 1, 1, 0), *quiet[:2]])
    assert sum(oracle.bad_prints(bars, MINUTE)) == 2
    assert judged(bars) == oracle.bad_prints(bars, MINUTE)
