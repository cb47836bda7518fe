"""The five phases by their own command lines: what they print, write and promise."""

from __future__ import annotations

import json
import re
import shlex
import signal
import sqlite3
import subprocess
import time

import numpy as np
import polars as pl
import pytest
from tests.workflow.conftest import Made, value

from foldsmith.contracts import oof_contract, prediction_contract
from foldsmith.runs.manifest import read
from foldsmith.runs.store import Workspace
from foldsmith.stages.stacking_data import load_phase3_stacking_data

pytestmark = pytest.mark.xdist_group("workflow")


def test_what_lies_on_disk_is_what_the_design_says(made: Made) -> None:
    root = made.desk.path
    cv = root / "data" / "stacking" / made.cv
    for path in (
        root / "data" / "datasets" / made.dataset / "manifest.json",
        cv / "manifest.json",
        cv / "cv_results.json",
        cv / "stacking" / "stacking_dataset_h5.parquet",
        cv / "stacking" / "stacking_dataset_h10.parquet",
        cv / "tuned_params" / "lightgbm_h10.json",
        cv / "models" / "logistic_h5" / "model.json",
        root / "experiments" / "runs" / made.stacked / "manifest.json",
        root / "experiments" / "ledger.sqlite",
        root / made.evaluation / "report.html",
    ):
        assert path.is_file(), path
    stamp = r"\d{8}_\d{6}_\d{6}_[0-9a-f]{4}"
    assert re.fullmatch(stamp, made.dataset)
    assert re.fullmatch(stamp, made.cv)
    assert re.fullmatch(f"xgboost_h10_{stamp}", made.base)
    assert re.fullmatch(f"stacking_h10_{stamp}", made.stacked)


def test_cv_ends_with_the_lines_to_go_on_with(made: Made) -> None:
    lines = made.printed["cv"].splitlines()
    assert value(made.printed["cv"], "Results saved to").endswith("cv_results.json")
    assert value(made.printed["cv"], "Stacking datasets saved to").endswith("stacking")
    commands = [
        shlex.split(line) for line in lines if line.strip().startswith("python scripts/train_model.py")
    ]
    assert [command[command.index("--horizon") + 1] for command in commands] == ["10", "5"]
    assert all("--phase3-output" not in command for command in commands)
    # The printed command works as it stands.
    done = made.desk.call("train", *commands[1][2:])
    assert value(done.stdout, "Run ID").startswith("stacking_h5_")


def test_the_stacking_dataset_keeps_its_contract(made: Made) -> None:
    stored = load_phase3_stacking_data(made.cv, 10, made.desk.path / "data" / "stacking")
    data, metadata = stored["data"], stored["metadata"]
    assert metadata["models"] == ["lightgbm", "logistic"]
    assert list(data.columns) == list(oof_contract(metadata["models"]).columns)
    assert data["fold"].unique().sort().to_list() == [0, 1, 2]
    assert metadata["dataset"] == read(made.desk.path / "data" / "datasets" / made.dataset).content
    with pytest.raises(FileNotFoundError, match="has no horizon 7; it has 5, 10"):
        load_phase3_stacking_data(made.cv, 7, made.desk.path / "data" / "stacking")
    with pytest.raises(FileNotFoundError, match=made.cv):
        load_phase3_stacking_data("20200101_000000_000000_0000", 10, made.desk.path / "data" / "stacking")


def test_stored_and_fresh_predictions_give_equal_bytes(made: Made) -> None:
    fresh = made.desk.call(
        "train", "--model", "stacking", "--horizon", 10, "--base-models", "lightgbm,logistic", "--n-splits", 3,
        "--tune", "--n-trials", 2, "--meta-learner", "logistic", "--workers", 1,
    )  # fmt: skip
    folder = made.desk.path / "experiments" / "runs"
    stored_files = read(folder / made.stacked).files
    fresh_files = read(folder / value(fresh.stdout, "Run ID")).files
    assert stored_files == fresh_files


def test_workers_names_and_folders_change_no_content(made: Made) -> None:
    settings = ["--models", "lightgbm", "--horizons", 10, "--n-splits", 3]
    one = made.desk.call("cv", *settings, "--workers", 1, "--output-name", "one")
    two = made.desk.call("cv", *settings, "--workers", 2, "--output-dir", "elsewhere")
    assert value(one.stdout, "CV Run ID") == "one"
    assert "--phase3-output elsewhere" in two.stdout
    content = read(made.desk.path / "data" / "stacking" / "one").content
    assert read(made.desk.path / "elsewhere" / value(two.stdout, "CV Run ID")).content == content


def test_a_killed_cv_resumes_to_the_same_bytes(made: Made) -> None:
    settings = ["--models", "lightgbm", "--horizons", 10, "--n-splits", 3]
    whole = made.desk.call("cv", *settings, "--output-name", "uninterrupted")
    started = subprocess.Popen(
        made.desk.command("cv", *settings, "--output-name", "killed", "--workers", 1),
        cwd=made.desk.path, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert started.stdout is not None
    for line in started.stdout:
        if line.startswith("[2/"):
            started.send_signal(signal.SIGKILL)
    started.wait()
    folder = made.desk.path / "data" / "stacking"
    assert not (folder / "killed").exists()
    assert "killed" in made.desk.call("pipeline", "status").stdout
    resumed = made.desk.call("cv", "--resume", "killed")
    assert "[1/" in resumed.stdout
    assert value(resumed.stdout, "CV Run ID") == "killed"
    assert read(folder / "killed").content == read(folder / value(whole.stdout, "CV Run ID")).content


def test_ctrl_c_leaves_nothing_visible(made: Made) -> None:
    before = set((made.desk.path / "data" / "stacking").glob("[!.]*"))
    started = subprocess.Popen(
        made.desk.command("cv", "--models", "lightgbm", "--horizons", "5", "--workers", 1),
        cwd=made.desk.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert started.stdout is not None
    next(line for line in started.stdout if line.startswith("[1/"))
    started.send_signal(signal.SIGINT)
    begun = time.monotonic()
    _, told = started.communicate(timeout=60)
    assert time.monotonic() - begun < 30
    assert started.returncode == 130
    assert "--resume" in told
    assert "Traceback" not in told
    assert set((made.desk.path / "data" / "stacking").glob("[!.]*")) == before


def looks(made: Made, split: str) -> int:
    """Looks of the ensemble at a split so far: other tests look too."""
    with sqlite3.connect(made.desk.path / "experiments" / "ledger.sqlite") as connection:
        return int(
            connection.execute(
                "SELECT COUNT(*) FROM entries WHERE kind = 'look' AND run_id = ? AND json_extract(body, '$.split') = ?",
                (made.stacked, split),
            ).fetchone()[0]
        )


def test_the_evaluation_counts_its_look_and_keeps_its_tables(made: Made) -> None:
    folder = made.desk.path / made.evaluation
    predictions = pl.read_parquet(folder / "predictions.parquet")
    prediction_contract().check(predictions)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(metrics["members"]) == {"lightgbm", "logistic"}
    assert metrics["recovery"]["direction"]["reachable"] > 0
    assert set(metrics["backtest"]["yardsticks"]) == {"always_flat", "always_long", "always_short"}
    assert "look 1 of this run" in made.printed["evaluate"]
    for split in ("test", "validation"):
        before = looks(made, split)
        again = made.desk.call("evaluate", "--run-id", made.stacked, "--split", split).stdout
        assert f"look {before + 1} of this run" in again
    # Evaluations added later leave the run whole.
    assert f"{made.stacked}: whole" in made.desk.call("runs", "verify", made.stacked).stdout


@pytest.mark.parametrize("which", ["base", "stacked"])
def test_predict_gives_on_the_test_bars_what_evaluate_scored(made: Made, which: str) -> None:
    run_id = getattr(made, which)
    shown = made.desk.call("evaluate", "--run-id", run_id, "--split", "test").stdout
    scored = pl.read_parquet(made.desk.path / value(shown, "Evaluation saved to") / "predictions.parquet")
    output = made.desk.path / f"{which}.parquet"
    # From the run folder alone: the workspace it is read in holds nothing else.
    alone = made.desk.path / f"alone_{which}"
    (alone / "experiments" / "runs").mkdir(parents=True)
    (made.desk.path / "experiments" / "runs" / run_id).rename(alone / "experiments" / "runs" / run_id)
    try:
        raw = made.desk.path / "data" / "raw" / "MES_1m.parquet"
        made.desk.call("predict", "--run-id", run_id, "--bars", raw, "--output", output, "--workspace", alone)
    finally:
        (alone / "experiments" / "runs" / run_id).rename(made.desk.path / "experiments" / "runs" / run_id)
    predicted = pl.read_parquet(output)
    joined = scored.join(predicted, on="datetime", suffix="_now")
    assert joined.height == scored.height > 100
    for name in ("prob_short", "prob_neutral", "prob_long"):
        assert np.array_equal(joined[name].to_numpy(), joined[f"{name}_now"].to_numpy())


def test_every_run_verifies_and_a_changed_byte_is_named(made: Made) -> None:
    assert made.desk.call("runs", "verify").stdout.count(": whole") >= 4
    path = made.desk.path / "data" / "stacking" / made.cv / "cv_results.json"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"log_loss", b"log_lose", 1))
    try:
        assert "cv_results.json" in made.desk.call("runs", "verify", made.cv, status=2).stdout
    finally:
        path.write_bytes(content)


def test_tuning_is_recorded_fold_by_fold_and_every_trial_counted(made: Made) -> None:
    tuned = json.loads(
        (made.desk.path / "data" / "stacking" / made.cv / "tuned_params" / "lightgbm_h10.json").read_text()
    )
    assert len(tuned["folds"]) == 3
    assert all(len(fold["trials"]) == 2 for fold in [*tuned["folds"], tuned["whole_segment"]])
    from foldsmith.runs.ledger import Ledger

    workspace = Workspace(made.desk.path)
    content = read(workspace.datasets / made.dataset).content
    # 2 models x 2 horizons x (3 folds + the whole segment) x 2 trials, and the single model's one.
    assert Ledger(workspace.ledger).trial_count(content) >= 2 * 2 * 4 * 2 + 1
