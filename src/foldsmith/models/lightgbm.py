"""Gradient boosting by LightGBM: leaf-wise histogram trees, saved as LightGBM's own text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import CLASSES
from foldsmith.errors import DataError
from foldsmith.models.base import Classifier, Matrix, Rows
from foldsmith.models.lightgbm_text import check_text
from foldsmith.models.parameters import Parameter
from foldsmith.models.stored import unreadable

FILE = "booster.txt"
PATIENCE = 25


class LightGBM(Classifier):
    """LightGBM's leaf-wise trees on the weighted multiclass log loss.

    Rounds run to `n_estimators`, or with `evaluation` until its log loss has not improved for 25; the rounds
    up to the best are kept. Bin edges are taken from the training rows alone.
    """

    name: ClassVar[str] = "lightgbm"
    cost: ClassVar[float] = 4.0
    library: ClassVar[str | None] = "lightgbm"
    early_stopping: ClassVar[bool] = True
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "n_estimators": Parameter(400, 1, 20_000),
        "learning_rate": Parameter(0.05, 1e-4, 1.0, (0.02, 0.2), log=True),
        "num_leaves": Parameter(15, 2, 4096, (4, 63), log=True),
        "min_child_samples": Parameter(200, 1, 10_000_000, (20, 2000), log=True),
        "subsample": Parameter(0.7, 0.01, 1.0, (0.4, 1.0)),
        "colsample_bytree": Parameter(0.5, 0.01, 1.0, (0.2, 1.0)),
        "reg_lambda": Parameter(10.0, 0.0, 1e9, (0.1, 300.0), log=True),
        "max_bin": Parameter(63, 2, 65_535),
    }

    _booster: Any = None

    def _common(self) -> dict[str, Any]:
        return {
            "max_bin": self.params["max_bin"],
            "data_random_seed": self.seed,
            "num_threads": self.threads,
            # Else features are dropped by the first fit's min_child_samples, and rows cannot be fitted twice.
            "feature_pre_filter": False,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }

    def _prepare(self, rows: Rows, reference: Any | None) -> Any:
        import lightgbm

        return lightgbm.Dataset(
            rows.X, rows.codes, weight=rows.weight, reference=reference, params=self._common()
        ).construct()

    def _train(self, train: Any, evaluation: Any | None) -> int | None:
        import lightgbm

        settings = {
            key: value for key, value in self.params.items() if key not in ("n_estimators", "max_bin")
        }
        booster = lightgbm.train(
            {
                **self._common(),
                **settings,
                "bagging_freq": 1,
                "objective": "multiclass",
                "num_class": len(CLASSES),
                "metric": "multi_logloss",
                "seed": self.seed,
            },
            train,
            int(self.params["n_estimators"]),
            valid_sets=[] if evaluation is None else [evaluation],
            callbacks=[] if evaluation is None else [lightgbm.early_stopping(PATIENCE, verbose=False)],
        )
        kept = None if evaluation is None else int(booster.best_iteration)
        text = booster.model_to_string(num_iteration=-1 if kept is None else kept)
        # What follows the trees are settings, the number of threads among them: no part of the model.
        self._load(text[: text.index("\nfeature_importances:")] + "\n")
        return kept

    def _load(self, text: str) -> None:
        import lightgbm

        self._text = text
        self._booster = lightgbm.Booster(model_str=text)

    def _predict(self, X: Matrix) -> npt.NDArray[Any]:
        return np.asarray(self._booster.predict(X, num_threads=self.threads))

    def _contributions(self, X: Matrix) -> npt.NDArray[Any]:
        return np.asarray(self._booster.predict(X, pred_contrib=True, num_threads=self.threads))

    def _dump(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        return {}, {FILE: self._text.encode()}

    def _restore(self, facts: Mapping[str, Any], files: Mapping[str, bytes]) -> None:  # noqa: ARG002
        import lightgbm

        if FILE not in files:
            raise DataError(f"{FILE} is missing from the saved model; train it again.")
        try:
            text = files[FILE].decode("ascii")
            check_text(text, self._fitted_features(), len(CLASSES))
            self._load(text)
            found = self._booster.num_feature(), self._booster.num_model_per_iteration()
        except (lightgbm.basic.LightGBMError, ValueError, TypeError) as error:
            raise unreadable(FILE, "LightGBM", error) from error
        if found != (self._fitted_features(), len(CLASSES)):
            raise DataError(
                f"{FILE} has {found[0]} features and {found[1]} classes, not those it was saved with; "
                "train it again."
            )
