"""Published numbers, and what must hold of any."""

from math import inf, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldsmith.errors import SettingError
from foldsmith.evaluation.deflated import (
    deflated_sharpe_ratio,
    deflated_sharpe_ratio_2025,
    expected_maximum,
    minimum_backtest_length,
    minimum_track_record_length,
    variance_of_maximum,
)
from foldsmith.evaluation.significance import probabilistic_sharpe_ratio


@pytest.mark.parametrize(("n", "expected"), [(10, 1.5745983), (45, 2.2356402), (100, 2.5306028932016846)])
def test_expected_maximum_of_bailey_and_lopez_de_prado_2014(n, expected):
    assert expected_maximum(n) == pytest.approx(expected, abs=5e-8)


@pytest.mark.parametrize(
    ("skewness", "kurtosis", "n_trials", "expected"),
    [(-3, 10, 100, 0.9003968344), (-3, 10, 46, 0.9505017), (0, 3, 88, 0.9504908)],
)
def test_dsr_of_bailey_and_lopez_de_prado_2014(skewness, kurtosis, n_trials, expected):
    # Annual figures of the paper (JPM 40(5)) per day: the Sharpe ratio by the root of 250, its variance by 250.
    found = deflated_sharpe_ratio(
        2.5 / sqrt(250), 1250, skewness, kurtosis, n_trials=n_trials, variance=0.5 / 250
    )
    assert found == pytest.approx(expected, abs=5e-8)
    assert sqrt(0.5 / 250) * expected_maximum(100) == pytest.approx(0.1131720, abs=5e-8)


def test_dsr_of_lopez_de_prado_lipton_and_zoonekynd_2025_is_another_number():
    shape = 0.036 / 0.079, 24, -2.448, 10.164
    assert variance_of_maximum(10) == pytest.approx(0.3443, abs=5e-5)
    assert deflated_sharpe_ratio_2025(*shape, n_trials=10, variance=0.1) == pytest.approx(0.416, abs=5e-4)
    assert deflated_sharpe_ratio(*shape, n_trials=10, variance=0.1) == pytest.approx(0.4499, abs=5e-5)


def test_minimum_track_record_length_of_bailey_and_lopez_de_prado_2012():
    def years(sharpe, against, periods, *shape):
        found = minimum_track_record_length(sharpe / sqrt(periods), *shape, benchmark=against / sqrt(periods))
        return found / periods

    # By hand: 1/250 + (1 + 2^2 / 500) z^2, z the 95% point of a normal.
    assert years(2, 1, 250) == pytest.approx(0.004 + 1.008 * 1.6448536269514722**2, rel=1e-12)
    assert years(2, 1, 250) == pytest.approx(2.73118780, abs=5e-9)
    assert years(2, 1, 52) == pytest.approx(2.8288335869452368, rel=1e-12)
    assert years(3, 2.5, 12, -0.72, 5.78) == pytest.approx(27.352920196040301, rel=1e-12)


def test_minimum_backtest_length_of_bailey_and_others_2014():
    assert minimum_backtest_length(45) == pytest.approx(4.9980870044434038, rel=1e-8)
    assert minimum_backtest_length(10) == pytest.approx(2.4794, abs=5e-5)


def test_moments_of_a_maximum_are_those_of_simulated_ones():
    drawn = np.random.default_rng(0).normal(size=(40_000, 30)).max(axis=1)
    assert variance_of_maximum(30) == pytest.approx(drawn.var(), rel=0.03)
    assert expected_maximum(30) == pytest.approx(drawn.mean(), rel=0.02)
    assert variance_of_maximum(1) == pytest.approx(1, abs=1e-9)


@settings(deadline=None)
@given(st.floats(-1, 1), st.integers(3, 3000), st.floats(1, 1e6), st.floats(0, 1))
def test_more_trials_never_help(sharpe, n, trials, variance):
    one, more = (
        deflated_sharpe_ratio(sharpe, n, n_trials=k, variance=variance) for k in (trials, trials * 2)
    )
    assert 0 <= more <= one + 1e-12
    assert one <= probabilistic_sharpe_ratio(sharpe, n) + 1e-12
    assert deflated_sharpe_ratio(sharpe, n, n_trials=1, variance=variance) == probabilistic_sharpe_ratio(
        sharpe, n
    )
    assert 0 <= deflated_sharpe_ratio_2025(sharpe, n, n_trials=trials, variance=variance) <= 1


@given(st.floats(0.01, 1), st.floats(-2, 2), st.floats(0, 5))
def test_a_track_record_of_that_length_is_just_enough(sharpe, skewness, more):
    kurtosis = skewness**2 + 1.5 + more
    n = minimum_track_record_length(sharpe, skewness, kurtosis)
    error = sqrt(max(0, 1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2) / (n - 1)) if n > 1 else 0
    if error:
        assert sharpe / error == pytest.approx(1.6448536269514722, rel=1e-9)


def test_what_cannot_be_is_refused():
    assert minimum_track_record_length(0.1, benchmark=0.1) == inf
    for wrong in (0, 0.5, float("nan"), inf):
        with pytest.raises(SettingError, match="at least 1"):
            expected_maximum(wrong)
    with pytest.raises(SettingError, match="variance"):
        deflated_sharpe_ratio(0.1, 100, n_trials=2, variance=-1)
    with pytest.raises(SettingError, match="confidence"):
        minimum_track_record_length(0.1, confidence=95)
    with pytest.raises(SettingError, match="sharpe_annual"):
        minimum_backtest_length(5, 0)
