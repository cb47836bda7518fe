"""Volume against what is usual at its time of day, compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from foldsmith.features.windows import window_sum

SLOTS = 86_400
WEIGHT = 0.1
"""Least weight of the newest session in a slot's mean; until it is reached the mean is the plain one."""
WIDTHS = (6, 12, 24)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def seasonal(volumes: Any, slot: Any, out: Any) -> None:
    """Fill `out` (4, n), rows in catalogue order; blocks are crossed.

    volumes : (n,); slot : time of day in New York at the bar's open, a whole number below SLOTS, (n,).
    """
    n = len(volumes)
    mean, seen = np.zeros(SLOTS), np.zeros(SLOTS, np.int64)
    value, known = np.zeros(n), np.zeros(n)
    for i in range(n):
        k = slot[i]
        if seen[k] > 0:
            value[i] = math.log((1 + volumes[i]) / (1 + mean[k]))
            known[i] = 1.0
            out[0, i] = value[i]
        seen[k] += 1
        mean[k] += max(1 / seen[k], WEIGHT) * (volumes[i] - mean[k])
    for j in range(len(WIDTHS)):
        width = WIDTHS[j]
        total, count = window_sum(value, width), window_sum(known, width)
        for i in range(width - 1, n):
            # A bar of an unknown slot, say after a hole, is left out: it must not blank those after it.
            if 2 * count[i] >= width:
                out[1 + j, i] = total[i] / count[i]
