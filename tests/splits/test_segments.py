"""Segments and tails against brute force: after the purge no label of earlier rows meets one of later rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.oracles import splits as oracle
from tests.splits.labelled import labelled

from foldsmith.errors import DataError, SettingError
from foldsmith.splits import PurgedKFold, cut_instants, holdout, purged_tail


@settings(deadline=None)
@given(labelled(least=12), st.data(), st.integers(0, 4), st.integers(0, 4))
def test_holdout_by_hand(made: tuple[Any, Any, Any], data: st.DataObject, embargo: int, margin: int) -> None:
    t0, t1, bars = made
    first = data.draw(st.integers(int(t0[0]), int(t0[-1])))
    cuts = (first, data.draw(st.integers(first, int(t0[-1]))))
    rows = range(len(t0))
    test = [i for i in rows if t0[i] > cuts[1]]
    validation = [i for i in rows if cuts[0] < t0[i] <= cuts[1]]
    training = [i for i in rows if t0[i] <= cuts[0]]
    if test:
        free = oracle.training_rows(t0, t1, [test], embargo, margin, bars.tolist())
        validation = [i for i in validation if i in free]
        training = [i for i in training if i in free]
    if validation:
        free = oracle.training_rows(t0, t1, [validation], embargo, margin, bars.tolist())
        training = [i for i in training if i in free]
    if not (test and validation and training):
        with pytest.raises(DataError, match="segment is empty"):
            holdout(t0, t1, cuts, embargo=embargo, purge=margin, bars=bars)
        return
    made_segments = holdout(t0, t1, cuts, embargo=embargo, purge=margin, bars=bars)
    named = {name: part.tolist() for name, part in made_segments.named().items()}
    assert named == {"training": training, "validation": validation, "test": test}
    for a, b in (("training", "validation"), ("training", "test"), ("validation", "test")):
        assert oracle.overlapping(t0, t1, named[a], named[b]) == 0


@settings(deadline=None)
@given(labelled(), st.floats(0.05, 0.95), st.integers(0, 4), st.integers(0, 4))
def test_purged_tail_by_hand(made: tuple[Any, Any, Any], share: float, embargo: int, margin: int) -> None:
    t0, t1, bars = made
    first = max(1, round(len(t0) * (1 - share)))
    expected = list(range(first, len(t0)))
    free = oracle.training_rows(t0, t1, [expected], embargo, margin, bars.tolist()) if expected else []
    if not expected or not free:
        with pytest.raises(DataError, match="purged tail"):
            purged_tail(t0, t1, share, embargo=embargo, purge=margin, bars=bars)
        return
    head, tail = purged_tail(t0, t1, share, embargo=embargo, purge=margin, bars=bars)
    assert (head.tolist(), tail.tolist()) == (free, expected)
    assert head.max() < tail.min()
    assert oracle.overlapping(t0, t1, head, tail) == 0


def test_a_tail_of_rows_with_a_fold_taken_out() -> None:
    t0 = np.arange(100)
    train, _ = list(PurgedKFold(4, t0=t0, t1=t0 + 3, embargo=3).split(t0))[1]
    head, tail = purged_tail(t0[train], t0[train] + 3, 0.2, embargo=3)
    assert len(tail) == round(0.2 * len(train))
    assert oracle.overlapping(t0, t0 + 3, train[head], train[tail]) == 0


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_refused_tail_shares(share: float) -> None:
    with pytest.raises(SettingError, match="share"):
        purged_tail(np.arange(9), np.arange(9), share, embargo=0)


@pytest.mark.parametrize(
    ("n", "ratios", "cuts"),
    [
        (100, (0.7, 0.15, 0.15), (69, 84)),
        (100, (0.57, 0.13, 0.3), (56, 69)),
        (10, (0.05, 0.05, 0.9), (0, 1)),
        (1000, (0.29, 0.29, 0.42), (289, 579)),
    ],
)
def test_cuts(n: int, ratios: tuple[float, float, float], cuts: tuple[int, int]) -> None:
    """The last bar of training and of validation: floor(n * share) bars, rounding errors of shares aside."""
    assert cut_instants(np.arange(n), ratios) == cuts


@settings(deadline=None)
@given(st.integers(10, 400), st.integers(1, 98), st.integers(1, 98))
def test_cuts_rise(n: int, a: int, b: int) -> None:
    assume(a + b < 100)
    first, second = cut_instants(np.arange(n), (a / 100, b / 100, (100 - a - b) / 100))
    assert 0 <= first < second < n


@pytest.mark.parametrize(
    "ratios", [(0.7, 0.3), (0.7, 0.3, 0.0), (0.7, 0.2, 0.2), (float("nan"), 0.5, 0.5), (1.2, -0.1, -0.1)]
)
def test_refused_ratios(ratios: tuple[float, ...]) -> None:
    with pytest.raises(SettingError, match="ratios"):
        cut_instants(np.arange(100), ratios)


def test_too_few_bars_to_cut() -> None:
    with pytest.raises(DataError, match="too few"):
        cut_instants(np.arange(9), (0.7, 0.15, 0.15))
