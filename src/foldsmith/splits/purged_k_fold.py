"""K contiguous test folds, each purged by label end on both sides and embargoed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from foldsmith.intervals import Closed, EmbargoFrom
from foldsmith.splits.base import Length, Plan, PurgedSplitter, equal_blocks
from foldsmith.splits.checks import checked_count


class PurgedKFold(PurgedSplitter):
    """K contiguous test folds; each trains on the rest, purged by t1 on both sides and embargoed.

    Test fold k of n rows is `numpy.array_split(range(n), K)[k]`. With [s, e] = [min t0, max t1] of the test fold,
    a training row is dropped if its closed interval [t0, t1] meets [s, e] widened by `purge` on both sides, or if
    t0 lies in (e, e + embargo].

    Parameters
    ----------
    n_splits : number of folds, at least 2.
    t0, t1 : decision time and label end of each row, datetimes or integers, sorted by t0.
    embargo : a timedelta, a whole number of bars of the full series, or a share of them, `ShareOfBars(0.01)`.
    purge : a margin added to the purge, in the same units as `embargo`; it never replaces the purge.
    bars : closes of every bar of the full series, in order. Needed to count bars when t0 is a clock time. Without
        it, whole numbers are added to t0 itself, which is only meaningful (and allowed) where t0 is a bar number.
    closed : "both" for labels [t0, t1]; "left" for half-open ones, [t0, t1), which may touch without overlapping. The
        embargo is then of the instants [e, e + embargo).
    embargo_from : what the embargo follows, "test_label_end", e, or "test_last_t0", the test fold's last t0. The latter
        holds back less: of an embargo no longer than the labels, nothing that the purge does not.

    Raises DataError for lengths that differ, unsorted t0 or t1 < t0, and SettingError for a fold too many or a setting
    that does not apply; `split` raises SettingError where no training row is left.

    Source: Lopez de Prado (2018), section 7.4, with closed intervals and both sides purged by label end. Snippet 7.3
    as printed is closed="left".

    >>> t0 = np.arange(20)
    >>> split = PurgedKFold(4, t0=t0, t1=t0 + 2, embargo=2)
    >>> for train, test in split.split(np.zeros((20, 1))):
    ...     print(test, train)
    [0 1 2 3 4] [ 9 10 11 12 13 14 15 16 17 18 19]
    [5 6 7 8 9] [ 0  1  2 14 15 16 17 18 19]
    [10 11 12 13 14] [ 0  1  2  3  4  5  6  7 19]
    [15 16 17 18 19] [ 0  1  2  3  4  5  6  7  8  9 10 11 12]
    """

    _settings = ("n_splits", *PurgedSplitter._settings)

    def __init__(
        self,
        n_splits: int = 5,
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
            n_splits, "n_splits", 2, len(self.t0), f"of {len(self.t0)} rows, each fold tests at least one"
        )

    def _plans(self) -> Iterator[Plan]:
        n = len(self.t0)
        for block in equal_blocks(n, self.n_splits):
            yield Plan((block,), (block,), (0, n))
