"""What every score takes: labels, probabilities and weights, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import CLASSES
from foldsmith.errors import DataError

Floats = npt.NDArray[np.float64]

CLIP = float(np.finfo(np.float32).eps)
"""Probabilities below this count as this in a log loss: the resolution of the float32 they are stored in."""
SUM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Scored:
    """Checked rows to score.

    code : int64 (n,) 0, 1, 2 for y = -1, 0, 1; P : float64 (n, 3); weight : float64 (n,), positive;
    base : float64 (n, 3) shares of the classes among the training rows of the model that predicted each row,
    or None.
    """

    code: npt.NDArray[np.int64]
    P: Floats
    weight: Floats
    base: Floats | None

    def __len__(self) -> int:
        return len(self.code)

    @property
    def of_truth(self) -> Floats:
        """Probability given to the class that came, (n,)."""
        return np.asarray(self.P[np.arange(len(self)), self.code], dtype=np.float64)

    @property
    def hit(self) -> npt.NDArray[np.bool_]:
        """Rows whose label is not neutral: a barrier was hit."""
        return np.asarray(self.code != 1, dtype=np.bool_)

    @property
    def direction(self) -> Floats:
        """P_long / (P_long + P_short), (n,); 1/2 where both are 0."""
        both = self.P[:, 0] + self.P[:, 2]
        up: Floats = np.divide(self.P[:, 2], both, out=np.full(len(self), 0.5), where=both > 0)
        return up


def checked(y: Any, P: Any, weight: Any = None, base_rate: Any = None) -> Scored:
    """Labels (n,), probabilities (n, 3), weights (n,), base rate (3,) or (n, 3); DataError where wrong."""
    labels = np.asarray(y)
    if labels.ndim != 1 or len(labels) == 0:
        raise DataError(
            f"y has shape {labels.shape}; one label per row and at least one row are needed to score."
        )
    code = labels.astype(np.int64) + 1
    if code.min() < 0 or code.max() > 2 or not np.array_equal(code - 1, labels):
        strange = labels[~np.isin(labels, CLASSES)][0]
        raise DataError(f"y holds {strange!r}; labels are -1, 0 and 1.")
    probabilities = np.asarray(P, dtype=np.float64)
    if probabilities.shape != (len(labels), len(CLASSES)):
        raise DataError(
            f"probabilities have shape {probabilities.shape}; {(len(labels), len(CLASSES))} is needed."
        )
    return Scored(
        code, _distribution(probabilities), _weights(weight, len(labels)), _base(base_rate, len(labels))
    )


def _distribution(P: Floats) -> Floats:
    # A NaN fails every comparison, so one test of what is right finds all that is wrong.
    right = (np.abs(P[:, 0] + P[:, 1] + P[:, 2] - 1.0) <= SUM_TOLERANCE) & (P.min(axis=1) >= 0)
    if not right.all():
        row = int(np.flatnonzero(~right)[0])
        raise DataError(
            f"row {row} of the probabilities is {P[row].tolist()}, no distribution over short, neutral, long "
            f"({int((~right).sum())} such rows); the model or the file it came from is broken."
        )
    return P


def _weights(weight: Any, n: int) -> Floats:
    if weight is None:
        return np.ones(n)
    weights = np.asarray(weight, dtype=np.float64)
    if weights.shape != (n,):
        raise DataError(f"weights have shape {weights.shape} for {n} rows.")
    if not (np.isfinite(weights).all() and weights.min() > 0):
        raise DataError(
            "a weight is not a positive number; rows to leave out must be left out of all arguments."
        )
    return weights


def _base(base_rate: Any, n: int) -> Floats | None:
    if base_rate is None:
        return None
    base = np.asarray(base_rate, dtype=np.float64)
    right = base.shape in ((len(CLASSES),), (n, len(CLASSES)))
    if not right or not (base >= 0).all() or (np.abs(base.sum(axis=-1) - 1) > SUM_TOLERANCE).any():
        raise DataError(
            f"base rate {base.tolist()!s:.80} is no distribution over short, neutral, long (shape {base.shape})."
        )
    return np.broadcast_to(base, (n, len(CLASSES)))
