"""Standardising, fitted on training rows and saved with the model it serves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

LIMIT = 8.0
"""Standard deviations beyond which a feature says no more: a linear model must not fly with an outlier."""


@dataclass(frozen=True)
class Standardiser:
    """z = clip((x - mean) / scale, -8, 8), with weighted mean and standard deviation; a constant feature
    gives 0.

    mean, scale : float64 (p,).
    """

    mean: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]

    @classmethod
    def fit(cls, X: npt.NDArray[np.float32], weight: npt.NDArray[np.float64]) -> Self:
        """Mean and standard deviation of these rows alone."""
        share = weight / weight.sum()
        wide = X.astype(np.float64)
        mean = np.einsum("i,ij->j", share, wide)
        wide -= mean
        deviation = np.sqrt(np.einsum("i,ij,ij->j", share, wide, wide))
        # Rounding leaves a constant feature a tiny deviation; dividing by it would make noise of it.
        constant = deviation <= 1e-7 * np.maximum(np.abs(mean), 1e-300)
        return cls(mean, np.where(constant, np.inf, deviation))

    def transform(self, X: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """float64 (n, p)."""
        return np.clip((X - self.mean) / self.scale, -LIMIT, LIMIT)
