"""Multinomial logistic regression by Newton's method, for any use that needs one.

    minimise  sum_i w_i (log sum_c exp(z_ic) - z_i,y_i) / sum_i w_i  +  l2 / 2 sum_c |b_c - m_c|^2,
    z_ic = a_c + b_c . x_i

All three classes have coefficients (the penalty makes them unique), shrunk towards m, which is 0 unless given;
intercepts a_c are not penalised and add up to 0. A class that no row has is left out and gets probability 0. With
m = 0 the same problem as scikit-learn's LogisticRegression(C = 1 / (l2 sum w)), which is the oracle of the tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import CLASSES
from foldsmith.errors import DataError
from foldsmith.models.stored import fact, numbers

Floats = npt.NDArray[np.float64]

BLOCK = 8192
"""Rows per pass of the inner loop: what fits the cache."""
COARSE = 16
"""The start is solved on every 16th row, where that leaves enough rows."""
TOLERANCE = 1e-10
"""Newton decrement at which the step being taken is the last; what it leaves is of the order of a square."""
MAX_STEPS = 60


@dataclass(frozen=True)
class Multinomial:
    """Fitted coefficients: float64 (3, p), intercepts (3,), and the classes present, as codes 0, 1, 2."""

    coefficients: Floats
    intercepts: Floats
    present: tuple[int, ...]

    def predict_proba(self, X: npt.NDArray[Any]) -> Floats:
        """float64 (n, 3) for X (n, p), rows adding up to 1."""
        at = list(self.present)
        with single_threaded_products():
            Z = X @ self.coefficients[at].T + self.intercepts[at]
        scores = np.zeros((len(X), len(CLASSES)))
        scores[:, at] = Z
        return softmax(scores, self.present)

    def as_facts(self) -> dict[str, Any]:
        """As JSON-able values that read back to the bit."""
        return {
            "coefficients": self.coefficients.tolist(),
            "intercepts": self.intercepts.tolist(),
            "present": list(self.present),
        }

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], n_features: int) -> Self:
        """Undo `as_facts`; DataError for what does not fit."""
        present = fact(facts, "present", list)
        if present not in [list(codes) for codes in SUBSETS]:
            raise DataError(f"the saved model's entry 'present' is {present!r:.60}; train it again.")
        classes = len(CLASSES)
        return cls(
            numbers(facts, "coefficients", (classes, n_features)),
            numbers(facts, "intercepts", (classes,)),
            tuple(present),
        )


SUBSETS = ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))
"""The classes that rows can have, as codes."""


def softmax(scores: Floats, present: Sequence[int]) -> Floats:
    """exp(s_c) / sum_d exp(s_d) over the classes present, codes 0, 1, 2; 0 for the others. float64 (n, 3)."""
    at = list(present)
    Z = scores[:, at] - scores[:, at].max(axis=1, keepdims=True)
    np.exp(Z, out=Z)
    P = np.zeros((len(scores), len(CLASSES)))
    P[:, at] = Z / Z.sum(axis=1, keepdims=True)
    return P


def single_threaded() -> AbstractContextManager[Any]:
    """Matrix products in one thread: their bits must not depend on how many threads a machine has."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    return threadpool_limits(1, "blas")  # type: ignore[no-any-return]


def single_threaded_products() -> AbstractContextManager[Any]:
    """`single_threaded` for numpy's own products alone, as predictions are: some 30 microseconds and not 2 ms."""
    return numpy_pools().limit(limits=1)  # type: ignore[no-any-return]


@cache
def numpy_pools() -> Any:
    """The thread pools of matrix products that are loaded, numpy's among them from the first.

    Found once: to find them reads the system's list of all libraries in memory, which takes longer than a prediction.
    """
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


def fit_multinomial(
    X: npt.NDArray[Any],
    codes: npt.NDArray[np.int64],
    weight: Floats,
    *,
    l2: float,
    towards: Floats | None = None,
) -> Multinomial:
    """Fit X (n, p), codes 0, 1, 2, positive weights. l2 must be positive; towards (3, p) is m, None for 0."""
    present = tuple(int(code) for code in np.unique(codes))
    p = X.shape[1]
    coefficients, intercepts = np.zeros((len(CLASSES), p)), np.zeros(len(CLASSES))
    if len(present) > 1:
        design = np.ones((p + 1, len(X)))
        design[:p] = X.T
        rank = np.searchsorted(present, codes)
        share = weight / weight.sum()
        center = np.zeros((len(present), p + 1))
        if towards is not None:
            center[:, :p] = towards[list(present)]
        theta = center
        with single_threaded():
            coarse = rank[::COARSE]
            if len(coarse) >= 200 * (p + 1) and len(np.unique(coarse)) == len(present):
                # Most of the way costs a sixteenth; what is left is a step or two on all rows.
                part = share[::COARSE]
                rows = np.ascontiguousarray(design[:, ::COARSE])
                theta = _newton(rows, coarse, part / part.sum(), l2, center, theta)
            theta = _newton(design, rank, share, l2, center, theta)
        coefficients[list(present)] = theta[:, :p]
        intercepts[list(present)] = theta[:, p] - theta[:, p].mean()
    return Multinomial(coefficients, intercepts, present)


def _newton(
    X: Floats, rank: npt.NDArray[np.int64], share: Floats, l2: float, center: Floats, theta: Floats
) -> Floats:
    """Minimise from `theta` (k, q) on the design X (q, n), whose last row is ones."""
    k, q = theta.shape
    penalty = np.full(q, l2)
    penalty[-1] = 0
    target = np.stack([(X * np.where(rank == code, share, 0.0)).sum(axis=1) for code in range(k)])
    # Adding one number to all intercepts changes nothing; without this term the Hessian would be singular.
    flat = np.zeros((k, q))
    flat[:, -1] = 1
    value, gradient, hessian = _value_and_slopes(X, target, share, penalty, center, theta)
    for _ in range(MAX_STEPS):
        step = np.linalg.solve(hessian + np.outer(flat, flat), gradient.ravel()).reshape(k, q)
        decrement = float((gradient * step).sum())
        if decrement < TOLERANCE:
            return np.asarray(theta - step)
        length = 1.0
        while True:
            found = _value_and_slopes(X, target, share, penalty, center, theta - length * step)
            if found[0] <= value - 1e-4 * length * decrement or length < 1e-6:
                break
            length /= 2
        theta = theta - length * step
        value, gradient, hessian = found
    raise DataError(
        f"the logistic fit did not settle in {MAX_STEPS} steps (decrement {decrement:.1e}); a feature may "
        "hold huge values: look at its scale, or raise the penalty."
    )


def _value_and_slopes(
    X: Floats, target: Floats, share: Floats, penalty: Floats, center: Floats, theta: Floats
) -> tuple[float, Floats, Floats]:
    """Value, gradient (k, q) and Hessian (k q, k q), in one pass over the rows."""
    k, q = theta.shape
    normaliser, expected = 0.0, np.zeros((k, q))
    mixed = {(a, b): np.zeros((q, q)) for a in range(k) for b in range(a + 1, k)}
    for first in range(0, X.shape[1], BLOCK):
        rows = X[:, first : first + BLOCK]
        w = share[first : first + BLOCK]
        Z = theta @ rows
        top = Z.max(axis=0)
        Z -= top
        np.exp(Z, out=Z)
        total = Z.sum(axis=0)
        Z /= total
        normaliser += float(w @ (np.log(total) + top))
        weighted = Z * w
        expected += weighted @ rows.T
        for (a, b), block in mixed.items():
            block += (rows * (weighted[a] * Z[b])) @ rows.T
    away = theta - center
    value = normaliser - float((theta * target).sum()) + 0.5 * float((penalty * away**2).sum())
    gradient = expected - target + penalty * away
    hessian = np.zeros((k, q, k, q))
    for (a, b), block in mixed.items():
        # Probabilities add up to 1, so each diagonal block is minus the sum of its row's others.
        hessian[a, :, b] -= block
        hessian[b, :, a] -= block
        hessian[a, :, a] += block
        hessian[b, :, b] += block
    for a in range(k):
        hessian[a, :, a] += np.diag(penalty)
    return value, gradient, hessian.reshape(k * q, k * q)
