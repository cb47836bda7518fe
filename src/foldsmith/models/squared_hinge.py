"""Linear support vector machines with the squared hinge, by Newton's method in the primal.

    minimise  sum_i w_i max(0, 1 - t_ic f_ic)^2  +  l2 / 2 |b_c|^2,    f_ic = a_c + b_c . z_i,    t_ic = 1 or -1

for each class c against the others, weights adding up to 1. The loss is quadratic as long as the same rows are active
(inside the margin), so that each step solves one system; after the first, only rows that became active or ceased to be
have to be visited to mend it. Features are made block by block and never held all at once.

Source: Chapelle (2007), Training a support vector machine in the primal. scikit-learn's LinearSVC is the oracle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foldsmith.errors import DataError

Floats = npt.NDArray[np.float64]
Make = Callable[[npt.NDArray[np.int64]], Floats]
"""Features (m, q) of the rows with these numbers, the last column ones."""

BLOCK = 8192
MAX_STEPS = 100
TOLERANCE = 1e-12
"""Newton decrement at which the step being taken is the last."""
FLAT = 1e-10
"""Penalty of the intercept, which has none: without it no row inside the margin would leave it free."""


@dataclass(frozen=True)
class Hinge:
    """Coefficients (k, q), intercepts last; scores (n, k) of the rows fitted and of each by all others."""

    coefficients: Floats
    scores: Floats
    left_out: Floats


def fit_squared_hinge(make: Make, targets: Floats, share: Floats, *, l2: float) -> Hinge:
    """Fit targets (n, k) of 1 and -1, share (n,) positive with sum 1."""
    from scipy.linalg import cho_factor, cho_solve

    n, k = targets.shape
    blocks = [np.arange(first, min(first + BLOCK, n)) for first in range(0, n, BLOCK)]
    gram, moment = _all_active(make, blocks, targets, share)
    q = len(gram)
    penalty = np.full(q, l2 / 2)
    penalty[-1] = FLAT
    grams, moments = [gram.copy() for _ in range(k)], moment
    theta, scores = np.zeros((k, q)), np.zeros((n, k))
    active = np.ones((n, k), dtype=bool)
    for _ in range(MAX_STEPS):
        steps, decrements = np.zeros((k, q)), np.zeros(k)
        for c in range(k):
            hessian = grams[c] + np.diag(penalty)
            slope = hessian @ theta[c] - moments[c]
            steps[c] = -cho_solve(cho_factor(hessian), slope)
            decrements[c] = -slope @ steps[c]
        moved = np.concatenate([make(rows) @ steps.T for rows in blocks])
        lengths = _lengths(theta, steps, penalty, scores, moved, targets, share, decrements)
        theta += lengths[:, None] * steps
        scores += lengths * moved
        now = targets * scores < 1
        changed = np.flatnonzero((now != active).any(axis=1))
        _mend(make, changed, now, active, targets, share, grams, moments)
        active = now
        if (decrements < TOLERANCE).all():
            left_out = _left_out(make, blocks, grams, penalty, scores, targets, active, share)
            return Hinge(theta, scores, left_out)
    raise DataError(
        f"the support vector machine did not settle in {MAX_STEPS} steps (decrement {decrements.max():.1e}); a "
        "feature may hold huge values: look at its scale, or raise the penalty."
    )


def _all_active(
    make: Make, blocks: list[npt.NDArray[np.int64]], targets: Floats, share: Floats
) -> tuple[Floats, Floats]:
    """Z' W Z (q, q) and Z' W t (k, q) over all rows: at scores of 0 every row is inside the margin."""
    gram: Floats | None = None
    moment: Floats | None = None
    for rows in blocks:
        Z = make(rows)
        weighted = Z * share[rows, None]
        part, aim = weighted.T @ Z, targets[rows].T @ weighted
        gram, moment = (part, aim) if gram is None or moment is None else (gram + part, moment + aim)
    if gram is None or moment is None:
        raise DataError("there is no row to fit on.")
    return gram, moment


def _mend(
    make: Make,
    changed: npt.NDArray[np.int64],
    now: npt.NDArray[np.bool_],
    before: npt.NDArray[np.bool_],
    targets: Floats,
    share: Floats,
    grams: list[Floats],
    moments: Floats,
) -> None:
    """Add rows that became active to the systems, and take out those that ceased to be."""
    for first in range(0, len(changed), BLOCK):
        rows = changed[first : first + BLOCK]
        Z = make(rows)
        for c, gram in enumerate(grams):
            sign = now[rows, c].astype(np.float64) - before[rows, c]
            turned = np.flatnonzero(sign)
            weighted = Z[turned] * (sign[turned] * share[rows[turned]])[:, None]
            gram += weighted.T @ Z[turned]
            moments[c] += targets[rows[turned], c] @ weighted


def _lengths(
    theta: Floats,
    steps: Floats,
    penalty: Floats,
    scores: Floats,
    moved: Floats,
    targets: Floats,
    share: Floats,
    decrements: Floats,
) -> Floats:
    """Step lengths (k,), halved until the loss falls by enough."""

    def loss(lengths: Floats) -> Floats:
        short = np.maximum(0, 1 - targets * (scores + lengths * moved))
        at = theta + lengths[:, None] * steps
        return np.asarray(share @ short**2 + (at**2) @ penalty)

    lengths, start = np.ones(len(theta)), loss(np.zeros(len(theta)))
    while True:
        # Rounding must not keep a step that is as good as the last from being taken.
        poor = loss(lengths) > start - 1e-4 * lengths * decrements + 1e-15
        if not poor.any() or lengths.min() < 1e-6:
            return lengths
        lengths = np.where(poor, lengths / 2, lengths)


def _left_out(
    make: Make,
    blocks: list[npt.NDArray[np.int64]],
    grams: list[Floats],
    penalty: Floats,
    scores: Floats,
    targets: Floats,
    active: npt.NDArray[np.bool_],
    share: Floats,
) -> Floats:
    """Scores without the row itself, the other rows' activity and the intercept held; a row outside moves nothing."""
    from scipy.linalg import cho_factor, cho_solve

    from foldsmith.models.leave_one_out import leave_one_out

    leverage = np.zeros_like(scores)
    for c, gram in enumerate(grams):
        inverse = cho_solve(cho_factor(gram + np.diag(penalty)), np.eye(len(gram)))
        total = max(float(share[active[:, c]].sum()), FLAT)
        for rows in blocks:
            inside = rows[active[rows, c]]
            Z = make(inside)
            leverage[inside, c] = share[inside] * (np.einsum("ij,ij->i", Z @ inverse, Z) - 1 / total)
    return leave_one_out(scores, targets, np.maximum(leverage, 0))
