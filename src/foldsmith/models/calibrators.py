"""Calibrators: maps from a model's probabilities to ones that come true as often as they say.

Each is fitted on predictions of rows that the model was not fitted on: on its own training rows a model is surer than
it should be, and so would be what was fitted there. P is (n, 3), class order -1, 0, 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import CLASSES
from foldsmith.errors import DataError, SettingError
from foldsmith.models.multinomial import Multinomial, fit_multinomial
from foldsmith.models.stored import fact, numbers

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

FLOOR = 1e-6
"""A probability counts as no less than this where its logarithm is taken."""
COLDEST, HOTTEST = 0.05, 20.0
MAX_STEPS = 1_000_000
"""Steps of a saved staircase; more than a fit can leave is damage."""


class Calibrator(ABC):
    """Fitted on P (n, 3), codes 0, 1, 2 for -1, 0, 1 and positive weights (n,); nothing is random."""

    name: ClassVar[str]

    @abstractmethod
    def fit(self, P: npt.NDArray[Any], codes: Codes, weight: Floats) -> Self:
        """Fit on predictions of rows that the model was not fitted on."""

    @abstractmethod
    def apply(self, P: npt.NDArray[Any]) -> Floats:
        """float64 (n, 3), rows adding up to 1."""

    @abstractmethod
    def as_facts(self) -> dict[str, Any]:
        """What was learned, as JSON-able values that read back to the bit."""

    @classmethod
    @abstractmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """Undo `as_facts`; DataError for what does not fit."""


class Temperature(Calibrator):
    """One number: p_c^(1/T) over their sum, T in [0.05, 20] with the lowest weighted log loss.

    T > 1 makes a model less sure, and no T changes which class is most probable.

    Source: Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks (ICML 2017).
    """

    name: ClassVar[str] = "temperature"

    _temperature: float

    def fit(self, P: npt.NDArray[Any], codes: Codes, weight: Floats) -> Self:
        """By bounded search over log T, of which the log loss is a smooth function with one minimum."""
        from scipy.optimize import minimize_scalar

        logs, rows = _logs(P), np.arange(len(P))
        share = weight / weight.sum()

        def loss(log_temperature: float) -> float:
            Z = logs * np.exp(-log_temperature)
            Z -= Z.max(axis=1, keepdims=True)
            return float(share @ (np.log(np.exp(Z).sum(axis=1)) - Z[rows, codes]))

        bounds = (np.log(COLDEST), np.log(HOTTEST))
        found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
        self._temperature = float(np.exp(found.x))
        return self

    def apply(self, P: npt.NDArray[Any]) -> Floats:
        """float64 (n, 3)."""
        Z = _logs(P) / self._temperature
        Z = np.exp(Z - Z.max(axis=1, keepdims=True))
        return np.asarray(Z / Z.sum(axis=1, keepdims=True))

    def as_facts(self) -> dict[str, Any]:
        """The temperature."""
        return {"temperature": self._temperature}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """Undo `as_facts`."""
        found = cls()
        found._temperature = float(fact(facts, "temperature", float))
        if not COLDEST * 0.99 <= found._temperature <= HOTTEST * 1.01:
            raise DataError(
                f"the saved calibrator's temperature is {found._temperature:g}; train the model again."
            )
        return found


class Logistic(Calibrator):
    """Multinomial logistic regression on the log-probabilities: Platt's scaling for three classes.

        z_c = a_c + sum_k b_ck log max(p_k, 1e-6),    probabilities = softmax(z)

    It can move one class against another, which a temperature cannot, and needs more rows. The penalty is
    1e-4 / 2 |b|^2 beside the mean log loss.

    Source: Platt (1999); Kull et al., Dirichlet calibration (NeurIPS 2019).
    """

    name: ClassVar[str] = "logistic"
    L2: ClassVar[float] = 1e-4

    _regression: Multinomial

    def fit(self, P: npt.NDArray[Any], codes: Codes, weight: Floats) -> Self:
        """Newton's method; see `foldsmith.models.multinomial`."""
        self._regression = fit_multinomial(_logs(P), codes, weight, l2=self.L2)
        return self

    def apply(self, P: npt.NDArray[Any]) -> Floats:
        """float64 (n, 3); exactly 0 for a class that was never seen."""
        return self._regression.predict_proba(_logs(P))

    def as_facts(self) -> dict[str, Any]:
        """Coefficients (3, 3), intercepts (3,) and the classes seen."""
        return self._regression.as_facts()

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """Undo `as_facts`."""
        found = cls()
        found._regression = Multinomial.from_facts(facts, len(CLASSES))
        return found


class Isotonic(Calibrator):
    """A rising staircase for each class against the others, its corners joined by lines, and their sum made 1.

    It follows any monotone distortion and needs thousands of rows. No probability falls below 1e-6: a staircase that
    begins at 0 would make a surprise cost without bound.

    Source: Zadrozny and Elkan, KDD 2002.
    """

    name: ClassVar[str] = "isotonic"

    _steps: list[tuple[Floats, Floats]]

    def fit(self, P: npt.NDArray[Any], codes: Codes, weight: Floats) -> Self:
        """By scikit-learn's pool of adjacent violators."""
        from sklearn.isotonic import IsotonicRegression

        self._steps = []
        for code in range(len(CLASSES)):
            one = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
            one.fit(
                np.asarray(P[:, code], dtype=np.float64),
                (codes == code).astype(np.float64),
                sample_weight=weight,
            )
            self._steps.append((one.X_thresholds_, one.y_thresholds_))
        return self

    def apply(self, P: npt.NDArray[Any]) -> Floats:
        """float64 (n, 3)."""
        made = np.empty((len(P), len(CLASSES)))
        for code, (at, value) in enumerate(self._steps):
            made[:, code] = np.interp(np.asarray(P[:, code], dtype=np.float64), at, value)
        np.maximum(made, FLOOR, out=made)
        return np.asarray(made / made.sum(axis=1, keepdims=True))

    def as_facts(self) -> dict[str, Any]:
        """Corners of each staircase."""
        return {
            f"{side}_{code}": values.tolist()
            for code, pair in enumerate(self._steps)
            for side, values in zip(("at", "value"), pair, strict=True)
        }

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """Undo `as_facts`."""
        found = cls()
        found._steps = []
        for code in range(len(CLASSES)):
            size = len(fact(facts, f"at_{code}", list))
            at, value = (numbers(facts, f"{side}_{code}", (size,)) for side in ("at", "value"))
            rising = (np.diff(at) >= 0).all() and (np.diff(value) >= 0).all()
            if not 1 <= size <= MAX_STEPS or not rising or value[0] < 0 or value[-1] > 1:
                raise DataError(
                    f"the saved calibrator's staircase {code} does not rise from 0 to 1; train the model again."
                )
            found._steps.append((at, value))
        return found


CALIBRATORS: dict[str, type[Calibrator]] = {
    "temperature": Temperature,
    "logistic": Logistic,
    "isotonic": Isotonic,
}


def calibrator_class(name: str) -> type[Calibrator]:
    """The class of a name; SettingError for an unknown one."""
    if name not in CALIBRATORS:
        near = get_close_matches(name, CALIBRATORS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise SettingError(f"unknown calibrator {name!r:.40}; there are {', '.join(CALIBRATORS)}.{hint}")
    return CALIBRATORS[name]


def _logs(P: npt.NDArray[Any]) -> Floats:
    return np.asarray(np.log(np.maximum(P, FLOOR, dtype=np.float64)))
