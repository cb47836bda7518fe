"""What a cross-validation run would cost, before it is begun."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from foldsmith.config import CrossValidateSettings, ValidationSettings
from foldsmith.dataset import Dataset
from foldsmith.labels.weighting import Weighting
from foldsmith.models.catalogue import Model
from foldsmith.runs.store import Run
from foldsmith.stages.crossed import NO_OWN, Own
from foldsmith.stages.horizon import HorizonTable, load_horizons
from foldsmith.stages.window import checked_window
from foldsmith.validation.cross_validate import fit_fold

PROBE_ROWS = 5_000
"""Rows of the fit that is timed for each model; a fit's time is taken to grow with its rows."""
BASE_BYTES = 400 * 2**20
"""A process with its libraries, before any data."""
COPIES = 3.5
"""Copies of its training rows that a fit holds at once: the fold, its head and tail, and bins of a byte a value."""


@dataclass(frozen=True)
class Plan:
    """Number of fits and what they are; peak memory of all processes together, and wall time, both estimates."""

    fits: int
    described: str
    memory_bytes: float
    seconds: float


def plan_cv(dataset: Run, settings: CrossValidateSettings, workers: int, own: Own = NO_OWN) -> Plan:
    """Count the fits exactly; estimate time from one timed fit of each model on the last 5,000 training rows."""
    validation = settings.validation
    window = checked_window(dataset, settings.models, validation, settings.features)
    tables = load_horizons(dataset, settings.horizons, validation, window=window)
    studies = validation.n_splits + 1 if validation.tune else 0
    splits = 0 if settings.path_groups is None else settings.path_groups.n_splits
    studies += splits if validation.tune else 0
    per_model = (
        validation.n_splits
        + splits
        + studies * validation.n_trials * validation.tune_splits
        + (1 if validation.tune else 0)
        + 1
    )
    seconds, largest = 0.0, 0.0
    for table in tables.values():
        training = table.data.take(table.segments.training)
        for model in settings.models:
            seen = training.select(settings.features.get(model))
            kind = own[model].load() if model in own else model
            seconds += per_model * _seconds(kind, seen, table, validation.seed)
        rows = len(training) * (validation.n_splits - 1) / validation.n_splits
        largest = max(largest, rows * len(table.recipe.names) * 4 * COPIES)
    shared = sum(table.data.X.nbytes for table in tables.values())
    described = (
        f"{len(settings.models)} models x {len(tables)} horizons x ({validation.n_splits} folds + 1 refit"
        + (f" + {splits} path splits" if splits else "")
        + (f" + {studies} searches x {_trials(validation)} + 1" if validation.tune else "")
        + ")"
    )
    return Plan(
        fits=per_model * len(settings.models) * len(tables),
        described=described,
        memory_bytes=BASE_BYTES + shared + workers * (BASE_BYTES + largest),
        seconds=seconds / workers,
    )


def _trials(validation: ValidationSettings) -> str:
    folds = "" if validation.tune_splits == 1 else f" x {validation.tune_splits} folds"
    return f"{validation.n_trials} trials{folds}" + (" at most" if validation.prune else "")


def _seconds(model: Model, training: Dataset, table: HorizonTable, seed: int) -> float:
    """Seconds of a fit on all training rows, from one on the last few."""
    sample = training.take(np.arange(max(0, len(training) - PROBE_ROWS), len(training)))
    started = time.perf_counter()
    fit_fold(
        model,
        sample,
        np.arange(len(sample), dtype=np.int64),
        None,
        fitting=replace(table.fitting, weighting=Weighting("none", table.separation.bars)),
        seed=seed,
        keys=(),
    )
    return (time.perf_counter() - started) * len(training) / len(sample)
