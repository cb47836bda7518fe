"""What the kernels of the families do to every row alone, compiled; `put` functions fill a feature's row."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from foldsmith.features.compiled import inner
from foldsmith.features.logarithm import logs_of

NOISE = 1e-12
"""A variance below this part of the mean square is rounding, and counts as none."""


@inner
def cut(series: Any, first: int, stop: int) -> Any:
    """Rows [first, stop) of four series, copied: what follows is then compiled for one kind of array alone."""
    return (
        series[0][first:stop].copy(),
        series[1][first:stop].copy(),
        series[2][first:stop].copy(),
        series[3][first:stop].copy(),
    )


@inner
def product(x: Any, y: Any) -> Any:
    """out[i] = x[i] y[i]."""
    out = np.empty(len(x))
    for i in range(len(out)):
        out[i] = x[i] * y[i]
    return out


@inner
def sizes(x: Any) -> Any:
    """out[i] = |x[i]|."""
    out = np.empty(len(x))
    for i in range(len(out)):
        out[i] = abs(x[i])
    return out


@inner
def signs(x: Any) -> Any:
    """out[i] = 1, 0 or -1, as x[i] is above 0, 0 or below."""
    out = np.empty(len(x))
    for i in range(len(out)):
        out[i] = (1.0 if x[i] > 0 else 0.0) - (1.0 if x[i] < 0 else 0.0)
    return out


@inner
def ratios(x: Any, y: Any, other: float) -> Any:
    """out[i] = x[i] / y[i], or `other` where y[i] is not above 0."""
    out = np.empty(len(x))
    for i in range(len(out)):
        ratio = x[i] / y[i]
        out[i] = ratio if y[i] > 0 else other
    return out


@inner
def put_ratios(row: Any, start: int, x: Any, y: Any, scale: float, other: float) -> None:
    """row[i] = scale * x[i] / y[i] from `start` on, or `other` where y[i] is not above 0."""
    x, y, row = x[start:], y[start:], row[start:]
    for i in range(len(row)):
        ratio = scale * x[i] / y[i]
        row[i] = ratio if y[i] > 0 else other


@inner
def put(row: Any, start: int, x: Any, scale: float) -> None:
    """row[i] = scale * x[i] from `start` on."""
    x, row = x[start:], row[start:]
    for i in range(len(row)):
        row[i] = scale * x[i]


@inner
def put_roots(row: Any, start: int, x: Any, scale: float) -> None:
    """row[i] = sqrt(scale * max(x[i], 0)) from `start` on."""
    x, row = x[start:], row[start:]
    for i in range(len(row)):
        row[i] = np.sqrt(scale * (x[i] if x[i] > 0 else 0.0))


@inner
def put_logs(row: Any, start: int, x: Any, scale: float) -> None:
    """row[i] = scale * ln(x[i]) from `start` on."""
    made, row = logs_of(x)[start:], row[start:]
    for i in range(len(row)):
        row[i] = scale * made[i]


@inner
def put_distances(row: Any, start: int, x: Any, y: Any, unit: Any) -> None:
    """row[i] = (x[i] - y[i]) / unit[i] from `start` on."""
    x, y, unit, row = x[start:], y[start:], unit[start:], row[start:]
    for i in range(len(row)):
        row[i] = (x[i] - y[i]) / unit[i]


@inner
def halves(change: Any) -> Any:
    """Rises, and falls as positive numbers."""
    up, down = np.empty(len(change)), np.empty(len(change))
    for i in range(len(up)):
        up[i] = change[i] if change[i] > 0 else 0.0
    for i in range(len(up)):
        down[i] = -change[i] if change[i] < 0 else 0.0
    return up, down


@inner
def typical_prices(high: Any, low: Any, close: Any) -> Any:
    """(high + low + close) / 3."""
    out = np.empty(len(close))
    for i in range(len(out)):
        out[i] = (high[i] + low[i] + close[i]) / 3
    return out


@inner
def growth(short: Any, long: Any, scale: float) -> Any:
    """scale * short / long, or 1 where one of them is not above 0."""
    out = np.empty(len(short))
    for i in range(len(out)):
        part = scale * short[i] / long[i]
        out[i] = part if (short[i] > 0) & (long[i] > 0) else 1.0
    return out


@inner
def put_correlations(row: Any, start: int, sx: Any, sxx: Any, sy: Any, syy: Any, sxy: Any) -> None:
    """Correlations from sums over 24 rows, from `start` on; 0 where one of the two does not vary."""
    row, sx, sxx, sy, syy, sxy = row[start:], sx[start:], sxx[start:], sy[start:], syy[start:], sxy[start:]
    for i in range(len(row)):
        xx, yy = sxx[i] - sx[i] * sx[i] / 24, syy[i] - sy[i] * sy[i] / 24
        r = (sxy[i] - sx[i] * sy[i] / 24) / (math.sqrt(xx) * math.sqrt(yy))
        r = r if r < 1 else 1.0
        r = r if r > -1 else -1.0
        row[i] = r if (xx > NOISE * sxx[i]) & (yy > NOISE * syy[i]) else 0.0


@inner
def middles(high: Any, low: Any) -> Any:
    """(high + low) / 2."""
    out = np.empty(len(high))
    for i in range(len(out)):
        out[i] = (high[i] + low[i]) / 2
    return out
