"""Gradient boosting by scikit-learn's histogram trees, kept and walked as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import CLASSES
from foldsmith.errors import DataError
from foldsmith.models.base import Classifier, Matrix
from foldsmith.models.forest import FILE, NODE, Forest, restored
from foldsmith.models.multinomial import SUBSETS, softmax
from foldsmith.models.parameters import Parameter
from foldsmith.models.stored import fact, numbers

PATIENCE = 25


class HistGradientBoosting(Classifier):
    """scikit-learn's leaf-wise histogram trees on the weighted multiclass log loss.

    Rounds run to `n_estimators`, or with `evaluation` until none of the last 25 had a smaller log loss there than the
    round before them; the rounds up to the best are kept. Bin edges are taken from the training rows alone. A class
    that the training rows lack has probability 0, and evaluation rows of that class say nothing about when to stop.
    """

    name: ClassVar[str] = "hist_gradient_boosting"
    cost: ClassVar[float] = 8.0
    early_stopping: ClassVar[bool] = True
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "n_estimators": Parameter(400, 1, 20_000),
        "learning_rate": Parameter(0.05, 1e-4, 1.0, (0.02, 0.2), log=True),
        "num_leaves": Parameter(15, 2, 4096, (4, 63), log=True),
        "min_samples_leaf": Parameter(200, 1, 10_000_000, (20, 2000), log=True),
        "max_features": Parameter(0.5, 0.01, 1.0, (0.2, 1.0)),
        "reg_lambda": Parameter(10.0, 0.0, 1e9, (0.1, 300.0), log=True),
        "max_bin": Parameter(63, 2, 255),
    }

    _forest: Forest | None = None
    _base: npt.NDArray[np.float64]
    _present: tuple[int, ...]

    def _train(self, train: Any, evaluation: Any | None) -> int | None:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        self._present = tuple(int(code) for code in np.unique(train.codes))
        self._base, self._forest = np.zeros(len(CLASSES)), None
        if len(self._present) == 1:
            return None if evaluation is None else 1
        known = np.zeros(0, bool) if evaluation is None else np.isin(evaluation.codes, self._present)
        against = {}
        if known.any():
            against = {
                "X_val": evaluation.X[known],  # type: ignore[union-attr]
                "y_val": evaluation.codes[known],  # type: ignore[union-attr]
                "sample_weight_val": evaluation.weight[known],  # type: ignore[union-attr]
            }
        with threadpool_limits(self.threads, "openmp"):
            model = self._estimator(stopping=bool(against)).fit(train.X, train.codes, train.weight, **against)
        rounds = model._predictors
        # The first score is that of no round at all.
        kept = int(np.argmax(model.validation_score_[1:])) + 1 if against else len(rounds)
        self._keep(model._baseline_prediction, rounds[:kept])
        return None if evaluation is None else kept

    def _estimator(self, *, stopping: bool) -> Any:
        from sklearn.ensemble import HistGradientBoostingClassifier

        return HistGradientBoostingClassifier(
            max_iter=int(self.params["n_estimators"]),
            learning_rate=self.params["learning_rate"],
            max_leaf_nodes=int(self.params["num_leaves"]),
            min_samples_leaf=int(self.params["min_samples_leaf"]),
            max_features=self.params["max_features"],
            l2_regularization=self.params["reg_lambda"],
            max_bins=int(self.params["max_bin"]),
            categorical_features=None,
            early_stopping=stopping,
            n_iter_no_change=PATIENCE,
            tol=0.0,
            random_state=self.seed,
        )

    def _keep(self, baseline: npt.NDArray[Any], rounds: list[list[Any]]) -> None:
        """Take baseline scores and trees; of two classes there is one score, the log odds of the second."""
        columns = self._present if len(self._present) == len(CLASSES) else self._present[1:]
        self._base[list(columns)] = np.asarray(baseline, dtype=np.float64).ravel()
        parts, roots, first = [], [], 0
        for trees in rounds:
            for column, tree in zip(columns, trees, strict=True):
                parts.append(_nodes(tree.nodes, column, first))
                roots.append(first)
                first += len(parts[-1])
        self._forest = Forest(np.concatenate(parts), np.array(roots, dtype=np.int64))

    def _predict(self, X: Matrix) -> npt.NDArray[Any]:
        scores = np.tile(self._base, (len(X), 1))
        if self._forest is not None:
            scores += self._forest.predict_proba(X) * len(self._forest.roots)
        return softmax(scores, self._present)

    def _dump(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        facts = {"present": list(self._present), "base": self._base.tolist()}
        if self._forest is None:
            return facts, {}
        return {**facts, "roots": self._forest.roots.tolist()}, {FILE: self._forest.nodes.tobytes()}

    def _restore(self, facts: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        present = fact(facts, "present", list)
        if present not in [list(codes) for codes in SUBSETS]:
            raise DataError(f"the saved model's entry 'present' is {present!r:.60}; train it again.")
        self._present = tuple(present)
        self._base = numbers(facts, "base", (len(CLASSES),))
        if len(present) > 1:
            self._forest = restored(facts, files, self._fitted_features(), scores=True)


def _nodes(tree: npt.NDArray[Any], column: int, first: int) -> npt.NDArray[Any]:
    """scikit-learn's nodes of one tree as ours: its leaves add to one class's score."""
    nodes = np.zeros(len(tree), dtype=NODE)
    leaf = tree["is_leaf"].astype(bool)
    nodes["feature"] = np.where(leaf, -1, tree["feature_idx"])
    nodes["left"] = np.where(leaf, -1, tree["left"].astype(np.int64) + first)
    nodes["right"] = np.where(leaf, -1, tree["right"].astype(np.int64) + first)
    nodes["threshold"] = np.where(leaf, 0.0, tree["num_threshold"])
    nodes["shares"][:, column] = np.where(leaf, tree["value"], 0.0)
    return nodes
