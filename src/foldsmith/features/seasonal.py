"""Volume against what is usual at its time of day, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from foldsmith.features.compiled import entry, inner
from foldsmith.features.logarithm import logs_of
from foldsmith.features.windows import twice, window_sum

SLOTS = 86_400
NEWEST = 10
"""Sessions of a slot up to which its mean is the plain one; then the newest has this part of it at least."""
WIDTHS = (6, 12, 24)
_TILE, _REACH = 2048, 24


@entry
def seasonal(volumes: Any, slot: Any, out: Any) -> None:
    """Fill `out` (4, n), rows in catalogue order; blocks are crossed.

    volumes : (n,); slot : time of day in New York at the bar's open, a whole number below SLOTS, (n,).
    """
    n = len(volumes)
    # A slot's mean, and beside it how often it was seen: one place in memory for both.
    slots = np.zeros((SLOTS, 2))
    value, known = np.zeros(_TILE + _REACH), np.zeros(_TILE + _REACH)
    length = 0
    for at in range(0, n, _TILE):
        first, stop = max(at - _REACH, 0), min(at + _TILE, n)
        lag = at - first
        value[:lag], known[:lag] = value[length - lag : length].copy(), known[length - lag : length].copy()
        length = stop - first
        _usual(volumes[at:stop], slot[at:stop], slots, value[lag:length], known[lag:length], out[0, at:stop])
        sums, counts = window_sum(value[:length], WIDTHS[0]), window_sum(known[:length], WIDTHS[0])
        for j in range(len(WIDTHS)):
            width = WIDTHS[j]
            if j > 0:
                sums, counts = twice(sums, width // 2), twice(counts, width // 2)
            row, total, count = out[1 + j, first:stop][width - 1 :], sums[width - 1 :], counts[width - 1 :]
            for i in range(len(row)):
                # A bar of an unknown slot, say after a hole, is left out: it must not blank those after it.
                mean = total[i] / count[i]
                row[i] = mean if 2 * count[i] >= width else np.nan


@inner
def _usual(volumes: Any, slot: Any, slots: Any, value: Any, known: Any, row: Any) -> None:
    """Log of volume over the mean of its slot so far, 0 where there is none, and whether there is one."""
    n = len(volumes)
    ratio = np.empty(n)
    for i in range(n):
        v, mean, seen = volumes[i], slots[slot[i], 0], slots[slot[i], 1]
        ratio[i] = (1 + v) / (1 + mean)
        known[i] = 1.0 if seen > 0 else 0.0
        seen += 1
        slots[slot[i], 1] = seen
        slots[slot[i], 0] = mean + (v - mean) * (1 / seen if seen < NEWEST else 1 / NEWEST)
    logs = logs_of(ratio)
    for i in range(n):
        value[i] = logs[i] if known[i] > 0 else 0.0
    for i in range(n):
        row[i] = logs[i] if known[i] > 0 else np.nan
