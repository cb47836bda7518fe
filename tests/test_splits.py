"""Splits against brute force: after purge and embargo no label of training rows meets a label of scored rows."""

from __future__ import annotations

import doctest
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from tests.oracles import splits as oracle

from foldsmith import splits
from foldsmith.errors import DataError, SettingError
from foldsmith.splits import PurgedKFold, cut_instants, holdout, purged_tail

MINUTE = 60_000_000


@st.composite
def labelled(draw: st.DrawFn, least: int = 6) -> tuple[Any, Any, Any]:
    """t0 and t1 of events on a clock of bars, some bars without an event, some events at one instant."""
    gaps = draw(st.lists(st.integers(1, 3), min_size=least + 4, max_size=60))
    bars = np.cumsum(gaps).astype(np.int64)
    rows = sorted(draw(st.lists(st.integers(0, len(bars) - 1), min_size=least, max_size=40)))
    lengths = draw(st.lists(st.integers(0, 9), min_size=len(rows), max_size=len(rows)))
    t0 = bars[rows]
    t1 = bars[np.minimum(np.asarray(rows) + lengths, len(bars) - 1)]
    return t0, t1, bars


def test_docstring_indices() -> None:
    t0 = np.arange(20)
    folds = list(PurgedKFold(4, t0=t0, t1=t0 + 2, embargo=2).split(np.zeros((20, 1))))
    assert [(test.tolist(), train.tolist()) for train, test in folds] == [
        ([0, 1, 2, 3, 4], [*range(9, 20)]),
        ([5, 6, 7, 8, 9], [0, 1, 2, *range(14, 20)]),
        ([10, 11, 12, 13, 14], [*range(8), 19]),
        ([15, 16, 17, 18, 19], [*range(13)]),
    ]
    ran = doctest.testmod(splits, extraglobs={"np": np}, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert ran.attempted > 0
    assert ran.failed == 0


@pytest.mark.parametrize(("embargo", "after"), [(0, 12), (2, 14)])
def test_second_of_four_folds(embargo: int, after: int) -> None:
    """n=20, t1=t+2: closed intervals give one row less on each side than the half-open ones of AFML snippet 7.3."""
    t0 = np.arange(20)
    train, test = list(PurgedKFold(4, t0=t0, t1=t0 + 2, embargo=embargo).split(t0))[1]
    assert test.tolist() == [5, 6, 7, 8, 9]
    assert train.tolist() == [0, 1, 2, *range(after, 20)]


@given(labelled(), st.integers(2, 5), st.integers(0, 5), st.integers(0, 4), st.booleans())
def test_folds_by_hand(
    made: tuple[Any, Any, Any], n_splits: int, embargo: int, margin: int, count_bars: bool
) -> None:
    t0, t1, bars = made
    clock = bars if count_bars else None
    splitter = PurgedKFold(n_splits, t0=t0, t1=t1, embargo=embargo, purge=margin, bars=clock)
    tests = np.array_split(np.arange(len(t0)), n_splits)
    expected = [
        oracle.training_rows(
            t0, t1, [test.tolist()], embargo, margin, None if clock is None else clock.tolist()
        )
        for test in tests
    ]
    if not all(expected):
        with pytest.raises(SettingError, match="no training row is left"):
            list(splitter.split(t0))
        return
    folds = list(splitter.split(t0))
    assert [train.tolist() for train, _ in folds] == expected
    assert [test.tolist() for _, test in folds] == [test.tolist() for test in tests]
    assert splitter.get_n_splits() == len(folds) == n_splits
    for train, test in folds:
        assert oracle.overlapping(t0, t1, train, test) == 0
        end = t1[test].max()
        assert not [row for row in train if end < t0[row] <= oracle.later(end, embargo, clock)]


def test_six_hundred_rows_of_which_others_leak() -> None:
    """600 one-minute rows with labels of 1 to 40 bars, 5 folds, no embargo: not one overlapping pair."""
    t0 = np.arange(600) * MINUTE
    t1 = t0 + np.random.default_rng(0).integers(1, 41, 600) * MINUTE
    for train, test in PurgedKFold(5, t0=t0, t1=t1, embargo=0).split(t0):
        assert oracle.overlapping(t0.tolist(), t1.tolist(), train.tolist(), test.tolist()) == 0


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


def test_clock_times_and_bar_numbers_agree() -> None:
    number = np.arange(60)
    length = np.random.default_rng(1).integers(1, 8, 60)
    start = datetime(2024, 1, 2, tzinfo=UTC)
    clock = [start + timedelta(minutes=int(i)) for i in range(80)]
    t0, t1 = clock[:60], [clock[i] for i in number + length]
    plain = list(PurgedKFold(5, t0=number, t1=number + length, embargo=4, purge=2).split(number))
    for options in (
        {"embargo": 4, "purge": 2, "bars": clock},
        {"embargo": timedelta(minutes=4), "purge": np.timedelta64(2, "m")},
    ):
        timed = list(PurgedKFold(5, t0=t0, t1=t1, **options).split(number))
        for (a, b), (c, d) in zip(plain, timed, strict=True):
            assert np.array_equal(a, c)
            assert np.array_equal(b, d)


def test_embargo_counts_bars_of_the_full_series_not_rows() -> None:
    """Every second bar has an event: an embargo of 4 bars removes two rows after the label ends."""
    bars = np.arange(100)
    t0 = bars[::2]
    train, test = next(PurgedKFold(5, t0=t0, t1=t0 + 1, embargo=4, bars=bars).split(t0))
    end = t0[test[-1]] + 1
    assert t0[train[0]] == end + 5


def test_scikit_learn_takes_it() -> None:
    rng = np.random.default_rng(3)
    X, t0 = rng.normal(size=(120, 3)), np.arange(120)
    y = (X[:, 0] + rng.normal(size=120) > 0).astype(int)
    splitter = PurgedKFold(4, t0=t0, t1=t0 + 5, embargo=5)
    assert cross_val_score(LogisticRegression(), X, y, cv=splitter).shape == (4,)
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=splitter).fit(X, y)
    assert search.n_splits_ == 4
    with pytest.raises(DataError, match="built for 120"):
        cross_val_score(LogisticRegression(), X[:100], y[:100], cv=splitter, error_score="raise")


@pytest.mark.parametrize("n_splits", [1, 0, -1, 21, 2.5, True, None])
def test_refused_fold_counts(n_splits: Any) -> None:
    t0 = np.arange(20)
    with pytest.raises(SettingError, match="n_splits"):
        PurgedKFold(n_splits, t0=t0, t1=t0, embargo=0)


CLOCK = [datetime(2024, 1, 2, tzinfo=UTC) + timedelta(minutes=i) for i in range(50)]


@pytest.mark.parametrize("name", ["embargo", "purge"])
@pytest.mark.parametrize("length", [None, True, 1.5, -1, timedelta(minutes=-1), "3", 5])
@pytest.mark.parametrize("make", ["folds", "holdout", "tail"])
def test_refused_lengths(make: str, name: str, length: Any) -> None:
    """Whole bars (the 5) cannot be counted on clock times without the bars; the rest is no length at all."""
    options = {"embargo": 0, "purge": 0} | {name: length}
    closes = splits.intervals.as_instants(CLOCK)
    cuts = int(closes[30]), int(closes[40])
    build: dict[str, Any] = {
        "folds": lambda: PurgedKFold(4, t0=CLOCK, t1=CLOCK, **options),
        "holdout": lambda: holdout(CLOCK, CLOCK, cuts, **options),
        "tail": lambda: purged_tail(CLOCK, CLOCK, 0.2, **options),
    }
    with pytest.raises(SettingError, match=name):
        build[make]()


def test_whole_bars_are_not_added_to_microseconds() -> None:
    """5 microseconds after the last label would pass for an embargo of 5 bars, and hold nothing back."""
    t0 = splits.intervals.as_instants(CLOCK)
    with pytest.raises(SettingError, match="embargo=5 bars cannot be counted"):
        PurgedKFold(4, t0=t0, t1=t0, embargo=5)
    assert len(list(PurgedKFold(4, t0=t0, t1=t0, embargo=5, bars=t0).split(t0))) == 4


@pytest.mark.parametrize(
    ("t0", "t1", "words"),
    [
        ([0, 1, 2, 3], [0, 1, 2], "both need one per row"),
        ([0, 2, 1, 3], [3, 3, 3, 3], "back in time at row 2"),
        ([0, 1, 2, 3], [1, 0, 3, 4], "row 1 ends before it begins"),
    ],
)
def test_refused_intervals(t0: list[int], t1: list[int], words: str) -> None:
    for build in (
        lambda: PurgedKFold(2, t0=t0, t1=t1, embargo=0),
        lambda: holdout(t0, t1, (0, 1), embargo=0),
        lambda: purged_tail(t0, t1, 0.5, embargo=0),
    ):
        with pytest.raises(DataError, match=words):
            build()


@pytest.mark.parametrize("bars", [[3, 2, 1], [1, 1, 2], [[1, 2]]])
def test_bars_out_of_order_are_refused(bars: Any) -> None:
    t0 = np.arange(20)
    for build in (
        lambda: PurgedKFold(2, t0=t0, t1=t0, embargo=1, bars=bars),
        lambda: holdout(t0, t0, (5, 10), embargo=1, bars=bars),
        lambda: purged_tail(t0, t0, 0.5, embargo=1, bars=bars),
    ):
        with pytest.raises(DataError, match="bars"):
            build()


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
