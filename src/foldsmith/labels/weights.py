"""Sample weights from how much each label shares with others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from foldsmith.errors import DataError
from foldsmith.intervals import Instants, concurrency


def average_uniqueness(t0: Instants, t1: Instants, bars: Instants) -> npt.NDArray[np.float64]:
    """Mean over the bar closes s in [t0_i, t1_i] of 1 / (number of labels whose closed interval holds s).

        u_i = mean_{s in bars, t0_i <= s <= t1_i} 1 / c_s,    c_s = #{j : t0_j <= s <= t1_j}

    `bars` holds the close of every bar of the full series, in order. O(n log n). Raises DataError where a label
    holds no bar close, or `bars` is not in order.

    Source: Lopez de Prado (2018), section 4.4, with closed intervals.

    >>> average_uniqueness(np.array([0, 2, 4]), np.array([2, 3, 5]), np.arange(6)).round(4)
    array([0.8333, 0.75  , 1.    ])
    """
    if (np.diff(bars) <= 0).any():
        raise DataError("the closes of the bars must rise without repeats; sort them first.")
    if (t1 < t0).any():
        raise DataError(
            f"the label of row {int(np.flatnonzero(t1 < t0)[0])} ends before it begins (t1 < t0)."
        )
    first = np.searchsorted(bars, t0, side="left")
    stop = np.searchsorted(bars, t1, side="right")
    if (stop <= first).any():
        row = int(np.flatnonzero(stop <= first)[0])
        raise DataError(
            f"the label of row {row} holds no bar close; the bars are not those the labels were made from."
        )
    shared = concurrency(t0, t1, bars)
    inverse = np.divide(1.0, shared, out=np.zeros(len(bars)), where=shared > 0)
    total = np.concatenate(([0.0], np.cumsum(inverse)))
    return np.asarray((total[stop] - total[first]) / (stop - first), dtype=np.float64)
