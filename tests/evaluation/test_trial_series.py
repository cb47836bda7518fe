import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.oracles import significance as oracle

from foldsmith.errors import DataError
from foldsmith.evaluation.backtest_interval import backtest_interval
from foldsmith.evaluation.trial_series import effective_number, path_sharpes, sharpe_spread


@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(8, 60))
def test_effective_number_equals_the_eigenvalues(seed, series, days):
    rng = np.random.default_rng(seed)
    profits = rng.normal(size=(days, series)) @ rng.normal(size=(series, series))
    found = effective_number(profits)
    assert found == pytest.approx(oracle.effective_number(profits))
    assert 1 - 1e-9 <= found <= series + 1e-9


def test_copies_count_once_and_those_that_never_traded_not_at_all():
    one = np.random.default_rng(0).normal(size=(50, 1))
    assert effective_number(np.hstack([one, 3 * one, -one, 0 * one])) == pytest.approx(1)
    assert effective_number(np.zeros((50, 2))) is None
    many = np.random.default_rng(0).normal(size=(20_000, 8))
    assert effective_number(many) == pytest.approx(8, abs=0.05)


def test_spread_is_the_null_s_unless_there_are_enough_series():
    few = np.random.default_rng(0).normal(size=(400, 9))
    assert (sharpe_spread(few, 50).variance, sharpe_spread(few, 50).source) == (1 / 50, "null")
    # Series without skill, of 400 days: over 50 days their Sharpe ratios spread as the null's do.
    many = np.random.default_rng(0).normal(size=(400, 3000))
    found = sharpe_spread(many, 50)
    assert (found.source, found.series) == ("series", 3000)
    assert found.variance == pytest.approx(1 / 50, rel=0.1)
    with pytest.raises(DataError):
        sharpe_spread(many, 0)


def test_paths_of_a_combinatorial_cross_validation():
    found = path_sharpes([[1, -1, 2, 0], [0, 0, 0, 0], [-1, 1, -2, 0]])
    assert found["sharpe"][0] == pytest.approx(0.3872983)
    assert found["sharpe"][1] is None
    assert (found["paths"], found["below_0"]) == (3, 0.5)
    assert found["low"] == -found["high"] == found["sharpe"][2]
    assert found["median"] == found["mean"] == 0
    year = path_sharpes([[1, -1, 2, 0], [1, 2, 3, 5], [-1, 1, -2, 0]], 252)
    assert year["sharpe"][0] == pytest.approx(0.3872983 * 252**0.5)
    assert (year["median"], year["below_0"]) == (year["sharpe"][0], pytest.approx(1 / 3))
    assert path_sharpes([[0, 0, 0]])["median"] is None


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(20, 40), st.integers(1, 2))
def test_backtest_intervals_equal_the_slow_twin(seed, days, block):
    import polars as pl

    rng = np.random.default_rng(seed)
    gross, trades = rng.normal(size=days) * 100, rng.integers(1, 4, days)
    daily = {"gross": gross.tolist(), "net": (gross - trades).tolist(), "trades": trades.tolist()}
    found = backtest_interval(
        pl.DataFrame(daily), seed=seed, periods_per_year=252, draws=100, block_days=block
    )
    starts = np.random.default_rng(seed).integers(0, days, size=(100, -(-days // block)))
    drawn = oracle.backtest_draws(daily, starts, block, 252)
    (whole,) = oracle.backtest_draws(daily, [list(range(days))], 1, 252)
    for name, estimate in whole.items():
        assert found[name]["estimate"] == pytest.approx(estimate)
        low, high = np.quantile([each[name] for each in drawn], [0.025, 0.975])
        assert (found[name]["low"], found[name]["high"]) == (pytest.approx(low), pytest.approx(high))
    short = backtest_interval(pl.DataFrame(daily), seed=seed, periods_per_year=252, block_days=5)
    assert short["net"]["low"] is None


def test_the_interval_of_the_sharpe_ratio_holds_the_truth_as_often_as_it_says():
    import polars as pl

    rng, held = np.random.default_rng(5), 0
    for seed in range(200):
        gross = rng.normal(0.1, 1, 120)
        daily = pl.DataFrame({"gross": gross, "net": gross, "trades": np.ones(120)})
        found = backtest_interval(daily, seed=seed, periods_per_year=1, draws=200)["sharpe_annual"]
        held += found["low"] <= 0.1 <= found["high"]
    # Blocks of five days of 120 are a little narrow: about 92 of 100, never below 85.
    assert 170 <= held <= 198
