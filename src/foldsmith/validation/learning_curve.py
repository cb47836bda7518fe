"""One model on growing, most recent shares of its training rows: whether more rows would help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

from foldsmith.dataset import Dataset
from foldsmith.errors import SettingError
from foldsmith.intervals import Rows
from foldsmith.models.base import Classifier
from foldsmith.models.catalogue import Model
from foldsmith.validation.cross_validate import NONE, Fitting, class_shares, fit_fold, refit
from foldsmith.validation.fold_features import FoldModel

SHARES = (0.1, 0.2, 0.4, 0.7, 1.0)


@dataclass(frozen=True)
class ShareFit:
    """A model fitted on these training rows, and their class shares: its yardstick."""

    rows: Rows
    fitted: FoldModel
    base_rate: tuple[float, float, float]


def recent_rows(n: int, share: float) -> Rows:
    """The last ceil(share n) of n rows. They end where all rows end, so they are purged as all are.

    >>> recent_rows(7, 0.4).tolist()
    [4, 5, 6]
    """
    if not 0 < share <= 1:
        raise SettingError(f"share={share} of the rows cannot be taken; it is above 0 and at most 1.")
    return np.arange(n - ceil(round(share * n, 6)), n, dtype=np.int64)


def fit_share(
    model: Model | type[Classifier],
    training: Dataset,
    share: float,
    *,
    fitting: Fitting,
    params: dict[str, Any],
    seeds: Sequence[int],
    threads: int = 1,
) -> ShareFit:
    """Fit `model` on a share of its training rows as a refit does: with these parameters, stopping nowhere early.

    params : of the stored model (`get_params`), its boosting rounds among them: a model with early stopping takes on
    every share the rounds that all rows chose. seeds : of the fit that a calibrator is made from, and of the refit.
    Weights, selection, features that are fitted, and the calibrator are made anew from the rows of the share and see no
    other. With share 1 the model has the bytes of the one that was stored. DataError where the rows are too few.
    """
    rows = recent_rows(len(training), share)
    seen = training.take(rows)
    params = {name: value for name, value in params.items() if name != "seed"}
    calibrator = None
    if fitting.calibrate != NONE:
        every = np.arange(len(seen), dtype=np.int64)
        before = fit_fold(
            model, seen, every, None, fitting=fitting, seed=seeds[0], keys=(), params=params, threads=threads
        )
        calibrator = before.fitted.correction.calibrator
    fitted = refit(
        model, seen, fitting=fitting, params=params, iterations=(), seed=seeds[1], threads=threads,
        calibrator=calibrator,
    )  # fmt: skip
    return ShareFit(rows, fitted, class_shares(seen.y))
