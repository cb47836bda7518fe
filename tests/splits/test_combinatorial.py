"""Combinations of test groups, the paths they make, and indices of other people's tests."""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.oracles import splits as oracle
from tests.splits.labelled import anchors, closings, labelled

from foldsmith.errors import DataError, SettingError
from foldsmith.splits import CombinatorialPurgedKFold


def made(n: int, groups: int, tested: int, **options: Any) -> CombinatorialPurgedKFold:
    t0 = np.arange(n)
    return CombinatorialPurgedKFold(groups, tested, t0=t0, **({"t1": t0, "embargo": 0} | options))


@pytest.mark.parametrize(
    ("groups", "tested", "splits", "paths"), [(6, 2, 15, 5), (10, 2, 45, 9), (10, 8, 45, 36)]
)
def test_numbers_of_splits_and_paths(groups: int, tested: int, splits: int, paths: int) -> None:
    """Lopez de Prado (2018), section 12.3."""
    split = made(20, groups, tested)
    assert split.get_n_splits() == len(list(split.split(np.zeros(20)))) == splits
    assert split.n_paths == paths == split.paths.shape[1]


@pytest.mark.parametrize(
    ("length", "embargo", "trains"),
    [
        (0, 0, ([8, 9, 10, 11], [4, 5, 6, 7], [0, 1, 2, 3])),
        (1, 0, ([9, 10, 11], [5, 6], [0, 1, 2])),
        (0, 1, ([9, 10, 11], [5, 6, 7], [0, 1, 2, 3])),
    ],
)
def test_two_of_three_groups(length: int, embargo: int, trains: tuple[list[int], ...]) -> None:
    """Indices of skfolio's CombinatorialPurgedCV on 12 rows, 3 folds, 2 of them test."""
    split = made(12, 3, 2, t1=np.arange(12) + length, embargo=embargo)
    pairs = list(split.split(np.zeros((12, 1))))
    assert [train.tolist() for train, _ in pairs] == list(trains)
    assert [test.tolist() for _, test in pairs] == [[*range(8)], [*range(4), *range(8, 12)], [*range(4, 12)]]
    assert split.path_ids.tolist() == [[0, 0], [1, 0], [1, 1]]


def test_paths_of_five_groups() -> None:
    """Groups by the splits that test them, as in skfolio's tests."""
    assert made(5, 5, 2).paths.tolist() == [
        [0, 1, 2, 3],
        [0, 4, 5, 6],
        [1, 4, 7, 8],
        [2, 5, 7, 9],
        [3, 6, 8, 9],
    ]


@pytest.mark.parametrize(("groups", "tested"), [(3, 2), (6, 2), (7, 3), (5, 4)])
@pytest.mark.parametrize(("purged", "embargo"), [(0, 0), (3, 0), (0, 4), (2, 3)])
def test_the_indices_of_skfolio(groups: int, tested: int, purged: int, embargo: int) -> None:
    """Labels of one length are its purge in rows. Only where it is installed: it comes with the extra `dev`."""
    selection = pytest.importorskip("skfolio.model_selection", reason="skfolio is not installed")
    theirs = selection.CombinatorialPurgedCV(groups, tested, purged_size=purged, embargo_size=embargo)
    split = made(210, groups, tested, t1=np.arange(210) + purged, embargo=embargo)
    X = np.zeros((210, 2))
    pairs = list(split.split(X))
    assert len(pairs) == comb(groups, tested)
    for (train, test), (other, tests) in zip(pairs, theirs.split(X), strict=True):
        assert train.tolist() == sorted(other.tolist())
        assert test.tolist() == np.concatenate(tests).tolist()
    assert split.path_ids.tolist() == theirs.get_path_ids().tolist()


@settings(deadline=None)
@given(
    labelled(),
    st.data(),
    st.integers(0, 5),
    st.integers(0, 3),
    st.booleans(),
    closings,
    anchors,
)
def test_splits_by_hand(
    labels: Any, data: st.DataObject, embargo: int, margin: int, count_bars: bool, closed: Any, anchor: Any
) -> None:
    t0, t1, bars = labels
    clock = bars if count_bars else None
    groups = data.draw(st.integers(2, 5))
    tested = data.draw(st.integers(1, groups - 1))
    split = CombinatorialPurgedKFold(
        groups,
        tested,
        t0=t0,
        t1=t1,
        embargo=embargo,
        purge=margin,
        bars=clock,
        closed=closed,
        embargo_from=anchor,
    )
    rows = np.array_split(np.arange(len(t0)), groups)
    settings = (embargo, margin, None if clock is None else clock.tolist(), closed, anchor)
    expected = []
    for chosen in combinations(range(groups), tested):
        test = np.concatenate([rows[group] for group in chosen])
        blocks = [block.tolist() for block in np.split(test, np.flatnonzero(np.diff(test) != 1) + 1)]
        expected.append((oracle.training_rows(t0, t1, blocks, *settings), test.tolist()))
    if not all(train for train, _ in expected):
        with pytest.raises(SettingError, match="no training row is left"):
            list(split.split(t0))
        return
    assert [(train.tolist(), test.tolist()) for train, test in split.split(t0)] == expected


@settings(deadline=None)
@given(st.integers(2, 6), st.data(), st.sampled_from([(), (3,)]))
def test_every_path_predicts_every_row_once(groups: int, data: st.DataObject, wide: tuple[int, ...]) -> None:
    """What is recombined says which split and which row it came from."""
    tested, n = data.draw(st.integers(1, groups - 1)), data.draw(st.integers(groups, 30))
    split = made(n, groups, tested)
    rows = [test for _, test in split.split(np.zeros(n))]
    found = split.recombine(
        [
            np.broadcast_to((1000 * k + test).reshape(-1, *(1 for _ in wide)), (len(test), *wide))
            for k, test in enumerate(rows)
        ]
    )
    assert found.shape == (comb(groups - 1, tested - 1), n, *wide)
    flat = found.reshape(len(found), n, -1)[:, :, 0]
    assert (flat % 1000 == np.arange(n)).all()
    # Each prediction that was made is on one path, once.
    assert sorted(flat.ravel().tolist()) == sorted(1000 * k + i for k, test in enumerate(rows) for i in test)
    group = np.repeat(np.arange(groups), [len(part) for part in np.array_split(np.arange(n), groups)])
    assert (flat // 1000 == split.paths[group].T).all()
    for k, (chosen, ids) in enumerate(zip(combinations(range(groups), tested), split.path_ids, strict=True)):
        assert [split.paths[one, path] for one, path in zip(chosen, ids, strict=True)] == [k] * tested


def test_what_cannot_be_recombined_is_refused() -> None:
    split = made(12, 3, 2)
    whole = [np.zeros(8)] * 3
    with pytest.raises(DataError, match="2 predictions for 3 splits"):
        split.recombine(whole[:2])
    with pytest.raises(DataError, match="split 1 tests 8 rows and has 7"):
        split.recombine([whole[0], np.zeros(7), whole[2]])
    with pytest.raises(DataError, match="shape"):
        split.recombine([np.zeros((8, 3)), *whole[1:]])
    with pytest.raises(DataError, match="shape"):
        split.recombine([0.0, 1.0, 2.0])


@pytest.mark.parametrize(
    ("groups", "tested"), [(1, 1), (21, 2), (6, 0), (6, 6), (6, 2.0), (2.5, 1), (6, None), (6, True)]
)
def test_refused_numbers_of_groups(groups: Any, tested: Any) -> None:
    with pytest.raises(SettingError, match="splits"):
        made(20, groups, tested)
