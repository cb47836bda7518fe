"""Average uniqueness against a count at every bar, and the book's own example."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.oracles import labels as oracle

from foldsmith.errors import DataError
from foldsmith.labels.weights import average_uniqueness


def test_the_book() -> None:
    """AFML section 4.5.3: indicator columns 111000, 001100, 000011."""
    t0, t1 = np.array([0, 2, 4]), np.array([2, 3, 5])
    np.testing.assert_allclose(average_uniqueness(t0, t1, np.arange(6)), [5 / 6, 3 / 4, 1.0], rtol=1e-15)


@given(
    st.sets(st.integers(0, 90), min_size=1, max_size=50).map(sorted),
    st.lists(st.tuples(st.integers(0, 49), st.integers(0, 12)), min_size=1, max_size=40),
)
def test_against_slow_twin(bars: list[int], picks: list[tuple[int, int]]) -> None:
    t0 = [bars[i % len(bars)] for i, _ in picks]
    t1 = [bars[min(i % len(bars) + length, len(bars) - 1)] for i, length in picks]
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
