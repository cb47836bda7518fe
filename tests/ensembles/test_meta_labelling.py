"""Meta-labelling against a slow twin, and what it must find and keep."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from tests.ensembles.test_conformance import FOLD, MODELS, P, W, Y, table
from tests.oracles import models as oracle

from foldsmith.ensembles.catalogue import load_ensemble, make_ensemble
from foldsmith.ensembles.meta_labelling import LogisticSideLearner, MetaLabelling
from foldsmith.errors import DataError
from foldsmith.labels.meta_labels import meta_labels, more_probable_side


def fitted(P: Any, y: Any, models: list[str] = MODELS, weight: Any = None) -> MetaLabelling:
    made = make_ensemble("meta_labelling", "logistic", models=models, seed=1)
    found = made.fit(P, y, np.ones(len(y)) if weight is None else weight, np.zeros(len(y)))
    assert isinstance(found, MetaLabelling)
    return found


def loss(P: Any, y: Any) -> float:
    return float(-np.log(np.maximum(P[np.arange(len(y)), y + 1], 1e-12)).mean())


@settings(max_examples=60, deadline=None)
@given(n=st.integers(4, 40), m=st.integers(1, 4), seed=st.integers(0, 9999), ties=st.booleans())
def test_against_a_slow_twin(n: int, m: int, seed: int, ties: bool) -> None:
    """Row by row, the regression replaced by the coefficients that were found."""
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(4, [0.3, 0.4, 0.3], size=(n, m)) / 4 if ties else rng.dirichlet([1, 1, 1], (n, m))
    q, y = drawn.reshape(n, 3 * m).astype(np.float32), rng.integers(-1, 2, n)
    slow_rows, slow_right = oracle.meta_labels(q.tolist(), y.tolist())
    if not slow_rows:
        with pytest.raises(DataError, match="no side to label"):
            fitted(q, y, [f"m{k}" for k in range(m)])
        return
    model = fitted(q, y, [f"m{k}" for k in range(m)])
    facts = model.describe()
    assert set(facts["present"]) == set(slow_right)
    found = model.predict_proba(q)
    np.testing.assert_allclose(found, oracle.meta_labelled(q.tolist(), facts), atol=1e-9)


def test_labels_are_the_twin_s_and_keep_their_rows() -> None:
    side = more_probable_side(P[:, :3])
    rows, right = meta_labels(side, Y)
    slow_rows, slow_right = oracle.meta_labels(P[:, :3].tolist(), Y.tolist())
    assert (rows.tolist(), right.tolist()) == (slow_rows, slow_right)
    assert set(np.unique(right)) == {0, 1}
    for side, y, told in (
        ([1, 2], [0, 0], "a side is 2"),
        ([1, 0], [0, 5], "a label is 5"),
        ([1], [0, 1], "one each a row"),
    ):
        with pytest.raises(DataError, match=told):
            meta_labels(np.array(side), np.array(y))


def test_the_regression_is_scikit_learn_s() -> None:
    learner = LogisticSideLearner().fit(P, Y.astype(np.int64) + 1, W)
    X, rows, right = (np.array(part) for part in oracle.meta_inputs(P.tolist(), Y.tolist()))
    # A regression of two classes with a coefficient each has half the penalty of one with a single one.
    twin = LogisticRegression(
        C=2 / (LogisticSideLearner.L2 * P.shape[1] / 3 * W[rows].sum()), tol=1e-10, max_iter=10_000
    )
    twin.fit(X, right, W[rows])
    np.testing.assert_allclose(learner.right(P)[rows], twin.predict_proba(X)[:, 1], atol=1e-5)


def test_a_market_turned_over_gives_probabilities_turned_over() -> None:
    def turned(P: Any) -> Any:
        return P.reshape(len(P), -1, 3)[:, :, ::-1].reshape(P.shape)

    found = fitted(P, Y, weight=W).predict_proba(P)
    other = fitted(turned(P), -Y, weight=W).predict_proba(turned(P))
    np.testing.assert_allclose(other[:, ::-1], found, atol=1e-7)


def test_the_side_is_the_primary_s_and_the_rest_is_shared_as_it_says() -> None:
    model, (fresh, *_) = fitted(P, Y), table(seed=2)
    found, mean = model.predict_proba(fresh), (fresh[:, :3] + fresh[:, 3:6] + fresh[:, 6:]) / 3
    against = np.where(mean[:, 2] > mean[:, 0], 0, 2)
    rows = np.arange(len(fresh))
    np.testing.assert_allclose(
        found[rows, against] / found[:, 1], mean[rows, against] / mean[:, 1], rtol=1e-4
    )


def test_it_finds_when_a_primary_is_to_be_believed() -> None:
    """Two models; their side is right nine times of ten where they agree, and half the time where they do not."""

    def market(seed: int, n: int = 6000) -> tuple[Any, Any]:
        rng = np.random.default_rng(seed)
        agree, long = rng.random(n) < 0.5, rng.random(n) < 0.5
        right = rng.random(n) < np.where(agree, 0.9, 0.5)
        sure, other = np.array([0.1, 0.2, 0.7]), np.array([0.35, 0.35, 0.3])
        second = np.where(agree[:, None], sure, other)
        parts = np.hstack([np.tile(sure, (n, 1)), second]).reshape(n, 2, 3)
        parts = np.where(long[:, None, None], parts, parts[:, :, ::-1])
        return parts.reshape(n, 6), np.where(right == long, 1, -1)

    model = fitted(*market(0), ["a", "b"])
    q, y = market(1)
    found, mean = model.predict_proba(q), (q[:, :3] + q[:, 3:]) / 2
    assert loss(found, y) < loss(mean, y) - 0.04
    agree = q[:, 1] == q[:, 4]
    m = found.max(axis=1)
    assert m[agree].mean() == pytest.approx(0.9, abs=0.02)
    side = np.where(mean[:, 2] > mean[:, 0], 2, 0)
    assert found[np.arange(len(q)), side][~agree].mean() == pytest.approx(0.5, abs=0.03)


def test_of_a_calibrated_primary_nothing_is_left_to_learn() -> None:
    rng = np.random.default_rng(0)
    q = rng.dirichlet([3, 4, 3], 40_000)
    y = (rng.random(40_000)[:, None] > q.cumsum(axis=1)).sum(axis=1) - 1
    found = fitted(q, y, ["a"]).predict_proba(q)
    assert abs(loss(found, y) - loss(q, y)) < 0.002


def test_sure_and_sideless_rows() -> None:
    """Certain of the side: the rest is halved. Short and long equal: the primary stands."""
    model = fitted(P[:, :3], Y, ["a"])
    q = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.25, 0.5, 0.25], [0.0, 1.0, 0.0]])
    found = model.predict_proba(q)
    assert found[0, 0] == found[0, 1] < found[0, 2]
    assert found[1, 2] == found[1, 1] < found[1, 0]
    np.testing.assert_array_equal(found[2:], q[2:])
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
    always = fitted(P[:, :3], more_probable_side(P[:, :3]), ["a"]).predict_proba(P[:, :3])
    assert (always.max(axis=1) == 1).all()


def test_rows_without_a_side_teach_nothing() -> None:
    level = np.tile(np.array([0.3, 0.4, 0.3], dtype=np.float32), (50, 3))
    more = np.vstack([P, level]), np.r_[Y, np.ones(50, dtype=np.int8)]
    assert fitted(*more).to_files() == fitted(P, Y).to_files()


def test_saved_coefficients_of_a_third_answer_are_refused() -> None:
    import json

    from foldsmith.ensembles.base import FACTS_FILE
    from foldsmith.models.stored import OWN, pack

    facts = json.loads(fitted(P, Y).to_files()[FACTS_FILE])
    body = {k: v for k, v in facts.items() if k not in ("format", "sha256", OWN)} | {"present": [1, 2]}
    with pytest.raises(DataError, match="more than right and wrong"):
        load_ensemble("meta_labelling", pack(FACTS_FILE, body, {}))
    assert len(FOLD) == len(P)
