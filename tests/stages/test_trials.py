"""The log of a study: what was kept is read back in order, whatever a kill left of its last line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foldsmith.runs.ledger import Ledger
from foldsmith.stages.trials import StudyLog, TrialRecorder
from foldsmith.validation.tune import COMPLETE, FAILED, Trial

TRIALS = [
    Trial(0, {"depth": 3, "rate": 0.1}, 1.0986122886681098, COMPLETE, 17),
    Trial(1, {"depth": 9, "rate": 1e-17}, None, FAILED, error="ValueError: no\nway \u2028 é"),
    Trial(2, {"depth": 4, "rate": 0.30000000000000004}, 0.9, COMPLETE),
]


@pytest.fixture
def log(tmp_path: Path) -> StudyLog:
    recorder = TrialRecorder(Ledger(tmp_path / "ledger.sqlite"), "run", "data")
    return StudyLog(tmp_path / "unit.trials", recorder, "xgboost", 20, 3)


def test_what_is_added_is_read_back_exactly_and_counted(log: StudyLog) -> None:
    assert log.read() == ()
    for trial in TRIALS:
        log.add(trial)
    assert log.read() == tuple(TRIALS)
    assert log.recorder.ledger.trial_count("data", 20) == 3
    log.add(TRIALS[1])  # by a worker that outlived its parent
    assert log.read() == tuple(TRIALS)
    assert log.recorder.ledger.trial_count("data", 20) == 3


def test_a_trial_is_counted_before_it_is_kept(log: StudyLog, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(TrialRecorder, "record", fail)
    with pytest.raises(RuntimeError):
        log.add(TRIALS[0])
    assert log.read() == ()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cut=st.integers(0, 2000), flip=st.none() | st.integers(0, 2000))
def test_of_a_damaged_file_the_whole_beginning_is_taken(log: StudyLog, cut: int, flip: int | None) -> None:
    log.path.unlink(missing_ok=True)
    ends = []
    for trial in TRIALS:
        log.add(trial)
        ends.append(log.path.stat().st_size - 1)
    content = bytearray(log.path.read_bytes()[:cut])
    if flip is not None and flip < len(content):
        content[flip] ^= 4
    log.path.write_bytes(content)
    found = log.read()
    assert found == tuple(TRIALS[: len(found)])
    if flip is None or flip >= len(content):
        assert len(found) == sum(end <= cut for end in ends)
    # What is added after a line cut short is whole.
    for trial in TRIALS[len(found) :]:
        log.add(trial)
    assert log.read() == tuple(TRIALS)
