"""Targets of a regression, from a dataset's files to the arrays that a library takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.workflow.conftest import Desk

from foldsmith.config import ValidationSettings
from foldsmith.errors import DataError, MissingError, SettingError
from foldsmith.labels import triple_barrier
from foldsmith.runs.store import open_run
from foldsmith.splits import PurgedKFold
from foldsmith.stages.horizon import load_horizons
from foldsmith.stages.load_dataset import load_dataset


def dataset_folder(desk: Desk) -> Path:
    """The desk's first dataset."""
    return min((desk.path / "data" / "datasets").iterdir())


@pytest.mark.parametrize("segment", ["training", "validation"])
def test_rows_are_those_that_models_see_with_the_target_of_their_label(tiny: Desk, segment: str) -> None:
    folder = dataset_folder(tiny)
    table = load_horizons(open_run(folder.parent, folder.name), (10,), ValidationSettings())[10]
    rows = table.data.take(table.segments.named()[segment])
    found = load_dataset(folder, 10, segment)
    for name in ("X", "y", "t0", "t1"):
        assert np.array_equal(getattr(found, name), getattr(rows, name))
    assert found.names == rows.names
    by_time = {row["datetime"]: row for row in pl.read_parquet(folder / "labels_h10.parquet").to_dicts()}
    times = pl.Series(found.t0).cast(pl.Datetime("us", "UTC")).to_list()
    for time, target, log_return in zip(times, found.target, found.log_return, strict=True):
        assert (by_time[time]["target"], by_time[time]["log_return"]) == (target, log_return)
    assert (np.sign(found.target[found.y != 0]) == found.y[found.y != 0]).all()


def test_segments_are_kept_apart_and_a_splitter_takes_what_is_loaded(tiny: Desk) -> None:
    folder = dataset_folder(tiny)
    training, validation = (load_dataset(str(folder), 10, name) for name in ("training", "validation"))
    assert training.t1.max() < validation.t0.min()
    folds = PurgedKFold(4, t0=training.t0, t1=training.t1, embargo=training.embargo, bars=training.bars)
    for train, test in folds.split(training.X):
        before, after = train[train < test[0]], train[train > test[-1]]
        assert (training.t1[before] < training.t0[test[0]]).all()
        assert (training.t0[after] > training.t1[test].max()).all()


def test_what_is_not_handed_out(tiny: Desk) -> None:
    folder = dataset_folder(tiny)
    with pytest.raises(SettingError, match="opened by `evaluate`, which counts the look"):
        load_dataset(folder, 10, "test")
    with pytest.raises(SettingError, match="horizon 7 is not in dataset"):
        load_dataset(folder, 7)
    with pytest.raises(DataError, match="a dataset is needed"):
        load_dataset(tiny.path / "data" / "stacking" / "base", 10)
    with pytest.raises(MissingError, match="the newest runs there are"):
        load_dataset(folder.parent / "other", 10)


def test_a_dataset_without_targets_does_all_else(tiny: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """As versions before wrote it: its hashes are right, and the columns are not there."""

    def without(labels: pl.DataFrame, *_: Any) -> pl.DataFrame:
        return labels

    with monkeypatch.context() as patch:
        patch.setattr(triple_barrier, "with_targets", without)
        old = tiny.dataset()
    folder = tiny.path / "data" / "datasets" / old.id
    assert "target" not in pl.read_parquet(folder / "labels_h5.parquet").columns
    cv = tiny.cv("--models", "logistic", "--dataset", old.id)
    model = tiny.train("--model", "stacking", "--horizon", 5, "--stacking-data", cv.id)
    assert (
        "Evaluation saved to" in tiny.call("evaluate", "--run-id", model.id, "--split", "validation").stdout
    )
    with pytest.raises(DataError, match=r"made before labels had a target; make it again: ./pipeline run"):
        load_dataset(folder, 5)


def test_a_meta_labelling_ensemble_goes_through_every_phase(tiny: Desk) -> None:
    """Its side is the base models' own, its scores stand beside theirs, and a fresh one is the stored one."""
    words = ("--model", "meta_labelling", "--horizon", 5, "--meta-learner", "logistic")
    made = tiny.train(*words, "--stacking-data", "base")
    folder = tiny.path / "experiments" / "runs" / made.id
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(metrics["base_models_on_validation"]) == {"logistic", "lightgbm"}
    assert metrics["meta_out_of_fold"]["log_loss"] > 0
    assert not any(name.endswith((".pkl", ".pickle", ".joblib")) for name in made.files)
    names = ["prob_short", "prob_neutral", "prob_long"]
    stored = tiny.path / "data" / "stacking" / "base" / "stacking"
    for table, predicted in (
        ("validation_h5", "validation"),
        ("stacking_dataset_h5", "meta_out_of_fold"),
    ):
        base = pl.read_parquet(stored / f"{table}.parquet")
        found = pl.read_parquet(folder / "predictions" / f"{predicted}.parquet").join(base, on="datetime")
        total = [
            found[f"logistic_{name}"].cast(float) + found[f"lightgbm_{name}"].cast(float) for name in names
        ]
        side = (total[2] - total[0]).sign().cast(pl.Int8)
        # Whatever is left beside the side is shared as the base models share it.
        other, told = (
            np.where(side > 0, x, z) for x, z in ((total[0], total[2]), (found[names[0]], found[names[2]]))
        )
        assert np.allclose(told * total[1], other * found[names[1]], rtol=1e-3, atol=1e-6)
    dataset = next(parent.id for parent in made.parents if parent.kind == "dataset")
    cv = ("--base-models", "logistic,lightgbm", "--n-splits", 2, "--workers", 1)
    fresh = tiny.train(*words, *cv, "--dataset", dataset)
    assert {name: fresh.files[name] for name in made.files} == made.files
    assert "Evaluation saved to" in tiny.call("evaluate", "--run-id", made.id, "--split", "validation").stdout
    assert (
        tiny.call("runs", "reproduce", made.id, "--workers", 1)
        .stdout.splitlines()[-1]
        .endswith("same content")
    )
    raw = tiny.path / "data" / "raw" / "MES_1m.parquet"
    tiny.call("predict", "--run-id", made.id, "--bars", raw, "--output", "meta.parquet")
    again = pl.read_parquet(tiny.path / "meta.parquet").join(
        pl.read_parquet(folder / "predictions" / "validation.parquet"), on="datetime", suffix="_before"
    )
    assert again.height > 100
    for name in names:
        assert again[name].equals(again[f"{name}_before"].alias(name))
