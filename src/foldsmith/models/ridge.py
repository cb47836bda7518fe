"""Ridge regression on the three classes' indicators, solved by Cholesky and calibrated on left-out scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import CLASSES
from foldsmith.models.base import Classifier, Matrix
from foldsmith.models.leave_one_out import calibrate, leave_one_out
from foldsmith.models.multinomial import Multinomial, single_threaded, single_threaded_products
from foldsmith.models.parameters import Parameter
from foldsmith.models.preprocessing import Standardiser
from foldsmith.models.stored import numbers


class Ridge(Classifier):
    """Weighted least squares on the classes' indicators: one solve, and little to overfit with.

    minimise  sum_i w_i |y_i - a - B z_i|^2 / sum_i w_i  +  l2 |B|^2  over features z standardised and clipped at 8
    standard deviations; a is such that mean scores are the class shares. Scores become probabilities by a multinomial
    regression on the training rows' leave-one-out scores (`foldsmith.models.leave_one_out`). `seed` plays no part.
    """

    name: ClassVar[str] = "ridge"
    cost: ClassVar[float] = 0.1
    parameters: ClassVar[Mapping[str, Parameter]] = {"l2": Parameter(1e-2, 1e-9, 1e6, (1e-5, 10.0), log=True)}

    _standardiser: Standardiser
    _coefficients: npt.NDArray[np.float64]
    _intercepts: npt.NDArray[np.float64]
    _calibration: Multinomial

    def _train(self, train: Any, evaluation: Any | None) -> int | None:  # noqa: ARG002
        from scipy.linalg import cho_factor, cho_solve

        self._standardiser = Standardiser.fit(train.X, train.weight)
        Z = self._standardiser.transform(train.X)
        share = train.weight / train.weight.sum()
        targets = np.eye(len(CLASSES))[train.codes]
        with single_threaded():
            # Clipping moves the mean a little off 0.
            centre, rates = share @ Z, share @ targets
            Z -= centre
            weighted = Z * share[:, None]
            gram = weighted.T @ Z + float(self.params["l2"]) * np.eye(Z.shape[1])
            factor = cho_factor(gram)
            B = cho_solve(factor, weighted.T @ (targets - rates))
            leverage = np.einsum("ij,ij->i", weighted @ cho_solve(factor, np.eye(Z.shape[1])), Z)
            scores = rates + Z @ B
        self._coefficients, self._intercepts = B.T.copy(), rates - centre @ B
        self._calibration = calibrate(leave_one_out(scores, targets, leverage), train.codes, train.weight)
        return None

    def _predict(self, X: Matrix) -> npt.NDArray[Any]:
        with single_threaded_products():
            scores = self._standardiser.transform(X) @ self._coefficients.T + self._intercepts
        return self._calibration.predict_proba(scores)

    def _dump(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        facts = {
            "ridge_coefficients": self._coefficients.tolist(),
            "ridge_intercepts": self._intercepts.tolist(),
        }
        return facts | self._standardiser.as_facts() | self._calibration.as_facts(), {}

    def _restore(self, facts: Mapping[str, Any], files: Mapping[str, bytes]) -> None:  # noqa: ARG002
        p, k = self._fitted_features(), len(CLASSES)
        self._standardiser = Standardiser.from_facts(facts, p)
        self._coefficients = numbers(facts, "ridge_coefficients", (k, p))
        self._intercepts = numbers(facts, "ridge_intercepts", (k,))
        self._calibration = Multinomial.from_facts(facts, k)
