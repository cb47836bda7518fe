"""Models of windows through the real commands: folds, workers, resume, search, ensemble, evaluation, predictions."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.workflow.conftest import Desk

from foldsmith.audit.proof import HELD
from foldsmith.audit.seal import prove_case
from foldsmith.config import ValidationSettings
from foldsmith.errors import DataError
from foldsmith.models.catalogue import BY_NAME, left_out, resolve
from foldsmith.models.parameters import Parameter
from foldsmith.models.sequence import GRU
from foldsmith.runs.manifest import Manifest, read
from foldsmith.stages import audit_splits
from foldsmith.stages.trained import parent_dataset
from foldsmith.stages.window import checked_window

pytestmark = pytest.mark.xdist_group("sequences")
torch_only = pytest.mark.skipif(
    find_spec("torch") is None, reason="needs the extra `neural`: torch is not installed"
)
BOTH = ["--models", "lightgbm,gru", "--features", "gru=price,lightgbm=core"]
ALONE = ["--model", "gru", "--horizon", 5, "--features", "price"]
LENGTH = GRU.parameters["length"].default


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Half-hours of 25 simulated sessions of MES over a roll."""
    made = Desk(tmp_path_factory.mktemp("sequences"))
    made.call("simulate", "--sessions", 25, "--edge", 0.05, "--seed", 7, "--start", "2024-02-20")
    made.dataset("--timeframe", "30m")
    return made


@pytest.fixture(scope="module")
def cv(desk: Desk) -> Manifest:
    return desk.cv(*BOTH, "--output-name", "pair")


@pytest.fixture
def few_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks that are fitted in no time; in this process alone."""
    table = {**GRU.parameters, "n_epochs": Parameter(2, 1, 1000), "width": Parameter(4, 4, 512)}
    monkeypatch.setattr(GRU, "parameters", table)


def results(desk: Desk, cv: Manifest) -> dict[str, Any]:
    path = desk.workspace.stacking / cv.id / "cv_results.json"
    return dict(json.loads(path.read_text())["horizons"]["5"])


def whole_rows(desk: Desk, dataset: str) -> set[Any]:
    """Decision times of labelled bars with LENGTH known bars of one block behind them, counted one by one."""
    folder = desk.workspace.datasets / dataset
    bars = pl.read_parquet(folder / "bars.parquet")
    block = bars["block"].to_list()
    values = pl.read_parquet(folder / "features.parquet").drop("datetime").to_numpy()
    known = np.isfinite(values).all(axis=1)
    labels = pl.read_parquet(folder / "labels_h5.parquet")
    found, behind = set(), 0
    by_bar = []
    for bar, good in enumerate(known):
        behind = 0 if not good else behind + 1 if bar and block[bar] == block[bar - 1] else 1
        by_bar.append(behind)
    for bar, when in zip(labels["bar"], labels["datetime"], strict=True):
        if by_bar[bar] >= LENGTH:
            found.add(when)
    return found


@torch_only
def test_rows_without_a_window_are_left_out_for_all_and_counted(desk: Desk, cv: Manifest) -> None:
    dataset = next(parent.id for parent in cv.parents if parent.kind == "dataset")
    found, whole = results(desk, cv), whole_rows(desk, dataset)
    assert (found["window_bars"], found["events"]) == (LENGTH, len(whole))
    # Two blocks, each LENGTH - 1 rows short.
    assert found["rows_without_window"] == 2 * (LENGTH - 1)
    table = pl.read_parquet(desk.workspace.stacking / cv.id / "stacking" / "stacking_dataset_h5.parquet")
    assert set(table["datetime"]) <= whole
    assert table.null_count().sum_horizontal().item() == 0
    scores = found["models"]["gru"]
    assert all(fold["best_iteration"] >= 1 for fold in scores["folds"])
    rounds = np.median([fold["best_iteration"] for fold in scores["folds"]])
    assert scores["refit"]["params"]["n_epochs"] == max(1, int(rounds))
    plain = desk.cv("--models", "lightgbm")
    assert not {"window_bars", "rows_without_window"} & set(results(desk, plain))
    assert results(desk, plain)["events"] > found["events"]


@pytest.mark.proof
@torch_only
def test_workers_and_a_stop_leave_no_trace(desk: Desk, cv: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    assert desk.cv(*BOTH, "--workers", 2).content == cv.content
    true, count = GRU._train, iter(range(9))

    def stopping(self: GRU, train: Any, evaluation: Any) -> Any:
        if next(count) == 1:
            raise DataError("stopped here")
        return true(self, train, evaluation)

    words = ["cv", "--horizons", 5, "--n-splits", 2, "--workers", 1, *BOTH, "--output-name", "stopped"]
    monkeypatch.setattr(GRU, "_train", stopping)
    assert desk.call(*words, status=2).stderr.count("stopped here") == 1
    monkeypatch.setattr(GRU, "_train", true)
    said = desk.call("cv", "--resume", "stopped", "--workers", 1).stdout
    assert said.count("gru h5 fold") == 1
    assert f"no whole window of {LENGTH} bars and are left out for every model" in " ".join(said.split())
    assert read(desk.workspace.stacking / "stopped").content == cv.content


@pytest.mark.proof
@torch_only
def test_what_is_predicted_is_what_was_scored(desk: Desk, cv: Manifest, tmp_path: Path) -> None:
    """An ensemble with a sequence model, and one such model of another length, opened in a fresh process."""
    ensemble = desk.train("--model", "stacking", "--horizon", 5, "--stacking-data", cv.id)
    config = tmp_path / "gru.toml"
    config.write_text("[params]\nlength = 12\nn_epochs = 2\nwidth = 8\n")
    alone = desk.train(*ALONE, "--config", config)
    facts = json.loads((desk.workspace.runs / alone.id / "metrics.json").read_text())
    assert (facts["window_bars"], facts["rows_without_window"]) == (12, 22)
    for run in (ensemble, alone):
        desk.call("evaluate", "--run-id", run.id, "--split", "validation")
        (scored,) = (desk.workspace.runs / run.id / "evaluations").glob("*/predictions.parquet")
        out = tmp_path / f"{run.id}.parquet"
        words = ["predict", "--run-id", run.id, "--bars", "data/raw/MES_1m.parquet", "--output", out]
        (desk.run if run is alone else desk.call)(*words)
        both = pl.read_parquet(scored).join(pl.read_parquet(out), on="datetime", suffix="_now")
        assert both.height == pl.read_parquet(scored).height > 50
        for side in ("short", "neutral", "long"):
            name = f"prob_{side}"
            assert both[name].to_numpy().tobytes() == both[f"{name}_now"].to_numpy().tobytes()
    files = {path.name for path in (desk.workspace.runs / alone.id / "model").iterdir()}
    assert files == {"model.json", "recipe.json", "classifier.json", "network.safetensors"}
    assert desk.call("runs", "reproduce", alone.id).stdout.splitlines()[-1].endswith("the same content")
    place = desk.workspace
    dataset = parent_dataset(place, place.open_run(place.stacking, cv.id))
    (folds,) = audit_splits.of_cv(place, dataset, place.open_run(place.stacking, cv.id))
    proofs = list(audit_splits.seal_proofs(folds, quick=True))
    proofs.append(
        prove_case(audit_splits.whole_case(place, dataset, place.open_run(place.runs, alone.id), True))
    )
    assert [proof.outcome for proof in proofs] == [HELD] * 3, [proof.said for proof in proofs]
    assert [proof.counts["compared with stored predictions"] for proof in proofs] == [1, 1, 0]


@torch_only
@pytest.mark.proof
def test_all_that_is_made_of_them_is_audited(desk: Desk, cv: Manifest, tmp_path: Path) -> None:
    """Stored and fresh ensembles, one trained alone with a length of its own, and an evaluation."""
    config = tmp_path / "gru.toml"
    config.write_text("[params]\nlength = 12\nn_epochs = 2\nwidth = 8\n")
    alone = desk.train(*ALONE, "--config", config)
    fresh = desk.train(
        "--model", "voting", "--horizon", 5, "--base-models", "gru,logistic", "--features", "price", "--n-splits", 2,
    )  # fmt: skip
    stored = desk.train("--model", "stacking", "--horizon", 5, "--stacking-data", cv.id)
    for run in (alone, fresh, stored):
        desk.call("evaluate", "--run-id", run.id, "--split", "validation")
        assert "could not run" not in desk.call("audit", "--run", run.id, "--quick").stdout


@torch_only
@pytest.mark.usefixtures("few_epochs")
def test_they_are_searched_calibrated_weighted_and_bagged(desk: Desk) -> None:
    made = desk.cv(
        "--models", "gru", "--features", "price", "--tune", "--n-trials", 2, "--calibrate", "temperature",
        "--class-weight", "balanced", "--predict-with", "bag", "--sample-weight", "uniqueness",
    )  # fmt: skip
    tuned = json.loads((desk.workspace.stacking / made.id / "tuned_params" / "gru_h5.json").read_text())
    assert {"learning_rate", "dropout"} <= set(tuned["space"])
    assert "length" not in tuned["space"]
    assert all(len(fold["trials"]) == 2 for fold in tuned["folds"])
    assert all(trial["value"] is not None for fold in tuned["folds"] for trial in fold["trials"])
    voted = desk.train("--model", "voting", "--horizon", 5, "--stacking-data", made.id)
    desk.call("evaluate", "--run-id", voted.id, "--split", "validation")


@torch_only
def test_what_does_not_go_with_windows_is_refused(desk: Desk, cv: Manifest) -> None:
    words = ["cv", "--horizons", 5, "--models", "lightgbm,gru"]
    assert "--select mdi does not apply to gru" in desk.denied(*words, "--select", "mdi")
    assert "--select mdi does not apply to gru" in desk.denied("train", *ALONE, "--select", "mdi")
    joined = f"{cv.id},{desk.cv('--models', 'logistic').id}"
    told = desk.denied("train", "--model", "stacking", "--horizon", 5, "--stacking-data", joined)
    assert "predictions of gru, which reads windows of bars, cannot be joined" in told


def test_who_takes_them(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """`all` leaves them out and says so; the family takes what is installed; a name is refused without torch."""
    assert not set(resolve(["all"])) & set(BY_NAME)
    assert "all leaves out lstm, gru" in left_out(["all"])
    assert left_out(["all", "gru"]) == left_out(["gru"]) == left_out(["lightgbm"]) == ""
    assert left_out(["all"]) in desk.call("cv", "--models", "all", "--horizons", 7, status=2).stdout
    monkeypatch.setattr("foldsmith.models.catalogue.find_spec", lambda name: None if name == "torch" else 1)
    assert resolve(["neural"]) == ("mlp",)
    assert left_out(["neural"]).startswith("neural leaves out lstm")
    told = desk.denied("cv", "--models", "gru", "--horizons", 5)
    assert told == 'gru needs a library that is not installed: pip install "foldsmith[neural]"'
    listed = desk.call("cv", "--list-models").stdout
    assert all(f"  {name:<23} neural " in listed for name in BY_NAME)
    assert listed.count("foldsmith[neural], not installed") == len(BY_NAME)


@torch_only
def test_features_fitted_in_a_fold_are_refused_unless_left_out(desk: Desk) -> None:
    regimes = desk.dataset("--timeframe", "30m", "--features", "regimes").id
    words = ["cv", "--horizons", 5, "--models", "gru", "--dataset", regimes]
    told = desk.denied(*words)
    assert "hmm_volatile is fitted inside each fold. Leave it out: --features gru=core" in told
    settings = ValidationSettings()
    dataset = desk.workspace.open_run(desk.workspace.datasets, regimes)
    assert checked_window(dataset, ["gru", "lightgbm"], settings, {"gru": ("return_1",)}) == LENGTH
    assert checked_window(dataset, ["lightgbm"], settings, {}) == 0
