"""Voting: the plain mean of the base models' probabilities."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from foldsmith.ensembles.base import Ensemble
from foldsmith.ensembles.meta_learners import Floats, weighted_mean
from foldsmith.intervals import Rows


class Voting(Ensemble):
    """Soft vote with equal weights. Nothing is fitted, so nothing overfits: the yardstick of the others."""

    name: ClassVar[str] = "voting"
    needs_meta_learner: ClassVar[bool] = False

    def fitting_rows(self, fold: npt.NDArray[Any]) -> Rows:
        """All rows; they are checked, and nothing is learned from them."""
        return np.arange(len(fold), dtype=np.int64)

    def predict_proba(self, P: npt.NDArray[Any]) -> Floats:
        """float64 (n, 3): the mean over models."""
        m = len(self.models)
        return weighted_mean(self._checked(P), np.full(m, 1 / m))
