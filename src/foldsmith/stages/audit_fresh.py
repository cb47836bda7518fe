"""Ensembles that made their out-of-fold predictions on the spot: these are made again, and proved like stored ones.

The run keeps what its meta-level folds predicted. Made again from other base predictions that would differ, so it ties
the predictions made now to those that the ensemble was trained from.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from foldsmith.audit import intervals, seal
from foldsmith.audit.proof import Proof, attempted, failed_to_run
from foldsmith.config import ValidationSettings, stated
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.store import Run, Workspace
from foldsmith.stages import audit_models, audit_splits
from foldsmith.stages.audit_splits import Folds, Meta
from foldsmith.stages.ensemble import _inputs
from foldsmith.stages.ensemble_inputs import Source, inputs_of
from foldsmith.stages.ensemble_options import EnsembleOptions
from foldsmith.stages.executors import Executor
from foldsmith.stages.horizon import load_horizons
from foldsmith.stages.joined import check_horizons
from foldsmith.stages.models_file import classes, load_as_recorded, records_of
from foldsmith.stages.out_of_fold import run_folds
from foldsmith.stages.remake import _cv_settings, _without_joined
from foldsmith.stages.trials import TrialRecorder
from foldsmith.stages.units import UnitStore
from foldsmith.stages.window import longest_window


@dataclass(frozen=True)
class MadeAgain:
    """The folds of every horizon that an ensemble joins, and its meta level."""

    folds: list[Folds]
    meta: Meta


def fresh_proofs(workspace: Workspace, dataset: Run, model: Run, quick: bool) -> Iterator[Proof]:
    """Intervals and seals of the base folds and of the meta level."""
    name = f"model {model.id}"
    try:
        made = made_again(workspace, dataset, model)
    except Exception as error:  # noqa: BLE001 - whatever stopped it, what did not run must not pass
        yield failed_to_run(intervals.GROUP, f"{name}: predictions made again", error)
        return
    for turn, folds in enumerate(made.folds):
        yield from audit_splits.interval_proofs(folds)
        yield from audit_splits.seal_proofs(folds, quick, turn)
        yield from audit_models.fold_proofs(folds, quick, turn)
    yield attempted(
        intervals.GROUP,
        f"{name}: meta-level folds, intervals",
        partial(audit_splits.prove_meta_intervals, made.meta),
    )
    which = [1] if quick else None
    yield attempted(seal.GROUP, f"{name}: meta-level folds", partial(seal.prove_meta, made.meta.case, which))


def made_again(workspace: Workspace, dataset: Run, model: Run) -> MadeAgain:
    """Every base model cross-validated anew with the settings of the run; no trial of it is counted."""
    known, options = model.manifest.parameters, EnsembleOptions.from_manifest(model.manifest.parameters)
    horizon, plain = int(known["horizon"]), _without_joined(known)
    horizons = check_horizons(horizon, options)
    cv = _cv_settings(plain, plain["base_models"], horizons, stated(ValidationSettings, known))
    tables = load_horizons(dataset, horizons, cv.validation, window=longest_window(cv.models))
    own = load_as_recorded(workspace, records_of(known))
    with tempfile.TemporaryDirectory(prefix="foldsmith-audit-") as folder:
        ledger = Ledger(Path(folder) / "ledger.sqlite")
        crossed = run_folds(
            tables,
            cv.models,
            cv.validation,
            UnitStore(Path(folder)),
            executor=Executor(),
            say=_quiet,
            recorder=TrialRecorder(ledger, model.id, dataset.manifest.content),
            features=cv.features,
            own=own,
        )
    sources = [
        Source(inputs_of(crossed[h], tables[h], cv.validation), tables[h].recipe, dataset, 1)
        for h in horizons
    ]
    inputs = _inputs(sources, options, _quiet, lambda _: classes(own))
    folds = [
        Folds(
            f"model {model.id} h{h}",
            tables[h],
            cv.validation,
            cv.models,
            cv.features,
            crossed[h].oof,
            crossed[h].validation,
            crossed[h].results["certificates"],
            classes(own),
        )
        for h in horizons
    ]
    return MadeAgain(folds, audit_splits.meta_of(inputs, model))


def _quiet(_: str) -> None:
    """Say nothing."""
