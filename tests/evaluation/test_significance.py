from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from foldsmith.errors import SettingError
from foldsmith.evaluation.significance import (
    mean_test,
    probabilistic_sharpe_ratio,
    sharpe_ratio,
    sharpe_standard_error,
)


def test_psr_of_bailey_and_lopez_de_prado_2012():
    psr = probabilistic_sharpe_ratio(1.585 / sqrt(12), 24, -2.448, 10.164)
    assert psr == pytest.approx(0.9132343068848602, abs=1e-12)
    assert probabilistic_sharpe_ratio(0.458, 24) == pytest.approx(0.982, abs=5e-4)
    assert probabilistic_sharpe_ratio(0.458, 24, -2.448, 10.164) == pytest.approx(0.913, abs=5e-4)


@pytest.mark.parametrize(
    ("sharpe", "skewness", "kurtosis", "error"),
    [(0.7079, -0.2250, 2.9570, 0.1028), (0.8183, -1.4455, 7.0497, 0.1550)],
)
def test_standard_error_of_bailey_and_lopez_de_prado_2012(sharpe, skewness, kurtosis, error):
    assert sharpe_standard_error(sharpe, 134, skewness, kurtosis) == pytest.approx(error, abs=5e-5)


def test_standard_error_is_the_spread_of_simulated_sharpe_ratios():
    rng = np.random.default_rng(0)
    draws = rng.exponential(size=(20_000, 200)) - 0.8
    found = draws.mean(axis=1) / draws.std(axis=1, ddof=1)
    # An exponential has mean and standard deviation 1, skewness 2, kurtosis 9.
    assert found.std() == pytest.approx(sharpe_standard_error(0.2, 200, 2.0, 9.0), rel=0.05)


def test_sharpe_ratio_is_per_period_and_keeps_the_shape():
    returns = np.random.default_rng(1).exponential(size=300) - 0.9
    found = sharpe_ratio(returns)
    assert found.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1))
    assert found.skewness == pytest.approx(stats.skew(returns))
    assert found.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False))
    assert found.standard_error == sharpe_standard_error(found.sharpe, 300, found.skewness, found.kurtosis)
    assert found.probability == pytest.approx(stats.norm.cdf(found.sharpe / found.standard_error))


@given(st.floats(-2, 2), st.integers(2, 3000), st.floats(-3, 3), st.floats(0, 20), st.floats(-1, 1))
def test_psr_is_a_probability_that_falls_with_the_benchmark(sharpe, n, skewness, more, benchmark):
    kurtosis = skewness**2 + 1 + more
    psr = probabilistic_sharpe_ratio(sharpe, n, skewness, kurtosis, benchmark=benchmark)
    assert 0 <= psr <= 1
    assert psr >= probabilistic_sharpe_ratio(sharpe, n, skewness, kurtosis, benchmark=benchmark + 0.1)
    assert probabilistic_sharpe_ratio(sharpe, n, skewness, kurtosis, benchmark=sharpe) == 0.5


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30).filter(lambda v: np.std(v) > 1e-3))
def test_mean_test_equals_scipy(values):
    found, expected = mean_test(values), stats.ttest_1samp(values, 0)
    assert found.t == pytest.approx(expected.statistic, rel=1e-9, abs=1e-12)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert found.mean == pytest.approx(np.mean(values), abs=1e-9)


def test_nothing_to_measure_is_none():
    assert sharpe_ratio([0.0, 0.0, 0.0, 0.0]) is None
    assert sharpe_ratio([1.0, 2.0]) is None
    assert sharpe_ratio([]) is None
    assert mean_test([1.0]) is None
    assert mean_test([]) is None
    assert mean_test([2.0, 2.0]) is None


def test_refuses_excess_kurtosis_and_one_period():
    with pytest.raises(SettingError, match="excess"):
        sharpe_standard_error(0.1, 100, 0.0, 0.0)
    with pytest.raises(SettingError, match="n=1"):
        sharpe_standard_error(0.1, 1)
