"""Windows of the last bars, for models that read a sequence."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from foldsmith.errors import DataError, SettingError


def windows(
    values: npt.NDArray[np.float32],
    block: npt.NDArray[np.int64],
    bar: npt.NDArray[np.int64],
    length: int,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """The last `length` bars up to each bar asked for, oldest first: float32 (k, length, p), and which have one (n,).

    values : float32 (n_bars, p) of every bar, NaN in warm-up; block : int64 (n_bars,), a new number where the series is
    broken (a roll, a missing bar); bar : int64 (n,), bars asked for. A window that would reach over a break or the
    first bar, or that holds a value that is not finite, is left out and never padded: k is the number of those left.
    DataError for a bar that is not there, SettingError for a length below 1.

    >>> values, block = np.arange(5, dtype=np.float32)[:, None], np.array([0, 0, 0, 1, 1])
    >>> found, whole = windows(values, block, np.array([1, 2, 3, 4]), 2)
    >>> found[:, :, 0].tolist(), whole.tolist()
    ([[0.0, 1.0], [1.0, 2.0], [3.0, 4.0]], [True, True, False, True])
    """
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
    rows = bar[whole][:, None] + np.arange(1 - length, 1)
    return np.ascontiguousarray(values[rows], dtype=np.float32), whole
