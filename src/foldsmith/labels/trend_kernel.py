"""The largest t-value of a slope among growing windows, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_STRAIGHT = 1e-12
"""Squared errors below this share of all squares are rounding: the closes lie on a line."""


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def strongest(close: Any, rows: Any, least: int, most: int) -> Any:
    """See `trend_scanning.trend_values`. One pass per row: a window is the one before it and one close more."""
    found = np.empty(len(rows))
    for k in range(len(rows)):
        t = rows[k]
        start = close[t]
        sum_y = sum_yy = sum_xy = 0.0
        best, sign = -1.0, 0.0
        for length in range(1, most + 1):
            # From the first close, so that numbers stay small and, in ticks, exact.
            y = close[t + length] - start
            sum_y += y
            sum_yy += y * y
            sum_xy += length * y
            if length < least:
                continue
            n = length + 1.0
            xx = n * (n * n - 1) / 12
            yy = sum_yy - sum_y * sum_y / n
            xy = sum_xy - 0.5 * length * sum_y
            error = yy - xy * xy / xx
            if yy <= _STRAIGHT * sum_yy:
                size = 0.0
            elif error <= _STRAIGHT * yy:
                size = np.inf
            else:
                size = abs(xy) * np.sqrt((n - 2) / (xx * error))
            if size > best:
                best, sign = size, np.sign(xy)
        found[k] = best * sign if best > 0 else 0.0
    return found
