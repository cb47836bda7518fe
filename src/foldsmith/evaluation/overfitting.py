"""How likely the best of several models is below the middle of them elsewhere: PBO by CSCV."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from foldsmith.errors import DataError, SettingError
from foldsmith.evaluation.rows import Floats
from foldsmith.evaluation.trial_series import profit_matrix

MOST_BLOCKS = 16
DAYS_A_BLOCK = 5


@dataclass(frozen=True)
class Overfitting:
    """Probability of backtest overfitting, and what it was counted from.

    probability : share of combinations with logit <= 0; logits (combinations,); blocks S; series N; loss : share of
    combinations in which the chosen series has a Sharpe ratio below 0 on the other half.
    """

    probability: float
    logits: Floats
    blocks: int
    series: int
    loss: float


def blocks_for(days: int) -> int | None:
    """The largest even number of blocks, up to 16, of at least 5 days each; None below 4."""
    found = min(MOST_BLOCKS, days // DAYS_A_BLOCK // 2 * 2)
    return found if found >= 4 else None


def probability_of_overfitting(profits: Any, blocks: int) -> Overfitting:
    """Combinatorially symmetric cross-validation of the choice of the best Sharpe ratio.

    Rows are cut into S contiguous blocks. For each choice of S / 2 of them the series with the best Sharpe ratio on
    these is ranked among all N by its Sharpe ratio on the others, rank 1 being the worst and ties sharing a mean rank:

        omega = rank / (N + 1),    lambda = ln(omega / (1 - omega)),    PBO = P(lambda <= 0)

    `<=` matters where N is odd: the very middle counts as overfitted. profits : (T, N), N at least 2; blocks : S,
    even; rows that S does not divide are left out at the front. A series without spread on a half has a Sharpe ratio
    of 0 there. SettingError, DataError.

    Source: Bailey, Borwein, Lopez de Prado and Zhu, Journal of Computational Finance 20(4) (2017).
    """
    values = profit_matrix(profits)
    days, series = values.shape
    if blocks < 2 or blocks % 2 or blocks > MOST_BLOCKS:
        raise SettingError(f"blocks={blocks} must be even, from 2 to {MOST_BLOCKS}.")
    length = days // blocks
    if series < 2 or length * blocks // 2 < 2:
        raise DataError(
            f"{days} days of {series} series cannot be cut into {blocks} blocks; 2 series and 2 days a half are needed."
        )
    kept = values[days - length * blocks :].reshape(blocks, length, series)
    # About the overall mean, so that squares of large profits do not cancel.
    centre = kept.mean(axis=(0, 1))
    sums, squares = (kept - centre).sum(axis=1), ((kept - centre) ** 2).sum(axis=1)
    chosen = np.zeros((_count(blocks), blocks))
    for row, half in enumerate(combinations(range(blocks), blocks // 2)):
        chosen[row, list(half)] = 1
    rows = length * blocks // 2
    inside = _sharpes(chosen, sums, squares, rows, centre)
    outside = _sharpes(1 - chosen, sums, squares, rows, centre)
    at = np.arange(len(chosen)), inside.argmax(axis=1)
    theirs = outside[at][:, None]
    # Sharpe ratios of a series that repeats another differ in their last bits only.
    near = np.abs(outside - theirs) <= 1e-12 * (1 + np.abs(theirs))
    rank = ((outside < theirs) & ~near).sum(axis=1) + (near.sum(axis=1) + 1) / 2
    omega = rank / (series + 1)
    logits = np.log(omega / (1 - omega))
    return Overfitting(float((logits <= 0).mean()), logits, blocks, series, float((outside[at] < 0).mean()))


def _count(blocks: int) -> int:
    from math import comb

    return comb(blocks, blocks // 2)


def _sharpes(chosen: Floats, sums: Floats, squares: Floats, rows: int, centre: Floats) -> Floats:
    """Sharpe ratios of every series on every choice of blocks, (choices, N)."""
    # Summed in one order whatever a machine's threads: a matrix product would not be.
    total = np.einsum("cb,bn->cn", chosen, sums)
    spread = np.einsum("cb,bn->cn", chosen, squares) - total**2 / rows
    deviation = np.sqrt(np.maximum(spread, 0) / (rows - 1))
    known = deviation > 1e-12 * (1 + np.abs(centre))
    mean = total / rows + centre
    return np.asarray(np.divide(mean, deviation, out=np.zeros_like(mean), where=known))
