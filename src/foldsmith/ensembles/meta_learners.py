"""Meta-learners: how an ensemble weighs its base models, fitted on their probabilities.

P is float32 or float64 (n, 3 m): probabilities of m base models side by side, each in class order -1, 0, 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import CLASSES
from foldsmith.errors import DataError
from foldsmith.models.multinomial import Multinomial, fit_multinomial
from foldsmith.models.stored import numbers

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

FLOOR = 1e-6
"""A probability counts as no less than this where its logarithm is taken."""


class MetaLearner(ABC):
    """Fitted on checked rows: P (n, 3 m), codes 0, 1, 2 for -1, 0, 1, positive weights (n,)."""

    name: ClassVar[str]

    @abstractmethod
    def fit(self, P: npt.NDArray[Any], codes: Codes, weight: Floats) -> Self:
        """Fit; nothing is random."""

    @abstractmethod
    def predict_proba(self, P: npt.NDArray[Any]) -> Floats:
        """float64 (n, 3), rows adding up to 1."""

    @abstractmethod
    def as_facts(self) -> dict[str, Any]:
        """What was learned, as JSON-able values that read back to the bit."""

    @classmethod
    @abstractmethod
    def from_facts(cls, facts: Mapping[str, Any], n_models: int) -> Self:
        """Undo `as_facts`; DataError for what does not fit."""

    def as_files(self) -> dict[str, bytes]:
        """What was learned and is no JSON, as named bytes; nothing for most."""
        return {}

    @classmethod
    def from_saved(cls, facts: Mapping[str, Any], files: Mapping[str, bytes], n_models: int) -> Self:  # noqa: ARG003
        """Undo `as_facts` and `as_files`; DataError for what does not fit."""
        return cls.from_facts(facts, n_models)


class LogisticMetaLearner(MetaLearner):
    """Multinomial logistic regression on the base models' log-probabilities, shrunk towards their mean.

        minimise  mean log loss + l2 m / 2 |b - E|^2,    E_ck = 1 / m where column k is of class c, else 0
        z_c = a_c + sum_k b_ck log max(P_k, 1e-6),    probabilities = softmax(z),    l2 = 0.005

    With b = E and a = 0 it is the geometric mean of the m models. The penalty keeps models that repeat each other
    from taking huge opposite weights; growing with m, it makes no difference whether every model is there once or
    several times (docs/decisions/0028).
    """

    name: ClassVar[str] = "logistic"
    L2: ClassVar[float] = 0.005

    _regression: Multinomial

    def fit(self, P: npt.NDArray[Any], codes: Codes, weight: Floats) -> Self:
        """Newton's method; see `foldsmith.models.multinomial`."""
        m = P.shape[1] // len(CLASSES)
        mean = np.tile(np.eye(len(CLASSES)), m) / m
        self._regression = fit_multinomial(logs(P), codes, weight, l2=self.L2 * m, towards=mean)
        return self

    def predict_proba(self, P: npt.NDArray[Any]) -> Floats:
        """float64 (n, 3), rows adding up to 1; exactly 0 for a class that was never seen."""
        return self._regression.predict_proba(logs(P))

    def as_facts(self) -> dict[str, Any]:
        """Coefficients (3, 3 m), intercepts (3,) and the classes seen."""
        return self._regression.as_facts()

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], n_models: int) -> Self:
        """Undo `as_facts`."""
        learner = cls()
        learner._regression = Multinomial.from_facts(facts, len(CLASSES) * n_models)
        return learner


class GreedyMetaLearner(MetaLearner):
    """A weighted mean of the base models, chosen by greedy forward selection with replacement.

    In each of 50 rounds the model is added whose addition gives the mean of all additions so far the lowest
    weighted log loss (probabilities no less than 1e-6); the first in order on a tie. Kept is the round with
    the lowest loss, the earliest on a tie. A model's weight is its share of the additions.

    Source: Caruana et al., Ensemble Selection from Libraries of Models (ICML 2004).
    """

    name: ClassVar[str] = "greedy"
    ROUNDS: ClassVar[int] = 50

    _weights: Floats

    def fit(self, P: npt.NDArray[Any], codes: Codes, weight: Floats) -> Self:
        """Only the probability of the class that came true matters: (m, n) numbers and one running sum."""
        rows = np.arange(len(P))
        true = np.stack([P[rows, first + codes] for first in range(0, P.shape[1], len(CLASSES))]).astype(
            np.float64
        )
        counts = np.zeros(len(true))
        running = np.zeros(len(P))
        best, kept = np.inf, counts
        share = weight / weight.sum()
        room = np.empty(len(P))
        for size in range(1, self.ROUNDS + 1):
            losses = [_mixture_loss(running, column, size, share, room) for column in true]
            chosen = int(np.argmin(losses))
            counts[chosen] += 1
            running += true[chosen]
            if losses[chosen] < best:
                best, kept = losses[chosen], counts.copy()
        self._weights = kept / kept.sum()
        return self

    def predict_proba(self, P: npt.NDArray[Any]) -> Floats:
        """float64 (n, 3): the weighted mean."""
        return weighted_mean(P, self._weights)

    def as_facts(self) -> dict[str, Any]:
        """The weight of each base model, adding up to 1."""
        return {"weights": self._weights.tolist()}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], n_models: int) -> Self:
        """Undo `as_facts`."""
        learner = cls()
        learner._weights = numbers(facts, "weights", (n_models,))
        if (learner._weights < 0).any() or abs(learner._weights.sum() - 1) > 1e-9:
            raise DataError(
                "the saved ensemble's weights are negative or do not add up to 1; train it again."
            )
        return learner


def weighted_mean(P: npt.NDArray[Any], weights: Floats) -> Floats:
    """float64 (n, 3): sum over models of weight times probabilities, models added in order."""
    total = np.zeros((len(P), len(CLASSES)))
    for number, weight in enumerate(weights):
        total += weight * P[:, len(CLASSES) * number : len(CLASSES) * (number + 1)]
    return np.asarray(total / total.sum(axis=1, keepdims=True))


def logs(P: npt.NDArray[Any]) -> Floats:
    """Logarithms of probabilities, none of them taken as less than `FLOOR`."""
    return np.asarray(np.log(np.maximum(P, FLOOR, dtype=np.float64)))


def _mixture_loss(running: Floats, column: Floats, size: int, share: Floats, room: Floats) -> float:
    """Weighted log loss of (running + column) / size; `room` (n,) is overwritten."""
    np.add(running, column, out=room)
    np.maximum(room, size * FLOOR, out=room)
    np.log(room, out=room)
    return float(np.log(size) - np.einsum("i,i->", share, room))
