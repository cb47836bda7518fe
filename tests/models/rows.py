"""Small rows with a planted signal, and quick settings of every model."""

from __future__ import annotations

from typing import Any

import numpy as np

from foldsmith.models.base import Classifier
from foldsmith.models.catalogue import make

QUICK: dict[str, dict[str, Any]] = {
    "xgboost": {"n_estimators": 12, "learning_rate": 0.2, "min_child_weight": 1.0, "max_depth": 3},
    "lightgbm": {"n_estimators": 12, "learning_rate": 0.2, "min_child_samples": 10, "num_leaves": 7},
    "random_forest": {"n_estimators": 12, "min_samples_leaf": 10, "max_samples": 0.5, "max_features": 0.6},
    "logistic": {},
    "catboost": {"n_estimators": 12, "learning_rate": 0.2, "max_depth": 3},
    "extra_trees": {"n_estimators": 12, "min_samples_leaf": 5, "max_samples": 1.0, "max_features": 1.0},
    "hist_gradient_boosting": {
        "n_estimators": 12, "learning_rate": 0.2, "min_samples_leaf": 10, "num_leaves": 7, "reg_lambda": 1.0,
    },
    "ridge": {},
    "svm": {"frequencies": 24},
    "mlp": {"n_epochs": 12, "learning_rate": 0.01, "width": 12, "decay": 0.01},
    "class_prior": {},
    "momentum": {},
}  # fmt: skip
MANY: dict[str, dict[str, Any]] = {"mlp": {"n_epochs": 300, "learning_rate": 0.02}}
"""More rounds than early stopping lets a model take, where it is not 300 trees of a high rate."""


def planted(n: int = 500, p: int = 4, seed: int = 0) -> tuple[Any, Any, Any]:
    """X, y, weight: the first feature, blurred, decides the class."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)).astype(np.float32)
    score = X[:, 0] + 0.5 * rng.normal(size=n)
    y = (np.where(score > 0.5, 1, 0) - np.where(score < -0.5, 1, 0)).astype(np.int8)
    return X, y, rng.uniform(0.5, 1.5, n)


def quick(name: str, *, seed: int = 3, threads: int = 1, **params: Any) -> Classifier:
    """A model that fits in a blink."""
    return make(name, seed=seed, threads=threads, **{**QUICK[name], **params})


def many(name: str) -> dict[str, Any]:
    """Settings under which early stopping has something to do."""
    return MANY.get(name, {"n_estimators": 300, "learning_rate": 0.3})
