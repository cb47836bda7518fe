"""Blending: a meta-learner fitted on a purged holdout at the end of the training rows."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from foldsmith.ensembles.base import Ensemble
from foldsmith.ensembles.meta_learners import Floats
from foldsmith.intervals import Rows


class Blending(Ensemble):
    """Fits its meta-learner on the last fold alone, whose base models were trained on earlier rows only.

    That fold is the classical holdout, purged: nothing that the meta-learner sees was predicted by a model
    that knew a later bar. The price is fewer rows.
    """

    name: ClassVar[str] = "blending"
    needs_meta_learner: ClassVar[bool] = True

    def fitting_rows(self, fold: npt.NDArray[Any]) -> Rows:
        """Rows of the last fold."""
        return np.flatnonzero(fold == fold.max()).astype(np.int64)

    def predict_proba(self, P: npt.NDArray[Any]) -> Floats:
        """float64 (n, 3), by the meta-learner."""
        return self._fitted().predict_proba(self._checked(P))
