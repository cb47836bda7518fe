"""Stacking: a meta-learner fitted on the out-of-fold probabilities of all training rows."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from foldsmith.ensembles.base import Ensemble
from foldsmith.ensembles.meta_learners import Floats
from foldsmith.intervals import Rows


class Stacking(Ensemble):
    """Fits its meta-learner on every out-of-fold row: most data, but base models of early folds saw later
    bars.

    Source: Wolpert, Stacked Generalization (1992), with purged folds.
    """

    name: ClassVar[str] = "stacking"
    needs_meta_learner: ClassVar[bool] = True

    def fitting_rows(self, fold: npt.NDArray[Any]) -> Rows:
        """All rows."""
        return np.arange(len(fold), dtype=np.int64)

    def predict_proba(self, P: npt.NDArray[Any]) -> Floats:
        """float64 (n, 3), by the meta-learner."""
        return self._fitted().predict_proba(self._checked(P))
