"""Runs that were killed or in which a part failed go on where they were, and end as if nothing had happened."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from typing import Any

import pytest
from tests.workflow.conftest import Desk, value

from foldsmith.runs.claim import Claim
from foldsmith.runs.manifest import read
from foldsmith.stages import out_of_fold

pytestmark = pytest.mark.xdist_group("resume")

CV = ["cv", "--models", "logistic,lightgbm", "--horizons", "5", "--n-splits", "3"]


def entries(desk: Desk, run_id: str) -> int:
    """Trials of a run in the ledger, repeats included."""
    with closing(sqlite3.connect(desk.workspace.ledger)) as connection:
        query = "SELECT COUNT(*) FROM entries WHERE kind = 'trial' AND run_id = ?"
        return int(connection.execute(query, (run_id,)).fetchone()[0])


@pytest.mark.proof
def test_a_killed_study_goes_on_at_the_trial_it_had_reached(tiny: Desk) -> None:
    words = ["cv", "--models", "lightgbm", "--horizons", "5", "--n-splits", "2", "--tune", "--n-trials", "14"]
    stacking = tiny.workspace.stacking
    tiny.call(*words, "--output-name", "whole", "--workers", 1)
    for turn in range(2):
        name = f"killed_{turn}"
        process = subprocess.Popen(
            tiny.command(*words, "--output-name", name, "--workers", 1 + turn % 2),
            cwd=tiny.path, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        until = time.monotonic() + 120
        log = stacking / f".{name}.partial" / ".units" / "lightgbm_h5_fold_whole.trials"
        while not log.exists() or log.read_bytes().count(b"\n\n") < 3 + 5 * turn:
            assert time.monotonic() < until
            assert process.poll() is None, "it ended before it was killed"
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not log.with_suffix("").is_dir(), "the study had ended"
        done = tiny.call("cv", "--resume", name, "--workers", 1)
        assert value(done.stdout, "CV Run ID") == name
        assert read(stacking / name).content == read(stacking / "whole").content
        # 3 studies of 14 trials; one trial of each worker may have been cut short between ledger and log.
        assert 42 <= entries(tiny, name) <= 42 + 2


def test_a_fold_that_fails_is_told_and_the_others_are_kept(
    tiny: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = out_of_fold.fit_fold
    stacking = tiny.workspace.stacking

    def broken(model: str, *args: Any, keys: Any, **options: Any) -> Any:
        if keys == ("lightgbm", 5, 1):
            raise ValueError("no such luck")
        return true(model, *args, keys=keys, **options)

    with monkeypatch.context() as patch:
        patch.setattr(out_of_fold, "fit_fold", broken)
        done = tiny.call(*CV, "--workers", 1, "--output-name", "luck", status=2)
    assert done.stdout.count("[") == 5
    assert done.stderr.startswith(
        "error: 1 of 6 fits failed: lightgbm_h5_fold_1 (ValueError: no such luck). "
    )
    assert done.stderr.strip().endswith("python scripts/run_cv.py --resume luck")
    assert done.stderr.count("\n") == 1
    assert not (stacking / "luck").exists()
    resumed = tiny.call("cv", "--resume", "luck", "--workers", 1)
    assert resumed.stdout.count("[1/") == 1
    assert "lightgbm h5 fold 1" in resumed.stdout
    assert "lightgbm h5 fold 0" not in resumed.stdout
    tiny.call(*CV, "--workers", 1, "--output-name", "fortune")
    assert read(stacking / "luck").content == read(stacking / "fortune").content


def test_a_damaged_unit_of_a_partial_run_is_made_again(tiny: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(out_of_fold, "refit_unit", None)  # every refit fails
        tiny.call(*CV, "--workers", 1, "--output-name", "bitten", status=2)
    units = tiny.workspace.stacking / ".bitten.partial" / ".units"
    path = units / "lightgbm_h5_fold_0" / "probabilities.npy"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    resumed = tiny.call("cv", "--resume", "bitten", "--workers", 1)
    assert "lightgbm h5 fold 0" in resumed.stdout
    assert "lightgbm h5 fold 1" not in resumed.stdout
    tiny.call(*CV, "--workers", 1, "--output-name", "unbitten")
    stacking = tiny.workspace.stacking
    assert read(stacking / "bitten").content == read(stacking / "unbitten").content


def test_a_run_killed_on_the_point_of_being_published_loses_nothing(
    tiny: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its manifest is written and in the ledger; the rename is not done."""
    with monkeypatch.context() as patch:
        patch.setattr(Claim, "publish", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        tiny.call(*CV, "--workers", 1, "--output-name", "nearly", status=130)
    stacking = tiny.workspace.stacking
    assert (stacking / ".nearly.partial" / "manifest.json").exists()
    assert not (stacking / "nearly").exists()
    resumed = tiny.call("cv", "--resume", "nearly", "--workers", 1)
    assert "[1/" not in resumed.stdout
    tiny.workspace.open_run(stacking, "nearly").verify()
    assert [path.name for path in (stacking / "nearly").iterdir() if path.name.startswith(".")] == []
    tiny.call(*CV, "--workers", 1, "--output-name", "really")
    assert read(stacking / "nearly").content == read(stacking / "really").content
