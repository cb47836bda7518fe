"""The meta-learners that are base models: what they must find, and what they must not make of noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.ensembles.test_conformance import FOLD, MODELS, P, W, Y

from foldsmith.ensembles.base import FACTS_FILE
from foldsmith.ensembles.catalogue import load_ensemble, make_ensemble
from foldsmith.ensembles.classifier_learners import LightGBMMetaLearner, RidgeMetaLearner
from foldsmith.errors import DataError
from foldsmith.models.base import FACTS_FILE as CLASSIFIER
from foldsmith.models.catalogue import make

BOTH = ["ridge", "lightgbm"]


def fitted(learner: str, q: Any, y: Any, models: list[str]) -> Any:
    made = make_ensemble("stacking", learner, models=models, seed=1)
    return made.fit(q, y, np.ones(len(y)), np.zeros(len(y)))


def loss(q: Any, y: Any) -> float:
    return float(-np.log(np.maximum(q[np.arange(len(y)), y + 1], 1e-12)).mean())


def drawn(seed: int, n: int, m: int) -> tuple[Any, Any]:
    """Labels that no model knows anything of."""
    rng = np.random.default_rng(seed)
    return rng.dirichlet([8, 8, 8], (n, m)).reshape(n, 3 * m).astype(np.float32), rng.integers(-1, 2, n)


def believed(seed: int, n: int) -> tuple[Any, Any]:
    """Two models that name a side: right if both are sure or neither is, wrong if one is: no weights can say so."""
    rng = np.random.default_rng(seed)
    long, sure = rng.random(n) < 0.5, rng.random((n, 2)) < 0.5
    right = rng.random(n) < np.where(sure[:, 0] == sure[:, 1], 0.85, 0.15)
    side = np.where(sure, 0.7, 0.45)
    q = np.stack([0.9 - side, np.full((n, 2), 0.1), side], axis=2)
    q = np.where(long[:, None, None], q, q[:, :, ::-1])
    return q.reshape(n, 6).astype(np.float32), np.where(right == long, 1, -1)


@pytest.mark.parametrize("learner", BOTH)
def test_of_noise_nothing_is_made(learner: str) -> None:
    q, y = drawn(0, 3000, 4)
    later, z = drawn(1, 3000, 4)
    found = fitted(learner, q, y, ["a", "b", "c", "d"]).predict_proba(later)
    assert loss(found, z) < np.log(3) + 0.012
    assert np.abs(found - 1 / 3).mean() < 0.05


def test_trees_find_when_a_model_is_to_be_believed_and_weights_do_not() -> None:
    q, y = believed(0, 6000)
    later, z = believed(1, 6000)
    losses = {
        learner: loss(fitted(learner, q, y, ["a", "b"]).predict_proba(later), z)
        for learner in ("logistic", "ridge", "lightgbm")
    }
    assert min(losses["logistic"], losses["ridge"]) > 0.65
    assert losses["lightgbm"] < losses["logistic"] - 0.08


def test_ridge_needs_nothing_more_of_a_calibrated_model() -> None:
    rng = np.random.default_rng(0)
    q = rng.dirichlet([3, 4, 3], 20_000)
    y = (rng.random(20_000)[:, None] > q.cumsum(axis=1)).sum(axis=1) - 1
    found = fitted("ridge", q, y, ["a"]).predict_proba(q)
    assert loss(found, y) < loss(q, y) + 0.01


@pytest.mark.parametrize("learner", [RidgeMetaLearner, LightGBMMetaLearner])
def test_each_is_the_base_model_on_log_probabilities(learner: Any) -> None:
    twin = make(learner.name, seed=77, **learner.settings(len(P)))  # another seed: nothing is drawn
    X = np.log(np.maximum(P.astype(np.float64), 1e-6)).astype(np.float32)
    expected = twin.fit(X, Y, W).predict_proba(X)
    found = learner().fit(P, Y.astype(np.int64) + 1, W).predict_proba(P)
    assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("learner", BOTH)
def test_files_of_another_ensemble_are_refused(learner: str) -> None:
    mine = make_ensemble("stacking", learner, models=MODELS, seed=1).fit(P, Y, W, FOLD).to_files()
    other = make_ensemble("stacking", learner, models=MODELS[:2], seed=1).fit(P[:, :6], Y, W, FOLD).to_files()
    with pytest.raises((DataError, ValueError)):
        load_ensemble("stacking", mine | {name: other[name] for name in other if name != FACTS_FILE})
    with pytest.raises(DataError, match="missing"):
        load_ensemble("stacking", {name: mine[name] for name in mine if name != CLASSIFIER})
