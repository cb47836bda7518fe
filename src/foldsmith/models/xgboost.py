"""Gradient boosting by XGBoost: histogram trees, multiclass softmax, saved as universal binary JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import CLASSES
from foldsmith.errors import DataError
from foldsmith.models.base import Classifier, Matrix, Rows
from foldsmith.models.parameters import Parameter
from foldsmith.models.stored import unreadable

FILE = "booster.ubj"
PATIENCE = 25


class XGBoost(Classifier):
    """XGBoost's `hist` trees on the weighted multiclass log loss.

    Rounds run to `n_estimators`, or with `evaluation` until its log loss has not improved for 25; the rounds
    up to the best are kept. `min_child_weight` counts Hessian weight, about 0.44 per row of unit weight.
    """

    name: ClassVar[str] = "xgboost"
    cost: ClassVar[float] = 4.0
    library: ClassVar[str | None] = "xgboost"
    early_stopping: ClassVar[bool] = True
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "n_estimators": Parameter(400, 1, 20_000),
        "learning_rate": Parameter(0.05, 1e-4, 1.0, (0.02, 0.2), log=True),
        "max_depth": Parameter(4, 1, 16, (2, 7)),
        "min_child_weight": Parameter(90.0, 0.0, 1e9, (10.0, 1000.0), log=True),
        "subsample": Parameter(0.7, 0.01, 1.0, (0.4, 1.0)),
        "colsample_bytree": Parameter(0.5, 0.01, 1.0, (0.2, 1.0)),
        "reg_lambda": Parameter(10.0, 0.0, 1e9, (0.1, 300.0), log=True),
        "max_bin": Parameter(63, 2, 65_535),
    }

    _booster: Any = None

    def _prepare(self, rows: Rows, reference: Any | None) -> Any:
        import xgboost

        return xgboost.QuantileDMatrix(
            rows.X,
            rows.codes,
            weight=rows.weight,
            ref=reference,
            max_bin=int(self.params["max_bin"]),
            nthread=self.threads,
        )

    def _train(self, train: Any, evaluation: Any | None) -> int | None:
        import xgboost

        settings = {key: value for key, value in self.params.items() if key != "n_estimators"}
        booster = xgboost.train(
            {
                **settings,
                "objective": "multi:softprob",
                "num_class": len(CLASSES),
                "eval_metric": "mlogloss",
                "tree_method": "hist",
                "seed": self.seed,
                "nthread": self.threads,
                "verbosity": 0,
            },
            train,
            int(self.params["n_estimators"]),
            evals=[] if evaluation is None else [(evaluation, "tail")],
            early_stopping_rounds=None if evaluation is None else PATIENCE,
            verbose_eval=False,
        )
        kept = None if evaluation is None else int(booster.best_iteration) + 1
        if kept is not None:
            booster = booster[:kept]
            booster.set_attr(best_iteration=None, best_score=None)
        # Set once: a booster whose parameters are set anew configures itself anew when it predicts.
        booster.set_param({"nthread": self.threads})
        self._booster = booster
        return kept

    def _predict(self, X: Matrix) -> npt.NDArray[Any]:
        return np.asarray(self._booster.inplace_predict(X))

    def _contributions(self, X: Matrix) -> npt.NDArray[Any]:
        import xgboost

        return np.asarray(self._booster.predict(xgboost.DMatrix(X, nthread=self.threads), pred_contribs=True))

    def _dump(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        return {}, {FILE: bytes(self._booster.save_raw("ubj"))}

    def _restore(self, facts: Mapping[str, Any], files: Mapping[str, bytes]) -> None:  # noqa: ARG002
        import xgboost

        if FILE not in files:
            raise DataError(f"{FILE} is missing from the saved model; train it again.")
        try:
            self._booster = xgboost.Booster(
                {"nthread": self.threads, "verbosity": 0}, model_file=bytearray(files[FILE])
            )
            found = (
                self._booster.num_features(),
                self._booster.inplace_predict(np.zeros((1, self._fitted_features()))).shape,
            )
        except (xgboost.core.XGBoostError, ValueError, TypeError) as error:
            raise unreadable(FILE, "XGBoost", error) from error
        if found != (self._fitted_features(), (1, len(CLASSES))):
            raise DataError(f"{FILE} has other features or classes than it was saved with; train it again.")
