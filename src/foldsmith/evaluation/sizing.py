"""How many contracts a signal is worth, from the probability that it is right."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith.evaluation.metrics import most_probable_signal
from foldsmith.evaluation.rows import Floats
from foldsmith.evaluation.trading_rule import TradingRule

OUTCOMES = {"probability": 3, "meta": 2}
"""Outcomes that a probability is compared with: of three classes, or of a side being right or wrong."""


def bet_size(p: Any, outcomes: int) -> Floats:
    """Size of a bet in [0, 1) from the probability p that it is right.

        z = (p - 1/K) / sqrt(p (1 - p)),    size = max(0, 2 Phi(z) - 1)

    0 at p = 1/K, no better than a guess among K outcomes, and 1 at p = 1. p : (n,) in [0, 1].
    Source: Lopez de Prado, Advances in Financial Machine Learning (2018), section 10.3.

    >>> bet_size([0.5, 0.7, 1.0], 2).round(4).tolist()
    [0.0, 0.3375, 1.0]
    """
    from scipy.special import ndtr

    p = np.asarray(p, dtype=np.float64)
    spread = np.sqrt(p * (1 - p))
    edge = p - 1 / outcomes
    z = np.divide(edge, spread, out=np.where(edge > 0, np.inf, -np.inf), where=spread > 0)
    return np.asarray(np.maximum(0.0, 2 * ndtr(z) - 1))


def signed_sizes(P: Any, rule: TradingRule) -> Floats:
    """Contracts that each row is worth, unrounded, below 0 short: (n,) from P (n, 3).

    The side is `most_probable_signal`. Fixed: `rule.contracts`. Else contracts times `bet_size` of the side's
    probability: against three classes ("probability"), or against the side being wrong ("meta": where a meta-labelling
    ensemble says that probability).
    """
    values = np.asarray(P, dtype=np.float64)
    side = most_probable_signal(P).astype(np.int64)
    if rule.sizing == "fixed":
        return np.asarray(side * float(rule.contracts))
    p = np.clip(np.where(side > 0, values[:, 2], values[:, 0]), 0.0, 1.0)
    return np.asarray(side * (rule.contracts * bet_size(p, OUTCOMES[rule.sizing])))


def signed_contracts(P: Any, rule: TradingRule) -> npt.NDArray[np.int64]:
    """`signed_sizes` to the nearest whole number, halves away from 0, which may be none: (n,) from P (n, 3)."""
    sizes = signed_sizes(P, rule)
    return np.asarray(np.sign(sizes) * np.floor(np.abs(sizes) + 0.5), dtype=np.int64)
