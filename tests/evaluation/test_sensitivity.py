"""Curves over thresholds and costs against whole backtests made anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from foldsmith.evaluation.backtest import Costs, backtest, most_probable_signal
from foldsmith.evaluation.sensitivity import MOST_POINTS, cost_curve, threshold_curve

COSTS = {"tick_size": 0.25, "tick_value": 1.25, "commission": 0.6, "slippage_ticks": 1.0}


def market(n=400, seed=0, alpha=2.0):
    rng = np.random.default_rng(seed)
    closes = pl.Series([datetime(2025, 1, 1, tzinfo=UTC) + timedelta(hours=k) for k in range(n + 5)])
    bars = pl.DataFrame({"close_time": closes.cast(pl.Datetime("us", "UTC")), "session": closes.dt.date()})
    ends = np.arange(n) + rng.integers(1, 6, n)
    labels = pl.DataFrame(
        {
            "datetime": bars["close_time"][:n],
            "label_end": bars["close_time"][ends],
            "entry": 100.0,
            "exit_long": 100 + rng.normal(0, 2, n).round(2),
        }
    ).with_columns(exit_short=pl.col("exit_long"))
    return rng.dirichlet([alpha] * 3, n), labels, bars


@pytest.mark.parametrize("alpha", [0.5, 2.0, 60.0])
def test_every_threshold_is_a_backtest_of_its_own(alpha):
    P, labels, bars = market(alpha=alpha)
    found = threshold_curve(P, labels, bars, Costs(**COSTS))
    assert 1 <= len(found["points"]) <= MOST_POINTS
    for point in found["points"]:
        signal = np.where(P.max(axis=1) >= point["threshold"], most_probable_signal(P), 0)
        summary = backtest(signal, labels, sessions=bars, **COSTS).summary
        assert point["trades"] == summary["trades"] > 0
        assert point["signals"] == summary["signals"]
        for name in ("gross", "net", "gross_per_trade"):
            assert point[name] == pytest.approx(summary[name])
    assert found["points"][0]["threshold"] == 0.34


def test_without_a_signal_there_is_no_curve():
    P, labels, bars = market()
    flat = np.tile([0.2, 0.6, 0.2], (len(P), 1))
    assert threshold_curve(flat, labels, bars, Costs(**COSTS))["points"] == []


def test_costs_are_multiplied_and_break_even_leaves_nothing():
    P, labels, bars = market(seed=3)
    made = backtest(most_probable_signal(P), labels, sessions=bars, **COSTS)
    found = cost_curve(made.daily, made.summary["trades"], 252)
    for point in found["points"]:
        dear = dict(COSTS, commission=0.6 * point["multiple"], slippage_ticks=1.0 * point["multiple"])
        summary = backtest(most_probable_signal(P), labels, sessions=bars, **dear).summary
        for name in ("net", "max_drawdown", "sharpe_annual"):
            assert point[name] == pytest.approx(summary[name]), name
    earned = made.daily.with_columns(gross=pl.col("gross").abs())
    even = cost_curve(earned, made.summary["trades"], 252)["break_even"]
    assert (earned["gross"] - even["multiple"] * earned["cost"]).sum() == pytest.approx(0, abs=1e-9)
    assert even["per_trade"] == pytest.approx(earned["gross"].sum() / made.summary["trades"])
    lost = cost_curve(made.daily.with_columns(gross=-pl.col("gross").abs()), 9, 252)["break_even"]
    assert lost == {"multiple": None, "per_trade": None}
