"""The draws of the sequential bootstrap, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def draw(first: Any, stop: Any, n_bars: int, uniform: Any) -> Any:
    """One row for each entry of `uniform`, in [0, 1).

    first, stop : int64, rows [first, stop) of the bars that each label holds, `first` rising. The uniqueness of all
    labels is kept in `tree`, a binary tree of sums whose leaves they are.
    """
    n = len(first)
    leaves = 1
    while leaves < n:
        leaves *= 2
    tree = np.zeros(2 * leaves)
    tree[leaves : leaves + n] = 1.0
    for node in range(leaves - 1, 0, -1):
        tree[node] = tree[2 * node] + tree[2 * node + 1]
    # furthest[i] is the last bar that any label up to i holds, and rises: where to begin to look for neighbours.
    furthest = np.empty(n, np.int64)
    for i in range(n):
        furthest[i] = stop[i] if i == 0 else max(furthest[i - 1], stop[i])
    count = np.zeros(n_bars)
    lost = np.zeros(n_bars + 1)
    rows = np.empty(len(uniform), np.int64)
    for k in range(len(uniform)):
        j = _descend(tree, leaves, n, uniform[k] * tree[1])
        rows[k] = j
        begin, end = first[j], stop[j]
        # lost[s + 1] - lost[begin]: what this draw takes from the sums of 1 / (1 + c) over the bars begin to s.
        lost[begin] = 0.0
        for s in range(begin, end):
            lost[s + 1] = lost[s] + 1 / (1 + count[s]) - 1 / (2 + count[s])
            count[s] += 1
        i = np.searchsorted(furthest, begin, side="right")
        while i < n and first[i] < end:
            if stop[i] > begin:
                fall = lost[min(stop[i], end)] - lost[max(first[i], begin)]
                _lower(tree, leaves + i, fall / (stop[i] - first[i]))
            i += 1
    return rows


@njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def _descend(tree: Any, leaves: int, n: int, target: float) -> int:
    """The leaf in whose part of the running sum `target` lies."""
    node = 1
    while node < leaves:
        node *= 2
        if target >= tree[node] and tree[node + 1] > 0:
            target -= tree[node]
            node += 1
    # Rounding may lead past the last label, never to a place left of the first.
    return min(node - leaves, n - 1)


@njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def _lower(tree: Any, leaf: int, by: float) -> None:
    """Take `by` from a leaf; sums above are added up anew, so that they are those of their leaves."""
    tree[leaf] -= by
    node = leaf // 2
    while node >= 1:
        tree[node] = tree[2 * node] + tree[2 * node + 1]
        node //= 2
