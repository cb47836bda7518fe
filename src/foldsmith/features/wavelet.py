"""Moves by their scale: the one-sided Haar wavelet without decimation, compiled.

The smooth of level j is the mean of the last 2^j log closes, the detail of level j what that takes from the smooth
before. Nothing is padded or reflected and no bar to the right is used, so a detail never changes afterwards.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from foldsmith.features.compiled import entry, inner
from foldsmith.features.windows import differences, window_sum

LEVELS = 5
WIDTH = 64


@entry
def wavelet(logs: Any, starts: Any, out: Any) -> None:
    """Fill `out` (9, n), rows in catalogue order. Block k is rows starts[k] to starts[k + 1].

    logs : natural logs of open, high, low and close, (n,) each.
    """
    for k in range(len(starts) - 1):
        begin, end = starts[k], starts[k + 1]
        detail = _details(logs[3][begin:end])
        _scaled(detail, differences(logs[3][begin:end]), begin, out)
        _shares(detail, begin, out)


@inner
def _details(x: Any) -> Any:
    """Details of levels 1 to 5, (5, n); that of level j means something from row 2^j - 1 on."""
    detail = np.zeros((LEVELS, len(x)))
    smooth = x.copy()
    for level in range(LEVELS):
        step = 2**level
        # Backwards, so that the older half is still of the level before.
        for i in range(len(x) - 1, step - 1, -1):
            detail[level, i] = (smooth[i] - smooth[i - step]) / 2
            smooth[i] = (smooth[i] + smooth[i - step]) / 2
    return detail


@inner
def _scaled(detail: Any, r: Any, begin: int, out: Any) -> None:
    square = window_sum(r * r, WIDTH)
    for i in range(WIDTH, len(r)):
        spread = math.sqrt(square[i] / WIDTH)
        for level in range(LEVELS):
            out[level, begin + i] = detail[level, i] / spread if spread > 0 else 0.0


@inner
def _shares(detail: Any, begin: int, out: Any) -> None:
    n = detail.shape[1]
    energy, total = np.empty((LEVELS, n)), np.zeros(n)
    for level in range(LEVELS):
        energy[level] = window_sum(detail[level] ** 2, WIDTH)
        total += energy[level]
    # The share of the last level is what the others leave.
    for i in range(2**LEVELS + WIDTH - 2, n):
        for level in range(LEVELS - 1):
            out[LEVELS + level, begin + i] = energy[level, i] / total[i] if total[i] > 0 else 1 / LEVELS
