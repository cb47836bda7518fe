"""Ensembles that join several CV runs, horizons or lengths of bars, as they are typed, from training to prediction."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.workflow.conftest import Desk, first_of, value
from tests.workflow.test_docs import commands
from tests.workflow.test_flags import covers

from foldsmith.runs.manifest import Manifest
from foldsmith.stages import audit_chain

pytestmark = pytest.mark.xdist_group("joined")
STACK = ["--model", "stacking", "--horizon", 5, "--stacking-data"]
BACKWARD = ["--join", "backward", "--max-age-minutes", 20]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """20 simulated sessions; runs `wide` (5 and 10 bars), `price` (other features) and `slow` (bars of 15 minutes)."""
    desk = Desk(tmp_path_factory.mktemp("joined"))
    desk.call("simulate", "--sessions", 20, "--edge", 0.05, "--seed", 7)
    slow = desk.dataset("--timeframe", "15m")
    desk.call("pipeline", "run", "--symbols", "MES", "--horizons", "5,10")
    desk.cv("--models", "logistic", "--output-name", "slow", "--dataset", slow.id)
    desk.cv("--models", "logistic,lightgbm", "--output-name", "wide", horizons="5,10")
    desk.cv("--models", "logistic,ridge", "--features", "price", "--n-splits", 3, "--output-name", "price")
    return desk


def metrics(desk: Desk, made: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder(desk, made) / "metrics.json").read_text())
    return found


def folder(desk: Desk, made: Manifest) -> Path:
    return desk.path / "experiments" / "runs" / made.id


def check_end_to_end(desk: Desk, made: Manifest) -> None:
    """Validation scored by `evaluate` is what training stored; test rows are what `predict` makes of raw bars."""
    told = desk.call("evaluate", "--run-id", made.id, "--split", "validation").stdout
    scored = pl.read_parquet(desk.path / value(told, "Evaluation saved to") / "predictions.parquet")
    stored = folder(desk, made) / "predictions" / "validation.parquet"
    assert scored.equals(pl.read_parquet(stored))
    told = desk.call("evaluate", "--run-id", made.id, "--split", "test").stdout
    scored = pl.read_parquet(desk.path / value(told, "Evaluation saved to") / "predictions.parquet")
    assert scored.height > 100
    output = folder(desk, made).parent / f"{made.id}.parquet"
    raw = desk.path / "data" / "raw" / "MES_1m.parquet"
    desk.call("predict", "--run-id", made.id, "--bars", raw, "--output", output)
    live = pl.read_parquet(output).filter(pl.col("datetime").is_in(scored["datetime"].to_list()))
    columns = ["datetime", "prob_short", "prob_neutral", "prob_long"]
    assert live.select(columns).equals(scored.select(columns))


def test_runs_of_other_features_and_families_are_joined(desk: Desk) -> None:
    made = desk.train(*STACK, "wide,price")
    names = ["logistic", "lightgbm", "logistic@2", "ridge"]
    assert made.parameters["base_models"] == names
    assert [(one.kind, one.id) for one in made.parents if one.kind == "cv"] == [
        ("cv", "wide"),
        ("cv", "price"),
    ]
    found = metrics(desk, made)
    assert set(found["base_models_on_validation"]) == set(names)
    assert found["coverage"]["rows"]["share"] > 0.9
    # Folds of the two runs are others: near their ends a model was fitted on labels inside a row's own.
    assert found["coverage"]["joined"][0]["models"] == names[2:]
    assert found["coverage"]["joined"][0]["missing"] == 0
    check_end_to_end(desk, made)
    # What an ensemble is does not hang on how its runs are called.
    shutil.copytree(desk.path / "data" / "stacking", desk.path / "kept")
    assert desk.train(*STACK, "wide,price", "--phase3-output", "kept").content == made.content
    assert desk.train(*STACK, "price,wide").content != made.content
    told = desk.call("runs", "reproduce", made.id, "--workers", 1).stdout
    assert told.splitlines()[-1].endswith("the same content")


@pytest.mark.proof
@covers("train", "--with-horizons")
def test_other_horizons_are_joined_stored_or_fresh(desk: Desk) -> None:
    made = desk.train(*STACK, "wide", "--with-horizons", "10")
    assert made.parameters["base_models"] == ["logistic", "lightgbm", "logistic@h10", "lightgbm@h10"]
    assert made.parameters["with_horizons"] == [10]
    check_end_to_end(desk, made)
    fresh = desk.train("--model", "stacking", "--horizon", 5, "--base-models", "logistic,lightgbm",
                       "--symbol", "MES", "--n-splits", 2, "--with-horizons", "10", "--workers", 1)  # fmt: skip
    assert fresh.files == made.files
    for run in (made, fresh):
        told = desk.call("runs", "reproduce", run.id, "--workers", 1).stdout
        assert told.splitlines()[-1].endswith("the same content")
    # The other way round, the short run trains inside the long labels, and rows are purged.
    long = desk.train("--model", "voting", "--horizon", 10, "--stacking-data", "wide", "--with-horizons", "5")
    assert metrics(desk, long)["coverage"]["joined"][0]["purged"] > 0
    assert "horizon" in desk.denied("train", *STACK, "wide", "--with-horizons", "7")
    for text in ("5", "10,5"):
        assert "--with-horizons names 5 twice" in desk.denied(
            "train", *STACK, "wide", "--with-horizons", text
        )
    assert "named twice" in desk.denied("train", *STACK, "wide", "--with-horizons", "10,10")


@pytest.mark.proof
@covers("train", "--join", "--max-age-minutes", "--min-coverage")
def test_slower_bars_are_joined_as_they_are_known(desk: Desk) -> None:
    told = desk.denied("train", *STACK, "wide,slow")
    assert "--min-coverage asks for 50%" in told
    exact = desk.train(*STACK, "wide,slow", "--min-coverage", 0.2)
    rows = metrics(desk, exact)["coverage"]["rows"]
    assert 0.2 < rows["share"] < 0.4
    made = desk.train(*STACK, "wide,slow", *BACKWARD)
    assert made.parameters["max_age_minutes"] == 20
    found = metrics(desk, made)
    assert found["coverage"]["rows"]["joined"] > 2 * rows["joined"]
    assert made.parameters["base_models"] == ["logistic", "lightgbm", "logistic@2"]
    assert (folder(desk, made) / "model" / "recipe_2.json").is_file()
    check_end_to_end(desk, made)
    told = desk.call("runs", "reproduce", made.id, "--from-raw", "--workers", 1).stdout
    assert [line.endswith("the same content") for line in told.splitlines()[-5:]] == [True] * 5
    younger = desk.train(*STACK, "wide,slow", "--join", "backward", "--max-age-minutes", 5)
    assert metrics(desk, younger)["coverage"]["rows"]["joined"] < found["coverage"]["rows"]["joined"]


@pytest.mark.proof
def test_ensembles_that_join_are_audited_with_every_dataset(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = audit_chain.chosen_cuts
    monkeypatch.setattr(audit_chain, "chosen_cuts", lambda source, quick: chosen(source, quick)[6:10])
    made = desk.train(*STACK, "wide,slow", *BACKWARD)
    desk.call("evaluate", "--run-id", made.id, "--split", "validation")
    told = desk.call("audit", "--run", made.id, "--quick").stdout
    datasets = [parent.id for parent in made.parents if parent.kind == "dataset"]
    assert len(datasets) == 2
    for name in (*(f"dataset {each}: phase 1 again" for each in datasets), "cv wide h5: base folds",
                 "cv slow h5: base folds", f"model {made.id}: meta-level folds, intervals"):  # fmt: skip
        assert any(line.startswith("  ok") and name in line for line in told.splitlines()), name
    fresh = desk.train("--model", "voting", "--horizon", 5, "--base-models", "logistic", "--symbol", "MES",
                       "--n-splits", 2, "--with-horizons", "10", "--workers", 1)  # fmt: skip
    told = desk.call("audit", "--run", fresh.id, "--quick").stdout
    for name in ("h5: base folds", "h10: base folds", "h10 logistic fold", ": meta-level folds, intervals"):
        assert f"model {fresh.id}{' ' * name.startswith('h')}{name}" in told
    # What one of them was made from is gone: nothing is proved, and that is said.
    gone = desk.path / "data" / "stacking" / "slow"
    gone.rename(desk.path / "away")
    assert "so nothing can be proved of it" in desk.denied("audit", "--run", made.id, "--quick")
    (desk.path / "away").rename(gone)


def test_flags_of_joining_that_do_not_apply_are_refused(desk: Desk) -> None:
    for flag in (["--join", "exact"], ["--max-age-minutes", 5], ["--min-coverage", 0.4]):
        told = desk.denied("train", *STACK, "wide", *flag)
        assert told.startswith(f"{flag[0]} does not apply: one run at one horizon"), told
        told = desk.denied("train", "--model", "logistic", "--horizon", 5, *flag)
        assert told.startswith(f"{flag[0]} does not apply: logistic is a base model"), told
    two = ["train", *STACK, "wide,price"]
    assert "go together" in desk.denied(*two, "--join", "backward")
    assert "go together" in desk.denied(*two, "--max-age-minutes", 5)
    assert "cannot be used" in desk.denied(*two, "--join", "backward", "--max-age-minutes", 0)
    assert "is no share" in desk.denied(*two, "--min-coverage", 0)
    assert "names wide twice" in desk.denied("train", *STACK, "wide,wide")
    assert "has no horizon 10" in desk.denied(
        "train", "--model", "stacking", "--horizon", 10, "--stacking-data", "wide,price"
    )
    desk.call("simulate", "--symbol", "CL", "--sessions", 20)
    desk.call("pipeline", "run", "--symbols", "CL", "--horizons", 5)
    desk.cv("--models", "logistic", "--symbol", "CL", "--output-name", "oil")
    assert "of one symbol" in desk.denied("train", *STACK, "wide,oil")


@covers("train", "--calibrate-ensemble")
@pytest.mark.parametrize("name", first_of(["temperature", "logistic", "isotonic"]))
def test_an_ensemble_is_calibrated_stored_or_fresh(desk: Desk, name: str) -> None:
    words = [*STACK, "wide", "--meta-learner", "lightgbm"]
    plain = desk.train(*words)
    made = desk.train(*words, "--calibrate-ensemble", name)
    assert made.parameters["calibrate_ensemble"] == name
    assert "calibrate_ensemble" not in plain.parameters
    assert (folder(desk, made) / "model" / "correction.json").is_file()
    losses = [metrics(desk, run)["meta_out_of_fold"]["log_loss"] for run in (plain, made)]
    assert losses[0] != losses[1]
    if name != "temperature":
        return
    check_end_to_end(desk, made)
    fresh = desk.train(*words[:3], 5, "--base-models", "logistic,lightgbm", "--symbol", "MES", "--n-splits", 2,
                       *words[-2:], "--calibrate-ensemble", name, "--workers", 1)  # fmt: skip
    assert fresh.files == made.files
    told = desk.call("runs", "reproduce", made.id, "--workers", 1).stdout
    assert told.splitlines()[-1].endswith("the same content")


@pytest.mark.parametrize("model", ["stacking", "blending"])
@pytest.mark.parametrize("learner", ["ridge", "lightgbm"])
def test_every_level_is_scored(desk: Desk, model: str, learner: str) -> None:
    printed = desk.call("train", "--model", model, *STACK[2:], "wide", "--meta-learner", learner).stdout
    found = json.loads((desk.path / value(printed, "Model saved to") / "metrics.json").read_text())
    levels = found["levels"]
    assert set(levels) == {"logistic", "lightgbm", model}
    mine = levels[model]
    assert set(mine) == {"own_rows", "meta_out_of_fold", "validation", "difference"}
    for level in ("meta_out_of_fold", "validation"):
        assert mine[level]["log_loss"] == pytest.approx(found[level]["log_loss"])
    assert mine["own_rows"]["log_loss"] < mine["meta_out_of_fold"]["log_loss"]
    for name, each in levels.items():
        first = each["meta_out_of_fold" if name == model else "out_of_fold"]
        apart = each["difference"]
        for key, less in (("log_loss", 0), ("log_loss_above_base", 1)):
            sides = [one["log_loss"] - less * one["log_loss_base"] for one in (first, each["validation"])]
            assert apart[key]["estimate"] == pytest.approx(sides[0] - sides[1])
        line = next(line for line in printed.splitlines() if line.startswith(f"  {name}: "))
        assert f"{first['log_loss']:.4f}" in line
        assert f"{apart['log_loss']['estimate']:+.4f}" in line


def test_the_commands_of_the_page_on_ensembles_run_as_they_stand(desk: Desk) -> None:
    shown = commands("docs/ensembles.md")
    assert len(shown) == 4
    for words in shown:
        desk.call(*words)
