"""The parts that models are made of."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from tests.models.rows import planted, quick
from tests.oracles import models as oracle

from foldsmith.errors import DataError, IntegrityError
from foldsmith.models.forest import Forest
from foldsmith.models.parameters import Parameter, searched
from foldsmith.models.preprocessing import LIMIT, Standardiser
from foldsmith.models.stored import fact, numbers, pack, unpack


def test_the_forest_walks_as_scikit_learn_and_as_one_row_at_a_time():
    X, y, w = planted(300)
    twin = RandomForestClassifier(7, max_depth=5, max_samples=150, random_state=1).fit(X, y, w)
    forest = Forest.from_trees([tree.tree_ for tree in twin.estimators_], np.array([0, 1, 2]))
    found = forest.predict_proba(X)
    np.testing.assert_allclose(found, twin.predict_proba(X), atol=1e-12)
    slow = [np.mean([oracle.walk(forest.nodes, root, x) for root in forest.roots], axis=0) for x in X[:40]]
    np.testing.assert_allclose(found[:40], slow, atol=1e-12)


def test_a_value_on_the_threshold_goes_left():
    X = np.array([[0.0], [1.0]] * 20, dtype=np.float32)
    model = quick("random_forest", min_samples_leaf=1, max_samples=1.0, max_features=1.0)
    model.fit(X, np.array([-1, 1] * 20), np.ones(40))
    np.testing.assert_array_equal(model.predict_proba(np.array([[0.5], [0.50001]])), [[1, 0, 0], [0, 0, 1]])


def test_standardising_is_weighted_and_clips():
    rng = np.random.default_rng(0)
    X, w = rng.normal(5, 3, size=(200, 2)).astype(np.float32), rng.uniform(0.5, 2, 200)
    X[0, 0] = 1e6
    found = Standardiser.fit(X, w)
    mean = np.average(X, axis=0, weights=w)
    deviation = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=w))
    Z = found.transform(X)
    np.testing.assert_allclose(Z, np.clip((X - mean) / deviation, -LIMIT, LIMIT), rtol=1e-6)
    assert Z[0, 0] == LIMIT


@pytest.mark.parametrize("value", [0.0, 1.0, 5123.1, -1e-20, 1e30])
def test_a_constant_feature_is_nought(value):
    X = np.full((1000, 1), value, dtype=np.float32)
    found = Standardiser.fit(X, np.linspace(0.1, 1, 1000))
    assert (found.transform(X) == 0).all()


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.floats(allow_nan=False, allow_infinity=False)))
def test_facts_read_back_exactly(facts):
    packed = pack("facts.json", {"mine": facts}, {"a": b"1"})
    found, files = unpack("facts.json", packed)
    assert found["mine"] == facts
    assert files == {"a": b"1"}


def test_files_that_nobody_vouched_for_are_not_handed_on():
    packed = pack("facts.json", {}, {"a": b"1"})
    assert unpack("facts.json", {**packed, "b": b"2"})[1] == {"a": b"1"}


def test_facts_rewritten_without_their_hash_are_refused():
    packed = pack("facts.json", {"x": 1.5}, {})
    for changed in (packed["facts.json"].replace(b"1.5", b"1.6"), packed["facts.json"].replace(b" ", b"")):
        with pytest.raises(IntegrityError):
            unpack("facts.json", {"facts.json": changed})
    with pytest.raises(DataError):
        unpack("facts.json", {"facts.json": packed["facts.json"].replace(b"1.5", b"1e999")})


def test_numbers_that_are_not_finite_cannot_be_saved():
    with pytest.raises(DataError):
        pack("facts.json", {"x": float("inf")}, {})


@pytest.mark.parametrize("value", [None, True, "1", [1, "a"], [[1]], [1, 2, 3], [1e400, 0], [10**400, 0], {}])
def test_numbers_of_another_shape_are_refused(value):
    with pytest.raises(DataError):
        numbers({"x": value}, "x", (2,))


def test_a_flag_is_no_whole_number():
    with pytest.raises(DataError):
        fact({"x": True}, "x", int)


def test_searched_parameters_are_all_there_and_in_range():
    table = {"a": Parameter(1.0, 0, 10, (1, 5)), "b": Parameter(3, 1, 9, (2, 4)), "c": Parameter(1, 1, 1)}
    assert searched(table, {"a": 5.0, "b": 2})
    for params in (
        {"a": 5.0},
        {"a": 5.1, "b": 2},
        {"a": 1.0, "b": 2.5},
        {"a": 1.0, "b": 2, "c": 1},
        {"a": "x", "b": 2},
    ):
        assert not searched(table, params)
