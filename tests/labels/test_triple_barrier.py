"""Triple-barrier labels against their slow twin, and the promises they keep."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.labels.conftest import Market, market, markets
from tests.oracles import labels as oracle

from foldsmith.contracts import LABELS
from foldsmith.errors import DataError, SettingError
from foldsmith.labels.scheme import LabelScheme
from foldsmith.labels.triple_barrier import Barriers, LabelCounts, volatility
from foldsmith.market.instruments import instrument

Row = tuple[float, float, float, float]


def by_hand(made: Market, sigma: Any, max_bars: int, up: float, down: float, least: float = 1.0) -> list[Any]:
    bars, base = made.bars.to_dicts(), made.base.to_dicts()
    ranges = list(zip(made.first.tolist(), made.stop.tolist(), strict=True))
    return [
        oracle.label(bars, base, ranges, float(sigma[t]), t, max_bars, up, down, made.tick, least)
        for t in range(len(bars))
    ]


def assert_same(made: Market, sigma: Any, max_bars: int, up: float, down: float, least: float = 1.0) -> None:
    frame, counts = made.labels(sigma, max_bars, up, down, least)
    compare(made, frame, counts, by_hand(made, sigma, max_bars, up, down, least))


def compare(made: Market, frame: pl.DataFrame, counts: LabelCounts, slow: list[Any]) -> None:
    LABELS.check(frame)
    events = [event for event in slow if not isinstance(event, str)]
    rows = frame.to_dicts()
    assert [row["bar"] for row in rows] == [event["bar"] for event in events]
    for row, event in zip(rows, events, strict=True):
        for name in ("datetime", "label_end", "y", "ambiguous"):
            assert row[name] == event[name], (name, row, event)
        for name in ("entry", "upper", "lower", "exit_long", "exit_short"):
            assert row[name] == pytest.approx(float(event[name]) * made.tick, rel=1e-12), (name, row, event)
        target, log_return = oracle.targets(event)
        # Prices that are decimals miss their ticks by rounding, and a small unit makes much of it.
        near = 1e-13 * float(event["entry"]) / event["unit"]
        assert row["target"] == pytest.approx(target, rel=1e-9, abs=near), (row, event)
        assert row["log_return"] == pytest.approx(log_return, rel=1e-9, abs=1e-12), (row, event)
    told = counts.as_dict()
    assert told["bars"] == len(slow)
    assert told["events"] == len(events)
    for reason in ("warm_up", "no_volatility", "crosses_block", "end_of_data", "no_room"):
        assert told[reason] == slow.count(reason)
    assert [told[k] for k in ("short", "neutral", "long")] == [
        sum(event["y"] == y for event in events) for y in (-1, 0, 1)
    ]
    assert told["ambiguous"] == sum(event["ambiguous"] for event in events)
    assert told["gap_fills"] == sum(event["gap"] for event in events)


@settings(max_examples=250, deadline=None)
@given(
    made=markets(),
    max_bars=st.one_of(st.integers(1, 12), st.integers(1, 95)),
    up=st.floats(0.05, 6.0),
    down=st.floats(0.05, 6.0),
    least=st.sampled_from((1.0, 1.0, 2.5, 7.0)),
    data=st.data(),
)
def test_against_slow_twin(
    made: Market, max_bars: int, up: float, down: float, least: float, data: st.DataObject
) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    if data.draw(st.booleans()):
        sigma = volatility(made.bars, data.draw(st.integers(2, 6)))
    else:
        # Any spread of widths, with holes: the labels must not care where sigma came from.
        spread = data.draw(st.sampled_from((1e-4, 1e-3, 1e-2, 0.2)))
        sigma = rng.exponential(spread, made.bars.height)
        sigma[rng.random(len(sigma)) < 0.1] = 0.0
        sigma[rng.random(len(sigma)) < 0.1] = np.nan
    assert_same(made, sigma, max_bars, up, down, least)


@pytest.mark.parametrize("max_bars", [63, 64, 65, 127, 128, 129, 500, 1023, 1024, 1100, 2500])
def test_long_windows_against_slow_twin(max_bars: int) -> None:
    """Every table level, chunk edge and the coarse tables; bars of sparse touches."""
    rng = np.random.default_rng(max_bars)
    n = max_bars + 2300
    close = (
        4000 + np.cumsum(rng.integers(-1, 2, n)) + np.cumsum(rng.integers(-9, 10, n) * (rng.random(n) < 0.01))
    )
    open_ = np.r_[4000, close[:-1]]
    columns = (open_, np.maximum(open_, close) + rng.integers(0, 2, n), np.minimum(open_, close), close)
    made = market(list(zip(*((c * 0.25).tolist() for c in columns), strict=True)))
    sigma = rng.exponential(0.002, n) / np.sqrt(max_bars)
    # The twin is slow: a sample of events, in the right order.
    frame, counts = made.labels(sigma, max_bars, 3.0, 3.0)
    bars = made.bars.to_dicts()
    ranges = [(i, i + 1) for i in range(n)]
    assert counts.events == n - max_bars == frame.height
    assert min(counts.short, counts.neutral, counts.long) > 10
    for t in [*range(0, n - max_bars, 37), 1023, 1024, 2047, 2048, n - max_bars - 1]:
        event = oracle.label(bars, bars, ranges, float(sigma[t]), t, max_bars, 3.0, 3.0, 0.25)
        assert isinstance(event, dict)
        row = frame.row(t, named=True)
        assert (row["bar"], row["y"], row["label_end"]) == (t, event["y"], event["label_end"])
        assert row["exit_long"] == float(event["exit_long"]) * 0.25


def labelled(
    rows: list[Row], max_bars: int = 3, *, sigma: float = 0.01, size: int = 1, blocks: Any = None
) -> Any:
    """The label of the first bar; barriers are sigma sqrt(max_bars) of the entry away."""
    made = market(rows, blocks, size)
    frame, counts = made.labels(np.full(made.bars.height, sigma), max_bars)
    assert_same(made, np.full(made.bars.height, sigma), max_bars, 1.0, 1.0)
    return frame.row(0, named=True), counts


STILL: Row = (100.0, 100.0, 100.0, 100.0)
# 100 (1 +- .01 sqrt 3) = 101.732 and 98.268, outward to the tick: 101.75 and 98.25.


def test_barriers_are_rounded_outward() -> None:
    row, _ = labelled([STILL] * 4)
    assert (row["entry"], row["upper"], row["lower"]) == (100.0, 101.75, 98.25)
    assert (row["y"], row["exit_long"], row["exit_short"]) == (0, 100.0, 100.0)


def test_barriers_on_a_tick_stay_there() -> None:
    """100 (1 + .0025 * 4) is 101.00000000000001 or so to a computer, and 101 to a trader."""
    made = market([STILL] * 20)
    frame, _ = made.labels(np.full(20, 0.0025), 16)
    assert (frame["upper"][0], frame["lower"][0]) == (101.0, 99.0)


def test_barriers_are_a_tick_away_at_least() -> None:
    row, _ = labelled([STILL] * 4, sigma=1e-9)
    assert (row["upper"], row["lower"]) == (100.25, 99.75)


def test_barriers_are_as_far_away_as_costs_ask_for() -> None:
    """MES, a round trip of 1.24 in commission and 2 ticks of slippage: 2.992 ticks."""
    mes = instrument("MES")
    costs = mes.commission, mes.slippage_ticks, mes.tick_value
    assert LabelScheme().least_ticks(*costs) == 1
    least = LabelScheme(min_barrier_cost=2).least_ticks(*costs)
    assert least == pytest.approx(2 * 2.992)
    made = market([STILL] * 20)
    assert made.labels(np.full(20, 1e-9), 16, least=least)[0]["upper"][0] == 101.5
    # Where volatility asks for more, costs change nothing.
    wide, plain = (made.labels(np.full(20, 0.01), 16, least=each)[0] for each in (least, 1.0))
    assert wide.equals(plain)
    for strange in (0.5, float("nan"), float("inf")):
        with pytest.raises(SettingError, match="ticks away"):
            made.labels(np.full(20, 0.01), 16, least=strange)


@pytest.mark.parametrize(
    ("high", "low", "y", "leaves"),
    [(101.75, 99.0, 1, 101.75), (101.5, 98.25, -1, 98.25), (101.5, 98.5, 0, 100.0)],
)
def test_a_touch_is_enough_and_less_is_none(high: float, low: float, y: int, leaves: float) -> None:
    row, _ = labelled([STILL, STILL, (100.0, high, low, 100.0), STILL])
    assert (row["y"], row["exit_long"], row["exit_short"]) == (y, leaves, leaves)
    assert row["label_end"].minute == (3 if y else 4)


def test_the_bar_of_the_decision_itself_is_not_watched() -> None:
    row, _ = labelled([(100.0, 200.0, 50.0, 100.0), STILL, STILL, STILL])
    assert row["y"] == 0


def test_a_gap_fills_at_the_open() -> None:
    row, counts = labelled([STILL, STILL, (95.0, 103.0, 94.0, 100.0), STILL])
    assert (row["y"], row["exit_long"], row["exit_short"]) == (-1, 95.0, 95.0)
    assert counts.gap_fills == 1
    row, _ = labelled([STILL, STILL, (101.75, 103.0, 94.0, 100.0), STILL])
    assert (row["y"], row["exit_long"]) == (1, 101.75)


def test_minutes_decide_a_bar_that_reaches_both() -> None:
    """Three minutes a bar; the second bar reaches both barriers."""
    for first, y in (((100.0, 102.0, 100.0, 100.0), 1), ((100.0, 100.0, 98.0, 100.0), -1)):
        other = (100.0, 102.0, 98.0, 100.0)
        row, counts = labelled([*[STILL] * 6, first, other, STILL, *[STILL] * 3], size=3)
        assert (row["y"], row["ambiguous"], counts.ambiguous) == (y, False, 0)
        assert row["label_end"].minute == 9


def test_a_minute_that_reaches_both_is_ambiguous_and_stops_either_side() -> None:
    both = (100.0, 102.0, 98.0, 100.0)
    for size in (1, 3):
        still = [STILL] * size
        row, counts = labelled([*still, *still, *[STILL] * (size - 1), both, *still], size=size)
        assert (row["y"], row["ambiguous"], counts.ambiguous) == (0, True, 1)
        assert (row["exit_long"], row["exit_short"]) == (98.25, 101.75)
        assert row["label_end"].minute == 3 * size


def test_a_minute_that_opens_beyond_settles_it() -> None:
    """No minute of the bar reaches a barrier before one opens below it."""
    below = (97.0, 103.0, 97.0, 100.0)
    row, counts = labelled([*[STILL] * 6, STILL, below, STILL, *[STILL] * 3], size=3)
    assert (row["y"], row["exit_long"], row["exit_short"]) == (-1, 97.0, 97.0)
    assert (counts.gap_fills, counts.ambiguous) == (1, 0)


def test_a_window_over_a_roll_is_dropped_even_if_a_barrier_is_reached_before() -> None:
    rows = [STILL, (100.0, 150.0, 100.0, 150.0), STILL, STILL, STILL, STILL]
    made = market(rows, blocks=[0, 0, 0, 1, 1, 1])
    frame, counts = made.labels(np.full(6, 0.01), 2)
    assert frame["bar"].to_list() == [0, 3]
    assert (counts.crosses_block, counts.end_of_data) == (2, 2)


def test_no_barrier_below_a_price_above_zero() -> None:
    made = market([(1.0, 1.0, 1.0, 1.0)] * 8)
    frame, counts = made.labels(np.full(8, 0.9), 4)
    assert frame.is_empty()
    LABELS.check(frame)
    assert (counts.no_room, counts.end_of_data, counts.events) == (4, 4, 0)


def test_absurd_volatility_is_no_overflow() -> None:
    made = market([(19_000.0, 19_001.0, 18_999.0, 19_000.0)] * 8)
    for sigma in (1e3, 1e300, np.inf):
        assert made.labels(np.full(8, sigma), 4)[1].no_room == 4
    frame, _ = made.labels(np.full(8, 1e6), 4, up=99.0, down=1e-12)
    assert frame["y"].to_list() == [-1] * 4
    assert (frame["upper"] > 1e12).all()


@settings(max_examples=60, deadline=None)
@given(made=markets(least=10), max_bars=st.integers(1, 30), seed=st.integers(0, 2**32 - 1))
def test_what_comes_after_a_label_does_not_change_it(made: Market, max_bars: int, seed: int) -> None:
    """Later bars are replaced by others on the same clock: every label that was over by then stays as it was."""
    rng = np.random.default_rng(seed)
    n = made.bars.height
    cut = int(rng.integers(2, n))
    size = made.base.height // n
    sigma = np.full(n, 0.002)
    prices = [made.base[name].to_numpy().copy() for name in ("open", "high", "low", "close")]
    for column in prices:
        column[cut * size :] *= 3.0
    later = market(list(zip(*prices, strict=True)), made.bars["block"].to_numpy(), size, made.tick)
    end = made.bars["close_time"][cut - 1]
    before, after = (each.labels(sigma, max_bars)[0] for each in (made, later))
    over = [frame.filter(frame["label_end"] <= end) for frame in (before, after)]
    known = [frame.filter(frame["bar"] + max_bars < cut) for frame in (before, after)]
    assert known[0].equals(known[1])
    # A time-out is told by its end alone; any other label that had ended was decided by bars before the cut.
    assert (
        over[0]
        .filter(over[0]["bar"] + max_bars >= cut)
        .equals(over[1].filter(over[1]["bar"] + max_bars >= cut))
    )


def test_every_bar_up_to_t1_can_change_a_label() -> None:
    n, max_bars = 12, 6
    rows = [STILL] * n
    for place in range(1, max_bars + 1):
        spoilt = [*rows[:place], (100.0, 120.0, 100.0, 100.0), *rows[place + 1 :]]
        row, _ = labelled(spoilt, max_bars)
        assert (row["y"], row["label_end"].minute) == (1, place + 1)
    row, _ = labelled([*rows[: max_bars + 1], (100.0, 120.0, 100.0, 100.0), *rows[max_bars + 2 :]], max_bars)
    assert row["y"] == 0


@settings(max_examples=100, deadline=None)
@given(made=markets(), max_bars=st.integers(1, 100), seed=st.integers(0, 99))
def test_counts_are_a_partition(made: Market, max_bars: int, seed: int) -> None:
    sigma = np.random.default_rng(seed).choice([np.nan, 0.0, 0.001, 0.5], made.bars.height)
    frame, counts = made.labels(sigma, max_bars)
    told = counts.as_dict()
    reasons = ("warm_up", "no_volatility", "crosses_block", "end_of_data", "no_room")
    assert told["events"] + sum(told[name] for name in reasons) == told["bars"] == made.bars.height
    assert told["short"] + told["neutral"] + told["long"] == told["events"] == frame.height
    assert told["ambiguous"] == frame["ambiguous"].sum() <= told["neutral"]
    assert all(type(value) is int for value in told.values())


def test_no_bars() -> None:
    made = market([])
    frame, counts = made.labels([], 5)
    LABELS.check(frame)
    assert (counts.bars, counts.events) == (0, 0)
    assert volatility(made.bars, 5).shape == (0,)


def test_refusals() -> None:
    made = market([STILL] * 12)
    good = np.full(12, 0.01)
    with pytest.raises(DataError, match="sigma has 11 entries for 12 bars"):
        made.labels(good[:11], 2)
    with pytest.raises(SettingError, match="max_bars=0"):
        made.labels(good, 0)
    with pytest.raises(DataError, match="tick size is likely wrong"):
        replace(made, tick=1e-8).labels(good, 2)
    for tick in (0.0, -0.25, float("nan"), float("inf")):
        with pytest.raises(SettingError, match="tick_size"):
            replace(made, tick=tick).labels(good, 2)
    with pytest.raises(DataError, match="base bars that are not there"):
        replace(made, stop=made.stop + 1).labels(good, 2)
    for up, down in ((0.0, 1.0), (1.0, -1.0), (100.0, 1.0), (float("nan"), 1.0)):
        with pytest.raises(SettingError, match="barrier width"):
            Barriers(up, down)
    with pytest.raises(SettingError, match="window of 1"):
        volatility(made.bars, 1)


def test_minutes_of_another_market_are_refused() -> None:
    rows = [STILL, STILL, (100.0, 120.0, 80.0, 100.0), STILL]
    made = replace(market(rows), base=market([STILL] * 4).bars)
    with pytest.raises(DataError, match="bar 2 reaches both barriers and its base bars do not"):
        made.labels(np.full(4, 0.01), 2)


@settings(max_examples=100, deadline=None)
@given(made=markets(least=1), window=st.integers(2, 30))
def test_volatility_against_slow_twin(made: Market, window: int) -> None:
    slow = np.asarray(oracle.volatility(made.bars.to_dicts(), window))
    fast = volatility(made.bars, window)
    assert np.array_equal(np.isnan(slow), np.isnan(fast))
    np.testing.assert_allclose(fast, slow, rtol=1e-6, atol=2e-12)
    assert not ((fast > 0) & (fast < 1e-12)).any()


def test_volatility_depends_on_its_window_alone_to_the_bit() -> None:
    rng = np.random.default_rng(4)
    close = (4000 + np.cumsum(rng.integers(-5, 6, 20_000))) * 0.25
    whole = volatility(market([(c, c, c, c) for c in close]).bars, 48)
    for start in (1, 777, 9001):
        part = volatility(market([(c, c, c, c) for c in close[start:]]).bars, 48)
        assert np.isnan(part[:48]).all()
        assert np.array_equal(part[48:], whole[start + 48 :])


def test_volatility_of_prices_that_stand_still_is_0_and_not_nearly() -> None:
    assert volatility(market([(5617.25,) * 4] * 60).bars, 20)[20:].tolist() == [0.0] * 40
