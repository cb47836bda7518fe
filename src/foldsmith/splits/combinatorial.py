"""Combinatorial purged cross-validation: every choice of test groups, and the paths that their predictions make."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith.errors import DataError
from foldsmith.intervals import Closed, EmbargoFrom
from foldsmith.splits.base import Block, Length, Plan, PurgedSplitter, equal_blocks
from foldsmith.splits.checks import checked_count


class CombinatorialPurgedKFold(PurgedSplitter):
    """Every choice of k test groups out of N: C(N, k) splits, and C(N-1, k-1) whole paths of predictions.

    The groups are the N folds of `PurgedKFold`. Each contiguous block of test groups (neighbours make one) is purged
    and embargoed on its own. Every group is tested C(N-1, k-1) times; path p takes each group from the p-th split that
    tests it.

    Parameters
    ----------
    n_splits : N, the number of groups, at least 2; `get_n_splits` says how many splits they make.
    n_test_splits : k, the number of groups that each split tests, from 1 (`PurgedKFold`) to N - 1.
    t0, t1, embargo, purge, bars, closed, embargo_from : as those of `PurgedKFold`.

    Raises what `PurgedKFold` raises.

    Source: Lopez de Prado (2018), sections 12.3 and 12.4.

    >>> t0 = np.arange(12)
    >>> split = CombinatorialPurgedKFold(3, 2, t0=t0, t1=t0 + 1, embargo=0)
    >>> for train, test in split.split(t0):
    ...     print(test, train)
    [0 1 2 3 4 5 6 7] [ 9 10 11]
    [ 0  1  2  3  8  9 10 11] [5 6]
    [ 4  5  6  7  8  9 10 11] [0 1 2]
    >>> split.path_ids.tolist()
    [[0, 0], [1, 0], [1, 1]]
    """

    _settings = ("n_splits", "n_test_splits", *PurgedSplitter._settings)

    def __init__(
        self,
        n_splits: int = 6,
        n_test_splits: int = 2,
        *,
        t0: Any,
        t1: Any,
        embargo: Length,
        purge: Length = 0,
        bars: Any = None,
        closed: Closed = "both",
        embargo_from: EmbargoFrom = "test_label_end",
    ) -> None:
        super().__init__(
            t0=t0, t1=t1, embargo=embargo, purge=purge, bars=bars, closed=closed, embargo_from=embargo_from
        )
        self.n_splits = checked_count(
            n_splits, "n_splits", 2, len(self.t0), f"of {len(self.t0)} rows, each group holds at least one"
        )
        self.n_test_splits = checked_count(
            n_test_splits, "n_test_splits", 1, self.n_splits - 1, f"of {n_splits} groups, some are trained on"
        )

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """C(N, k)."""
        return comb(self.n_splits, self.n_test_splits)

    @property
    def n_paths(self) -> int:
        """C(N-1, k-1), how often each row is tested."""
        return comb(self.n_splits - 1, self.n_test_splits - 1)

    @property
    def paths(self) -> npt.NDArray[np.int64]:
        """The split that tests each group on each path, (N, n_paths).

        >>> t0 = np.arange(5)
        >>> CombinatorialPurgedKFold(5, 2, t0=t0, t1=t0, embargo=0).paths.tolist()
        [[0, 1, 2, 3], [0, 4, 5, 6], [1, 4, 7, 8], [2, 5, 7, 9], [3, 6, 8, 9]]
        """
        tested: list[list[int]] = [[] for _ in range(self.n_splits)]
        for number, chosen in enumerate(self._choices()):
            for group in chosen:
                tested[group].append(number)
        return np.asarray(tested, dtype=np.int64)

    @property
    def path_ids(self) -> npt.NDArray[np.int64]:
        """The path that each test group of each split belongs to, (n_splits choose n_test_splits, n_test_splits)."""
        seen = [0] * self.n_splits
        ids = []
        for chosen in self._choices():
            ids.append([seen[group] for group in chosen])
            for group in chosen:
                seen[group] += 1
        return np.asarray(ids, dtype=np.int64)

    def recombine(self, predictions: Sequence[Any]) -> npt.NDArray[Any]:
        """Paths of predictions, (n_paths, n, ...), from those of each split's test rows, in the order they are yielded.

        Each path predicts every row once, and each prediction made is on one path. `predictions` holds one array per
        split, (rows tested, ...), all of one shape but for the rows. Raises DataError for any other.

        >>> t0 = np.arange(6)
        >>> split = CombinatorialPurgedKFold(3, 2, t0=t0, t1=t0, embargo=0)
        >>> split.recombine([np.full(4, number) for number in range(3)])
        array([[0, 0, 0, 0, 1, 1],
               [1, 1, 2, 2, 2, 2]])
        """
        groups, made = equal_blocks(len(self.t0), self.n_splits), [np.asarray(one) for one in predictions]
        if len(made) != self.get_n_splits():
            raise DataError(
                f"{len(made)} predictions for {self.get_n_splits()} splits; one of each is needed."
            )
        shapes = {one.shape[1:] for one in made}
        if len(shapes) > 1 or any(one.ndim == 0 for one in made):
            raise DataError(f"predictions of splits differ in shape: {sorted(map(str, shapes))}.")
        kind = np.result_type(*{one.dtype for one in made})
        out = np.empty((self.n_paths, len(self.t0), *shapes.pop()), dtype=kind)
        for number, (chosen, ids) in enumerate(zip(self._choices(), self.path_ids, strict=True)):
            at = 0
            rows = sum(groups[group][1] - groups[group][0] for group in chosen)
            if len(made[number]) != rows:
                raise DataError(f"split {number} tests {rows} rows and has {len(made[number])} predictions.")
            for group, path in zip(chosen, ids, strict=True):
                first, after = groups[group]
                out[path, first:after] = made[number][at : at + after - first]
                at += after - first
        return out

    def _choices(self) -> Iterator[tuple[int, ...]]:
        return combinations(range(self.n_splits), self.n_test_splits)

    def _plans(self) -> Iterator[Plan]:
        n = len(self.t0)
        groups = equal_blocks(n, self.n_splits)
        for chosen in self._choices():
            blocks = _joined([groups[group] for group in chosen])
            yield Plan(blocks, blocks, (0, n))


def _joined(blocks: list[Block]) -> tuple[Block, ...]:
    """Neighbours made one."""
    joined = blocks[:1]
    for first, after in blocks[1:]:
        if joined[-1][1] == first:
            joined[-1] = (joined[-1][0], after)
        else:
            joined.append((first, after))
    return tuple(joined)
