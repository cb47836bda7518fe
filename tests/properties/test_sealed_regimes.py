"""Features that a fold fits, through the whole engine: garbage in bars that a fold must not see changes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.properties.conftest import prepared, quiet
from tests.properties.test_sealed_rows import poisoned, probabilities, recorder

from foldsmith.config import ValidationSettings
from foldsmith.dataset import Dataset
from foldsmith.market.instruments import instrument
from foldsmith.market.simulate import Simulation
from foldsmith.runs.store import Workspace
from foldsmith.stages import out_of_fold as stage
from foldsmith.stages.executors import Executor
from foldsmith.stages.horizon import HorizonTable, load_horizons
from foldsmith.stages.out_of_fold import _folds, run_folds
from foldsmith.stages.simulated import write_market
from foldsmith.stages.units import UnitStore
from foldsmith.validation.fold_features import FILE, FoldFeatures

HORIZON = 10
MODELS = ("logistic", "lightgbm")
SETTINGS = ValidationSettings(n_splits=3, sample_weight="uniqueness")
Fits = dict[str, bytes]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> HorizonTable:
    """2,000 training rows of thirty simulated sessions over a roll, with the set regimes."""
    root = tmp_path_factory.mktemp("regimes")
    write_market(Workspace(root), Simulation("MES", 30, 5, 0.05, date(2024, 2, 12)), instrument("MES"), quiet)
    dataset = prepared(root, features=("regimes",)).dataset
    whole = load_horizons(dataset, (HORIZON,), SETTINGS)[HORIZON]
    return replace(whole, segments=replace(whole.segments, training=whole.segments.training[:2000]))


def with_garbage(data: Dataset, bars: Any) -> Dataset:
    """Wild inputs of these bars."""
    assert data.inputs is not None
    values = data.inputs.values.copy()
    values[bars] = np.random.default_rng(3).uniform(1, 30, size=(len(bars), values.shape[1]))
    return replace(data, inputs=replace(data.inputs, values=values))


def crossed(
    table: HorizonTable, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[pl.DataFrame, Fits, dict[str, dict[str, bytes]]]:
    """The out-of-fold table, what was fitted before each model in the order of the fits, and the refitted models."""
    folder.mkdir()
    fits: list[bytes] = []
    true = FoldFeatures.fit.__func__  # type: ignore[attr-defined]

    def noted(cls: Any, rows: Dataset) -> FoldFeatures:
        made: FoldFeatures = true(cls, rows)
        fits.append(made.to_files()[FILE])
        return made

    with monkeypatch.context() as patch:
        patch.setattr(FoldFeatures, "fit", classmethod(noted))
        patch.setattr(stage, "cost_of", lambda *_: 1.0)  # fits are told apart by their order
        made = run_folds(
            {HORIZON: table}, MODELS, SETTINGS, UnitStore(folder),
            executor=Executor(), say=quiet, recorder=recorder(folder),
        )[HORIZON]  # fmt: skip
    names = [f"{model} {fold}" for model in MODELS for fold in range(3)] + [
        f"{each} refit" for each in MODELS
    ]
    assert len(fits) == len(names)
    bases = {name: dict(base.files) for name, base in made.bases.items()}
    return made.oof, dict(zip(names, fits, strict=True)), bases


@pytest.mark.parametrize("number", range(3))
def test_a_fold_is_fitted_on_its_training_bars_alone(
    table: HorizonTable, tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = table.segments.training
    data = table.data.take(every)
    assert data.inputs is not None
    train, test = _folds(data, table.separation, 3)[number]
    oof, fits, bases = crossed(table, tmp_path / "clean", monkeypatch)
    assert (
        len(set(fits.values())) == 3 + 1 + 3
    )  # both refits are of all rows; lightgbm's folds are fitted on heads

    # Every bar that is not one of a training row of this fold: test, purged, embargoed, unlabelled, later segments.
    outside = np.setdiff1d(np.arange(len(data)), train)
    bars = np.setdiff1d(np.arange(len(data.inputs.values)), data.inputs.bar[train])
    others = np.setdiff1d(np.arange(len(table.data)), every)
    rows = np.r_[every[outside], others]
    spoilt = replace(table, data=with_garbage(poisoned(table.data, rows, rows), bars))
    _, found, _ = crossed(spoilt, tmp_path / "spoilt", monkeypatch)
    for name, content in fits.items():
        assert (found[name] == content) == name.endswith(f" {number}"), name

    # What is predicted too, where bars that come later than all that the fold predicts and learns are garbage.
    last = int(data.inputs.bar.max())
    rows = np.r_[every[outside], others], np.r_[every[np.setdiff1d(outside, test)], others]
    later = np.arange(last + 1, len(data.inputs.values))
    sealed = replace(table, data=with_garbage(poisoned(table.data, *rows), later))
    again, found, remade = crossed(sealed, tmp_path / "sealed", monkeypatch)
    assert found == fits
    for model in MODELS:
        assert probabilities(again, model, test) == probabilities(oof, model, test)
        assert probabilities(again, model, train) != probabilities(oof, model, train)
        # The refit learns from the poisoned labels; its states do not.
        assert remade[model][FILE] == bases[model][FILE]
        assert remade[model] != bases[model]


def test_a_fit_on_all_bars_would_be_found(
    table: HorizonTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: states fitted on every bar whose inputs are known, as if the feature were a column of the dataset."""
    data = table.data.take(table.segments.training)
    assert data.inputs is not None
    train, _ = _folds(data, table.separation, 3)[1]
    bars = np.setdiff1d(np.arange(len(data.inputs.values)), data.inputs.bar[train])
    spoilt = with_garbage(data, bars)

    def leaky(each: Dataset) -> bytes:
        assert each.inputs is not None
        known = np.flatnonzero(np.isfinite(each.inputs.values).all(axis=1))
        rows = each.take(np.zeros(len(known), dtype=np.int64))
        return FoldFeatures.fit(replace(rows, inputs=replace(each.inputs, bar=known))).to_files()[FILE]

    assert leaky(data) != leaky(spoilt)
    assert FoldFeatures.fit(data.take(train)).to_files() == FoldFeatures.fit(spoilt.take(train)).to_files()
