"""Widths for an after-cost objective: those of a slow twin, moved by costs as they must be, blind after the cut."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.labels.conftest import Market, market, markets
from tests.labels.test_barrier_tuning import close, spoilt_after, walk
from tests.oracles import labels as oracle

from foldsmith.errors import DataError, SettingError
from foldsmith.labels import barrier_payoff
from foldsmith.labels.barrier_payoff import Choice, Costs, choose_by_payoff, payoff
from foldsmith.labels.triple_barrier import volatility
from foldsmith.market.instruments import instrument

FREE = Costs(0.25, 1.25, 0.0, 0.0)


def costing(ticks: float, made: Market | None = None) -> Costs:
    """A round trip that costs so many ticks of 1.25."""
    return Costs(0.25 if made is None else made.tick, 1.25, ticks * 1.25 / 2, 0.0)


def chosen(
    made: Market,
    until: int,
    *,
    max_bars: int = 20,
    edge: float = 0.1,
    costs: Costs = FREE,
    sigma: Any = None,
    least: float = 1.0,
) -> Choice:
    return choose_by_payoff(
        made.bars,
        made.base,
        (made.first, made.stop),
        volatility(made.bars, 20) if sigma is None else sigma,
        horizon=max_bars,
        max_bars=max_bars,
        until=until,
        edge=edge,
        costs=costs,
        least_ticks=least,
    )


@settings(max_examples=60, deadline=None)
@given(
    made=markets(least=12, most=60),
    max_bars=st.integers(1, 10),
    edge=st.floats(0.01, 0.49),
    spread=st.sampled_from((1e-4, 1e-3, 1e-2)),
    data=st.data(),
)
def test_against_a_slow_twin(
    made: Market, max_bars: int, edge: float, spread: float, data: st.DataObject
) -> None:
    """Every width, one event at a time, in exact fractions; then the same choice, or the same refusal."""
    rows = data.draw(st.integers(max_bars + 1, made.bars.height))
    cost = data.draw(st.sampled_from((0.0, 0.3, 2.0)))
    costs, sigma = costing(cost, made), np.full(made.bars.height, spread)
    widths = (50, 400, 1000, 2500)
    early = made.head(rows)
    ranges = list(zip(early.first.tolist(), early.stop.tolist(), strict=True))
    slow = [
        oracle.payoff(
            early.bars.to_dicts(),
            early.base.to_dicts(),
            ranges,
            spread,
            max_bars,
            k / 1000,
            made.tick,
            edge,
            cost,
        )
        for k in widths
    ]
    told = [each for each in slow if each is not None]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(barrier_payoff, "WIDTHS", widths)
        aim: dict[str, Any] = {"max_bars": max_bars, "edge": edge, "costs": costs, "sigma": sigma}
        earns = max(told, key=lambda each: each["sharpe"])["gross"] if told else 0.0
        # What breaks even to the last bit may fall on either side.
        assume(not told or abs(earns - cost) > 1e-9)
        if earns <= cost:
            with pytest.raises(DataError, match=r"pays its costs|no price moves|no label"):
                chosen(made, close(made, rows - 1), **aim)
            return
        found = chosen(made, close(made, rows - 1), **aim)
    assert len(found.curve) == len(told)
    for mine, twin in zip(found.curve, told, strict=True):
        assert mine.width == twin["width"]
        for name, value in (("gross", twin["gross"]), ("deviation", twin["deviation"])):
            assert getattr(mine, name) / 1.25 == pytest.approx(value, rel=1e-6, abs=1e-6)
        assert mine.bars_held == pytest.approx(twin["held"])
        assert mine.sharpe == pytest.approx(twin["sharpe"], rel=1e-5, abs=1e-5)
    best = max(each["sharpe"] for each in told)
    assert next(each["sharpe"] for each in told if each["width"] == found.barriers.up) == pytest.approx(best)
    json.dumps(found.as_dict(), allow_nan=False)


GAINS = st.lists(st.floats(-50, 50).filter(lambda x: abs(x) > 1e-3), min_size=2, max_size=30)


@settings(max_examples=200, deadline=None)
@given(gains=GAINS, edge=st.floats(0.001, 0.499), cost=st.floats(0, 20), scale=st.floats(0.01, 100))
def test_what_the_objective_must_do(gains: list[float], edge: float, cost: float, scale: float) -> None:
    long = np.array(gains)
    held = np.full(len(long), 3.0)

    def ratio(moves: Any, edge: float, cost: float) -> float:
        found = payoff(1.0, moves, -moves, held, edge=edge, cost=cost, bars_per_year=1000.0)
        assert found is not None
        return found.sharpe

    found = payoff(1.0, long, -long, held, edge=edge, cost=cost, bars_per_year=1000.0)
    assert found is not None
    assert found.gross == pytest.approx(2 * edge * np.abs(long).mean())
    # Which way the moves went is nothing to a skill that is right either way; nor is the currency.
    assert ratio(-long, edge, cost) == pytest.approx(ratio(long, edge, cost))
    assert ratio(long * scale, edge, cost * scale) == pytest.approx(ratio(long, edge, cost), rel=1e-6)
    # Costs only take, skill gives where there is something to keep, and what breaks even does.
    assert ratio(long, edge, cost + 1) < ratio(long, edge, cost)
    if found.gross > cost:
        assert ratio(long, edge + 0.0005, cost) > ratio(long, edge, cost)
    assert found.break_even is not None
    assert (found.sharpe > 0) == (edge > found.break_even) or edge == pytest.approx(found.break_even)
    assert ratio(long, edge, 0.0) > 0


def test_the_mean_and_spread_are_those_of_trades_drawn_by_lot() -> None:
    rng = np.random.default_rng(0)
    long = rng.normal(size=400)
    long[::40] = -np.abs(long[::40])
    short = -long
    short[::40] = long[::40]  # ambiguous: both sides lose
    found = payoff(1.0, long, short, np.ones(400), edge=0.2, cost=0.1, bars_per_year=1.0)
    assert found is not None
    better, worse = np.maximum(long, short), np.minimum(long, short)
    drawn = np.where(rng.random((2000, 400)) < 0.7, better, worse) - 0.1
    assert found.gross - 0.1 == pytest.approx(drawn.mean(), abs=0.005)
    assert found.deviation == pytest.approx(drawn.std(), rel=0.005)
    assert found.sharpe == pytest.approx(drawn.mean() / drawn.std(), abs=0.005)
    assert payoff(1.0, long * 0, short * 0, np.ones(400), edge=0.2, cost=0.1, bars_per_year=1.0) is None


def test_dearer_trades_never_lower_the_risk_that_is_taken() -> None:
    """Each width's objective is (gross - cost) / b, a falling line in cost: their upper envelope only gets flatter."""
    made = walk(6000, seed=3)
    risks, widths = [], []
    for ticks in (0.0, 0.2, 0.5, 1.0, 2.0, 3.0):
        found = chosen(made, close(made, 5900), edge=0.2, costs=costing(ticks))
        best = next(each for each in found.curve if each.width == found.barriers.up)
        risks.append(best.deviation * np.sqrt(best.bars_held))
        widths.append(best.width)
    assert risks == sorted(risks)
    # Free trades are taken nearly as often as the tick lets them.
    assert widths[0] <= 0.15 < widths[-1]


def test_on_a_random_walk_the_best_mean_move_is_twice_what_breaks_even() -> None:
    made = walk(30_000, seed=1)
    for edge, ticks in ((0.2, 2.0), (0.25, 4.0)):
        found = chosen(made, close(made, 29_999), max_bars=60, edge=edge, costs=costing(ticks))
        best = next(each for each in found.curve if each.width == found.barriers.up)
        assert best.gross / (2 * edge) == pytest.approx(ticks * 1.25 / edge, rel=0.25)
        assert 0.05 < found.barriers.up < 2


@pytest.mark.parametrize("max_bars", [5, 20, 100])
def test_nothing_after_the_cut_changes_the_answer(max_bars: int) -> None:
    made, rows = walk(), 2500
    cut = close(made, rows - 1)
    aim: dict[str, Any] = {"max_bars": max_bars, "edge": 0.2, "costs": costing(1.0)}
    answer = chosen(made, cut, **aim)
    assert answer == chosen(made.head(rows), cut, **aim)
    later, sigma = spoilt_after(made, rows)
    assert chosen(later, cut, sigma=sigma, **aim) == answer
    # And what is before it does.
    wide = volatility(made.bars, 20)
    wide[: rows // 2] *= 4
    assert chosen(made, cut, sigma=wide, **aim).curve != answer.curve
    assert chosen(made, close(made, rows), **aim).curve != answer.curve


def test_costs_are_those_of_a_backtest_and_barriers_as_far_as_asked() -> None:
    mes = instrument("MES")
    costs = Costs(mes.tick_size, mes.tick_value, mes.commission, mes.slippage_ticks)
    assert costs.round_trip == pytest.approx(3.74)
    made = walk(1500)
    near, far = (chosen(made, close(made, 1400), edge=0.3, least=least) for least in (1.0, 40.0))
    assert far.curve[0].gross > near.curve[0].gross


def test_what_pays_nothing_is_refused_with_what_would() -> None:
    made = walk(1500)
    with pytest.raises(DataError) as told:
        chosen(made, close(made, 1400), edge=0.01, costs=costing(8.0))
    text = str(told.value)
    assert "no barrier width pays its costs at --assumed-edge 0.01" in text
    assert "costs 10.00" in text
    needed = float(text.split("--assumed-edge above ")[1].split()[0])
    assert 0.01 < needed < 0.5
    assert chosen(made, close(made, 1400), edge=needed + 0.01, costs=costing(8.0)).curve
    with pytest.raises(DataError, match="no barrier width pays") as hopeless:
        chosen(made, close(made, 1400), edge=0.01, costs=costing(1000.0))
    assert "if you do believe" not in str(hopeless.value)


def test_refusals() -> None:
    made = walk(400)
    for until in (close(made, 39), 0, -1):
        with pytest.raises(DataError, match="no label of horizon 20 ends in the training segment"):
            chosen(made, until)
    for edge in (0.0, 0.5, -0.1, float("nan")):
        with pytest.raises(SettingError, match="--assumed-edge"):
            chosen(made, close(made, 300), edge=edge)
    still = market([(100.0, 100.0, 100.0, 100.0)] * 60)
    with pytest.raises(DataError, match="no price moves"):
        chosen(still, close(still, 59), max_bars=5, sigma=np.full(60, 0.01))
    assert pl.DataFrame(chosen(made, close(made, 399)).as_dict()["curve"]).height == len(
        barrier_payoff.WIDTHS
    )
