"""ONNX graphs of whole models, bags and ensembles against what the models say, where a graph would first differ."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from tests.models.rows import planted, quick

from foldsmith.dataset import CLASSES
from foldsmith.ensembles.catalogue import make_ensemble
from foldsmith.errors import DataError
from foldsmith.models.calibrators import calibrator_class
from foldsmith.models.onnx_graph import INPUT, OUTPUT
from foldsmith.stages.model_store import Predictor
from foldsmith.stages.onnx_model import onnx_bytes
from foldsmith.validation.correction import Correction
from foldsmith.validation.fold_features import FoldFeatures, FoldModel
from foldsmith.validation.meta_level import MetaModel

onnx = pytest.importorskip("onnx", reason="needs the extra `onnx`: onnx is not installed")
ort = pytest.importorskip("onnxruntime", reason="needs the extra `onnx`: onnxruntime is not installed")

NAMES = ("a", "b", "c", "d", "e")
BASES = ("lightgbm", "xgboost", "random_forest", "logistic")
WITHIN = 3e-6
"""A probability of trees differs by what a float32 sum of their scores rounds: 12 trees to 2^-22 (2.4e-7) of a score of
up to 4, and a probability moves by at most half of what its score does. A meta-learner's coefficients, here below 3,
multiply that; a mean does not."""
JOINED = [
    ("voting", None),
    ("stacking", "logistic"),
    ("stacking", "greedy"),
    ("blending", "logistic"),
    ("blending", "greedy"),
]


def data(n: int, seed: int) -> tuple[Any, Any, Any]:
    """Rows in eighths: many lie where a tree is cut. The first column decides the class."""
    X, y, weight = planted(n, len(NAMES), seed)
    return np.ascontiguousarray((np.round(X * 8) / 8).astype(np.float32)), y, weight


def part(name: str, fold: int, correction: Correction) -> FoldModel:
    """A base model fitted on the rows of one of three folds."""
    X, y, weight = data(900, 1)
    rows = np.arange(len(X)) % 3 == fold
    return FoldModel(FoldFeatures(), quick(name).fit(X[rows], y[rows], weight[rows]), correction)


@cache
def bases(members: int) -> dict[str, tuple[FoldModel, ...]]:
    """All base models, bags of `members`; class weights are undone in one, another is calibrated."""
    warm = calibrator_class("temperature").from_facts({"temperature": 1.7})
    corrections = {"xgboost": Correction(balance=(0.8, 1.3, 0.9)), "logistic": Correction(calibrator=warm)}
    return {
        name: tuple(part(name, fold, corrections.get(name, Correction())) for fold in range(members))
        for name in BASES
    }


def joined(kind: tuple[str, str | None], members: int) -> Predictor:
    """An ensemble fitted on what its base models say of other rows; one base model sees other columns."""
    plain = Predictor("", bases(members), None, {})
    X, y, weight = data(600, 2)
    P = plain.base_probabilities(X, NAMES)
    fold = np.repeat(np.arange(3), 200).astype(np.int16)
    ensemble = make_ensemble(*kind, models=BASES, seed=1).fit(P, y, weight, fold)
    return Predictor(kind[0], plain.bases, MetaModel(ensemble, Correction()), {})


def on_cuts(content: bytes, X: Any) -> Any:
    """Rows of X with one value each put on a cut of a tree, and one float32 below and above it."""
    cuts = []
    for node in onnx.load_from_string(content).graph.node:
        if node.op_type == "TreeEnsembleRegressor":
            found = {each.name: each for each in node.attribute}
            values = onnx.numpy_helper.to_array(found["nodes_values_as_tensor"].t)
            cuts += [
                (feature, value)
                for feature, value, mode in zip(
                    found["nodes_featureids"].ints, values, found["nodes_modes"].strings, strict=True
                )
                if mode != b"LEAF"
            ]
    assert len(cuts) > 100
    rows = np.repeat(X[np.arange(len(cuts)) % len(X)], 3, axis=0)
    for at, (feature, value) in enumerate(cuts):
        near = np.float32(value)
        rows[3 * at : 3 * at + 3, feature] = near, np.nextafter(near, -np.inf), np.nextafter(near, np.inf)
    return rows


def extreme(X: Any, seed: int) -> Any:
    """Rows of X with values put to the ends of float32, to its smallest, and to zeros of both signs."""
    ends = np.finfo(np.float32)
    wild = np.array([ends.max, -ends.max, ends.tiny, 1e-45, -1e-45, 1e-36, 0.0, -0.0, 1e20], np.float32)
    rng = np.random.default_rng(seed)
    return np.where(rng.random(X.shape) < 0.5, rng.choice(wild, X.shape), X).astype(np.float32)


def answered(content: bytes, X: Any) -> Any:
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = 1
    session = ort.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
    return session.run([OUTPUT], {INPUT: X})[0]


def check(predictor: Predictor) -> bytes:
    """The graph, after it said what the model says on common rows, on cuts and at the ends of float32."""
    content = onnx_bytes(predictor, NAMES, {})
    X = data(200, 3)[0]
    rows = np.ascontiguousarray(np.vstack([X, on_cuts(content, X), extreme(X, 4), np.zeros_like(X[:1])]))
    found, said = answered(content, rows), predictor.predict_proba(rows, NAMES)
    assert found.dtype == np.float32
    assert np.abs(found - said).max() < WITHIN
    assert np.abs(found.sum(axis=1) - 1).max() < 1e-6
    assert np.ptp(found[:200], axis=0).min() > 0.2  # it tells rows apart
    return content


@pytest.mark.parametrize("kind", JOINED, ids=lambda kind: "-".join(map(str, kind)))
@pytest.mark.parametrize("members", [1, 3])
def test_an_ensemble_of_models_or_bags_says_the_same_as_a_graph(
    kind: tuple[str, str | None], members: int
) -> None:
    predictor = joined(kind, members)
    assert check(predictor) == onnx_bytes(predictor, NAMES, {})


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "random_forest"])
def test_a_bag_of_the_models_of_folds_says_the_same_as_a_graph(name: str) -> None:
    check(Predictor(name, {name: bases(3)[name]}, None, {}))


def test_base_models_with_columns_of_their_own() -> None:
    X, y, weight = data(600, 5)
    seen = {"lightgbm": ("d", "a"), "logistic": NAMES[::-1]}
    made = {
        name: (
            FoldModel(
                FoldFeatures(),
                quick(name).fit(np.ascontiguousarray(X[:, [NAMES.index(one) for one in mine]]), y, weight),
                Correction(),
            ),
        )
        for name, mine in seen.items()
    }
    voting = make_ensemble("voting", None, models=tuple(made), seed=1)
    predictor = Predictor("voting", made, MetaModel(voting, Correction()), seen)
    content = onnx_bytes(predictor, NAMES, {})
    rows = data(200, 6)[0]
    assert np.abs(answered(content, rows) - predictor.predict_proba(rows, NAMES)).max() < WITHIN


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_row_with_a_value_that_is_missing_is_answered_by_none(value: float) -> None:
    """The model refuses such rows; trees of a graph would take NaN for a large number and answer as if it were one."""
    predictor = joined(("stacking", "greedy"), 1)
    content = onnx_bytes(predictor, NAMES, {})
    rows = data(50, 7)[0]
    whole = answered(content, rows)
    for column in range(len(NAMES)):
        holed = rows.copy()
        holed[::2, column] = value
        with pytest.raises(DataError):
            predictor.predict_proba(holed, NAMES)
        found = answered(content, holed)
        assert np.isnan(found[::2]).all()
        np.testing.assert_array_equal(found[1::2], whole[1::2])
    assert whole.shape == (50, len(CLASSES))
