"""Log losses of an ensemble and its base models at every level, side by side, so that overfitting at any shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import Dataset
from foldsmith.evaluation.gap import gap
from foldsmith.evaluation.metrics import row_losses
from foldsmith.evaluation.rows import Floats, checked
from foldsmith.stages.scores import trading_days

Probabilities = npt.NDArray[Any]


class _Level:
    """Losses of some rows at one level, beside those of the base rate."""

    def __init__(self, rows: Dataset, P: Probabilities, rate: Floats) -> None:
        self.losses = row_losses(checked(rows.y, P, rows.weight, rate))
        self.weight, self.days = rows.weight, trading_days(rows.t0)

    def scores(self) -> dict[str, float]:
        """Weighted means."""
        return {
            name: float(np.average(self.losses[name], weights=self.weight))
            for name in ("log_loss", "log_loss_base")
        }

    def less(self, later: _Level, *, seed: int) -> dict[str, Any]:
        """How much lower the log loss is than at a later level, and how much of that is not the base rate's too."""
        mine, theirs = (one.losses["log_loss"] for one in (self, later))
        above = mine - self.losses["log_loss_base"], theirs - later.losses["log_loss_base"]
        return {
            name: gap(a, b, self.days, later.days, self.weight, later.weight, seed=seed)
            for name, (a, b) in (("log_loss", (mine, theirs)), ("log_loss_above_base", above))
        }


def base_levels(
    training: Dataset, P: Probabilities, held: Dataset, Q: Probabilities, rate: Floats, *, seed: int
) -> dict[str, Any]:
    """Of a base model: out of fold (rows of the joined table), validation, and the first less the second."""
    outer, later = _Level(training, P, rate), _Level(held, Q, rate)
    return {
        "out_of_fold": outer.scores(),
        "validation": later.scores(),
        "difference": outer.less(later, seed=seed),
    }


def ensemble_levels(
    training: Dataset,
    own: Probabilities,
    scored: Dataset,
    meta: Probabilities,
    held: Dataset,
    Q: Probabilities,
    rate: Floats,
    *,
    seed: int,
) -> dict[str, Any]:
    """Of the ensemble: on the rows it was fitted on (which is no score), meta-level out of fold, validation.

    own_rows below meta_out_of_fold shows how far the meta-learner overfits; meta_out_of_fold below validation, how far
    both levels do together.
    """
    inner, later = _Level(scored, meta, rate), _Level(held, Q, rate)
    return {
        "own_rows": _Level(training, own, rate).scores(),
        "meta_out_of_fold": inner.scores(),
        "validation": later.scores(),
        "difference": inner.less(later, seed=seed),
    }
