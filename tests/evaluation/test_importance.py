"""Importance of features: orders that stay within days, losses by hand, and SHAP values that add up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from foldsmith.errors import DataError
from foldsmith.evaluation.importance import (
    contribution_importance,
    permutation_importance,
    rank_correlation,
    sample_rows,
    shuffled_in_days,
)
from foldsmith.models.catalogue import installed, make


def softmax(scores):
    E = np.exp(scores - scores.max(axis=1, keepdims=True))
    return E / E.sum(axis=1, keepdims=True)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 4), st.integers(0, 99))
def test_blocks_trade_places_within_their_day(lengths, block, seed):
    days = np.repeat(np.arange(len(lengths)), lengths)
    order = shuffled_in_days(days, block, seed)
    assert sorted(order.tolist()) == list(range(len(days)))
    assert np.array_equal(days[order], days)
    # Whole blocks stay together: every block of a day is found in one piece.
    for day in range(len(lengths)):
        rows = np.flatnonzero(days == day)
        text = order[rows].tolist()
        for first in range(0, len(rows), block):
            piece = rows[first : first + block].tolist()
            assert text[text.index(piece[0]) :][: len(piece)] == piece
    with pytest.raises(DataError, match="at least 1"):
        shuffled_in_days(days, 0, seed)


def test_samples_are_rows_in_order():
    taken = sample_rows(1000, 100, 3)
    assert len(set(taken.tolist())) == 100
    assert (np.diff(taken) > 0).all()
    assert sample_rows(5, 100, 3).tolist() == [0, 1, 2, 3, 4]
    assert sample_rows(1000, 100, 3).tolist() == taken.tolist() != sample_rows(1000, 100, 4).tolist()


def test_a_feature_that_matters_is_found_and_one_that_does_not_counts_for_nothing():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 3))
    days = np.repeat(np.arange(30), 20)
    X[:, 2] = days  # the same all day: nothing to trade places with

    def predict(name, order):
        Z = X.copy()
        if name is not None:
            Z[:, "abc".index(name)] = X[order, "abc".index(name)]
        return softmax(np.stack([-2 * Z[:, 0], 0.05 * Z[:, 2], 2 * Z[:, 0]], axis=1))

    y = (predict(None, None).cumsum(axis=1) < rng.random(600)[:, None]).sum(axis=1) - 1
    found = permutation_importance(predict, ("a", "b", "c"), y, days, block=1, seed=5)
    by_name = {one["name"]: one for one in found["features"]}
    assert [one["name"] for one in found["features"]] == ["a", "b", "c"]
    assert by_name["b"]["importance"] == by_name["c"]["importance"] == 0
    order = shuffled_in_days(days, 1, 5)
    rows = np.arange(600)
    lost = -np.log(predict("a", order)[rows, y + 1]) + np.log(predict(None, None)[rows, y + 1])
    assert by_name["a"]["importance"] == pytest.approx(lost.mean())
    each = [(lost - lost.mean())[days == d].sum() for d in range(30)]
    assert by_name["a"]["se"] == pytest.approx((30 / 29 * sum(s * s for s in each)) ** 0.5 / 600)
    assert by_name["a"]["direction"] > 0.5
    assert found["rank_correlation"] == 1.0
    assert (found["rows"], found["days"]) == (600, 30)


@pytest.mark.parametrize("name", [one for one in ("lightgbm", "xgboost", "catboost") if one in installed()])
def test_contributions_add_up_to_the_score(name):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(3000, 4)).astype(np.float32)
    y = np.clip(np.round(X[:, 1] + rng.normal(0, 0.5, 3000)), -1, 1).astype(np.int8)
    model = make(name, seed=1, n_estimators=15).fit(X, y, np.ones(3000))
    phi = model.contributions(X[:50])
    assert phi.shape == (50, 3, 5)
    np.testing.assert_allclose(softmax(phi.sum(axis=2)), model.predict_proba(X[:50]), atol=1e-5)
    found = contribution_importance(phi, ("a", "b", "c", "d"))
    assert found["features"][0]["name"] == "b"
    assert found["features"][0]["long"] == pytest.approx(np.abs(phi[:, 2, 1]).mean())
    assert found["features"][0]["direction"] == pytest.approx(np.abs(phi[:, 2, 1] - phi[:, 0, 1]).mean())
    bag = contribution_importance(phi, ("a", "b", "c", "d"), [phi])
    assert bag["rank_correlation"] == pytest.approx(1.0)
    assert bag["models"] == 2


def test_a_model_without_them_says_so():
    X = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
    y = np.tile([-1, 0, 1], 20).astype(np.int8)
    assert make("logistic", seed=1).fit(X, y, np.ones(60)).contributions(X) is None


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=12))
def test_rank_correlation_is_spearmans(pairs):
    one, two = np.array(pairs, dtype=np.float64).T
    found = rank_correlation(one, two)
    if found is None:
        assert one.min() == one.max() or two.min() == two.max()
    else:
        assert found == pytest.approx(stats.spearmanr(one, two).statistic)
