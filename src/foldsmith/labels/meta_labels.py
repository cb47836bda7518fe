"""Meta-labels: whether a side that somebody else chose was right.

Source: Lopez de Prado, Advances in Financial Machine Learning (2018), section 3.6.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith.errors import DataError
from foldsmith.intervals import Rows

Sides = npt.NDArray[np.int8]


def more_probable_side(P: npt.NDArray[Any]) -> Sides:
    """1 where long is more probable than short, -1 where less, 0 where they are equal; P (n, 3), order -1, 0, 1.

    Neutral is set aside, however probable: whether to trade at all is what a meta-label asks. P must be out of fold,
    or of rows that its model was not fitted on; else the sides are right as they never will be again.

    >>> more_probable_side(np.array([[0.3, 0.6, 0.1], [0.2, 0.5, 0.3], [0.25, 0.5, 0.25]]))
    array([-1,  1,  0], dtype=int8)
    """
    return np.asarray(np.sign(P[:, 2] - P[:, 0]), dtype=np.int8)


def meta_labels(side: npt.NDArray[Any], y: npt.NDArray[Any]) -> tuple[Rows, npt.NDArray[np.int8]]:
    """The rows that have a side, and of each whether it was right.

        rows = {i : s_i != 0},    z_i = 1 if s_i y_i > 0 else 0

    A neutral label makes any side wrong: the trade did not reach its barrier. A row keeps its own t0 and t1, so what
    purges its label purges its meta-label. Raises DataError for values other than -1, 0, 1 or lengths that differ.

    >>> meta_labels(np.array([1, -1, 0, 1]), np.array([1, 1, -1, 0]))
    (array([0, 1, 3]), array([1, 0, 0], dtype=int8))
    """
    sides, labels = np.asarray(side), np.asarray(y)
    if sides.ndim != 1 or sides.shape != labels.shape:
        raise DataError(
            f"there are sides of shape {sides.shape} and labels of shape {labels.shape}; one each a row."
        )
    for name, values in (("side", sides), ("label", labels)):
        if not np.isin(values, (-1, 0, 1)).all():
            raise DataError(f"a {name} is {values[~np.isin(values, (-1, 0, 1))][0]!s:.40}; it is -1, 0 or 1.")
    rows = np.flatnonzero(sides).astype(np.int64)
    return rows, (sides[rows] * labels[rows] > 0).astype(np.int8)
