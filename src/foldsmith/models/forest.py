"""Trees grown by scikit-learn, kept and walked as plain arrays: what forests and histogram boosting share.

scikit-learn has no format of its own but pickle, which runs code, and a skops file holds the clock and
addresses in memory, so that equal fits give other bytes. Arrays of nodes have neither fault and outlive
scikit-learn's versions.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import CLASSES
from foldsmith.errors import DataError
from foldsmith.models.base import Classifier, Matrix
from foldsmith.models.stored import fact

FILE = "forest.bin"
LARGEST = 1e100
"""A leaf that says more is damaged; sums of smaller ones stay finite."""
NODE = np.dtype(
    [
        ("feature", "<i4"),
        ("left", "<i4"),
        ("right", "<i4"),
        ("threshold", "<f8"),
        ("shares", "<f8", (len(CLASSES),)),
    ]
)
"""One node: feature -1 for a leaf; children by number within the forest; class shares of its rows, or what the leaf of
a boosted tree adds to each class's score."""


@dataclass(frozen=True)
class Forest:
    """Nodes of all trees, tree after tree, each parent before its children; roots : int64, first nodes."""

    nodes: npt.NDArray[Any]
    roots: npt.NDArray[np.int64]

    @classmethod
    def from_trees(cls, trees: list[Any], codes: npt.NDArray[np.int64]) -> Self:
        """From scikit-learn's tree arrays; `codes` are the classes that its columns stand for."""
        parts, roots, first = [], [], 0
        for tree in trees:
            nodes = np.zeros(tree.node_count, dtype=NODE)
            leaf = tree.children_left < 0
            nodes["feature"] = np.where(leaf, -1, tree.feature)
            nodes["left"] = np.where(leaf, -1, tree.children_left + first)
            nodes["right"] = np.where(leaf, -1, tree.children_right + first)
            nodes["threshold"] = np.where(leaf, 0.0, tree.threshold)
            value = tree.value[:, 0, :]
            nodes["shares"][:, codes] = value / value.sum(axis=1, keepdims=True)
            parts.append(nodes)
            roots.append(first)
            first += len(nodes)
        return cls(np.concatenate(parts), np.array(roots, dtype=np.int64))

    @classmethod
    def from_bytes(cls, content: bytes, roots: list[Any], n_features: int, *, scores: bool = False) -> Self:
        """Undo `nodes.tobytes()`; DataError unless every walk stays inside and comes to an end.

        scores : leaves hold finite numbers to add up, which need not be shares.
        """
        if len(content) == 0 or len(content) % NODE.itemsize:
            raise DataError(
                f"{FILE} has {len(content)} bytes, which are no whole nodes; train the model again."
            )
        nodes = np.frombuffer(content, dtype=NODE)
        if not roots or not all(isinstance(root, int) and 0 <= root < len(nodes) for root in roots):
            raise DataError(f"the roots of {FILE} lie outside its {len(nodes)} nodes; train the model again.")
        inner = nodes["feature"] >= 0
        number = np.arange(len(nodes))
        # A child after its parent: no walk can go round in circles.
        good = (nodes["left"] > number) & (nodes["right"] > number)
        good &= (nodes["left"] < len(nodes)) & (nodes["right"] < len(nodes)) & (nodes["feature"] < n_features)
        shares = nodes["shares"]
        sane = (np.abs(shares) < LARGEST).all() and (
            scores or bool((shares >= 0).all() and (shares.sum(axis=1) > 0).all())
        )
        if not good[inner].all() or not sane or not np.isfinite(nodes["threshold"]).all():
            raise DataError(f"{FILE} holds nodes that no forest has; it is damaged: train the model again.")
        return cls(nodes, np.array(roots, dtype=np.int64))

    def predict_proba(self, X: Matrix) -> npt.NDArray[np.float64]:
        """float64 (n, 3): mean over trees of the leaf's class shares."""
        from foldsmith.models.forest_walk import walk

        return np.asarray(walk(X, self.roots, *self._columns))

    @cached_property
    def _columns(self) -> tuple[npt.NDArray[Any], ...]:
        """The nodes column by column, as the walk takes them."""
        names = ("feature", "threshold", "left", "right", "shares")
        return tuple(np.ascontiguousarray(self.nodes[name]) for name in names)


class SampledForest(Classifier):
    """A forest of scikit-learn's whose trees see a share of the rows each; the estimator is the subclass's."""

    _forest: Forest

    @abstractmethod
    def _estimator(self, **settings: Any) -> Any:
        """scikit-learn's forest with these settings."""

    def _train(self, train: Any, evaluation: Any | None) -> int | None:  # noqa: ARG002
        # As a share it would be of the sum of weights, so that their scale would choose its size.
        drawn = max(1, round(self.params["max_samples"] * len(train.X)))
        forest = self._estimator(
            **{**self.params, "max_samples": drawn}, random_state=self.seed, n_jobs=self.threads
        ).fit(train.X, train.codes, train.weight)
        trees = [estimator.tree_ for estimator in forest.estimators_]
        self._forest = Forest.from_trees(trees, forest.classes_.astype(np.int64))
        return None

    def _predict(self, X: Matrix) -> npt.NDArray[Any]:
        return self._forest.predict_proba(X)

    def _dump(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        return {"roots": self._forest.roots.tolist()}, {FILE: self._forest.nodes.tobytes()}

    def _restore(self, facts: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        self._forest = restored(facts, files, self._fitted_features())


def restored(
    facts: Mapping[str, Any], files: Mapping[str, bytes], n_features: int, *, scores: bool = False
) -> Forest:
    """The forest of a saved model; DataError if it is missing or damaged."""
    if FILE not in files:
        raise DataError(f"{FILE} is missing from the saved model; train it again.")
    return Forest.from_bytes(files[FILE], fact(facts, "roots", list), n_features, scores=scores)
