"""Paths of an ensemble: for each path of its base models, the second level cross-fitted as on the out-of-fold table.

Rows, meta-level folds, purge, embargo and calibration are those of the ordinary out-of-fold table; only the base
probabilities are another path's. As there it is not fully nested: base predictions of a meta-fold's training rows come
from models that saw labels of its scored rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from foldsmith.config import TAIL_SHARE
from foldsmith.ensembles.base import Ensemble
from foldsmith.ensembles.catalogue import make_ensemble
from foldsmith.errors import IntegrityError
from foldsmith.intervals import Rows
from foldsmith.runs.store import Run
from foldsmith.stages.crossed import events_table
from foldsmith.stages.ensemble_inputs import EnsembleInputs
from foldsmith.stages.ensemble_options import EnsembleOptions
from foldsmith.stages.join import events, spans
from foldsmith.stages.path_data import BASE, StoredPaths, read_paths
from foldsmith.stages.path_profits import rows_of
from foldsmith.validation.cross_validate import Probabilities, derived_seed
from foldsmith.validation.meta_level import MetaFolds, out_of_fold


def maker(inputs: EnsembleInputs, name: str, meta_learner: str | None) -> Callable[[], Ensemble]:
    """Makes the ensemble anew, as every fold of the second level has it."""
    seed = derived_seed(inputs.settings.seed, name, inputs.horizon)
    return lambda: make_ensemble(name, meta_learner, models=inputs.models, seed=seed)


def cross_fitted(
    inputs: EnsembleInputs,
    make_one: Callable[[], Ensemble],
    P: Probabilities,
    options: EnsembleOptions,
    on_fold: Callable[[Rows, Rows], None] | None = None,
) -> MetaFolds:
    """The ensemble on purged folds of a table with the rows of `inputs.oof` and base probabilities P, (n, 3 m)."""
    return out_of_fold(
        make_one,
        P,
        spans(inputs.oof),
        inputs.oof["fold"].to_numpy(),
        n_splits=inputs.settings.n_splits,
        separation=inputs.separation,
        calibrate=options.calibrate_ensemble,
        tail_share=TAIL_SHARE,
        on_fold=on_fold,
    )


def ensemble_paths(
    cv_run: Run, inputs: EnsembleInputs, name: str, meta_learner: str | None, options: EnsembleOptions
) -> StoredPaths | None:
    """One out-of-fold path of the ensemble for each of its base models'; None where the CV run has no paths."""
    base = base_paths(cv_run, inputs)
    if base is None:
        return None
    make_one = maker(inputs, name, meta_learner)
    made = [cross_fitted(inputs, make_one, P, options) for P in base.P]
    rows = events_table(events(inputs.oof).take(made[0].rows))
    return StoredPaths(base.groups, rows, np.stack([folds.probabilities for folds in made]))


def base_paths(cv_run: Run, inputs: EnsembleInputs) -> StoredPaths | None:
    """Paths of all base models side by side, (n_paths, n, 3 m); IntegrityError for rows not of the stored table."""
    names = [BASE.format(model, inputs.horizon) for model in inputs.models]
    if not any(name in cv_run.manifest.files for name in names):
        return None
    stored = [read_paths(cv_run, name) for name in names]
    for name, each in zip(names, stored, strict=True):
        if each.groups != stored[0].groups or not rows_of(each.rows).equals(rows_of(inputs.oof)):
            raise IntegrityError(
                f"{cv_run.path / name} holds other rows or groups than the rest of its run; make the CV run again."
            )
    P: Any = np.concatenate([each.P for each in stored], axis=2)
    return StoredPaths(stored[0].groups, stored[0].rows, np.ascontiguousarray(P))
