"""What an ensemble is trained from: read from a CV run, or made on the spot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from foldsmith.config import CrossValidateSettings, ValidationSettings
from foldsmith.contracts import oof_contract
from foldsmith.errors import DataError, SettingError
from foldsmith.runs.store import Run, Workspace
from foldsmith.stages.crossed import NO_OWN, CrossValidated, Own
from foldsmith.stages.executors import Executor
from foldsmith.stages.horizon import HorizonTable, load_closes, load_recipe
from foldsmith.stages.joined_model import Join
from foldsmith.stages.model_store import StoredModel, read_model
from foldsmith.stages.out_of_fold import run_folds
from foldsmith.stages.publish import Building
from foldsmith.stages.recipe import Recipe
from foldsmith.stages.stacking_data import read_stacking
from foldsmith.stages.trained import parent_dataset
from foldsmith.stages.units import UnitStore
from foldsmith.validation.cross_validate import Separation

Say = Callable[[str], None]


@dataclass(frozen=True)
class EnsembleInputs:
    """All that an ensemble is trained from, wherever it came from.

    join, coverage : how predictions of several runs or horizons were joined, and what share of rows has them all; None
    and empty where there is one source.
    """

    horizon: int
    models: tuple[str, ...]
    oof: pl.DataFrame
    validation: pl.DataFrame
    bases: dict[str, StoredModel]
    settings: ValidationSettings
    separation: Separation
    join: Join | None = None
    coverage: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """Predictions of one run at one horizon, what they were made of, and the run's place among those named, from 1.

    run : the CV run they were stored by, None for those made on the spot.
    """

    inputs: EnsembleInputs
    recipe: Recipe
    dataset: Run
    place: int
    run: Run | None = None


def stored_inputs(workspace: Workspace, cv_run: Run, horizon: int, place: int = 1) -> Source:
    """Read what an ensemble needs from a CV run, every hash checked, its dataset too."""
    stacking = read_stacking(cv_run, horizon)
    metadata = stacking.metadata
    dataset = parent_dataset(workspace, cv_run)
    recipe = load_recipe(dataset)
    try:
        settings = ValidationSettings(**metadata["validation"])
    except (TypeError, SettingError) as error:
        raise DataError(
            f"CV run {cv_run.id} does not say how its folds were made ({error}); make it again."
        ) from error
    models = tuple(metadata["models"])
    inputs = EnsembleInputs(
        horizon=horizon,
        models=models,
        oof=stacking.data,
        validation=stacking.validation,
        bases={model: read_model(cv_run, f"models/{model}_h{horizon}") for model in models},
        settings=settings,
        separation=Separation(int(metadata["embargo_bars"]), settings.purge_bars, load_closes(dataset)),
    )
    return Source(inputs, recipe, dataset, place, cv_run)


def fresh_inputs(
    run: Building,
    tables: dict[int, HorizonTable],
    cv: CrossValidateSettings,
    fingerprint: str,
    executor: Executor,
    say: Say,
    own: Own = NO_OWN,
) -> dict[int, EnsembleInputs]:
    """Make the out-of-fold predictions here and now (the legacy way), by the code that `cv` runs: by horizon."""
    crossed = run_folds(
        tables,
        cv.models,
        cv.validation,
        UnitStore(run.path),
        executor=executor,
        say=say,
        recorder=run.recorder(fingerprint),
        features=cv.features,
        own=own,
    )
    return {horizon: inputs_of(made, tables[horizon], cv.validation) for horizon, made in crossed.items()}


def inputs_of(made: CrossValidated, table: HorizonTable, settings: ValidationSettings) -> EnsembleInputs:
    """What an ensemble is trained from, of predictions that are at hand."""
    return EnsembleInputs(
        horizon=made.horizon,
        models=made.models,
        oof=oof_contract(made.models).check(made.oof),
        validation=made.validation,
        bases=made.bases,
        settings=settings,
        separation=table.separation,
    )
