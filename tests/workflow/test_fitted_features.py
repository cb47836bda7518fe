"""Features fitted inside each fold, from the commands: dataset, folds, ensemble, evaluation and predictions."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import polars as pl
import pytest
from tests.workflow.conftest import Desk, value

from foldsmith.features.fitted import FITTED
from foldsmith.features.sets import resolve
from foldsmith.runs.manifest import Manifest, read
from foldsmith.stages.recipe import Recipe
from foldsmith.validation.fold_features import FILE, FoldFeatures

pytestmark = pytest.mark.xdist_group("fitted")

MODELS = ["--models", "logistic,lightgbm"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Simulated bars of MES, and a set of the user's own with fitted features in it."""
    made = Desk(tmp_path_factory.mktemp("fitted"))
    made.call("simulate", "--sessions", 20, "--edge", 0.05, "--seed", 7)
    (made.path / "features.toml").write_text('[sets]\nmine = ["time", "hmm_up", "hmm_calm"]\n')
    return made


@pytest.fixture(scope="module")
def dataset(desk: Desk) -> Manifest:
    return desk.dataset("--features", "regimes")


@pytest.fixture(scope="module")
def cv(desk: Desk, dataset: Manifest) -> Manifest:
    return desk.cv(*MODELS, "--dataset", dataset.id)


def recipe_of(desk: Desk, dataset: Manifest) -> Recipe:
    return Recipe.read(desk.workspace.datasets / dataset.id / "recipe.json")


def test_a_dataset_holds_what_they_are_made_of(desk: Desk, dataset: Manifest) -> None:
    assert dataset.parameters["features"] == ["regimes"]
    features = pl.read_parquet(desk.workspace.datasets / dataset.id / "features.parquet")
    assert features.columns == ["datetime", *resolve(["core"])]
    recipe = recipe_of(desk, dataset)
    assert (recipe.features, recipe.fitted) == (resolve(["core"]), tuple(FITTED))
    plain = desk.dataset()
    assert (
        "fitted"
        not in (desk.workspace.datasets / plain.id / "recipe.json").read_text().split('"features"')[0]
    )
    assert plain.content == desk.dataset("--features", "core").content
    # Of a set of the user's own: inputs that no one asked for are stored, and seen by no model.
    mine = desk.dataset("--features", "mine")
    assert recipe_of(desk, mine).features == resolve(["time"])
    assert recipe_of(desk, mine).fitted == ("hmm_calm", "hmm_up")
    stored = pl.read_parquet(desk.workspace.datasets / mine.id / "features.parquet").columns[1:]
    assert set(stored) == {*resolve(["time"]), "bar_range", "momentum_12", "volatility_ratio_6_48"}
    assert mine.parameters["features"] == ["time", "hmm_calm", "hmm_up"]
    for run in (dataset, mine):
        assert desk.call("runs", "reproduce", run.id).stdout.splitlines()[-1].endswith("the same content")
    trained = desk.train("--model", "logistic", "--horizon", 5, "--dataset", mine.id)
    facts = json.loads((desk.workspace.runs / trained.id / "model" / "model.json").read_text())
    assert FILE in facts["files"]
    assert "features" not in facts


def test_a_model_sees_them_by_name(desk: Desk, dataset: Manifest, cv: Manifest) -> None:
    words = [*MODELS, "--dataset", dataset.id]
    assert "features" not in cv.parameters
    assert desk.cv(*words, "--features", "regimes").content == cv.content
    assert desk.cv(*words, "--workers", 2).content == cv.content
    made = desk.cv(*words, "--features", "logistic=hmm_up+hmm_volatile,lightgbm=core")
    assert made.parameters["features"]["logistic"] == ["hmm_volatile", "hmm_up"]
    models = desk.workspace.stacking / made.id / "models"
    saved = FoldFeatures.from_files({FILE: (models / "logistic_h5" / FILE).read_bytes()})
    assert saved.names == ("hmm_volatile", "hmm_up")
    assert not (models / "lightgbm_h5" / FILE).exists()
    assert "logistic=hmm_volatile+hmm_up" in desk.call("runs", "explain", made.id).stdout
    told = desk.call("runs", "reproduce", made.id, "--workers", 1).stdout
    assert told.splitlines()[-1] == f"cv {made.id}: the same content"
    plain = desk.dataset("--features", "core")
    assert "hmm_volatile and 4 more of it is not in dataset" in desk.denied(
        "cv", *MODELS, "--horizons", 5, "--dataset", plain.id, "--features", "hmm"
    )
    assert "fits: 6 " in desk.call("cv", *words, "--horizons", 5, "--n-splits", 2, "--dry-run").stdout


@pytest.mark.proof
def test_what_is_predicted_is_what_was_scored(desk: Desk, cv: Manifest, tmp_path: Path) -> None:
    """An ensemble over models with fitted features, and one such model: the bits of evaluation and `predict`."""
    ensemble = desk.train("--model", "stacking", "--horizon", 5, "--stacking-data", cv.id)
    dataset = next(parent.id for parent in cv.parents if parent.kind == "dataset")
    alone = desk.train("--model", "lightgbm", "--horizon", 5, "--dataset", dataset, "--features", "price,hmm")
    for run in (ensemble, alone):
        desk.call("evaluate", "--run-id", run.id, "--split", "validation")
        (scored,) = (desk.workspace.runs / run.id / "evaluations").glob("*/predictions.parquet")
        out = tmp_path / f"{run.id}.parquet"
        desk.call(
            "predict", "--run-id", run.id, "--bars", "data/raw/MES_1m.parquet", "--output", out,
        )  # fmt: skip
        both = pl.read_parquet(scored).join(pl.read_parquet(out), on="datetime", suffix="_now")
        assert both.height == pl.read_parquet(scored).height > 100
        for side in ("short", "neutral", "long"):
            name = f"prob_{side}"
            assert both[name].to_numpy().tobytes() == both[f"{name}_now"].to_numpy().tobytes()
    told = desk.call("runs", "reproduce", alone.id).stdout
    assert told.splitlines()[-1] == f"model {alone.id}: the same content"


@pytest.mark.proof
def test_a_killed_run_goes_on_with_the_same_bytes(desk: Desk, dataset: Manifest) -> None:
    words = ["cv", *MODELS, "--horizons", "5", "--n-splits", "3", "--dataset", dataset.id]
    desk.call(*words, "--output-name", "whole", "--workers", 1)
    process = subprocess.Popen(
        desk.command(*words, "--output-name", "killed", "--workers", 1),
        cwd=desk.path, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    units = desk.workspace.stacking / ".killed.partial" / ".units"
    until = time.monotonic() + 200
    while len(list(units.glob("logistic_h5_fold_?"))) < 2:
        assert time.monotonic() < until
        assert process.poll() is None, "it ended before it was killed"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = desk.call("cv", "--resume", "killed", "--workers", 1)
    assert value(done.stdout, "CV Run ID") == "killed"
    stacking = desk.workspace.stacking
    assert read(stacking / "killed").content == read(stacking / "whole").content


def test_they_are_listed_and_shown(desk: Desk) -> None:
    listed = desk.call("features", "list", "--set", "hmm").stdout
    assert [line.split() for line in listed.splitlines()] == [
        [each.name, "hmm", str(each.warmup), "fitted"] for each in FITTED.values()
    ]
    told = desk.call("features", "show", "hmm_calm").stdout
    for words in ("inside each fold", "P(S = 0 | block so far)", "regimes, hmm, mine"):
        assert words in told
    assert "hmm_up" in desk.call("features", "list").stdout
