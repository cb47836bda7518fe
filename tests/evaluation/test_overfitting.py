import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.oracles import significance as oracle

from foldsmith.errors import DataError, SettingError
from foldsmith.evaluation.overfitting import blocks_for, probability_of_overfitting


@pytest.mark.parametrize("seed", range(5))
def test_equal_sharpe_ratios_of_bailey_and_others_are_wholly_overfitted(seed):
    """100 columns of 2400 rows, scaled to 1 / sqrt(252) and demeaned, S = 8: what one half gains the other loses."""
    x = np.random.default_rng(seed).normal(size=(2400, 100))
    x = (x - x.mean(axis=0)) / x.std(axis=0) / np.sqrt(252)
    assert probability_of_overfitting(x, 8).probability == 1.0


def test_mean_over_draws_of_pure_noise():
    """Only the mean is testable; with N = 11 and `<=`, (1 + 1/11) / 2 or so: about .53 over 200 draws."""
    rng = np.random.default_rng(3)
    found = [probability_of_overfitting(rng.normal(size=(240, 11)), 6).probability for _ in range(200)]
    assert np.mean(found) == pytest.approx(0.53, abs=0.06)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 5), st.sampled_from([2, 4, 6]), st.integers(12, 40), st.integers(0, 10_000))
def test_equals_the_slow_twin(series, blocks, days, seed):
    rng = np.random.default_rng(seed)
    profits = rng.normal(size=(days, series)) * rng.uniform(0.1, 1e4, series) + rng.normal(size=series)
    found = probability_of_overfitting(profits, blocks)
    assert found.logits == pytest.approx(oracle.overfitting(profits, blocks))


def test_a_model_that_never_traded_equals_the_slow_twin():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        profits = rng.normal(size=(37, 4)) * rng.uniform(0.1, 1e4, 4) + rng.normal(size=4)
        profits[:, 3] = 0.0  # a model that never traded has a Sharpe ratio of 0
        found = probability_of_overfitting(profits, 6)
        assert found.logits == pytest.approx(oracle.overfitting(profits, 6))


def test_a_model_that_is_always_best_is_not_overfitted():
    profits = np.random.default_rng(1).normal(size=(200, 5))
    profits[:, 2] += 5
    found = probability_of_overfitting(profits, 8)
    assert found.probability == 0
    assert found.loss == 0


def test_blocks_and_refusals():
    assert [blocks_for(days) for days in (19, 20, 59, 79, 80, 5000)] == [None, 4, 10, 14, 16, 16]
    with pytest.raises(SettingError, match="even"):
        probability_of_overfitting(np.ones((40, 2)), 5)
    with pytest.raises(DataError, match="2 series"):
        probability_of_overfitting(np.ones((40, 1)), 4)
    with pytest.raises(DataError, match="finite"):
        probability_of_overfitting(np.full((40, 2), np.nan), 4)
