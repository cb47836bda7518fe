"""Weights against counts at every bar, and the book's own examples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.oracles import labels as oracle

from foldsmith.errors import DataError, SettingError
from foldsmith.labels.weighting import LEAST, Weighting
from foldsmith.labels.weights import average_uniqueness, bar_returns, return_attribution, time_decay

Picks = list[tuple[int, int]]
BARS = st.sets(st.integers(0, 90), min_size=1, max_size=50).map(sorted)
PICKS = st.lists(st.tuples(st.integers(0, 49), st.integers(0, 12)), min_size=1, max_size=40)


def labels_on(bars: list[int], picks: Picks) -> tuple[list[int], list[int]]:
    """t0 and t1 of labels on these bars, in time order."""
    places = sorted((i % len(bars), length) for i, length in picks)
    return [bars[i] for i, _ in places], [bars[min(i + n, len(bars) - 1)] for i, n in places]


def test_the_book() -> None:
    """AFML section 4.5.3: indicator columns 111000, 001100, 000011."""
    t0, t1 = np.array([0, 2, 4]), np.array([2, 3, 5])
    np.testing.assert_allclose(average_uniqueness(t0, t1, np.arange(6)), [5 / 6, 3 / 4, 1.0], rtol=1e-15)


@settings(deadline=None)
@given(BARS, PICKS)
def test_against_slow_twin(bars: list[int], picks: Picks) -> None:
    t0, t1 = labels_on(bars, picks)
    fast = average_uniqueness(np.array(t0), np.array(t1), np.array(bars))
    np.testing.assert_allclose(fast, oracle.average_uniqueness(t0, t1, bars), rtol=1e-12)
    assert (fast > 0).all()
    assert (fast <= 1 + 1e-12).all()


def test_labels_that_share_nothing_are_unique() -> None:
    t0 = np.arange(0, 100, 10)
    np.testing.assert_allclose(average_uniqueness(t0, t0 + 9, np.arange(100)), 1.0)


def test_a_closed_end_is_shared() -> None:
    np.testing.assert_allclose(
        average_uniqueness(np.array([0, 1]), np.array([1, 2]), np.arange(3)), [0.75, 0.75]
    )


def test_refusals() -> None:
    t0 = np.array([0, 4])
    with pytest.raises(DataError, match="must rise"):
        average_uniqueness(t0, t0 + 1, np.array([0, 2, 1]))
    with pytest.raises(DataError, match="row 1 holds no bar"):
        average_uniqueness(t0, t0 + 1, np.array([0, 1, 2]))
    with pytest.raises(DataError, match="row 0 ends before it begins"):
        average_uniqueness(t0, t0 - 1, np.arange(6))


@settings(deadline=None)
@given(BARS, PICKS, st.integers(0, 2**32 - 1))
def test_return_attribution_against_slow_twin(bars: list[int], picks: Picks, seed: int) -> None:
    t0, t1 = labels_on(bars, picks)
    returns = np.random.default_rng(seed).normal(0, 0.01, len(bars))
    fast = return_attribution(np.array(t0), np.array(t1), np.array(bars), returns)
    slow = oracle.return_attribution(t0, t1, bars, dict(zip(bars, returns.tolist(), strict=True)))
    np.testing.assert_allclose(fast, slow, rtol=1e-9, atol=1e-15)
    # Returns of bars in no label are not looked at.
    held = np.array([any(a <= s <= b for a, b in zip(t0, t1, strict=True)) for s in bars])
    other = return_attribution(np.array(t0), np.array(t1), np.array(bars), np.where(held, returns, 7.0))
    assert other.tobytes() == fast.tobytes()


def test_returns_are_shared_by_hand() -> None:
    """The first label has half of .04 and of -.05; the second half of -.05, and .03. What ended at t0 is nobody's."""
    t0, t1 = np.array([0, 1]), np.array([2, 3])
    returns = np.array([0.01, 0.04, -0.05, 0.03])
    np.testing.assert_allclose(return_attribution(t0, t1, np.arange(4), returns), [0.005, 0.005], rtol=1e-12)
    with pytest.raises(DataError, match="3 returns for 4 bars"):
        return_attribution(t0, t1, np.arange(4), returns[:3])


def test_a_weight_by_return_does_not_know_which_way_the_market_came() -> None:
    """In a random walk, labels that go on in the direction of the last bar are as heavy as those that turn.

    With the return of the bar that ends at t0 among its own, a label that goes on is heavier: momentum from nothing.
    """
    returns = np.random.default_rng(0).normal(0, 1, 200_000)
    t0 = np.arange(0, 199_900, 5)
    t1 = t0 + 20
    total = np.cumsum(returns)
    goes_on = np.sign(returns[t0]) * np.sign(total[t1] - total[t0])
    for scheme in ("return", "uniqueness-return"):
        weight = Weighting(scheme, np.arange(200_000), returns).of(t0, t1)
        assert abs(np.average(goes_on, weights=weight)) < 0.015
    with_it = np.abs(total[t1] - total[t0] + returns[t0])
    assert np.average(goes_on, weights=with_it) > 0.15


def test_the_step_across_a_roll_is_nobodys_return() -> None:
    close = np.array([100.0, 101.0, 150.0, 147.0])
    found = bar_returns(close, np.array([0, 0, 1, 1], dtype=np.int32))
    np.testing.assert_allclose(found, [0, np.log(1.01), 0, np.log(0.98)], atol=1e-15)
    assert bar_returns(close[:0], np.zeros(0, dtype=np.int32)).shape == (0,)


@settings(deadline=None)
@given(
    st.lists(st.floats(0.01, 1.0), min_size=1, max_size=40),
    st.floats(-0.999, 1.0),
)
def test_time_decay_against_the_book(uniqueness: list[float], oldest: float) -> None:
    found = time_decay(np.array(uniqueness), oldest)
    np.testing.assert_allclose(found, oracle.time_decay(uniqueness, oldest), rtol=1e-9, atol=1e-12)
    assert found[-1] == 1
    assert (np.diff(found) >= 0).all()
    assert found.min() >= max(oldest, 0) - 1e-12


def test_time_decay_by_hand() -> None:
    """Rows that say the same thing age together: four of uniqueness 1/4 age as one of 1."""
    assert time_decay(np.ones(4), 1.0).tolist() == [1.0] * 4
    assert time_decay(np.ones(4), 0.0).tolist() == [0.25, 0.5, 0.75, 1.0]
    assert time_decay(np.ones(5), -0.6).tolist() == pytest.approx([0, 0, 0, 0.5, 1])
    many = time_decay(np.array([0.25] * 4 + [1.0] * 3), 0.0)
    np.testing.assert_allclose(many[3:], [0.25, 0.5, 0.75, 1.0])
    for oldest in (-1.0, 1.1, float("nan")):
        with pytest.raises(SettingError, match="time decay"):
            time_decay(np.ones(3), oldest)


@settings(deadline=None)
@given(BARS, PICKS, st.floats(-0.9, 1.0), st.integers(0, 99))
def test_schemes_are_made_of_their_parts(bars: list[int], picks: Picks, decay: float, seed: int) -> None:
    t0, t1 = (np.array(each) for each in labels_on(bars, picks))
    at, returns = np.array(bars), np.random.default_rng(seed).normal(0, 0.01, len(bars))
    unique = average_uniqueness(t0, t1, at)
    attributed = return_attribution(t0, t1, at, returns)
    parts = {"none": unique * 0 + 1, "uniqueness": unique, "return": attributed}
    for scheme, expected in {**parts, "uniqueness-return": unique * attributed}.items():
        weighting = Weighting(scheme, at, returns, decay)
        if "return" in scheme and not attributed.any():
            with pytest.raises(DataError, match="stand still"):
                weighting.of(t0, t1)
            continue
        floored = np.maximum(expected, LEAST * expected.mean() if "return" in scheme else 0)
        found = weighting.of(t0, t1)
        np.testing.assert_allclose(found, floored / floored.mean(), rtol=1e-9)
        assert found.mean() == pytest.approx(1)
        decayed = found * time_decay(unique, decay)
        np.testing.assert_allclose(weighting.of_fit(t0, t1), decayed / decayed.mean(), rtol=1e-9)


def test_labels_whose_returns_cancel_have_some_weight_still() -> None:
    t0, t1 = np.array([0, 4]), np.array([2, 6])
    found = Weighting("return", np.arange(7), np.array([0, 0.5, -0.5, 0, 0, 0.2, 0.1])).of(t0, t1)
    assert 0 < found[0] < 1e-5
    with pytest.raises(DataError, match="stand still in all 2 labels"):
        Weighting("return", np.arange(7), np.zeros(7)).of(t0, t1)
    with pytest.raises(DataError, match="need the return"):
        Weighting("return", np.arange(7))
    with pytest.raises(SettingError, match="there are none, uniqueness"):
        Weighting("age", np.arange(7))
