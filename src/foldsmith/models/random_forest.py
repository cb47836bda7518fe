"""A random forest grown by scikit-learn, kept and walked as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from foldsmith.models.forest import SampledForest
from foldsmith.models.parameters import Parameter


class RandomForest(SampledForest):
    """scikit-learn's random forest of shallow trees, each on a small bootstrap sample: quick, and calm in noise.

    `max_samples` and `max_features` are shares of rows and features; leaves hold at least `min_samples_leaf`
    rows.
    """

    name: ClassVar[str] = "random_forest"
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "n_estimators": Parameter(100, 1, 10_000),
        "max_depth": Parameter(8, 1, 64, (3, 14)),
        "min_samples_leaf": Parameter(50, 1, 10_000_000, (10, 500), log=True),
        "max_features": Parameter(0.15, 1e-6, 1.0, (0.05, 0.5)),
        "max_samples": Parameter(0.1, 1e-6, 1.0, (0.03, 0.4), log=True),
    }

    def _estimator(self, **settings: Any) -> Any:
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(**settings)
