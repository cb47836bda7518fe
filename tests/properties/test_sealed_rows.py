"""Rows that a fold must not see are poisoned: not a bit of what the fold predicts changes, through the whole engine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.properties.conftest import Made, prepared, quiet

from foldsmith.config import CrossValidateSettings, ValidationSettings
from foldsmith.dataset import Dataset
from foldsmith.intervals import as_instants
from foldsmith.runs.ledger import Ledger
from foldsmith.stages import cross_validate as stage
from foldsmith.stages import out_of_fold as engine
from foldsmith.stages.executors import Executor
from foldsmith.stages.horizon import HorizonTable, load_horizons
from foldsmith.stages.out_of_fold import _folds, fit_unit, fold_key, run_folds
from foldsmith.stages.tables import read_metadata
from foldsmith.stages.trials import StudyLog, TrialRecorder
from foldsmith.stages.units import UnitStore

HORIZON = 10
MODELS = ("lightgbm", "logistic")
SETTINGS = ValidationSettings(n_splits=3, tune=True, n_trials=2, sample_weight="uniqueness")


def poisoned(data: Dataset, labels: Any, features: Any) -> Dataset:
    """Every label turned over in the rows `labels`, and wild numbers in the rows `features`."""
    rng = np.random.default_rng(99)
    X, y = data.X.copy(), data.y.copy()
    X[features] = (50 + 30 * rng.normal(size=(len(features), X.shape[1]))).astype(np.float32)
    y[labels] = np.where(y[labels] == 1, -1, y[labels] + 1)
    return replace(data, X=X, y=y)


@pytest.fixture(scope="module")
def table(small: Made) -> HorizonTable:
    """The first third of the small dataset's training rows, so that dozens of fits take seconds."""
    whole = load_horizons(small.dataset, (HORIZON,), SETTINGS)[HORIZON]
    segments = replace(whole.segments, training=whole.segments.training[:2000])
    return replace(whole, segments=segments)


def folds_of(table: HorizonTable) -> list[tuple[Any, Any]]:
    return _folds(table.data.take(table.segments.training), table.separation, SETTINGS.n_splits)


def recorder(folder: Path) -> TrialRecorder:
    return TrialRecorder(Ledger(folder / "ledger.sqlite"), "run", "data")


def predicted(table: HorizonTable, folder: Path) -> pl.DataFrame:
    """The out-of-fold table that the engine makes of these rows."""
    folder.mkdir()
    found = run_folds(
        {HORIZON: table},
        MODELS,
        SETTINGS,
        UnitStore(folder),
        executor=Executor(),
        say=quiet,
        recorder=recorder(folder),
    )
    return found[HORIZON].oof


def probabilities(oof: pl.DataFrame, model: str, rows: Any) -> bytes:
    columns = [f"{model}_prob_{side}" for side in ("short", "neutral", "long")]
    return bytes(oof.select(columns)[rows].to_numpy().astype(np.float32, order="C").tobytes())


@pytest.fixture(scope="module")
def clean(table: HorizonTable, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    return predicted(table, tmp_path_factory.mktemp("clean") / "run")


@pytest.mark.parametrize("number", range(SETTINGS.n_splits))
def test_a_fold_sees_its_training_rows_alone(
    table: HorizonTable, clean: pl.DataFrame, tmp_path: Path, number: int
) -> None:
    """Labels of its test rows, and features and labels of its purged and embargoed rows and of later segments."""
    train, test = folds_of(table)[number]
    every = table.segments.training
    outside = np.setdiff1d(np.arange(len(every)), train)
    apart = np.setdiff1d(outside, test)
    assert len(apart) >= 9
    others = np.setdiff1d(np.arange(len(table.data)), every)
    rows = np.r_[every[outside], others], np.r_[every[apart], others]
    found = predicted(replace(table, data=poisoned(table.data, *rows)), tmp_path / "run")
    for model in MODELS:
        assert probabilities(found, model, test) == probabilities(clean, model, test)
        # The other folds train on the poison, and show it.
        assert probabilities(found, model, train) != probabilities(clean, model, train)


def test_a_fault_is_found(table: HorizonTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: uniqueness weights of all rows of the segment together, and one test row slipped into training."""
    data = table.data.take(table.segments.training)
    train, test = folds_of(table)[1]
    outside = np.setdiff1d(np.arange(len(data)), train)

    def one(rows: Dataset, used: Any) -> bytes:
        found = fit_unit(
            model="logistic", horizon=HORIZON, fold=1, data=rows, train=used, test=test,
            validation=None, fitting=table.fitting, settings=replace(SETTINGS, tune=False),
            log=StudyLog(tmp_path / "trials", recorder(tmp_path), "logistic", HORIZON, 1),
        )  # fmt: skip
        return found.arrays["probabilities"].tobytes()

    bad = poisoned(data, outside, np.setdiff1d(outside, test))
    assert one(data, train) == one(bad, train)
    slipped = np.sort(np.r_[train, test[0]])
    assert one(data, slipped) != one(bad, slipped)
    assert fold_key("logistic", HORIZON, 1) == "logistic_h10_fold_1"
    assert engine.WHOLE == "whole"


def run_of(made: Made, folder: Path) -> Any:
    settings = CrossValidateSettings(MODELS, (HORIZON,), replace(SETTINGS, n_trials=1))
    return stage.cross_validate(
        made.dataset, settings, made.provenance, quiet, folder=folder, executor=Executor()
    )


@pytest.mark.proof
def test_the_test_segment_is_not_looked_at(
    small: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Features and labels of test rows poisoned: the run has the same content. Poison in validation is seen."""
    whole = run_of(small, tmp_path / "whole")
    real = stage.load_horizons

    def spoilt(segment: str) -> Any:
        def load(*words: Any, **options: Any) -> Any:
            return {
                h: replace(each, data=poisoned(each.data, *2 * [getattr(each.segments, segment)]))
                for h, each in real(*words, **options).items()
            }

        monkeypatch.setattr(stage, "load_horizons", load)
        return run_of(small, tmp_path / segment)

    assert spoilt("test").manifest.content == whole.manifest.content
    changed = spoilt("validation").manifest.files
    assert changed != whole.manifest.files
    # Even then no model, no chosen parameter and no out-of-fold row is another.
    differ = {name for name, digest in whole.manifest.files.items() if changed[name] != digest}
    assert differ == {"cv_results.json", f"stacking/validation_h{HORIZON}.parquet"}


@pytest.mark.proof
def test_another_market_in_the_test_segment_makes_the_same_run(small: Made, tmp_path: Path) -> None:
    """From raw minutes: the market after the last cut is mirrored, and nothing but the parent's hash is another."""
    recipe = json.loads((small.dataset.path / "recipe.json").read_text())
    path = small.workspace.raw / "MES_1m.parquet"
    raw = pl.read_parquet(path)
    after = pl.Series(as_instants(raw["timestamp"]) >= recipe["cuts"][1])
    pivot = 2 * float(raw.filter(after)["open"][0])
    mirrored = {"open": "open", "high": "low", "low": "high", "close": "close"}
    other = raw.with_columns(
        *(
            pl.when(after).then(pivot - pl.col(source)).otherwise(pl.col(name)).alias(name)
            for name, source in mirrored.items()
        ),
        pl.when(after).then(pl.col("volume") * 3 + 1).otherwise(pl.col("volume")).alias("volume"),
    )
    (tmp_path / "data" / "raw").mkdir(parents=True)
    other.write_parquet(tmp_path / "data" / "raw" / path.name, metadata=pl.read_parquet_metadata(path))
    spoilt = prepared(tmp_path)
    assert spoilt.dataset.manifest.content != small.dataset.manifest.content
    runs = [run_of(made, tmp_path / name) for made, name in ((small, "one"), (spoilt, "two"))]
    names = {name for name in runs[0].manifest.files if not name.startswith("stacking/")}
    assert names
    for name in names:
        assert runs[0].manifest.files[name] == runs[1].manifest.files[name], name
    tables = sorted(set(runs[0].manifest.files) - names)
    assert len(tables) == 2
    for name in tables:
        one, two = (pl.read_parquet(run.path / name) for run in runs)
        assert one.equals(two)
        one_says, two_says = (read_metadata(run.path / name) for run in runs)
        assert {key for key in one_says if one_says[key] != two_says[key]} == {"dataset"}
