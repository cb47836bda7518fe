"""How much of what a simulated market lets anyone know a model has found."""

from __future__ import annotations

from typing import Any

import numpy as np

from foldsmith.errors import DataError
from foldsmith.evaluation.rows import Floats

FLOOR = 1e-4
"""Reachable gain in nats below which its share means nothing: no edge, seen through sampling noise."""


def recovered_share(
    counts: Any,
    *,
    log_loss: float,
    log_loss_base: float | None = None,
    direction_log_loss: float | None = None,
    direction_log_loss_base: float | None = None,
) -> dict[str, dict[str, float | None]]:
    """Share of the reachable gain in log loss that a model has recovered; JSON-able.

        base = H(y),  best = sum_s p(s) H(y | s),  share = (log_loss_base - log_loss) / (base - best)

    with entropies in nats from `counts` (states, 3), the labels -1, 0, 1 seen in each state of the signal
    over a long simulation. `best` is what a forecaster who sees the state, and nothing else, reaches on
    average. The model's scores and their yardsticks are those of `metrics.score`; without a yardstick, H(y)
    is taken.

    Returns `classes` (three classes) and `direction` (long against short among hits, from the counts of
    those two and the direction scores), each with `base`, `best`, `reachable` = base - best, `gain` and
    `share`. The share is null where less than 1e-4 nats can be reached; it may exceed 1 by sampling noise,
    or where volatility, which is no part of the state, tells hits from time-outs. DataError for counts that
    are no table of counts.

    >>> found = recovered_share([[80, 10, 10], [10, 10, 80]], log_loss=0.8, log_loss_base=0.95)
    >>> round(found["classes"]["best"], 4), round(found["classes"]["share"], 4)
    (0.639, 0.4841)
    """
    table = np.asarray(counts, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != 3 or not (table >= 0).all() or table.sum() <= 0:
        raise DataError(f"label counts have shape {table.shape}; (states, 3) with counts >= 0 is needed.")
    return {
        "classes": _share(table, log_loss, log_loss_base),
        "direction": _share(table[:, [0, 2]], direction_log_loss, direction_log_loss_base),
    }


def _share(counts: Floats, log_loss: float | None, log_loss_base: float | None) -> dict[str, float | None]:
    if counts.sum() == 0:
        return {"base": None, "best": None, "reachable": None, "gain": None, "share": None}
    base = _entropy(counts.sum(axis=0))
    within = np.array([_entropy(row) for row in counts])
    best = float(counts.sum(axis=1) @ within / counts.sum())
    reachable = base - best
    gain = None if log_loss is None else (base if log_loss_base is None else log_loss_base) - log_loss
    share = None if gain is None or reachable < FLOOR else gain / reachable
    return {"base": base, "best": best, "reachable": reachable, "gain": gain, "share": share}


def _entropy(counts: Floats) -> float:
    """Entropy in nats of the distribution these counts give; 0 for none."""
    present = counts[counts > 0]
    if len(present) == 0:
        return 0.0
    shares = present / present.sum()
    return float(-(shares * np.log(shares)).sum())
