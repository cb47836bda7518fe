"""Standardising, fitted on training rows and saved with the model it serves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from foldsmith.errors import DataError
from foldsmith.models.stored import numbers

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

    def as_facts(self) -> dict[str, Any]:
        """As JSON-able values that read back to the bit; JSON has no infinity, so a constant feature's scale is 0."""
        return {
            "mean": self.mean.tolist(),
            "scale": np.where(np.isinf(self.scale), 0.0, self.scale).tolist(),
        }

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], n_features: int) -> Self:
        """Undo `as_facts`; DataError for what does not fit."""
        scale = numbers(facts, "scale", (n_features,))
        if (scale < 0).any():
            raise DataError("the saved model's entry 'scale' holds a negative number; train it again.")
        return cls(numbers(facts, "mean", (n_features,)), np.where(scale == 0, np.inf, scale))
