"""What every splitter must keep: nothing meets, every row is accounted for, and scikit-learn takes it."""

from __future__ import annotations

import copy
import doctest
import importlib
import pickle
import pkgutil
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_validate
from tests.oracles import splits as oracle
from tests.splits.labelled import closings, labelled

from foldsmith import splits
from foldsmith.errors import DataError, SettingError
from foldsmith.splits import CombinatorialPurgedKFold, PurgedKFold, PurgedSplitter, WalkForward, certify

MINUTE = 60_000_000
SPLITTERS: dict[str, Callable[..., PurgedSplitter]] = {
    "purged": lambda **labels: PurgedKFold(4, embargo=3, **labels),
    "two of four": lambda **labels: CombinatorialPurgedKFold(4, 2, embargo=2, **labels),
    "three of four": lambda **labels: CombinatorialPurgedKFold(4, 3, embargo=0, **labels),
    "expanding": lambda **labels: WalkForward(3, **labels),
    "sliding": lambda **labels: WalkForward(
        4, window="sliding", train_size=12, test_size=2, refit_every=2, **labels
    ),
}
every = pytest.mark.parametrize("make", SPLITTERS.values(), ids=SPLITTERS)


@every
@settings(deadline=None)
@given(labelled(least=24, longest=3), st.integers(0, 1), closings)
def test_no_training_label_meets_a_test_label_and_every_row_is_accounted_for(
    make: Callable[..., PurgedSplitter], made: Any, purge: int, closed: Any
) -> None:
    t0, t1, bars = made
    split = make(t0=t0, t1=t1, bars=bars, purge=purge, closed=closed)
    try:
        pairs = list(split.split(t0))
    except SettingError:  # no training row is left
        reject()
    assert len(pairs) == split.get_n_splits() == len(split.ranges())
    for (train, test), fold, one in zip(pairs, split.ranges(), split.certify(), strict=True):
        assert oracle.overlapping(t0, t1, train, test, closed) == 0
        assert one.holds
        assert one.n_train + one.n_test + one.purged + one.embargoed + one.unused == len(t0)
        assert not (one.unused and isinstance(split, PurgedKFold | CombinatorialPurgedKFold))
        for ranges, rows in ((fold.train, train), (fold.test, test)):
            assert [i for first, after in ranges.tolist() for i in range(first, after)] == rows.tolist()
            assert (ranges[1:, 0] > ranges[:-1, 1]).all()


@every
def test_six_hundred_rows_of_which_others_leak(make: Callable[..., PurgedSplitter]) -> None:
    """600 one-minute rows with labels of 1 to 40 bars, no embargo: not one training row overlaps."""
    t0, t1 = six_hundred()
    split = make(t0=t0, t1=t1, bars=np.arange(700) * MINUTE)
    if split.get_n_splits() == 4 and isinstance(split, WalkForward):
        split = WalkForward(4, window="sliding", train_size=100, t0=t0, t1=t1)
    assert sum(oracle.overlapping(t0, t1, train, test) for train, test in split.split(t0)) == 0
    assert [one.overlaps for one in split.certify()] == [0] * split.get_n_splits()


def six_hundred() -> tuple[Any, Any]:
    t0 = np.arange(600) * MINUTE
    return t0, t0 + np.random.default_rng(0).integers(1, 41, 600) * MINUTE


def test_a_gap_in_rows_is_not_enough_where_labels_vary() -> None:
    t0, t1 = six_hundred()
    found = certify(TimeSeriesSplit(5, gap=20).split(t0), t0=t0, t1=t1)
    assert sum(one.overlaps for one in found) > 20
    assert sum(one.overlaps for one in WalkForward(5, t0=t0, t1=t1).certify()) == 0


def test_purging_in_rows_leaks_where_labels_vary() -> None:
    """skfolio's combinatorial splitter counts rows. Only where it is installed: it comes with the extra `dev`."""
    selection = pytest.importorskip("skfolio.model_selection", reason="skfolio is not installed")
    t0, t1 = six_hundred()
    theirs = selection.CombinatorialPurgedCV(5, 2, purged_size=20, embargo_size=0)
    pairs = [(train, np.concatenate(tests)) for train, tests in theirs.split(np.zeros((600, 1)))]
    assert sum(one.overlaps for one in certify(pairs, t0=t0, t1=t1)) > 50
    ours = CombinatorialPurgedKFold(5, 2, t0=t0, t1=t1, embargo=0)
    assert sum(one.overlaps for one in ours.certify()) == 0


@every
def test_scikit_learn_takes_it(make: Callable[..., PurgedSplitter]) -> None:
    rng = np.random.default_rng(3)
    X, t0 = rng.normal(size=(120, 3)), np.arange(120)
    y = (X[:, 0] + rng.normal(size=120) > 0).astype(int)
    split = make(t0=t0, t1=t0 + 5)
    if split.get_n_splits() == 4 and isinstance(split, WalkForward):
        split = WalkForward(4, window="sliding", train_size=40, test_size=10, refit_every=2, t0=t0, t1=t0 + 5)
    found = cross_validate(LogisticRegression(), X, y, cv=split, return_indices=True)
    assert len(found["test_score"]) == split.get_n_splits() == split.get_n_splits(X, y, None)
    assert np.isfinite(found["test_score"]).all()
    for used, (train, _) in zip(found["indices"]["train"], split.split(X), strict=True):
        assert np.array_equal(used, train)
    search = clone(GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=split)).fit(X, y)
    assert search.n_splits_ == split.get_n_splits()
    with pytest.raises(DataError, match="built for 120"):
        cross_validate(LogisticRegression(), X[:100], y[:100], cv=split, error_score="raise")


def test_worker_processes_take_it() -> None:
    rng = np.random.default_rng(3)
    X, t0 = rng.normal(size=(60, 2)), np.arange(60)
    y = (X[:, 0] > 0).astype(int)
    search = GridSearchCV(
        LogisticRegression(), {"C": [1.0]}, cv=PurgedKFold(3, t0=t0, t1=t0 + 2, embargo=2), n_jobs=2
    )
    assert search.fit(X, y).n_splits_ == 3


@every
def test_copies_split_alike(make: Callable[..., PurgedSplitter]) -> None:
    t0 = np.arange(40)
    split = make(t0=t0, t1=t0, purge=0)
    whole = [(train.tolist(), test.tolist()) for train, test in split.split(t0)]
    for copied in (copy.deepcopy(split), pickle.loads(pickle.dumps(split))):
        assert [(train.tolist(), test.tolist()) for train, test in copied.split(t0)] == whole
        assert repr(copied) == repr(split)
    for train, test in split.split(t0):
        train[:], test[:] = -1, -1  # Row numbers are the caller's own: what it does to them stays there.
    assert [(train.tolist(), test.tolist()) for train, test in split.split(t0)] == whole


@every
def test_it_says_its_settings(make: Callable[..., PurgedSplitter]) -> None:
    t0 = np.arange(40)
    shown = repr(make(t0=t0, t1=t0, purge=timedelta(microseconds=2), closed="left"))
    assert "n_splits=" in shown
    assert "closed='left'" in shown
    assert "purge=datetime.timedelta(microseconds=2)" in shown
    assert shown.endswith("rows=40)")
    assert ("embargo_from='test_label_end'" in shown) == ("WalkForward" not in shown)


@every
@pytest.mark.parametrize("X", [np.zeros((39, 2)), [[0]] * 41])
def test_rows_of_another_number_are_refused(make: Callable[..., PurgedSplitter], X: Any) -> None:
    t0 = np.arange(40)
    with pytest.raises(DataError, match="built for 40"):
        next(make(t0=t0, t1=t0).split(X))


def test_examples_of_docstrings() -> None:
    names = {"np": np} | {name: getattr(splits, name) for name in splits.__all__}
    modules = [
        importlib.import_module(f"foldsmith.splits.{found.name}")
        for found in pkgutil.iter_modules(splits.__path__)
    ]
    modules.append(importlib.import_module("foldsmith.intervals"))
    ran = [
        doctest.testmod(module, extraglobs=names, optionflags=doctest.NORMALIZE_WHITESPACE)
        for module in modules
    ]
    assert sum(one.attempted for one in ran) > 20
    assert sum(one.failed for one in ran) == 0
