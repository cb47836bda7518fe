"""Draws of labels that avoid those which share bars with what was drawn before.

Source: Lopez de Prado, Advances in Financial Machine Learning (2018), sections 4.5.2 to 4.5.4, with closed intervals.
"""

from __future__ import annotations

import numpy as np

from foldsmith.errors import DataError, SettingError
from foldsmith.intervals import Instants, Rows
from foldsmith.labels.weights import Floats, spans


def draw_probabilities(t0: Instants, t1: Instants, bars: Instants, drawn: Rows) -> Floats:
    """Probability of each label to be drawn next, after the rows `drawn` (with repeats).

        p_i = u_i / sum_j u_j,    u_i = mean_{s in bars, t0_i <= s <= t1_i} 1 / (1 + c_s),

    c_s being the number of drawn labels whose closed interval holds s. Raises DataError where a label holds no bar.

    >>> t0, t1 = np.array([0, 2, 4]), np.array([2, 3, 5])
    >>> draw_probabilities(t0, t1, np.arange(6), np.array([1])) * 14
    array([5., 3., 6.])
    """
    first, stop = spans(t0, t1, bars)
    begun = np.bincount(first[drawn], minlength=len(bars) + 1)
    ended = np.bincount(stop[drawn], minlength=len(bars) + 1)
    inverse = 1.0 / (1 + np.cumsum(begun - ended)[: len(bars)])
    total = np.concatenate(([0.0], np.cumsum(inverse)))
    unique = (total[stop] - total[first]) / (stop - first)
    return np.asarray(unique / unique.sum(), dtype=np.float64)


def sequential_bootstrap(
    t0: Instants, t1: Instants, bars: Instants, *, size: int | None = None, seed: int
) -> Rows:
    """Rows drawn one after the other with the probabilities of `draw_probabilities`, int64 (size,).

    size : number of draws, as many as there are labels unless given. t0, sorted, and t1 are the label intervals; `bars`
    the close of every bar of the full series. The same seed gives the same rows.

    A draw changes the uniqueness of those labels alone that share a bar with it. They are found and updated in a tree
    of sums, so a draw takes O(L + m log n) for its L bars and the m labels that begin near them, and not O(n L).

    Raises DataError for labels out of order or without a bar, or for none at all, SettingError for no draws.
    """
    n = len(t0)
    wanted = n if size is None else size
    if n == 0:
        raise DataError("there is no label to draw; give at least one row.")
    if wanted < 1:
        raise SettingError(f"size={wanted} is no number of draws; at least 1 is needed.")
    if (np.diff(t0) < 0).any():
        raise DataError(
            f"t0 goes back in time at row {int(np.flatnonzero(np.diff(t0) < 0)[0]) + 1}; sort the rows first."
        )
    first, stop = spans(t0, t1, bars)
    from foldsmith.labels.bootstrap_kernel import draw

    uniform = np.random.default_rng(seed).random(wanted)
    return np.asarray(draw(first.astype(np.int64), stop.astype(np.int64), len(bars), uniform), dtype=np.int64)
