"""How far two log losses are apart that were had on different days: out of fold, and later."""

from __future__ import annotations

from typing import Any

import numpy as np

from foldsmith.errors import DataError
from foldsmith.evaluation.bootstrap import MIN_DAYS, draw_days
from foldsmith.evaluation.rows import Floats

DRAWS = 1000
LEVEL = 0.95


def gap(
    earlier: Floats,
    later: Floats,
    earlier_days: Any,
    later_days: Any,
    earlier_weight: Floats,
    later_weight: Floats,
    *,
    seed: int,
) -> dict[str, Any]:
    """Weighted mean of `earlier` less that of `later`, with a 95% interval of whole days drawn on either side.

        gap = sum_i w_i l_i / sum_i w_i  -  sum_j w_j l_j / sum_j w_j

    Losses, days and weights are (n,) and (m,), the two sides without a day in common; each side's days are drawn with
    replacement on their own (1000 draws, percentiles). Below 0, the later rows cost more: what overfitting looks like,
    and a market that has become harder. Returns estimate, low and high; the last two are null with fewer than 10 days
    on either side. DataError for lengths that differ.

    >>> ones = np.ones(2)
    >>> gap(ones, 3 * ones, [1, 2], [3, 4], ones, ones, seed=1)
    {'estimate': -2.0, 'low': None, 'high': None}
    """
    first, second = _by_day(earlier, earlier_days, earlier_weight), _by_day(later, later_days, later_weight)
    estimate = float(first[0].sum() / first[1].sum() - second[0].sum() / second[1].sum())
    n_days = min(len(first[0]), len(second[0]))
    if n_days < MIN_DAYS:
        return {"estimate": estimate, "low": None, "high": None}
    drawn = _drawn(*first, seed=seed) - _drawn(*second, seed=seed + 1)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {"estimate": estimate, "low": float(low), "high": float(high)}


def _by_day(losses: Floats, days: Any, weight: Floats) -> tuple[Floats, Floats]:
    """Sums of weighted losses and of weights by day."""
    if not len(losses) == len(days) == len(weight) or len(losses) == 0:
        raise DataError(
            f"{len(losses)} losses, {len(days)} days and {len(weight)} weights; one of each a row is needed."
        )
    _, day = np.unique(np.asarray(days), return_inverse=True)
    total = np.bincount(day, weights=losses * weight).astype(np.float64)
    return total, np.bincount(day, weights=weight).astype(np.float64)


def _drawn(total: Floats, weight: Floats, *, seed: int) -> Floats:
    counts = draw_days(len(total), DRAWS, 1, seed)
    # Summed in one order whatever a machine's threads: a matrix product would not be.
    return np.asarray(np.einsum("bd,d->b", counts, total) / np.einsum("bd,d->b", counts, weight))
