"""Multinomial logistic regression on standardised features, saved as JSON numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from foldsmith.errors import DataError
from foldsmith.models.base import Classifier, Matrix
from foldsmith.models.multinomial import Multinomial, fit_multinomial
from foldsmith.models.parameters import Parameter
from foldsmith.models.preprocessing import Standardiser
from foldsmith.models.stored import numbers


class Logistic(Classifier):
    """Features standardised and clipped at 8 standard deviations, then `fit_multinomial`.

    `l2` is the penalty per unit of mean log loss: 0.001 leaves a coefficient of an informative feature nearly
    alone and holds down those of features that repeat each other. `seed` plays no part: nothing is random.
    """

    name: ClassVar[str] = "logistic"
    parameters: ClassVar[Mapping[str, Parameter]] = {"l2": Parameter(1e-3, 1e-9, 1e6, (1e-6, 1.0), log=True)}

    _standardiser: Standardiser
    _regression: Multinomial

    def _train(self, train: Any, evaluation: Any | None) -> int | None:  # noqa: ARG002
        self._standardiser = Standardiser.fit(train.X, train.weight)
        self._regression = fit_multinomial(
            self._standardiser.transform(train.X), train.codes, train.weight, l2=float(self.params["l2"])
        )
        return None

    def _predict(self, X: Matrix) -> npt.NDArray[Any]:
        return self._regression.predict_proba(self._standardiser.transform(X))

    def _dump(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        # JSON has no infinity: a constant feature's scale is written as 0.
        scale = np.where(np.isinf(self._standardiser.scale), 0.0, self._standardiser.scale)
        facts = {"mean": self._standardiser.mean.tolist(), "scale": scale.tolist()}
        return facts | self._regression.as_facts(), {}

    def _restore(self, facts: Mapping[str, Any], files: Mapping[str, bytes]) -> None:  # noqa: ARG002
        p = self._fitted_features()
        scale = numbers(facts, "scale", (p,))
        if (scale < 0).any():
            raise DataError("the saved model's entry 'scale' holds a negative number; train it again.")
        self._standardiser = Standardiser(numbers(facts, "mean", (p,)), np.where(scale == 0, np.inf, scale))
        self._regression = Multinomial.from_facts(facts, p)
