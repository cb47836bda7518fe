"""Volatilities from ranges against slow twins, and what they may know."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.labels.conftest import Market, market, markets
from tests.oracles import labels as oracle

from foldsmith.errors import SettingError
from foldsmith.labels.range_volatility import range_volatility
from foldsmith.labels.triple_barrier import volatility

KINDS = ["atr", "parkinson"]


@settings(max_examples=60, deadline=None)
@given(made=markets(least=1), window=st.integers(2, 30), kind=st.sampled_from(KINDS))
def test_against_slow_twin(made: Market, window: int, kind: str) -> None:
    slow = np.asarray(oracle.range_volatility(made.bars.to_dicts(), window, kind))
    fast = range_volatility(made.bars, window, kind)
    np.testing.assert_allclose(fast, slow, rtol=1e-9, atol=2e-12)
    # Known at the same bars as the volatility of closes, so that all kinds label the same bars.
    assert np.array_equal(np.isnan(fast), np.isnan(volatility(made.bars, window)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_depends_on_its_window_alone_to_the_bit(kind: str) -> None:
    rng = np.random.default_rng(4)
    close = (4000 + np.cumsum(rng.integers(-5, 6, 3_000))) * 0.25
    rows = [
        (c, c + up, c - down, c) for c, up, down in zip(close, *rng.integers(0, 9, (2, 3_000)), strict=True)
    ]
    whole = range_volatility(market(rows).bars, 48, kind)
    for start in (1, 777):
        part = range_volatility(market(rows[start:]).bars, 48, kind)
        assert np.isnan(part[:48]).all()
        assert np.array_equal(part[48:], whole[start + 48 :])
    # And on no bar after its own.
    early = range_volatility(market([*rows[:2_000], *[(9.0, 99.0, 1.0, 9.0)] * 50]).bars, 48, kind)
    assert np.array_equal(early[48:2_000], whole[48:2_000])


def test_of_a_random_walk_both_are_what_theory_says() -> None:
    """Of 400 steps a bar: Parkinson is the standard deviation of a bar, the mean range sqrt(8 / pi) of it."""
    steps = np.random.default_rng(0).normal(0, 1e-4, (3_000, 400))
    paths = 100 * np.exp(np.cumsum(steps).reshape(steps.shape))
    bars = market([(p[0], p.max(), p.min(), p[-1]) for p in paths]).bars
    true = 1e-4 * np.sqrt(400)
    found = {kind: np.nanmean(range_volatility(bars, 48, kind)) / true for kind in KINDS}
    assert found["parkinson"] == pytest.approx(1, abs=0.06)
    assert found["atr"] == pytest.approx(np.sqrt(8 / np.pi), abs=0.09)


def test_prices_that_stand_still_have_none() -> None:
    bars = market([(5617.25,) * 4] * 60).bars
    for kind in KINDS:
        assert range_volatility(bars, 20, kind)[20:].tolist() == [0.0] * 40
        assert range_volatility(market([]).bars, 20, kind).shape == (0,)
    with pytest.raises(SettingError, match="unknown"):
        range_volatility(bars, 20, "close")
    with pytest.raises(SettingError, match="window of 1"):
        range_volatility(bars, 1, "atr")
