"""The order of scores, on which every AUC rests."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Order = npt.NDArray[np.intp]


def stable_order(values: Floats) -> Order:
    """The order that sorts non-negative numbers (n,), ties as given; equal to a stable `np.argsort`.

    Bits of non-negative floats sort as integers do, so they are sorted 16 at a time from the lowest, which
    numpy does by counting: about 5 times faster than its sort of floats where float32 holds the values
    exactly, 2 times otherwise. Stable, so that sums of unequal weights do not depend on a processor's way of
    sorting.

    >>> stable_order(np.array([0.5, 0.2, 0.5, 0.1]))
    array([3, 1, 0, 2])
    """
    narrow = values.astype(np.float32)
    exact: npt.NDArray[Any] = narrow if np.array_equal(narrow, values) else values
    # Adding 0 turns the bits of -0.0 into those of 0.0.
    width = exact.dtype.itemsize // 2
    parts = np.ascontiguousarray(exact + 0.0).view(np.uint16).reshape(-1, width)
    lowest_first = range(width) if sys.byteorder == "little" else reversed(range(width))
    order: Order = np.arange(len(values))
    for part in lowest_first:
        order = order[np.argsort(parts[order, part], kind="stable")]
    return order
