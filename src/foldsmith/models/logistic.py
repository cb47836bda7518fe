"""Multinomial logistic regression on standardised features, saved as JSON numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy.typing as npt

from foldsmith.models.base import Classifier, Matrix
from foldsmith.models.multinomial import Multinomial, fit_multinomial
from foldsmith.models.parameters import Parameter
from foldsmith.models.preprocessing import Standardiser


class Logistic(Classifier):
    """Features standardised and clipped at 8 standard deviations, then `fit_multinomial`.

    `l2` is the penalty per unit of mean log loss: 0.001 leaves a coefficient of an informative feature nearly
    alone and holds down those of features that repeat each other. `seed` plays no part: nothing is random.
    """

    name: ClassVar[str] = "logistic"
    cost: ClassVar[float] = 0.1
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
        return self._standardiser.as_facts() | self._regression.as_facts(), {}

    def _restore(self, facts: Mapping[str, Any], files: Mapping[str, bytes]) -> None:  # noqa: ARG002
        self._standardiser = Standardiser.from_facts(facts, self._fitted_features())
        self._regression = Multinomial.from_facts(facts, self._fitted_features())
