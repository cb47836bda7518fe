"""ONNX graphs against the models they are made from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.models.rows import planted, quick

from foldsmith.errors import SettingError
from foldsmith.models.base import Classifier
from foldsmith.models.catalogue import ROW_MODELS
from foldsmith.models.onnx_graph import INPUT, Graph
from foldsmith.models.onnx_models import WRITERS, add_model

pytest.importorskip("onnx", reason="needs the extra `onnx`: onnx is not installed")
ort = pytest.importorskip("onnxruntime", reason="needs the extra `onnx`: onnxruntime is not installed")


def answered(content: bytes, X: Any) -> Any:
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {INPUT: X})[0]


def exported(model: Classifier, p: int) -> bytes:
    graph = Graph()
    return graph.to_bytes(add_model(graph, graph.wide(INPUT), model), p, {})


def on_edges(X: Any, train: Any, seed: int) -> Any:
    """Rows of other values, among them those of training rows, at which trees are cut, and wild ones."""
    rng = np.random.default_rng(seed)
    far = (10.0 ** rng.uniform(-38, 6, X.shape) * rng.choice([-1, 1], X.shape)).astype(np.float32)
    mixed = np.stack([rng.permutation(train[:, j])[: len(X)] for j in range(X.shape[1])], axis=1)
    return np.ascontiguousarray(np.vstack([X, mixed, far, np.zeros_like(X[:1])]))


@pytest.mark.parametrize("name", sorted(WRITERS))
@pytest.mark.parametrize("classes", [(-1, 0, 1), (-1, 1), (0,)])
def test_a_graph_says_what_its_model_says(name: str, classes: tuple[int, ...]) -> None:
    X, y, weight = planted(600, 4)
    # Halves: many rows lie exactly where a tree is cut, and a threshold rounded the wrong way would show.
    X = np.ascontiguousarray((np.round(X * 8) / 8).astype(np.float32))
    X[:, 3] = 0.5  # a constant feature, of scale 0
    kept = np.isin(y, classes)
    model = quick(name).fit(X[kept], y[kept], weight[kept])
    again = type(model).from_files(model.to_files())
    content = exported(again, 4)
    rows = on_edges(planted(300, 4, seed=9)[0], X, 5)
    found = answered(content, rows)
    assert found.dtype == np.float32
    assert np.abs(found - model.predict_proba(rows)).max() < 2e-6
    assert content == exported(model, 4)
    # It says different things of different rows, where the model does.
    if len(classes) > 1 and name != "class_prior":
        assert np.ptp(found[:, 0]) > 0.05


def test_a_model_without_a_form_is_refused_by_name() -> None:
    left = sorted(set(ROW_MODELS) - set(WRITERS))
    assert left == ["catboost"]

    class Mine(ROW_MODELS["logistic"]):  # type: ignore[misc]
        """A user's own, under a name of the catalogue."""

    X, y, weight = planted(100)
    with pytest.raises(SettingError, match="has no ONNX form"):
        add_model(Graph(), INPUT, Mine(seed=1).fit(X, y, weight))
