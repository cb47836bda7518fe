"""Known leaks of models, planted where all models are fitted and predict; see `audit_leaks`."""

from __future__ import annotations

from typing import Any

import numpy as np

from foldsmith.models.base import Classifier
from foldsmith.stages.audit_leaks import Planting, swapped


def remembered_rows() -> Planting:
    """Rows of earlier fits fitted on too."""

    def leaking(real: Any) -> Any:
        earlier: list[Any] = []

        def fit(self: Any, X: Any, y: Any, sample_weight: Any, *, evaluation: Any = None) -> Any:
            earlier.append((X, y, sample_weight))
            seen = [each for each in earlier if each[0].shape[1] == X.shape[1]]
            return real(
                self, *(np.concatenate(each) for each in zip(*seen, strict=True)), evaluation=evaluation
            )

        return fit

    return swapped(Classifier, "fit", leaking)


def ranked_together() -> Planting:
    """Features ranked among the rows that are predicted together."""

    def leaking(real: Any) -> Any:
        def predict_proba(self: Any, X: Any) -> Any:
            ranks = np.argsort(np.argsort(X, axis=0, kind="stable"), axis=0, kind="stable")
            return real(self, (ranks / max(len(X), 1)).astype(np.float32))

        return predict_proba

    return swapped(Classifier, "predict_proba", leaking)


def chance_of_its_own() -> Planting:
    """Rows left out of each fit by chance that no seed decides."""

    def leaking(real: Any) -> Any:
        rng = np.random.default_rng()

        def fit(self: Any, X: Any, y: Any, sample_weight: Any, *, evaluation: Any = None) -> Any:
            rows = np.sort(rng.permutation(len(X))[len(X) // 20 :])
            return real(self, X[rows], y[rows], sample_weight[rows], evaluation=evaluation)

        return fit

    return swapped(Classifier, "fit", leaking)
