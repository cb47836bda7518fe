"""What "kept apart" means, said again from scratch: nothing here calls foldsmith.intervals or foldsmith.splits.

All instants lie on a grid of minutes, and labels are closed intervals, so two of them meet exactly if they share a
minute of that grid. That is counted, not compared.
"""

from __future__ import annotations

import bisect
from typing import Any

import numpy as np

MINUTE = 60_000_000


def meeting(t0: Any, t1: Any, one: Any, other: Any) -> int:
    """How many rows of `one` share an instant with the label of any row of `other`; by counting minutes."""
    start = np.asarray(t0, dtype=np.int64) // MINUTE
    end = np.asarray(t1, dtype=np.int64) // MINUTE
    assert (np.asarray(t0) % MINUTE == 0).all()
    assert (np.asarray(t1) % MINUTE == 0).all()
    origin = int(start.min())
    length = int(end.max()) - origin + 1
    steps = np.zeros(length + 1, dtype=np.int64)
    np.add.at(steps, start[other] - origin, 1)
    np.add.at(steps, end[other] - origin + 1, -1)
    covered = np.r_[0, np.cumsum(np.cumsum(steps)[:-1] > 0)]
    shared = covered[end[one] - origin + 1] - covered[start[one] - origin]
    return int(np.count_nonzero(shared))


def meeting_pair_by_pair(t0: Any, t1: Any, one: Any, other: Any) -> int:
    """The same count, every pair looked at."""
    found = 0
    for row in one:
        a, b = int(t0[row]), int(t1[row])
        found += any(
            max(a, c) <= min(b, d) for c, d in zip(t0[other].tolist(), t1[other].tolist(), strict=True)
        )
    return found


def in_embargo(t0: Any, t1: Any, train: Any, test: Any, closes: Any, embargo: int) -> int:
    """How many training rows begin within `embargo` bars after the last label end of a test block."""
    bars = list(map(int, closes))
    found: set[int] = set()
    for block in np.split(test, np.flatnonzero(np.diff(test) != 1) + 1):
        end = max(int(t1[row]) for row in block)
        begun = bisect.bisect_right(bars, end)
        for row in train:
            if end < int(t0[row]) and bisect.bisect_right(bars, int(t0[row])) - begun <= embargo:
                found.add(int(row))
    return len(found)
