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
class BarInputs:
    """Numbers of every bar, and which bar each row is: what windows are cut from, and fitted features made of.

    values : float32 (n_bars, k), NaN in warm-up; names : of the k columns; block : int32 (n_bars,), another where a bar
    does not go on from the one before; bar : int64 (n,).
    """

    values: npt.NDArray[np.float32]
    names: tuple[str, ...]
    block: npt.NDArray[np.int32]
    bar: Rows

    def take(self, rows: Rows) -> BarInputs:
        """The same bars, and these rows alone."""
        return replace(self, bar=self.bar[rows])

    def columns(self, names: Sequence[str]) -> npt.NDArray[np.float32]:
        """Numbers of every bar by these names: float32 (n_bars, len(names))."""
        return columns(self.values, self.names, names)


@dataclass(frozen=True)
class Dataset:
    """Features, labels, weights and label intervals, row by row in time order.

    X : float32 (n, p), finite; y : int8 (n,) of -1, 0, 1; weight : float64 (n,), positive;
    t0, t1 : int64 (n,) microseconds UTC, decision time and label end; names : the p feature names.
    fitted : names of features that each fold fits and puts after those of X, from `inputs` (None where there are none).
    history : the features of every bar, those of X among them, for models that read windows of bars; None for no such.
    """

    X: npt.NDArray[np.float32]
    y: npt.NDArray[np.int8]
    weight: npt.NDArray[np.float64]
    t0: Instants
    t1: Instants
    names: tuple[str, ...]
    fitted: tuple[str, ...] = ()
    inputs: BarInputs | None = None
    history: BarInputs | None = None

    def __post_init__(self) -> None:
        n = len(self.X)
        for field in ("y", "weight", "t0", "t1"):
            if len(getattr(self, field)) != n:
                raise DataError(f"{field} has {len(getattr(self, field))} rows and X has {n}.")
        if self.X.shape[1:] != (len(self.names),):
            raise DataError(f"X has shape {self.X.shape} for {len(self.names)} feature names.")
        if self.fitted and (self.inputs is None or len(self.inputs.bar) != n):
            raise DataError(f"features fitted inside each fold ({self.fitted[0]}) need the bar of each row.")
        if self.history is not None and len(self.history.bar) != n:
            raise DataError(f"the history has {len(self.history.bar)} rows and X has {n}.")

    def __len__(self) -> int:
        return len(self.X)

    def take(self, rows: Rows) -> Dataset:
        """The dataset of these rows alone, in the order given."""
        return replace(
            self,
            X=self.X[rows],
            y=self.y[rows],
            weight=self.weight[rows],
            t0=self.t0[rows],
            t1=self.t1[rows],
            inputs=None if self.inputs is None else self.inputs.take(rows),
            history=None if self.history is None else self.history.take(rows),
        )

    def select(self, names: Sequence[str] | None) -> Dataset:
        """The same rows with these features alone, in the order given, fitted ones last; all of them for None.

        The history is shared as it is: what a window holds is said by `names`.
        """
        if names is None or tuple(names) == (*self.names, *self.fitted):
            return self
        fitted = tuple(name for name in names if name in self.fitted)
        stored = tuple(name for name in names if name not in fitted)
        inputs = self.inputs if fitted else None
        X = columns(self.X, self.names, stored)
        return replace(self, X=X, names=stored, fitted=fitted, inputs=inputs)

    def with_weight(self, weight: npt.NDArray[np.float64]) -> Dataset:
        """The same rows under other weights."""
        return replace(self, weight=weight)
