"""What all splitters share: label intervals, their settings, and scikit-learn's protocol.

Every splitter is built with `t0` and `t1`, one entry per row of X in time order, and refuses an X of another length:
a row's label interval is part of what it is, so a splitter without it could only pretend to purge.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from foldsmith import intervals
from foldsmith.errors import DataError, SettingError
from foldsmith.intervals import Closed, EmbargoFrom, Labels, Ranges, Rows
from foldsmith.splits.certificate import Certificate, certify
from foldsmith.splits.checks import ShareOfBars, checked_anchor, checked_intervals, checked_settings

Length = int | timedelta | np.timedelta64 | ShareOfBars
Block = tuple[int, int]
"""Rows [first, after the last) of one contiguous block."""


class Fold(NamedTuple):
    """One split as ranges of rows, (m, 2) pairs [first, after the last)."""

    train: Ranges
    test: Ranges


class Plan(NamedTuple):
    """What one split tests, what its training rows are kept apart from, and the rows they are taken from."""

    test: tuple[Block, ...]
    apart: tuple[Block, ...]
    window: Block


class PurgedSplitter:
    """Splits whose training rows are purged against, and embargoed after, each contiguous block of test rows.

    A subclass says what each split tests and may train on (`_plans`). A training set is kept as its few ranges of rows
    (`ranges`); `split` makes row numbers of them, one split at a time.
    """

    _settings: tuple[str, ...] = ("embargo", "purge", "closed", "embargo_from")
    """What the repr names."""

    def __init__(
        self,
        *,
        t0: Any,
        t1: Any,
        embargo: Length,
        purge: Length,
        bars: Any,
        closed: Closed,
        embargo_from: EmbargoFrom,
    ) -> None:
        self.t0, self.t1 = checked_intervals(t0, t1)
        self.embargo, self.purge, self.closed = embargo, purge, closed
        self.embargo_from = checked_anchor(embargo_from)
        self.lengths = checked_settings(embargo, purge, t0, bars)
        self.bars = self.lengths["bars"]
        self._labels = Labels.of(self.t0, self.t1, closed)

    def ranges(self) -> list[Fold]:
        """Every split as ranges of rows, without making row numbers of them."""
        return list(self._folds())

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Rows, Rows]]:
        """Yield (train, test) row numbers, split by split. `y` and `groups` are not looked at."""
        n = X.shape[0] if hasattr(X, "shape") else len(X)
        if n != len(self.t0):
            raise DataError(
                f"X has {n} rows and the splitter was built for {len(self.t0)}; "
                "build one from the t0 and t1 of these rows."
            )
        for fold in self._folds():
            yield intervals.rows_of(fold.train), intervals.rows_of(fold.test)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """How many splits `split` yields."""
        return sum(1 for _ in self._plans())

    def certify(self) -> list[Certificate]:
        """A certificate of each split, counted from the row numbers that `split` yields (see `certify`)."""
        return certify(
            self.split(self.t0),
            t0=self.t0,
            t1=self.t1,
            embargo=self.lengths["embargo"],
            purge=self.lengths["margin"],
            bars=self.bars,
            closed=self.closed,
            embargo_from=self.embargo_from,
        )

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._settings)
        return f"{type(self).__name__}({settings}, rows={len(self.t0)})"

    def _plans(self) -> Iterator[Plan]:
        raise NotImplementedError

    def _folds(self) -> Iterator[Fold]:
        n, known = len(self.t0), dict[Block, Ranges]()
        for plan in self._plans():
            for block in plan.apart:
                if block not in known:
                    known[block] = self._barred(block)
            first, after = plan.window
            outside = np.asarray([(0, first), (after, n)], dtype=np.int64)
            train = intervals.ranges_left(n, [outside, *(known[block] for block in plan.apart)])
            if len(train) == 0:
                rows = ", ".join(f"{a}-{b - 1}" for a, b in plan.test)
                raise SettingError(
                    f"no training row is left beside test rows {rows}: purge and embargo cover the rest; "
                    "use fewer folds, a shorter embargo or more data."
                )
            yield Fold(train, np.asarray(plan.test, dtype=np.int64))

    def _barred(self, block: Block) -> Ranges:
        return intervals.barred(self._labels, slice(*block), **self.lengths, embargo_from=self.embargo_from)


def equal_blocks(n: int, count: int) -> list[Block]:
    """`count` contiguous blocks of n rows, those of `numpy.array_split`: the first n % count hold one row more."""
    size, longer = divmod(n, count)
    first = [k * size + min(k, longer) for k in range(count + 1)]
    return list(pairwise(first))
