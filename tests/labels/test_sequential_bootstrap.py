"""The sequential bootstrap: the book's own example, a slow twin draw for draw, and what it is for."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.labels.test_weights import BARS, PICKS, Picks, labels_on
from tests.oracles import labels as oracle

from foldsmith.errors import DataError, SettingError
from foldsmith.labels.sequential_bootstrap import draw_probabilities, sequential_bootstrap
from foldsmith.labels.weights import average_uniqueness

BOOK = np.array([0, 2, 4]), np.array([2, 3, 5]), np.arange(6)


@pytest.mark.parametrize(
    ("drawn", "expected"), [([], (1, 1, 1, 3)), ([1], (5, 3, 6, 14)), ([1, 2], (5, 3, 3, 11))]
)
def test_the_book(drawn: list[int], expected: tuple[int, ...]) -> None:
    """AFML section 4.5.3: indicator columns 111000, 001100, 000011; after label 2, and after {2, 3}."""
    *parts, whole = expected
    found = draw_probabilities(*BOOK, np.array(drawn, dtype=np.int64))
    np.testing.assert_allclose(found, [float(Fraction(part, whole)) for part in parts], rtol=1e-14)


@settings(deadline=None)
@given(BARS, PICKS, st.lists(st.integers(0, 39), max_size=20))
def test_probabilities_against_slow_twin(bars: list[int], picks: Picks, drawn: list[int]) -> None:
    t0, t1 = labels_on(bars, picks)
    rows = [i % len(t0) for i in drawn]
    found = draw_probabilities(np.array(t0), np.array(t1), np.array(bars), np.array(rows, dtype=np.int64))
    np.testing.assert_allclose(found, oracle.draw_probabilities(t0, t1, bars, rows), rtol=1e-12)


@settings(deadline=None)
@given(BARS, PICKS, st.integers(0, 999))
def test_draws_against_slow_twin(bars: list[int], picks: Picks, seed: int) -> None:
    t0, t1 = labels_on(bars, picks)
    fast = sequential_bootstrap(np.array(t0), np.array(t1), np.array(bars), size=25, seed=seed)
    uniform = np.random.default_rng(seed).random(25).tolist()
    for row, (expected, margin) in zip(
        fast.tolist(), oracle.sequential_bootstrap(t0, t1, bars, uniform), strict=True
    ):
        if margin < 1e-12:
            return
        assert row == expected


def test_draws_have_the_probabilities_of_the_book() -> None:
    """Of 20,000 pairs of draws, those that begin with label 2 go on with 5/14, 3/14 and 6/14."""
    pairs = np.array([sequential_bootstrap(*BOOK, size=2, seed=seed) for seed in range(20_000)])
    first = np.bincount(pairs[:, 0], minlength=3) / len(pairs)
    np.testing.assert_allclose(first, [1 / 3] * 3, atol=0.015)
    after = pairs[pairs[:, 0] == 1, 1]
    np.testing.assert_allclose(
        np.bincount(after, minlength=3) / len(after), [5 / 14, 3 / 14, 6 / 14], atol=0.02
    )


def test_what_is_drawn_shares_less_than_by_chance() -> None:
    """Ten labels of up to five bars among 100, as in the experiment of section 4.5.4."""
    gains, bars = [], np.arange(106)
    for seed in range(300):
        rng = np.random.default_rng(seed)
        t0 = np.sort(rng.integers(0, 100, 10))
        t1 = t0 + rng.integers(1, 6, 10)
        rows = sequential_bootstrap(t0, t1, bars, seed=seed), rng.integers(0, 10, 10)
        mine, chance = (average_uniqueness(t0[drawn], t1[drawn], bars).mean() for drawn in rows)
        gains.append(mine - chance)
    assert np.mean(gains) > 10 * np.std(gains) / np.sqrt(300)


def test_a_seed_says_what_is_drawn() -> None:
    t0 = np.arange(600)
    drawn = [sequential_bootstrap(t0, t0 + 20, np.arange(620), seed=seed).tolist() for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0]) == 600
    assert set(drawn[0]) <= set(range(600))


def test_refusals() -> None:
    t0, t1, bars = BOOK
    with pytest.raises(DataError, match="goes back in time at row 1"):
        sequential_bootstrap(t0[::-1], t1[::-1], bars, seed=0)
    with pytest.raises(DataError, match="no label to draw"):
        sequential_bootstrap(t0[:0], t1[:0], bars, seed=0)
    with pytest.raises(SettingError, match="size=0"):
        sequential_bootstrap(t0, t1, bars, size=0, seed=0)
    with pytest.raises(DataError, match="holds no bar"):
        sequential_bootstrap(t0, t1, bars + 100, seed=0)
