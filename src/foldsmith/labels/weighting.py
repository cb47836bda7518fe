"""One scheme of sample weights, computed afresh from whichever rows it is asked about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foldsmith.errors import DataError, SettingError
from foldsmith.intervals import Instants
from foldsmith.labels.scheme import BY_RETURN, WEIGHTS
from foldsmith.labels.weights import Floats, average_uniqueness, return_attribution, time_decay

LEAST = 1e-6
"""A weight by return is at least this share of the mean: a label whose returns cancel is next to nothing, not nothing,
and what is left of such a sum is rounding."""


@dataclass(frozen=True)
class Weighting:
    """How rows are weighted: a scheme, the time decay of fits, and the bars that both are counted on.

    `bars` are the closes (int64 microseconds UTC) of the full series; `returns` the log return of each, needed by the
    schemes of `BY_RETURN` alone; `decay` the c of `weights.time_decay`, 1 for none.
    """

    scheme: str
    bars: Instants
    returns: Floats | None = None
    decay: float = 1.0

    def __post_init__(self) -> None:
        if self.scheme not in WEIGHTS:
            raise SettingError(f"sample weights {self.scheme!r} are unknown; there are {', '.join(WEIGHTS)}.")
        if self.scheme in BY_RETURN and self.returns is None:
            raise DataError(f"sample weights {self.scheme!r} need the return of each bar, and none is given.")

    def of(self, t0: Instants, t1: Instants) -> Floats:
        """Weights of these rows among themselves, positive, with a mean of 1; age plays no part in them.

        Raises DataError where prices stand still in every label and weights by return are asked for.
        """
        weight = np.ones(len(t0))
        if self.scheme == "none" or len(t0) == 0:
            return weight
        if self.scheme != "return":
            weight *= average_uniqueness(t0, t1, self.bars)
        if self.returns is not None and self.scheme in BY_RETURN:
            weight *= return_attribution(t0, t1, self.bars, self.returns)
            if not weight.any():
                raise DataError(
                    f"prices stand still in all {len(t0)} labels, so none has a weight by return; choose another "
                    "--sample-weight."
                )
            weight = np.maximum(weight, LEAST * weight.mean())
        return np.asarray(weight / weight.mean(), dtype=np.float64)

    def of_fit(self, t0: Instants, t1: Instants) -> Floats:
        """Weights to fit these rows with, given in time order: those of `of`, decayed, with a mean of 1.

        A negative decay gives the oldest rows 0: they are to be left out.
        """
        weight = self.of(t0, t1)
        if self.decay == 1 or len(t0) == 0:
            return weight
        weight = weight * time_decay(average_uniqueness(t0, t1, self.bars), self.decay)
        return np.asarray(weight / weight.mean(), dtype=np.float64)
