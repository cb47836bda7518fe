"""Windows of the last bars, for models that read a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import BarInputs, Dataset
from foldsmith.errors import DataError, SettingError


@dataclass(frozen=True)
class Windows:
    """The last `length` bars of each row, cut out of one matrix of bars when they are read.

    values : float32 (n_bars, p); bar : int64 (n,), the last bar of each row. All rows at once would be `length` times
    as large: 300,000 rows of 32 bars and 75 features are 2.9 GB, their bars 90 MB.
    """

    values: npt.NDArray[np.float32]
    bar: npt.NDArray[np.int64]
    length: int

    def __len__(self) -> int:
        return len(self.bar)

    @property
    def shape(self) -> tuple[int, int, int]:
        """That of all rows at once: (n, length, p)."""
        return len(self.bar), self.length, self.values.shape[1]

    def __getitem__(self, rows: Any) -> npt.NDArray[np.float32]:
        """The windows of these rows (a slice, or row numbers), oldest bar first: float32 (k, length, p)."""
        at = self.bar[rows][:, None] + np.arange(1 - self.length, 1)
        return np.ascontiguousarray(self.values[at], dtype=np.float32)

    def take(self, rows: npt.NDArray[np.int64]) -> Windows:
        """These rows over the same bars."""
        return replace(self, bar=self.bar[rows])

    def last(self) -> npt.NDArray[np.float32]:
        """The last bar of each row: float32 (n, p)."""
        return self.values[self.bar]

    def read(self) -> npt.NDArray[np.bool_]:
        """Which bars a row holds: (n_bars,)."""
        edges = np.zeros(len(self.values) + 1, dtype=np.int64)
        np.add.at(edges, self.bar - self.length + 1, 1)
        np.add.at(edges, self.bar + 1, -1)
        return np.asarray(np.cumsum(edges)[:-1] > 0)


def as_windows(cube: npt.NDArray[np.float32]) -> Windows:
    """Windows (n, length, p) that are there already, as a view of their own bars one after another."""
    n, length, p = cube.shape
    last = np.arange(n, dtype=np.int64) * length + length - 1
    return Windows(cube.reshape(n * length, p), last, length)


def windows(
    values: npt.NDArray[np.float32],
    block: npt.NDArray[Any],
    bar: npt.NDArray[np.int64],
    length: int,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """The last `length` bars up to each bar asked for, oldest first: float32 (k, length, p), and which have one (n,).

    values : float32 (n_bars, p) of every bar, NaN in warm-up; block : integers (n_bars,), a new one where the series is
    broken (a roll, a missing bar); bar : int64 (n,), bars asked for. A window that would reach over a break or the
    first bar, or that holds a value that is not finite, is left out and never padded: k is the number of those left.
    DataError for a bar that is not there, SettingError for a length below 1.

    >>> values, block = np.arange(5, dtype=np.float32)[:, None], np.array([0, 0, 0, 1, 1])
    >>> found, whole = windows(values, block, np.array([1, 2, 3, 4]), 2)
    >>> found[:, :, 0].tolist(), whole.tolist()
    ([[0.0, 1.0], [1.0, 2.0], [3.0, 4.0]], [True, True, False, True])
    """
    view, whole = view_windows(values, block, bar, length)
    return view[:], whole


def seen_by(window: int, X: npt.NDArray[np.float32], names: Sequence[str], history: BarInputs | None) -> Any:
    """What a model is given of rows X (n, p): X itself, or with a `window` above 0 the window of each row, a view.

    history : numbers of every bar, those called `names` among them. DataError where there is none, or a row has no
    whole window: rows without one are dropped before they are fitted on or predicted.
    """
    if window == 0:
        return X
    if history is None:
        raise DataError(
            f"the model reads windows of {window} bars, and single rows were given without history."
        )
    values = history.values if history.names == tuple(names) else history.columns(names)
    view, whole = view_windows(values, history.block, history.bar, window)
    if not whole.all():
        row = int(np.argmin(whole))
        raise DataError(
            f"row {row} has no whole window of {window} bars with every feature known ({int((~whole).sum())} rows in "
            "all); features restart at rolls and missing bars: leave such rows out."
        )
    return view


def shown(window: int, data: Dataset) -> Any:
    """What a model with this window is given of these rows; see `seen_by`."""
    return seen_by(window, data.X, data.names, data.history)


def whole_windows(
    values: npt.NDArray[np.float32], block: npt.NDArray[Any], length: int
) -> npt.NDArray[np.bool_]:
    """Bars that a whole window of this length ends at: (n_bars,)."""
    return view_windows(values, block, np.arange(len(values), dtype=np.int64), length)[1]


def view_windows(
    values: npt.NDArray[np.float32],
    block: npt.NDArray[Any],
    bar: npt.NDArray[np.int64],
    length: int,
) -> tuple[Windows, npt.NDArray[np.bool_]]:
    """What `windows` gives, as a view that takes no memory of its own."""
    n = len(values)
    if length < 1:
        raise SettingError(f"a window of {length} bars holds none; give 1 or more.")
    if values.ndim != 2 or block.shape != (n,):
        raise DataError(
            f"values have shape {values.shape} and blocks {block.shape}; one block per bar is needed."
        )
    if len(bar) and not (int(bar.min()) >= 0 and int(bar.max()) < n):
        raise DataError(f"bars {bar.min()} to {bar.max()} are asked for and there are {n}.")
    starts = np.ones(n, dtype=bool)
    starts[1:] = block[1:] != block[:-1]
    bad = ~np.isfinite(values).all(axis=1)
    # The first bar that a window ending here may hold: after the last break, and after the last bar that is not finite.
    number = np.arange(n)
    first = np.maximum.accumulate(np.where(bad, number + 1, np.where(starts, number, 0)))
    whole = bar - length + 1 >= first[bar]
    return Windows(values, bar[whole], length), whole
