"""The mean of all active signals against its slow twin, by hand, and against one position at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evaluation.test_walk import COSTS, TICK, market, signals
from tests.oracles import walk as oracle

from foldsmith.errors import DataError
from foldsmith.evaluation.sizing import signed_contracts, signed_sizes
from foldsmith.evaluation.trading_rule import TradingRule
from foldsmith.evaluation.walk import walk_bars

FREE: dict[str, Any] = {**COSTS, "commission": 0.0, "slippage_ticks": 0.0}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_equals_the_slow_twin(data: st.DataObject) -> None:
    """Orders, positions and money; and the position never passes the limit."""
    n = data.draw(st.integers(3, 40))
    bars = market(
        n, data.draw(st.integers(0, 10_000)), data.draw(st.integers(3, 12)), data.draw(st.integers(5, 50))
    )
    at = sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=1, max_size=n)))
    labels, _ = signals(bars, at, 2, 1)
    wide = np.array([data.draw(st.integers(2, 20)) for _ in at])
    last = [bar + data.draw(st.integers(1, 8)) for bar in at]
    labels = labels.with_columns(upper=pl.col("entry") + wide * TICK, lower=pl.col("entry") - wide * TICK)
    # Eighths are exact, so that halves are met, and met by both.
    wanted = [data.draw(st.integers(-24, 24)) / 8 for _ in at]
    most = 3
    rule = TradingRule(contracts=most, overlap="average", flat_overnight=data.draw(st.booleans()))
    barriers = data.draw(st.booleans())
    found = walk_bars(wanted, labels, last, bars, rule, **FREE, barriers=barriers)
    told = bars["close_time"].search_sorted(labels["label_end"]).to_list()
    lots = [
        {**row, "size": size, "last": until, "told_bar": bar}
        for row, size, until, bar in zip(labels.to_dicts(), wanted, last, told, strict=True)
    ]
    orders, closes = oracle.mean_position(
        bars.to_dicts(), lots, overnight=rule.flat_overnight, barriers=barriers
    )
    trades = found.trades
    assert max(map(abs, closes), default=0) <= most
    assert closes[-1] == 0
    assert found.summary["orders"] == len(orders)
    assert found.summary["contracts"] == sum(abs(size) for *_, size in orders) / 2
    # What is bought and sold by bar and price, of the trades and of the orders.
    mine: dict[tuple[int, float], int] = {}
    number = {time: row for row, time in enumerate(bars["close_time"].to_list())}
    for trade in trades.to_dicts():
        size, leave = trade["side"] * trade["contracts"], number[trade["label_end"]]
        for key, signed in (
            ((leave - trade["bars"] + 1, trade["entry"]), size),
            ((leave, trade["exit"]), -size),
        ):
            mine[key] = mine.get(key, 0) + signed
    theirs: dict[tuple[int, float], int] = {}
    for bar, price, size in orders:
        theirs[bar, price] = theirs.get((bar, price), 0) + size
    assert {k: v for k, v in mine.items() if v} == {k: v for k, v in theirs.items() if v}
    # Position times price changes from order to order, which knows of no trades: the money of all trades.
    held, before, made = 0, 0.0, 0.0
    for _, price, size in orders:
        made += held * (price - before)
        held, before = held + size, price
    assert trades["gross"].sum() == pytest.approx(made / TICK * 1.25)
    assert found.daily["net"].sum() == pytest.approx(found.summary["net"])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_one_signal_at_a_time_is_traded_as_by_skip(data: st.DataObject) -> None:
    bars = market(60, data.draw(st.integers(0, 10_000)), data.draw(st.integers(5, 30)), 30)
    horizon = data.draw(st.integers(1, 6))
    labels, last = signals(bars, range(0, 59, horizon), data.draw(st.integers(2, 20)), horizon)
    wanted = [data.draw(st.integers(-3, 3)) for _ in range(labels.height)]
    flat = data.draw(st.booleans())
    ticks = [data.draw(st.integers(0, 4)) / 2 for _ in wanted]
    costs = {**COSTS, "slippage_ticks": ticks}
    one, two = (
        walk_bars(wanted, labels, last, bars, TradingRule("fixed", 3, overlap, None, flat), **costs)
        for overlap in ("skip", "average")
    )
    assert one.trades.equals(two.trades)
    assert one.daily.equals(two.daily)
    assert one.summary == {name: two.summary[name] for name in one.summary}


def test_a_mean_by_hand() -> None:
    bars = market(12, 1, per_day=100)
    at = [1, 2, 3, 4]
    labels, _ = signals(bars, at, 1000, 1)
    sizes, last = [4, 4, -4, 1], [9, 8, 7, 6]
    found = walk_bars(sizes, labels, last, bars, TradingRule(contracts=4, overlap="average"), **COSTS)
    # Means: 4, 4, 4/3, 5/4; the 1 leaves at the close of 6: 4/3; the -4 at 7: 4 (bought at the open of 8); 4; 0.
    assert found.summary["orders"] == 4
    opens, closes = bars["open"].to_list(), bars["close"].to_list()
    shown = found.trades.select("entry", "exit", "contracts", "bars", "reason").rows()
    assert shown == [
        (opens[2], opens[4], 3, 3, "target"),
        (opens[2], closes[9], 1, 8, "time"),
        (opens[8], closes[9], 3, 2, "time"),
    ]
    assert found.summary["exits"]["time"] == found.summary["signals"] == 4
    assert found.summary["cost"] == pytest.approx(7 * 2 * (0.62 + 1.25))


def test_halves_go_towards_nothing_and_signals_of_no_size_are_none() -> None:
    bars = market(12, 1, per_day=100)
    labels, last = signals(bars, [1, 2, 3], 1000, 5)
    rule = TradingRule(contracts=4, overlap="average")

    def bought(*sizes: float) -> int:
        return int(walk_bars(sizes, labels, last, bars, rule, **COSTS).summary["contracts"])

    assert bought(0.5, 0, 0) == bought(-0.5, 0, 0) == 0
    assert bought(0.6, 0, 0) == bought(-1.5, 0, 0) == 1
    assert bought(9, 0, 0) == 4
    # A decision for nothing leaves the mean of the others alone.
    assert bought(3, 0, 3) == 3
    with pytest.raises(DataError, match="numbers are needed"):
        walk_bars([1.0, np.nan, 1.0], labels, last, bars, rule, **COSTS)


def test_sizes_are_averaged_before_they_are_rounded() -> None:
    P = [[0.1, 0.45, 0.45], [0.2, 0.3, 0.5], [0.3, 0.3, 0.4]]
    rule = TradingRule("probability", 2, "average")
    sizes = signed_sizes(P, rule)
    assert sizes.round(4).tolist() == [0.0, 0.5222, 0.2165]
    assert signed_contracts(P, rule).tolist() == [0, 1, 0]
    assert signed_sizes(P, TradingRule(contracts=2)).tolist() == [0.0, 2.0, 2.0]
    bars = market(12, 1, per_day=100)
    labels, last = signals(bars, [1, 2, 3], 1000, 5)
    held = walk_bars(sizes, labels, last, bars, rule, **COSTS).trades
    # 0.52 is nearest to 1 and the mean of both, 0.37, to none; the sooner signal's end leaves 0.22.
    assert held.select("contracts", "bars", "reason").rows() == [(1, 2, "target")]
