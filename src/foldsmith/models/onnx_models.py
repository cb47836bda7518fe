"""Fitted models as ONNX graphs, made from the forms they are saved in and not from their libraries' memory."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import CLASSES
from foldsmith.errors import SettingError
from foldsmith.models.base import FACTS_FILE, Classifier
from foldsmith.models.catalogue import MODELS
from foldsmith.models.forest import NODE, Forest, restored
from foldsmith.models.lightgbm import FILE as LIGHTGBM_FILE
from foldsmith.models.mlp import FILE as MLP_FILE
from foldsmith.models.multinomial import Multinomial
from foldsmith.models.onnx_graph import Graph
from foldsmith.models.preprocessing import Standardiser
from foldsmith.models.stored import arrays_of, numbers, unpack
from foldsmith.models.svm import FILE as SVM_FILE
from foldsmith.models.xgboost import FILE as XGBOOST_FILE

Facts = Mapping[str, Any]
Files = Mapping[str, bytes]
LIGHTGBM_ZERO = float(np.float32(1e-35))


def _class_prior(graph: Graph, x: str, p: int, facts: Facts, files: Files) -> str:  # noqa: ARG001
    return graph.linear(x, np.zeros((p, len(CLASSES))), numbers(facts, "shares", (len(CLASSES),)))


def _momentum(graph: Graph, x: str, p: int, facts: Facts, files: Files) -> str:  # noqa: ARG001
    Z = graph.standardised(x, Standardiser.from_facts(facts, p))
    return graph.multinomial(
        graph.linear(Z, np.full((p, 1), 1 / p), np.zeros(1)), Multinomial.from_facts(facts, 1)
    )


def _logistic(graph: Graph, x: str, p: int, facts: Facts, files: Files) -> str:  # noqa: ARG001
    Z = graph.standardised(x, Standardiser.from_facts(facts, p))
    return graph.multinomial(Z, Multinomial.from_facts(facts, p))


def _ridge(graph: Graph, x: str, p: int, facts: Facts, files: Files) -> str:  # noqa: ARG001
    k = len(CLASSES)
    B, a = numbers(facts, "ridge_coefficients", (k, p)), numbers(facts, "ridge_intercepts", (k,))
    scores = graph.linear(graph.standardised(x, Standardiser.from_facts(facts, p)), B.T, a)
    return graph.multinomial(scores, Multinomial.from_facts(facts, k))


def _svm(graph: Graph, x: str, p: int, facts: Facts, files: Files) -> str:
    k, m = len(CLASSES), int(facts["params"]["frequencies"])
    waves, coefficients = arrays_of(files, SVM_FILE, [(m, p), (k, 2 * m + 1)])
    Z = graph.standardised(x, Standardiser.from_facts(facts, p))
    phase = graph.linear(Z, waves.T, np.zeros(m))
    both = graph.node("Concat", graph.node("Cos", phase), graph.node("Sin", phase), axis=1)
    scores = graph.linear(both, coefficients[:, :-1].T / np.sqrt(m), coefficients[:, -1])
    return graph.multinomial(scores, Multinomial.from_facts(facts, k))


def _mlp(graph: Graph, x: str, p: int, facts: Facts, files: Files) -> str:
    hidden = [int(facts["params"]["width"])] * int(facts["params"]["layers"])
    into, out = [p, *hidden], [*hidden, len(CLASSES)]
    shapes: list[tuple[int, ...]] = [
        shape for a, b in zip(into, out, strict=True) for shape in ((a, b), (b,))
    ]
    arrays = arrays_of(files, MLP_FILE, shapes)
    Z = graph.standardised(x, Standardiser.from_facts(facts, p))
    for at in range(0, len(arrays), 2):
        Z = graph.linear(Z, arrays[at], arrays[at + 1])
        if at + 2 < len(arrays):
            Z = graph.node("Relu", Z)
    return graph.softmax(Z, facts["present"])


def _sampled_forest(graph: Graph, x: str, p: int, facts: Facts, files: Files) -> str:
    forest = restored(facts, files, p)
    nodes = forest.nodes.copy()
    nodes["shares"] /= len(forest.roots)
    return graph.trees(x, Forest(nodes, forest.roots), "BRANCH_LEQ")


def _hist_gradient_boosting(graph: Graph, x: str, p: int, facts: Facts, files: Files) -> str:
    base = numbers(facts, "base", (len(CLASSES),))
    if not files:
        scores = graph.linear(x, np.zeros((p, len(CLASSES))), base)
    else:
        scores = graph.trees(x, restored(facts, files, p, scores=True), "BRANCH_LEQ", base.tolist())
    return graph.softmax(scores, facts["present"])


def _lightgbm(graph: Graph, x: str, p: int, facts: Facts, files: Files) -> str:  # noqa: ARG001
    head, _, rest = files[LIGHTGBM_FILE].decode("ascii").partition("\n\n")
    at, parts = 0, []
    for size in map(int, head.rpartition("tree_sizes=")[2].split()):
        pairs = (line.partition("=") for line in rest[at : at + size].splitlines())
        parts.append(_lightgbm_tree({key: np.array(value.split()) for key, _, value in pairs}))
        at += size
    return graph.softmax(graph.trees(x, _joined(parts), "BRANCH_LEQ"))


def _lightgbm_tree(found: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Splits first, then leaves; of LightGBM's children those below 0 are leaves."""
    value = found["leaf_value"].astype(np.float64)
    splits = len(value) - 1
    nodes = _leaves(splits + len(value))
    nodes["shares"][splits:, 0] = value
    if splits:
        if (found["decision_type"].astype(np.int64) & 0b1100 == 0b0100).any():
            raise SettingError("lightgbm took zeros for missing values, which ONNX's trees cannot say.")
        nodes["feature"][:splits] = found["split_feature"].astype(np.int64)
        nodes["threshold"][:splits] = _as_seen(found["threshold"].astype(np.float64))
        for side in ("left", "right"):
            child = found[f"{side}_child"].astype(np.int64)
            nodes[side][:splits] = np.where(child < 0, splits - child - 1, child)
    return nodes


def _as_seen(threshold: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Thresholds that part values as LightGBM does, which takes every |x| <= 1e-35 for 0 before it compares."""
    below = np.nextafter(-LIGHTGBM_ZERO, -np.inf)
    near = np.where(threshold < 0, below, LIGHTGBM_ZERO)
    return np.where(np.abs(threshold) <= LIGHTGBM_ZERO, near, threshold)


def _xgboost(graph: Graph, x: str, p: int, facts: Facts, files: Files) -> str:  # noqa: ARG001
    import xgboost

    booster = xgboost.Booster(model_file=bytearray(files[XGBOOST_FILE]))
    learner = json.loads(booster.save_raw("json"))["learner"]
    trees = learner["gradient_booster"]["model"]["trees"]
    start = [float(one) for one in re.findall(r"[-+.\dEe]+", learner["learner_model_param"]["base_score"])]
    base = start * len(CLASSES) if len(start) == 1 else start
    scores = graph.trees(x, _joined([_xgboost_tree(tree) for tree in trees]), "BRANCH_LT", base)
    return graph.softmax(scores)


def _xgboost_tree(found: Mapping[str, Any]) -> npt.NDArray[Any]:
    """XGBoost's nodes as ours; a leaf's value stands where a split has its threshold."""
    left = np.array(found["left_children"], dtype=np.int64)
    leaf = left < 0
    # To float32 and back: what JSON spells is the shortest text of the float32.
    value = np.array(found["split_conditions"], dtype=np.float32).astype(np.float64)
    nodes = _leaves(len(left))
    nodes["feature"] = np.where(leaf, -1, found["split_indices"])
    nodes["left"], nodes["right"] = left, found["right_children"]
    nodes["threshold"] = np.where(leaf, 0.0, value)
    nodes["shares"][:, 0] = np.where(leaf, value, 0.0)
    return nodes


def _leaves(n: int) -> npt.NDArray[Any]:
    nodes = np.zeros(n, dtype=NODE)
    nodes["feature"] = -1
    return nodes


def _joined(trees: Sequence[npt.NDArray[Any]]) -> Forest:
    """Trees of boosters as a forest: scores in the first column move to that of the tree's class, which go in turn."""
    first, parts, roots = 0, [], []
    for number, nodes in enumerate(trees):
        value = nodes["shares"][:, 0].copy()
        nodes["shares"] = 0.0
        nodes["shares"][:, number % len(CLASSES)] = value
        nodes["left"] += first
        nodes["right"] += first
        parts.append(nodes)
        roots.append(first)
        first += len(nodes)
    return Forest(np.concatenate(parts), np.array(roots, dtype=np.int64))


WRITERS: dict[str, Callable[[Graph, str, int, Facts, Files], str]] = {
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "random_forest": _sampled_forest,
    "extra_trees": _sampled_forest,
    "hist_gradient_boosting": _hist_gradient_boosting,
    "logistic": _logistic,
    "ridge": _ridge,
    "svm": _svm,
    "mlp": _mlp,
    "class_prior": _class_prior,
    "momentum": _momentum,
}
"""How the models that have an ONNX form are written."""


def add_model(graph: Graph, x: str, model: Classifier) -> str:
    """A fitted model over x, float64 (n, p): the tensor of its probabilities (n, 3) in class order -1, 0, 1.

    SettingError for a model that has no such form.
    """
    if model.windowed:
        raise SettingError(
            f"{model.name} reads windows of bars, and the graph's input is one row; use `foldsmith serve`."
        )
    if model.name not in WRITERS or type(model) is not MODELS.get(model.name):
        raise SettingError(
            f"{model.name} has no ONNX form here; models that have one are {', '.join(WRITERS)}."
        )
    facts, files = unpack(FACTS_FILE, model.to_files())
    return graph.normalised(WRITERS[model.name](graph, x, int(facts["n_features"]), facts, files))
