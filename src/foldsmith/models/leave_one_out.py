"""Scores that are not probabilities, made into them by the rows that the scores were fitted on, each left out in turn.

A score fitted on a row is too sure of it. For least squares the score without row i needs no second fit: with target
t_i, score s_i and leverage h_i = w_i x_i' (X' W X + penalty)^-1 x_i it is (s_i - h_i t_i) / (1 - h_i). Rows whose
labels overlap row i stay in, so that what is left of the optimism is theirs. Nothing but training rows is looked at.

Source: Allen (1974), The relationship between variable selection and data augmentation (the PRESS residual).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from foldsmith.models.multinomial import Multinomial, fit_multinomial

Floats = npt.NDArray[np.float64]

L2 = 1e-6
"""Penalty of the calibration: enough to make it unique, too little to be seen."""
LEAST = 1e-6
"""Of 1 - h: a row that is fitted exactly says nothing about itself."""


def leave_one_out(scores: Floats, targets: Floats, leverage: Floats) -> Floats:
    """Scores (n, k) of each row by the least squares of all others; targets (n, k), leverage (n,) or (n, k)."""
    h = leverage if leverage.ndim == 2 else leverage[:, None]
    return np.asarray((scores - h * targets) / np.maximum(1 - h, LEAST))


def calibrate(scores: Floats, codes: npt.NDArray[np.int64], weight: Floats) -> Multinomial:
    """Multinomial regression of the classes on scores (n, 3): `predict_proba(scores)` are probabilities."""
    return fit_multinomial(scores, codes, weight, l2=L2)
