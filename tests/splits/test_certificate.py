"""Certificates against every pair of rows, of splits that are right and of splits that leak."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import KFold
from tests.oracles import splits as oracle
from tests.splits.labelled import anchors, closings, labelled

from foldsmith.errors import DataError, IntegrityError, LeakError, SettingError
from foldsmith.splits import PurgedKFold, certify
from foldsmith.splits.certificate import require


@settings(deadline=None)
@given(labelled(), st.data(), st.integers(0, 5), st.integers(0, 4), st.booleans(), closings, anchors)
def test_any_split_by_hand(
    made: Any, data: st.DataObject, embargo: int, margin: int, count_bars: bool, closed: Any, anchor: Any
) -> None:
    """Train and test drawn row by row, overlapping as they may."""
    t0, t1, bars = made
    sides = data.draw(
        st.lists(st.sampled_from(["train", "test", "both", "none"]), min_size=len(t0), max_size=len(t0))
    )
    train = [i for i, side in enumerate(sides) if side in ("train", "both")] or [0]
    test = [i for i, side in enumerate(sides) if side in ("test", "both")] or [len(t0) - 1]
    clock = bars if count_bars else None
    (found,) = certify(
        [(data.draw(st.permutations(train)), test)],
        t0=t0,
        t1=t1,
        embargo=embargo,
        purge=margin,
        bars=clock,
        closed=closed,
        embargo_from=anchor,
    )
    blocks = [block.tolist() for block in np.split(test, np.flatnonzero(np.diff(test) != 1) + 1)]
    meeting = [i for i in train if oracle.overlapping(t0, t1, [i], test, closed)]
    settings = (embargo, margin, None if clock is None else clock.tolist(), closed, anchor)
    barred = [{oracle.why_barred(i, t0, t1, block, *settings) for block in blocks} for i in range(len(t0))]
    left_out = [i for i in range(len(t0)) if i not in train and i not in test]
    assert (found.n_train, found.n_test, found.overlaps) == (len(train), len(test), len(meeting))
    assert found.breaches == sum(barred[i] != {None} for i in train if i not in meeting)
    assert found.purged == sum("purge" in barred[i] for i in left_out)
    assert found.embargoed == sum("embargo" in barred[i] and "purge" not in barred[i] for i in left_out)
    assert found.unused == sum(barred[i] == {None} for i in left_out)
    assert found.holds == (not meeting and found.breaches == 0)
    check_gaps(found, t0, t1, bars if count_bars else None, train, blocks)


def check_gaps(found: Any, t0: Any, t1: Any, bars: Any, train: list[int], blocks: list[list[int]]) -> None:
    """Every training row against every block, before it or not."""
    gaps: dict[str, list[int]] = {
        name: [] for name in ("gap_before", "gap_after", "bars_before", "bars_after")
    }

    def closed_by(instant: int) -> int:
        return sum(bar <= instant for bar in bars)

    for block in blocks:
        start, end = t0[block[0]], max(t1[i] for i in block)
        for i in train:
            side, a, b = ("before", t1[i], start) if t0[i] < start else ("after", end, t0[i])
            gaps[f"gap_{side}"].append(b - a)
            if bars is not None:
                gaps[f"bars_{side}"].append(closed_by(b) - closed_by(a))
    for name, values in gaps.items():
        assert getattr(found, name) == min(values, default=None), name


def test_of_a_split_in_time_and_bars() -> None:
    """Five-minute bars, 20 rows a fold, labels of 2 bars: 1 bar before the fold, 1 + 3 bars of embargo after."""
    bars = [datetime(2024, 1, 2, tzinfo=UTC) + timedelta(minutes=5 * i) for i in range(110)]
    t0, t1 = bars[:100], bars[2:102]
    split = PurgedKFold(5, t0=t0, t1=t1, embargo=3, bars=bars)
    found = split.certify()[2]
    assert found.to_dict() == {
        "n_train": 73,
        "n_test": 20,
        "overlaps": 0,
        "breaches": 0,
        "purged": 4,
        "embargoed": 3,
        "unused": 0,
        "gap_before": 300_000_000,
        "gap_after": 1_200_000_000,
        "bars_before": 1,
        "bars_after": 4,
        "embargo": "3",
        "purge": "0",
        "closed": "both",
        "embargo_from": "test_label_end",
    }
    # Measured against a longer embargo than it keeps, it does not hold.
    (longer, *_) = certify(split.split(t0), t0=t0, t1=t1, embargo=timedelta(minutes=16), bars=bars)
    assert (longer.breaches, longer.holds) == (0, True)
    (longer, *_) = certify(split.split(t0), t0=t0, t1=t1, embargo=timedelta(minutes=20), bars=bars)
    assert (longer.breaches, longer.overlaps, longer.holds) == (1, 0, False)


def test_a_leaking_split_is_told_and_stops_what_requires_it() -> None:
    t0 = np.arange(60)
    good = PurgedKFold(3, t0=t0, t1=t0 + 4, embargo=1)
    assert require(good.certify(), "fold") == good.certify()
    leaking = certify(KFold(3).split(t0), t0=t0, t1=t0 + 4, embargo=1)
    assert [one.overlaps for one in leaking] == [4, 8, 4]
    assert [one.gap_before for one in leaking] == [None, -3, -3]
    with pytest.raises(LeakError, match=r"fold 0: 4 training rows overlap .* 1 more"):
        require(leaking, "fold")
    with pytest.raises(IntegrityError, match="fold 1"):
        require([good.certify()[0], leaking[1]], "fold")
    shuffled = certify(KFold(3, shuffle=True, random_state=0).split(t0), t0=t0, t1=t0 + 4)
    assert all(one.overlaps > 0.7 * one.n_train for one in shuffled)


@pytest.mark.parametrize(
    "side", [[], [0.5], [[0, 1]], [-1], [20], np.zeros(20, dtype=bool), ["0"]], ids=lambda side: str(side)[:9]
)
def test_what_are_no_row_numbers_is_refused(side: Any) -> None:
    t0 = np.arange(20)
    for pair in ((side, [3]), ([3], side)):
        with pytest.raises(DataError, match="row numbers"):
            certify([pair], t0=t0, t1=t0)


def test_settings_are_checked_as_those_of_splitters() -> None:
    t0 = np.arange(20)
    for wrong in ({"embargo": None}, {"purge": -1}, {"closed": "right"}, {"embargo_from": "t0"}):
        with pytest.raises(SettingError, match=next(iter(wrong))):
            certify([([0], [9])], t0=t0, t1=t0, **wrong)
