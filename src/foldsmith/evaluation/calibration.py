"""How often what was forecast came true, class by class."""

from __future__ import annotations

from typing import Any

import numpy as np

from foldsmith.errors import SettingError
from foldsmith.evaluation.ranking import stable_order
from foldsmith.evaluation.rows import Floats, checked

CLASS_NAMES = ("short", "neutral", "long")


def reliability(y: Any, P: Any, weight: Any = None, *, bins: int = 10) -> dict[str, dict[str, Any]]:
    """Reliability table and expected calibration error (ECE) of each class; JSON-able.

    Rows are sorted by the probability of the class and cut into `bins` parts of as equal a count as ties
    allow: equal probabilities share a bin, so there may be fewer. For each bin b with weight w_b

        ECE = sum_b w_b |mean probability_b - frequency_b| / sum_b w_b

    y, P, weight as for `metrics.score`. Returns, under "short", "neutral" and "long", `ece` and `bins`: a
    list of dicts `rows`, `weight`, `low`, `high` (range of the probability), `probability` (mean) and
    `frequency`. ECE has an upward bias of the order of sqrt(bins / rows), more for overlapping labels: 0 is
    not to be expected. Errors: DataError, SettingError. Source: Naeini, Cooper and Hauskrecht, AAAI 2015,
    with equal counts.
    """
    if bins < 1:
        raise SettingError(f"bins={bins} must be at least 1; 10 is usual.")
    rows = checked(y, P, weight)
    tables = {}
    for column, name in enumerate(CLASS_NAMES):
        tables[name] = _table(rows.P[:, column], (rows.code == column).astype(np.float64), rows.weight, bins)
    return tables


def _table(probability: Floats, came: Floats, weight: Floats, bins: int) -> dict[str, Any]:
    order = stable_order(probability)
    ordered, weights = probability[order], weight[order]
    n = len(ordered)
    # A cut inside a run of equal values moves to where the run begins.
    cuts = np.arange(1, bins) * n // bins
    starts = np.unique(np.concatenate([[0], np.searchsorted(ordered, ordered[cuts], side="left")]))
    stops = np.append(starts[1:], n)
    mass = np.add.reduceat(weights, starts)
    forecast = np.add.reduceat(weights * ordered, starts) / mass
    frequency = np.add.reduceat(weights * came[order], starts) / mass
    table = [
        {
            "rows": int(stop - start),
            "weight": float(mass[b]),
            "low": float(ordered[start]),
            "high": float(ordered[stop - 1]),
            "probability": float(forecast[b]),
            "frequency": float(frequency[b]),
        }
        for b, (start, stop) in enumerate(zip(starts, stops, strict=True))
    ]
    return {"ece": float((mass * np.abs(forecast - frequency)).sum() / mass.sum()), "bins": table}
