"""What a splitter leaks, counted by the sweep, against every pair of rows; and the numbers published of others."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldsmith.audit.known_splitters import KNOWN, OURS, KnownSplitter, Setting
from foldsmith.audit.splitters import (
    LabelSpans,
    counted,
    measured,
    row_numbers,
    smallest_gap,
    under_embargo,
    unpurged_is_seen,
)
from foldsmith.errors import DataError, MissingError, SettingError
from foldsmith.runs.store import Workspace
from foldsmith.stages import audit_splitters as stage
from foldsmith.stages.audit_splitters import MADE_UP_GAP, load_splitter, made_up_labels

PUBLISHED = {
    "PurgedKFold": 0,
    "CombinatorialPurgedKFold": 0,
    "WalkForward": 0,
    "TimeSeriesSplit, gap": 31,
    "CombinatorialPurgedCV, purged": 424,
}
"""600 one-minute rows, labels of 1 to 40 bars, no embargo, 20 rows purged by those that purge by rows."""


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_published_counts_come_out_and_nobody_leaks_less_than_we(name: str) -> None:
    known = KNOWN[name]
    if known.library != OURS and find_spec(known.library) is None:
        pytest.skip(f"{known.library} is not installed")
    labels = made_up_labels()
    setting = Setting(labels, 5, MADE_UP_GAP, 0)
    if known.library == "mlfinpy":  # it takes the end of the first test label for its begin
        found = stage._known(name, known, setting)
        assert (found.state, found.apart) == ("could not run", False)
        assert found.said.endswith("Train and test intersect")
        return
    found = measured(name, known.library, known.pairs(setting), labels, 0)
    if name in PUBLISHED:
        assert found.overlaps == PUBLISHED[name]
    if known.library == OURS:
        assert found.apart
        assert found.gap is not None
        assert found.gap >= 1
    elif known.library == "purgedcv":  # reads labels as half-open, and keeps those apart
        assert found.touching == found.overlaps
    else:
        assert found.overlaps > found.touching
        assert found.gap == 0


@st.composite
def drawn(draw: st.DrawFn) -> tuple[LabelSpans, Any, Any]:
    t0 = np.sort(np.array(draw(st.lists(st.integers(0, 50), min_size=3, max_size=30)), dtype=np.int64))
    n = len(t0)
    length = draw(st.lists(st.integers(0, 9), min_size=n, max_size=n))
    t1 = t0 + np.array(length, dtype=np.int64)
    where = np.array(draw(st.lists(st.sampled_from([0, 1, 2]), min_size=n, max_size=n)))
    where[0], where[1] = 0, 1
    labels = LabelSpans(t0, t1, np.zeros(n, dtype=np.int8), np.arange(70, dtype=np.int64), "drawn")
    return labels, np.flatnonzero(where == 0), np.flatnonzero(where == 1)


@settings(deadline=None)
@given(drawn(), st.integers(0, 5))
def test_counts_are_those_of_looking_at_every_pair(made: Any, embargo: int) -> None:
    labels, train, test = made
    t0, t1 = labels.t0, labels.t1
    meet = {i for i in train for j in test if t0[i] <= t1[j] and t0[j] <= t1[i]}
    runs = np.split(test, np.flatnonzero(np.diff(test) != 1) + 1)
    ends = [int(t1[run].max()) for run in runs]
    late = {i for i in train if any(end < t0[i] <= end + embargo for end in ends)}
    found = measured("drawn", "x", [(train, list(runs))], labels, embargo)
    assert (found.overlaps, found.embargoed) == (len(meet), len(late - meet))
    assert set(np.flatnonzero(under_embargo(labels, test, embargo)).tolist()) & set(train.tolist()) == late
    gaps = [int(max(t0[j] - t1[i], t0[i] - t1[j])) for i in train for j in test]
    assert found.gap == (0 if meet else min(gaps))
    if not meet:
        assert smallest_gap(labels, train, test) == min(gaps)


def test_rows_come_as_numbers_lists_or_masks_and_nothing_else() -> None:
    assert row_numbers([np.array([4, 3]), np.array([7])], 9, "x").tolist() == [3, 4, 7]
    assert row_numbers(np.array([True, False, True]), 3, "x").tolist() == [0, 2]
    assert row_numbers(range(2), 3, "x").tolist() == [0, 1]
    with pytest.raises(DataError, match="there are 0 to 2"):
        row_numbers([0, 3], 3, "x")
    with pytest.raises(DataError, match="there are 0 to 2"):
        row_numbers([-1, 2], 3, "x")
    with pytest.raises(DataError, match="row numbers are needed"):
        row_numbers([0.5], 3, "x")
    labels = made_up_labels()
    with pytest.raises(DataError, match="yields no split"):
        measured("none", "x", [], labels, 0)
    with pytest.raises(DataError, match="0 to score"):
        measured("none", "x", [([1, 2], [])], labels, 0)


def test_a_peer_that_is_absent_or_fails_is_not_counted_as_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = Setting(made_up_labels(), 5, 20, 0)
    monkeypatch.setattr(stage, "find_spec", lambda _: None)
    absent = stage._known("KFold", KNOWN["KFold"], setting)
    assert (absent.state, absent.apart) == ("not installed", False)

    def broken(_: Setting) -> Any:
        raise ValueError("no room")

    failing = stage._known("mine", KnownSplitter(OURS, broken), setting)
    assert failing.state == "could not run"
    assert "no room" in failing.said
    assert counted([absent, failing]) == "1 not installed, 1 could not run"
    assert stage.failed([absent, failing]) == [failing]


def test_labels_that_reach_over_no_fold_are_refused(tmp_path: Path) -> None:
    labels = made_up_labels()
    short = replace(labels, t1=labels.t0)
    assert unpurged_is_seen(labels, 5)
    assert not unpurged_is_seen(short, 5)
    with pytest.raises(DataError, match="no label reaches over"):
        stage.measure_splitters(Workspace(tmp_path), Setting(short, 5, 20, 0), [], print)


def test_a_file_that_is_no_splitter_is_refused_with_a_sentence(tmp_path: Path) -> None:
    setting = Setting(made_up_labels(), 5, 20, 0)
    workspace = Workspace(tmp_path)
    (tmp_path / "mine.py").write_text("number = 5\n")
    (tmp_path / "bad.py").write_text("import nowhere\n")
    for word, said in {
        "mine.py": "write FILE.py:NAME",
        "mine.py:other": "the file has no other",
        "mine.py:number": "no method split",
        "bad.py:any": "ModuleNotFoundError at line 1",
        "../mine.py:any": "outside the workspace",
    }.items():
        with pytest.raises(SettingError, match=said):
            load_splitter(workspace, word, setting)
    with pytest.raises(MissingError, match="put it there"):
        load_splitter(workspace, "gone.py:any", setting)


def test_a_splitter_that_ends_the_program_does_not_pass(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "class S:\n    def split(self, X, y=None):\n        raise SystemExit(0)\n"
    )
    setting = Setting(made_up_labels(), 5, MADE_UP_GAP, 0)
    mine = stage._tried(
        "own.py:S", stage.YOURS, load_splitter(Workspace(tmp_path), "own.py:S", setting), setting
    )
    assert stage.failed([mine]) == [mine]
    assert "SystemExit at line 3 of" in mine.said
