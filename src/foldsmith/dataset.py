"""The frozen table that models are trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from foldsmith.errors import DataError
from foldsmith.intervals import Instants, Rows

CLASSES = (-1, 0, 1)
"""Class order of every probability array in the project: short, neutral, long."""


def columns(
    X: npt.NDArray[np.float32], names: Sequence[str], wanted: Sequence[str]
) -> npt.NDArray[np.float32]:
    """Columns of X (n, p), named `names`, by name: float32 (n, len(wanted)), row-major; DataError for one not there."""
    missing = next((name for name in wanted if name not in names), None)
    if missing is not None:
        raise DataError(f"feature {missing!r:.60} is not among the {len(names)} features at hand.")
    return np.ascontiguousarray(X[:, [names.index(name) for name in wanted]])


@dataclass(frozen=True)
class Dataset:
    """Features, labels, weights and label intervals, row by row in time order.

    X : float32 (n, p), finite; y : int8 (n,) of -1, 0, 1; weight : float64 (n,), positive;
    t0, t1 : int64 (n,) microseconds UTC, decision time and label end; names : the p feature names.
    """

    X: npt.NDArray[np.float32]
    y: npt.NDArray[np.int8]
    weight: npt.NDArray[np.float64]
    t0: Instants
    t1: Instants
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.X)
        for field in ("y", "weight", "t0", "t1"):
            if len(getattr(self, field)) != n:
                raise DataError(f"{field} has {len(getattr(self, field))} rows and X has {n}.")
        if self.X.shape[1:] != (len(self.names),):
            raise DataError(f"X has shape {self.X.shape} for {len(self.names)} feature names.")

    def __len__(self) -> int:
        return len(self.X)

    def take(self, rows: Rows) -> Dataset:
        """The dataset of these rows alone, in the order given."""
        return replace(
            self, X=self.X[rows], y=self.y[rows], weight=self.weight[rows], t0=self.t0[rows], t1=self.t1[rows]
        )

    def select(self, names: Sequence[str] | None) -> Dataset:
        """The same rows with these features alone, in the order given; all of them for None."""
        if names is None or tuple(names) == self.names:
            return self
        return replace(self, X=columns(self.X, self.names, names), names=tuple(names))

    def with_weight(self, weight: npt.NDArray[np.float64]) -> Dataset:
        """The same rows under other weights."""
        return replace(self, weight=weight)
