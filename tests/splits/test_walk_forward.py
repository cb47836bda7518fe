"""Walking forward against brute force, and against scikit-learn where labels take no time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import TimeSeriesSplit
from tests.oracles import splits as oracle
from tests.splits.labelled import closings, labelled

from foldsmith.errors import SettingError
from foldsmith.splits import WalkForward


def pairs(split: WalkForward) -> list[tuple[list[int], list[int]]]:
    return [(train.tolist(), test.tolist()) for train, test in split.split(split.t0)]


@pytest.mark.parametrize(
    ("n_splits", "test_size", "gap"), [(5, None, 0), (3, 4, 0), (4, None, 2), (2, 1, 0), (7, 3, 1)]
)
def test_without_labels_it_is_scikit_learns(n_splits: int, test_size: int | None, gap: int) -> None:
    """A gap in rows is what labels of that many bars leave."""
    t0 = np.arange(50)
    theirs = TimeSeriesSplit(n_splits, test_size=test_size, gap=gap).split(t0)
    found = pairs(WalkForward(n_splits, test_size=test_size, t0=t0, t1=t0 + gap))
    assert found == [(train.tolist(), test.tolist()) for train, test in theirs]


@settings(deadline=None)
@given(labelled(), st.data(), st.integers(1, 3), st.integers(0, 3), st.booleans(), closings)
def test_blocks_by_hand(
    made: Any, data: st.DataObject, refit_every: int, margin: int, sliding: bool, closed: Any
) -> None:
    t0, t1, bars = made
    n = len(t0)
    train_size = data.draw(st.integers(1, n - refit_every))
    size = data.draw(st.integers(1, (n - train_size) // refit_every))
    count = (n - train_size) // size
    split = WalkForward(
        data.draw(st.sampled_from([None, count])),
        t0=t0,
        t1=t1,
        test_size=size,
        train_size=train_size,
        window="sliding" if sliding else "expanding",
        refit_every=refit_every,
        purge=margin,
        bars=bars,
        closed=closed,
    )
    tests = [list(range(at, at + size)) for at in range(n - count * size, n, size)]
    expected = []
    for k, test in enumerate(tests):
        first = tests[refit_every * (k // refit_every)]
        free = oracle.training_rows(t0, t1, [first], 0, margin, bars.tolist(), closed)
        begin = first[0] - train_size if sliding else 0
        expected.append(([row for row in free if begin <= row < first[0]], test))
    if not all(train for train, _ in expected):
        with pytest.raises(SettingError, match="no training row is left"):
            pairs(split)
        return
    assert pairs(split) == expected
    assert split.get_n_splits() == count
    fits = split.fit_numbers.tolist()
    for k, (train, test) in enumerate(expected):
        assert max(train) < min(test)
        assert all(t0[row] < t0[test[0]] for row in train)
        assert oracle.overlapping(t0, t1, train, test, closed) == 0
        assert (k > 0 and fits[k] == fits[k - 1]) == (k % refit_every > 0)
        assert k == 0 or fits[k] > fits[k - 1] or train == expected[k - 1][0]


def test_there_is_no_embargo_to_set() -> None:
    t0 = np.arange(20)
    with pytest.raises(TypeError, match="embargo"):
        WalkForward(3, t0=t0, t1=t0, embargo=2)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"n_splits": 0}, "n_splits"),
        ({"n_splits": 20}, "n_splits"),
        ({"n_splits": 2.0}, "n_splits"),
        ({"n_splits": None}, "train_size"),
        ({"n_splits": None, "train_size": 5}, "test_size"),
        ({"n_splits": None, "train_size": 15, "test_size": 6}, "test_size"),
        ({"n_splits": 3, "test_size": 7}, "test_size"),
        ({"n_splits": 3, "test_size": 0}, "test_size"),
        ({"n_splits": 3, "test_size": 3, "train_size": 12}, "test_size"),
        ({"window": "sliding"}, "train_size"),
        ({"window": "rolling"}, "window"),
        ({"train_size": 20}, "train_size"),
        ({"refit_every": 0}, "refit_every"),
        ({"refit_every": 6}, "refit_every"),
        ({"purge": None}, "purge"),
        ({"closed": "neither"}, "closed"),
    ],
)
def test_refused_settings(settings: dict[str, Any], words: str) -> None:
    t0 = np.arange(20)
    with pytest.raises(SettingError, match=words):
        WalkForward(**{"n_splits": 5, "t0": t0, "t1": t0} | settings)
