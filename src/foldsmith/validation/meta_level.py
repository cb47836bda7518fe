"""The second level: an ensemble on purged folds of the fixed out-of-fold table, and the calibrator behind it.

Not fully nested: base predictions of a meta-fold's training rows come from models that saw labels of its test rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import Dataset
from foldsmith.ensembles.base import Ensemble
from foldsmith.ensembles.catalogue import load_ensemble
from foldsmith.intervals import Rows
from foldsmith.models.calibrators import Calibrator
from foldsmith.splits import PurgedKFold, purged_tail
from foldsmith.validation.correction import Correction
from foldsmith.validation.cross_validate import (
    NONE,
    Probabilities,
    Separation,
    calibrated,
    predict,
)

MakeEnsemble = Callable[[], Ensemble]


@dataclass(frozen=True)
class MetaModel:
    """A fitted ensemble and what calibrates its probabilities."""

    ensemble: Ensemble
    correction: Correction

    def predict_proba(self, P: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """(n, 3) in class order -1, 0, 1, from base probabilities (n, 3 m)."""
        return self.correction.apply(self.ensemble.predict_proba(P))

    def describe(self) -> dict[str, Any]:
        """What it is and what it learned, as JSON-able values for a report."""
        calibrator = self.correction.calibrator
        said = {} if calibrator is None else {"calibrator": calibrator.name, **_short(calibrator)}
        return {**self.ensemble.describe(), **said}

    def get_params(self) -> dict[str, Any]:
        """Those of the ensemble."""
        return self.ensemble.get_params()

    def to_files(self) -> dict[str, bytes]:
        """Both as named bytes; equal fits give equal bytes."""
        return {**self.ensemble.to_files(), **self.correction.to_files()}

    @classmethod
    def from_files(cls, name: str, files: Mapping[str, bytes]) -> Self:
        """What `to_files` saved of an ensemble of the catalogue. DataError or IntegrityError for anything else."""
        return cls(load_ensemble(name, files), Correction.from_files(files))


@dataclass(frozen=True)
class MetaFolds:
    """Rows of the out-of-fold table that were scored, and their meta-level out-of-fold probabilities, float32 (n, 3).

    uncalibrated : the same before each fold's calibrator; the same object where there is none.
    """

    rows: Rows
    probabilities: Probabilities
    uncalibrated: Probabilities


def out_of_fold(
    make_one: MakeEnsemble,
    P: Probabilities,
    data: Dataset,
    fold: npt.NDArray[np.int16],
    *,
    n_splits: int,
    separation: Separation,
    calibrate: str = NONE,
    tail_share: float = 0.2,
    on_fold: Callable[[Rows, Rows], None] | None = None,
) -> MetaFolds:
    """The ensemble on purged folds of the fixed table: each row predicted by one that was not fitted on it.

    `data.X` is not looked at. Rows are those the ensemble may fit on (`fitting_rows`). A fold's calibrator is fitted on
    the purged tail of the fold's own training rows, as predicted by an ensemble that was fitted on the rows before it.
    `on_fold` is told the rows of the table that each fold is fitted on and scored on, before it is.
    """
    rows = make_one().fitting_rows(fold)
    inner = data.take(rows)
    plain = np.empty((len(rows), 3), dtype=np.float32)
    out = plain if calibrate == NONE else np.empty_like(plain)
    split = PurgedKFold(n_splits, t0=inner.t0, t1=inner.t1, **separation.options())
    for train, test in split.split(inner.X):
        at = rows[train]
        if on_fold is not None:
            on_fold(at, rows[test])
        seen = inner.take(train)
        ensemble = make_one().fit(P[at], seen.y, seen.weight, fold[at])
        plain[test] = predict(ensemble, P[rows[test]])
        if calibrate != NONE:
            calibrator = on_tail(make_one, P[at], seen, fold[at], separation, calibrate, tail_share)
            out[test] = calibrator.apply(plain[test])
    return MetaFolds(rows, out, plain)


def on_tail(
    make_one: MakeEnsemble,
    P: Probabilities,
    rows: Dataset,
    fold: npt.NDArray[np.int16],
    separation: Separation,
    calibrate: str,
    tail_share: float,
) -> Calibrator:
    """A calibrator fitted on the purged tail of these rows, predicted by an ensemble fitted on their head."""
    head, tail = purged_tail(rows.t0, rows.t1, tail_share, **separation.options())
    before = make_one().fit(P[head], rows.y[head], rows.weight[head], fold[head])
    return calibrated(calibrate, predict(before, P[tail]), rows.take(tail))


def fit_meta(
    make_one: MakeEnsemble,
    P: Probabilities,
    data: Dataset,
    fold: npt.NDArray[np.int16],
    folds: MetaFolds,
    calibrate: str = NONE,
) -> MetaModel:
    """The ensemble on all rows it may fit on; its calibrator on `folds`, predictions of rows left out."""
    ensemble = make_one().fit(P, data.y, data.weight, fold)
    if calibrate == NONE:
        return MetaModel(ensemble, Correction())
    made = calibrated(calibrate, folds.uncalibrated, data.take(folds.rows))
    return MetaModel(ensemble, Correction(calibrator=made))


def _short(calibrator: Calibrator) -> dict[str, Any]:
    """What a calibrator learned, where it is a few numbers."""
    facts = calibrator.as_facts()
    return {"calibration": facts} if calibrator.name != "isotonic" else {}
