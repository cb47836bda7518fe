"""How far features and predictions of the scored rows have moved from those of rows before them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith.contracts import prediction_contract
from foldsmith.dataset import Dataset
from foldsmith.evaluation.drift import drift_table
from foldsmith.intervals import Rows
from foldsmith.runs.store import Run
from foldsmith.stages.horizon import HorizonTable
from foldsmith.stages.model_store import Predictor
from foldsmith.stages.tables import read_table
from foldsmith.validation.cross_validate import Probabilities

MOST_ROWS = 5000
"""Rows of a side that are compared: every k-th, in time order; more take longer and say the same."""
PROBABILITIES = ("prob_short", "prob_neutral", "prob_long")
VALIDATION = "predictions/validation.parquet"


def drifted(
    model: Run, predictor: Predictor, table: HorizonTable, split: str, held: Dataset, P: Probabilities
) -> dict[str, Any]:
    """Drift of what the model sees, training rows against those scored, and of what it says; JSON-able.

    Features are those of the dataset of the rows, without those fitted inside folds. Predictions are compared with the
    stored ones of validation rows: those of training rows are bolder, as the model was fitted on them; so there is
    nothing to compare validation rows with.
    """
    training = table.segments.training
    seen = predictor.needed(held.names)
    where = [held.names.index(name) for name in seen]
    before = table.data.X[training[_thinned(len(training))]][:, where]
    now = held.X[_thinned(len(held))][:, where]
    found: dict[str, Any] = {
        "rows": [len(before), len(now)],
        "features": drift_table(before, now, seen),
        "predictions": None,
    }
    if split != "validation" and VALIDATION in model.manifest.files:
        model.verify([VALIDATION])
        stored = read_table(model.path / VALIDATION, prediction_contract()).select(PROBABILITIES).to_numpy()
        sides: list[npt.NDArray[Any]] = [np.asarray(one)[_thinned(len(one))] for one in (stored, P)]
        found["predictions"] = drift_table(sides[0], sides[1], PROBABILITIES)
    return found


def _thinned(n: int) -> Rows:
    return np.arange(0, n, max(1, -(-n // MOST_ROWS)), dtype=np.int64)
