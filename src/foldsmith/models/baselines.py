"""Baselines: what a model has to beat. Both come out of the same folds and files as any other model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import CLASSES
from foldsmith.errors import DataError
from foldsmith.models.base import Classifier, Matrix
from foldsmith.models.multinomial import Multinomial, fit_multinomial
from foldsmith.models.parameters import Parameter
from foldsmith.models.preprocessing import Standardiser
from foldsmith.models.stored import numbers


class ClassPrior(Classifier):
    """The weighted class shares of the training rows, whatever the features say."""

    name: ClassVar[str] = "class_prior"
    cost: ClassVar[float] = 0.1
    parameters: ClassVar[Mapping[str, Parameter]] = {}

    _shares: npt.NDArray[np.float64]

    def _train(self, train: Any, evaluation: Any | None) -> int | None:  # noqa: ARG002
        self._shares = np.bincount(train.codes, train.weight, len(CLASSES)) / train.weight.sum()
        return None

    def _predict(self, X: Matrix) -> npt.NDArray[Any]:
        return np.tile(self._shares, (len(X), 1))

    def _dump(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        return {"shares": self._shares.tolist()}, {}

    def _restore(self, facts: Mapping[str, Any], files: Mapping[str, bytes]) -> None:  # noqa: ARG002
        self._shares = numbers(facts, "shares", (len(CLASSES),))
        if not ((self._shares >= 0) & (self._shares <= 1 + 1e-9)).all() or self._shares.sum() <= 0:
            raise DataError(f"the saved model's shares are {self._shares.tolist()}; train it again.")


class Momentum(Classifier):
    """One number, the mean of recent returns in standard deviations, and a logistic curve over it.

    Sees `return_12` alone unless `--features` names other columns, of which it takes the mean. The rows decide the
    slope, so that this is momentum where returns go on and reversal where they turn. `seed` plays no part.
    """

    name: ClassVar[str] = "momentum"
    cost: ClassVar[float] = 0.1
    sees: ClassVar[tuple[str, ...]] = ("return_12",)
    parameters: ClassVar[Mapping[str, Parameter]] = {"l2": Parameter(1e-3, 1e-9, 1e6)}

    _standardiser: Standardiser
    _regression: Multinomial

    def _train(self, train: Any, evaluation: Any | None) -> int | None:  # noqa: ARG002
        self._standardiser = Standardiser.fit(train.X, train.weight)
        self._regression = fit_multinomial(
            self._score(train.X), train.codes, train.weight, l2=float(self.params["l2"])
        )
        return None

    def _score(self, X: Matrix) -> npt.NDArray[np.float64]:
        """float64 (n, 1)."""
        return np.asarray(self._standardiser.transform(X).mean(axis=1, keepdims=True))

    def _predict(self, X: Matrix) -> npt.NDArray[Any]:
        return self._regression.predict_proba(self._score(X))

    def _dump(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        return self._standardiser.as_facts() | self._regression.as_facts(), {}

    def _restore(self, facts: Mapping[str, Any], files: Mapping[str, bytes]) -> None:  # noqa: ARG002
        self._standardiser = Standardiser.from_facts(facts, self._fitted_features())
        self._regression = Multinomial.from_facts(facts, 1)
