"""Gradient boosting by CatBoost (an extra): symmetric trees, saved as CatBoost's own binary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import CLASSES
from foldsmith.errors import DataError
from foldsmith.models.base import Classifier, Matrix, Rows
from foldsmith.models.parameters import Parameter
from foldsmith.models.stored import fact, unreadable

FILE = "booster.cbm"
PATIENCE = 25
KEPT_METADATA = ("class_params",)
"""The rest holds the time of training and a random id: no part of the model."""


class CatBoost(Classifier):
    """CatBoost's plain boosting of symmetric trees on the weighted multiclass log loss.

    Rounds run to `n_estimators`, or with `evaluation` until its log loss has not improved for 25; the rounds
    up to the best are kept. CatBoost refuses rows of a single class: their model is that class for certain.
    """

    name: ClassVar[str] = "catboost"
    cost: ClassVar[float] = 4.0
    library: ClassVar[str | None] = "catboost"
    extra: ClassVar[str | None] = "catboost"
    early_stopping: ClassVar[bool] = True
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "n_estimators": Parameter(400, 1, 20_000),
        "learning_rate": Parameter(0.1, 1e-4, 1.0, (0.02, 0.3), log=True),
        "max_depth": Parameter(4, 1, 12, (2, 7)),
        "subsample": Parameter(0.7, 0.01, 1.0, (0.4, 1.0)),
        "colsample_bylevel": Parameter(0.5, 0.01, 1.0, (0.2, 1.0)),
        "reg_lambda": Parameter(10.0, 0.0, 1e9, (0.1, 300.0), log=True),
        "max_bin": Parameter(63, 2, 65_535),
    }

    _booster: Any = None
    _only: int | None = None

    def _prepare(self, rows: Rows, reference: Any | None) -> Any:  # noqa: ARG002
        import catboost

        return catboost.Pool(rows.X, rows.codes, weight=rows.weight, thread_count=self.threads)

    def _train(self, train: Any, evaluation: Any | None) -> int | None:
        import catboost

        present = np.unique(np.asarray(train.get_label()))
        if len(present) == 1:
            self._booster, self._only = None, int(present[0])
            return None if evaluation is None else 1
        booster = catboost.CatBoost(
            {
                "loss_function": "MultiClass",
                "classes_count": len(CLASSES),
                "iterations": self.params["n_estimators"],
                "learning_rate": self.params["learning_rate"],
                "depth": self.params["max_depth"],
                "l2_leaf_reg": self.params["reg_lambda"],
                "rsm": self.params["colsample_bylevel"],
                "bootstrap_type": "Bernoulli",
                "subsample": self.params["subsample"],
                "border_count": self.params["max_bin"],
                "boosting_type": "Plain",
                "random_seed": self.seed,
                "thread_count": self.threads,
                "allow_writing_files": False,
                "logging_level": "Silent",
            }
        )
        if evaluation is None:
            booster.fit(train)
        else:
            booster.fit(train, eval_set=evaluation, early_stopping_rounds=PATIENCE, use_best_model=True)
        metadata = booster.get_metadata()
        for key in list(metadata.keys()):
            if key not in KEPT_METADATA:
                del metadata[key]
        self._booster, self._only = booster, None
        return None if evaluation is None else max(1, int(booster.tree_count_))

    def _predict(self, X: Matrix) -> npt.NDArray[Any]:
        if self._only is not None:
            P = np.zeros((len(X), len(CLASSES)))
            P[:, self._only] = 1
            return P
        raw = np.asarray(
            self._booster.predict(X, "RawFormulaVal", thread_count=self.threads), dtype=np.float64
        )
        E = np.exp(raw - raw.max(axis=1, keepdims=True))
        return np.asarray(E / E.sum(axis=1, keepdims=True))

    def _contributions(self, X: Matrix) -> npt.NDArray[Any] | None:
        import catboost

        if self._only is not None:
            return None
        pool = catboost.Pool(X, thread_count=self.threads)
        found = self._booster.get_feature_importance(pool, type="ShapValues", thread_count=self.threads)
        return np.asarray(found)

    def _dump(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        facts = {"only_class": self._only}
        # The public way to the same bytes goes through a file, and models touch no disk.
        return facts, {} if self._booster is None else {FILE: bytes(self._booster._serialize_model())}

    def _restore(self, facts: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        import catboost

        if facts.get("only_class") is not None:
            self._only = fact(facts, "only_class", int)
            if self._only not in (0, 1, 2):
                raise DataError(
                    f"the saved model's only class is {self._only}; it is damaged: train it again."
                )
            return
        if FILE not in files:
            raise DataError(f"{FILE} is missing from the saved model; train it again.")
        try:
            self._booster = catboost.CatBoost().load_model(blob=files[FILE])
            width = len(self._booster.feature_names_)
            shape = self._predict(np.zeros((1, self._fitted_features()), dtype=np.float32)).shape
        except (catboost.CatBoostError, ValueError, TypeError, IndexError) as error:
            raise unreadable(FILE, "CatBoost", error) from error
        if width > self._fitted_features() or shape != (1, len(CLASSES)):
            raise DataError(f"{FILE} has other features or classes than it was saved with; train it again.")
