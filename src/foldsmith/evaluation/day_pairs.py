"""Pairs ranked right, counted between every two days. Imports numba: import it where it is used."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def ranked_right(
    score: Floats, positive: npt.NDArray[np.bool_], weight: Floats, day: npt.NDArray[np.int64], n_days: int
) -> Floats:
    """U[d, e] = sum of w_i w_j (1[s_i > s_j] + 1[s_i = s_j] / 2), positives i of d, negatives j of e.

    score : (n,) ascending; positive : (n,), a negative where false; day : (n,) in 0..n_days-1. Returns
    float64 (n_days, n_days) in one pass: negatives seen so far are kept by day, and a positive adds that
    vector to its day's row.
    """
    right = np.zeros((n_days, n_days))
    below = np.zeros(n_days)
    n = len(score)
    first = 0
    while first < n:
        stop = first + 1
        while stop < n and score[stop] == score[first]:
            stop += 1
        # Negatives of this tie count by half for its positives, in full from here on.
        for i in range(first, stop):
            if not positive[i]:
                below[day[i]] += 0.5 * weight[i]
        for i in range(first, stop):
            if positive[i]:
                row = right[day[i]]
                for e in range(n_days):
                    row[e] += weight[i] * below[e]
        for i in range(first, stop):
            if not positive[i]:
                below[day[i]] += 0.5 * weight[i]
        first = stop
    return right
