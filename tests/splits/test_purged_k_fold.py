"""Splits against brute force: after purge and embargo no label of training rows meets a label of scored rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.oracles import splits as oracle
from tests.splits.labelled import anchors, closings, labelled

from foldsmith import intervals
from foldsmith.errors import DataError, SettingError
from foldsmith.splits import PurgedKFold, ShareOfBars, holdout, purged_tail


def test_docstring_indices() -> None:
    t0 = np.arange(20)
    folds = list(PurgedKFold(4, t0=t0, t1=t0 + 2, embargo=2).split(np.zeros((20, 1))))
    assert [(test.tolist(), train.tolist()) for train, test in folds] == [
        ([0, 1, 2, 3, 4], [*range(9, 20)]),
        ([5, 6, 7, 8, 9], [0, 1, 2, *range(14, 20)]),
        ([10, 11, 12, 13, 14], [*range(8), 19]),
        ([15, 16, 17, 18, 19], [*range(13)]),
    ]


@pytest.mark.parametrize(
    ("closed", "embargo", "kept"),
    [
        ("both", 0, [*range(3), *range(12, 20)]),
        ("both", ShareOfBars(0.1), [*range(3), *range(14, 20)]),
        ("left", 0, [*range(4), *range(11, 20)]),
        ("left", ShareOfBars(0.1), [*range(4), *range(13, 20)]),
    ],
)
def test_second_of_four_folds(closed: Any, embargo: Any, kept: list[int]) -> None:
    """n=20, t1=t+2: Lopez de Prado's snippet 7.3 as printed keeps what half-open labels do, one row more a side."""
    t0 = np.arange(20)
    train, test = list(PurgedKFold(4, t0=t0, t1=t0 + 2, embargo=embargo, closed=closed).split(t0))[1]
    assert test.tolist() == [5, 6, 7, 8, 9]
    assert train.tolist() == kept


def test_an_embargo_counted_from_the_last_decision_holds_back_less() -> None:
    """Test rows 5 to 9, labels of 2 bars: an embargo of 2 bars is within the purge, one of 3 adds a row."""
    t0 = np.arange(20)
    for embargo, first in ((0, 12), (2, 12), (3, 13), (5, 15)):
        split = PurgedKFold(4, t0=t0, t1=t0 + 2, embargo=embargo, embargo_from="test_last_t0")
        assert list(split.split(t0))[1][0].tolist() == [0, 1, 2, *range(first, 20)]


@settings(deadline=None)
@given(labelled(), st.integers(2, 5), st.integers(0, 5), st.integers(0, 4), st.booleans(), closings, anchors)
def test_folds_by_hand(
    made: tuple[Any, Any, Any],
    n_splits: int,
    embargo: int,
    margin: int,
    count_bars: bool,
    closed: Any,
    anchor: Any,
) -> None:
    t0, t1, bars = made
    clock = bars if count_bars else None
    splitter = PurgedKFold(
        n_splits,
        t0=t0,
        t1=t1,
        embargo=embargo,
        purge=margin,
        bars=clock,
        closed=closed,
        embargo_from=anchor,
    )
    tests = np.array_split(np.arange(len(t0)), n_splits)
    settings = (embargo, margin, None if clock is None else clock.tolist(), closed, anchor)
    expected = [oracle.training_rows(t0, t1, [test.tolist()], *settings) for test in tests]
    if not all(expected):
        with pytest.raises(SettingError, match="no training row is left"):
            list(splitter.split(t0))
        return
    folds = list(splitter.split(t0))
    assert [train.tolist() for train, _ in folds] == expected
    assert [test.tolist() for _, test in folds] == [test.tolist() for test in tests]
    assert splitter.get_n_splits() == len(folds) == n_splits
    for train, test in folds:
        assert oracle.overlapping(t0, t1, train, test, closed) == 0


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


@pytest.mark.parametrize("share", [0.01, 0.29, 0.5])
def test_a_share_is_of_the_bars_of_the_full_series(share: float) -> None:
    """Not of the rows, of which there are half as many; rounded down, and 100 * 0.29 is 29."""
    bars = np.arange(100)
    options = {"t0": bars[::2], "t1": bars[::2] + 1, "bars": bars}
    split = PurgedKFold(5, embargo=ShareOfBars(share), **options)
    assert split.lengths["embargo"] == round(100 * share)
    whole = PurgedKFold(5, embargo=round(100 * share), **options)
    for (a, _), (b, _) in zip(split.split(bars[::2]), whole.split(bars[::2]), strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("share", [0, 1, 1.0, -0.1, float("nan"), True, "0.1", None])
def test_refused_shares(share: Any) -> None:
    with pytest.raises(SettingError, match="share"):
        ShareOfBars(share)


def test_a_share_that_is_no_bar_or_of_nothing_known_is_refused() -> None:
    t0 = np.arange(20)
    with pytest.raises(SettingError, match="less than one bar"):
        PurgedKFold(4, t0=t0, t1=t0, embargo=ShareOfBars(0.01))
    with pytest.raises(SettingError, match="without `bars=`"):
        PurgedKFold(4, t0=CLOCK, t1=CLOCK, embargo=ShareOfBars(0.5))


@pytest.mark.parametrize(("name", "value"), [("closed", "right"), ("closed", None), ("embargo_from", "t1")])
def test_refused_readings(name: str, value: Any) -> None:
    t0 = np.arange(20)
    with pytest.raises(SettingError, match=name):
        PurgedKFold(4, t0=t0, t1=t0, embargo=0, **{name: value})


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
    closes = intervals.as_instants(CLOCK)
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
    t0 = intervals.as_instants(CLOCK)
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
