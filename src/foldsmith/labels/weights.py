"""Sample weights: how much a label shares with others, what the market did in it, and how old it is.

Each is computed from the rows given, among themselves; inside a fold these are its training rows. Weights of a scheme
are put together in `foldsmith.labels.weighting`.

Source: Lopez de Prado, Advances in Financial Machine Learning (2018), chapter 4, with closed intervals.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from foldsmith.errors import DataError, SettingError
from foldsmith.intervals import Instants, Rows, concurrency

Floats = npt.NDArray[np.float64]


def average_uniqueness(t0: Instants, t1: Instants, bars: Instants) -> Floats:
    """Mean over the bar closes s in [t0_i, t1_i] of 1 / (number of labels whose closed interval holds s).

        u_i = mean_{s in bars, t0_i <= s <= t1_i} 1 / c_s,    c_s = #{j : t0_j <= s <= t1_j}

    `bars` holds the close of every bar of the full series, in order. O(n log n). Raises DataError where a label
    holds no bar close, or `bars` is not in order.

    Source: Lopez de Prado (2018), section 4.4, with closed intervals.

    >>> average_uniqueness(np.array([0, 2, 4]), np.array([2, 3, 5]), np.arange(6)).round(4)
    array([0.8333, 0.75  , 1.    ])
    """
    first, stop = spans(t0, t1, bars)
    shared = concurrency(t0, t1, bars)
    inverse = np.divide(1.0, shared, out=np.zeros(len(bars)), where=shared > 0)
    total = np.concatenate(([0.0], np.cumsum(inverse)))
    return np.asarray((total[stop] - total[first]) / (stop - first), dtype=np.float64)


def return_attribution(t0: Instants, t1: Instants, bars: Instants, returns: Floats) -> Floats:
    """Absolute return of each label, every bar's return divided among the labels that hold its close.

        w_i = | sum_{s in bars, t0_i < s <= t1_i} r_s / c_s |,    c_s = #{j : t0_j <= s <= t1_j}

    `returns` holds r_s, the return that each bar of `bars` closed with, as from `bar_returns`. That of the bar which
    ends at t0 is not the label's, unlike in the source: it is known at t0, and would make labels heavy that go on in
    its direction (docs/decisions/0011). A bar that no label holds is not looked at. O(n log n). Raises DataError as
    `average_uniqueness` does, and where there is not one return a bar.

    Source: section 4.6 and snippet 4.10, from the bar after t0 on; scaled by `foldsmith.labels.weighting`.

    >>> return_attribution(np.array([0, 1]), np.array([1, 2]), np.arange(3), np.array([0.01, 0.04, -0.05])).round(4)
    array([0.02, 0.05])
    """
    if len(returns) != len(bars):
        raise DataError(f"there are {len(returns)} returns for {len(bars)} bars; one per bar is needed.")
    _, stop = spans(t0, t1, bars)
    after = np.searchsorted(bars, t0, side="right")
    shared = concurrency(t0, t1, bars)
    share = np.divide(returns, shared, out=np.zeros(len(bars)), where=shared > 0)
    total = np.concatenate(([0.0], np.cumsum(share)))
    return np.asarray(np.abs(total[stop] - total[after]), dtype=np.float64)


def bar_returns(close: Floats, block: npt.NDArray[np.int32]) -> Floats:
    """Log return of each bar from the close before it, 0 for the first bar of a block.

    Between blocks lies a roll or a hole, and the step across is nobody's return.

    >>> bar_returns(np.array([1.0, np.e, 7.0]), np.array([0, 0, 1], dtype=np.int32))
    array([0., 1., 0.])
    """
    returns = np.zeros(len(close))
    returns[1:] = np.where(np.diff(block) == 0, np.diff(np.log(close)), 0.0)
    return returns


def time_decay(uniqueness: Floats, oldest: float) -> Floats:
    """Factor in [0, 1] by which the weight of each row decays with age, the newest row's being 1.

        d_i = max(0, 1 - b (x_n - x_i)),    x_i = sum_{j <= i} u_j,
        b = (1 - c) / x_n  for c >= 0,    b = 1 / ((1 + c) x_n)  for c < 0

    Age is counted in cumulative uniqueness u, rows in time order, so that rows which say the same thing many times age
    once. c is `oldest`, in (-1, 1]: 1 is no decay; from 0 up it is what the line starts from before the oldest row;
    below 0 the oldest share -c of all uniqueness has the factor 0. Raises SettingError for another c.

    Source: section 4.7 and snippet 4.11.

    >>> time_decay(np.ones(4), 0.5), time_decay(np.ones(4), -0.5)
    (array([0.625, 0.75 , 0.875, 1.   ]), array([0. , 0. , 0.5, 1. ]))
    """
    if not -1 < oldest <= 1:
        raise SettingError(
            f"a time decay of {oldest:g} cannot be used; give the oldest row's factor, above -1 and up to 1 "
            "(1 for no decay, below 0 to leave out the oldest rows)."
        )
    if oldest == 1 or len(uniqueness) == 0:
        return np.ones(len(uniqueness))
    age = np.cumsum(uniqueness)
    slope = (1 - oldest) / age[-1] if oldest >= 0 else 1 / ((1 + oldest) * age[-1])
    return np.asarray(np.maximum(1 - slope * (age[-1] - age), 0.0), dtype=np.float64)


def spans(t0: Instants, t1: Instants, bars: Instants) -> tuple[Rows, Rows]:
    """The rows [first, stop) of `bars` whose closes each label holds; DataError where it holds none."""
    if (np.diff(bars) <= 0).any():
        raise DataError("the closes of the bars must rise without repeats; sort them first.")
    if (t1 < t0).any():
        raise DataError(
            f"the label of row {int(np.flatnonzero(t1 < t0)[0])} ends before it begins (t1 < t0)."
        )
    first = np.searchsorted(bars, t0, side="left")
    stop = np.searchsorted(bars, t1, side="right")
    if (stop <= first).any():
        row = int(np.flatnonzero(stop <= first)[0])
        raise DataError(
            f"the label of row {row} holds no bar close; the bars are not those the labels were made from."
        )
    return first, stop
