"""Whether one model's losses are lower than another's by more than chance: Diebold and Mariano's test."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from foldsmith.errors import DataError, SettingError
from foldsmith.evaluation.rows import Floats


@dataclass(frozen=True)
class Comparison:
    """Mean loss of the first less that of the second, over n periods, with its t value and two-sided p."""

    n: int
    difference: float
    t: float
    p: float


def diebold_mariano(first: Any, second: Any, *, lags: int = 0) -> Comparison | None:
    """Test equal mean losses of two forecasters of the same periods.

        DM = mean(d) / sqrt(v / n),    d_t = first_t - second_t
        v  = g_0 + 2 sum_{k=1}^{L} (1 - k / (L + 1)) g_k,    g_k = (1/n) sum_t (d_t - mean)(d_{t-k} - mean)
        t  = DM sqrt((n + 1 - 2 h + h (h - 1) / n) / n),    h = L + 1,    n - 1 degrees of freedom

    first, second : (n,) losses, such as sums by day; lags : L, how far apart two periods still share an outcome.
    Bartlett's weights keep v from falling below 0. Below 0 the first loses less. None with n < 3 or n <= 2 L, or
    where all differences are equal. Sources: Diebold and Mariano (1995); Newey and West (1987); Harvey, Leybourne
    and Newbold, International Journal of Forecasting 13(2) (1997). DataError, SettingError.
    """
    from scipy.special import stdtr

    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.ndim != 1 or one.shape != other.shape:
        raise DataError(f"losses have shapes {one.shape} and {other.shape}; one a period of both is needed.")
    if lags < 0:
        raise SettingError(f"lags={lags} must be at least 0.")
    n, apart = len(one), one - other
    if n < 3 or n <= 2 * lags or apart.max() - apart.min() <= 1e-15 * np.abs(apart).max():
        return None
    mean = float(apart.mean())
    spread = _long_run_variance(apart - mean, lags)
    h = lags + 1
    t = mean / sqrt(spread / n) * sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    return Comparison(n, mean, t, float(2 * stdtr(n - 1, -abs(t))))


def daily_losses(losses: Floats, weight: Floats, days: Any) -> Floats:
    """Weighted losses by day, (n_days,), in units of the mean weight of a day: their mean is the mean loss."""
    _, day = np.unique(np.asarray(days), return_inverse=True)
    n_days = int(day.max()) + 1
    total = np.bincount(day, weights=losses * weight, minlength=n_days)
    return np.asarray(total * n_days / weight.sum(), dtype=np.float64)


def _long_run_variance(apart: Floats, lags: int) -> float:
    n = len(apart)
    found = float((apart**2).sum()) / n
    for k in range(1, lags + 1):
        found += 2 * (1 - k / (lags + 1)) * float((apart[k:] * apart[:-k]).sum()) / n
    return found
