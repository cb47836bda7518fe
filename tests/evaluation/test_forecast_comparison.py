import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tests.oracles import significance as oracle

from foldsmith.errors import DataError, SettingError
from foldsmith.evaluation.forecast_comparison import daily_losses, diebold_mariano


@given(st.integers(0, 10_000), st.integers(8, 40), st.integers(0, 3))
def test_equals_the_slow_twin(seed, n, lags):
    rng = np.random.default_rng(seed)
    first, second = rng.exponential(size=(2, n))
    found = diebold_mariano(first, second, lags=lags)
    assert found.t == pytest.approx(oracle.diebold_mariano(first.tolist(), second.tolist(), lags), rel=1e-9)
    assert found.difference == pytest.approx(np.mean(first) - np.mean(second))
    assert diebold_mariano(second, first, lags=lags).p == pytest.approx(found.p)


def test_without_lags_it_is_students_paired_test():
    first, second = np.random.default_rng(0).exponential(size=(2, 60))
    found, expected = diebold_mariano(first, second), stats.ttest_rel(first, second)
    assert (found.t, found.p) == (pytest.approx(expected.statistic), pytest.approx(expected.pvalue))


def test_it_rejects_equal_forecasters_as_often_as_it_says():
    """Losses that last two days: 5% with the lags that they need, 1,000 draws of 120 days, and more without."""
    rng = np.random.default_rng(2)
    noise = rng.normal(size=(1000, 2, 122))
    lasting = noise[:, :, 2:] + noise[:, :, 1:-1] + noise[:, :, :-2]
    share = {
        lags: np.mean([diebold_mariano(a, b, lags=lags).p < 0.05 for a, b in lasting]) for lags in (0, 6)
    }
    assert share[6] < 0.12 < share[0]


def test_days_weigh_what_their_rows_weigh():
    losses, weight, days = np.array([1.0, 3.0, 2.0]), np.array([1.0, 1.0, 2.0]), [7, 7, 9]
    found = daily_losses(losses, weight, days)
    assert found.tolist() == [2.0, 2.0]
    assert found.mean() == pytest.approx(np.average(losses, weights=weight))


def test_nothing_to_compare_is_none_and_wrong_shapes_are_refused():
    assert diebold_mariano([1.0, 2.0], [2.0, 1.0]) is None
    assert diebold_mariano([1.0] * 9, [1.0] * 9) is None
    assert diebold_mariano(range(6), [1.0] * 6, lags=3) is None
    with pytest.raises(DataError, match="shapes"):
        diebold_mariano([1.0], [1.0, 2.0])
    with pytest.raises(SettingError, match="lags"):
        diebold_mariano([1.0], [1.0], lags=-1)
