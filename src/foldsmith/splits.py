"""Time-ordered splits, purged by label end and embargoed, in scikit-learn's splitter protocol.

Every splitter is built with `t0` and `t1`, one entry per row of X in time order, and refuses an X of another length:
a row's label interval is part of what it is, so a splitter without it could only pretend to purge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from foldsmith import intervals
from foldsmith.errors import DataError, SettingError
from foldsmith.intervals import Instants, Rows

_FIRST_DAY = 86_400_000_000
"""A day in microseconds."""


class PurgedKFold:
    """K contiguous test folds; each trains on the rest, purged by t1 on both sides and embargoed.

    Test fold k of n rows is `numpy.array_split(range(n), K)[k]`. With [s, e] = [min t0, max t1] of the test fold,
    a training row is dropped if its closed interval [t0, t1] meets [s, e] widened by `purge` on both sides, or if
    t0 lies in (e, e + embargo].

    Parameters
    ----------
    n_splits : number of folds, at least 2.
    t0, t1 : decision time and label end of each row, datetimes or integers, sorted by t0.
    embargo : a timedelta, or a whole number of bars of the full series.
    purge : a margin added to the purge, in the same units as `embargo`; it never replaces the purge.
    bars : closes of every bar of the full series, in order. Needed to count bars when t0 is a clock time. Without
        it, whole numbers are added to t0 itself, which is only meaningful (and allowed) where t0 is a bar number.

    Raises DataError for lengths that differ, unsorted t0 or t1 < t0, and SettingError for a fold too many.

    Source: Lopez de Prado (2018), section 7.4, with closed intervals and both sides purged by label end.

    >>> t0 = np.arange(20)
    >>> split = PurgedKFold(4, t0=t0, t1=t0 + 2, embargo=2)
    >>> for train, test in split.split(np.zeros((20, 1))):
    ...     print(test, train)
    [0 1 2 3 4] [ 9 10 11 12 13 14 15 16 17 18 19]
    [5 6 7 8 9] [ 0  1  2 14 15 16 17 18 19]
    [10 11 12 13 14] [ 0  1  2  3  4  5  6  7 19]
    [15 16 17 18 19] [ 0  1  2  3  4  5  6  7  8  9 10 11 12]
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        t0: Any,
        t1: Any,
        embargo: int | timedelta | np.timedelta64,
        purge: int | timedelta | np.timedelta64 = 0,
        bars: Any = None,
    ) -> None:
        self.n_splits = n_splits
        self.t0, self.t1 = _checked_intervals(t0, t1)
        self.bars = _checked_bars(bars)
        self.embargo = _checked_length(embargo, "embargo", t0, self.bars)
        self.purge = _checked_length(purge, "purge", t0, self.bars)
        if not intervals.counts_bars(n_splits) or not 2 <= n_splits <= len(self.t0):
            raise SettingError(
                f"n_splits={n_splits} with {len(self.t0)} rows; at least 2 and at most one fold per row is needed."
            )

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Rows, Rows]]:
        """Yield (train, test) row numbers, fold by fold, in time order. `y` and `groups` are not looked at."""
        n = X.shape[0] if hasattr(X, "shape") else len(X)
        if n != len(self.t0):
            raise DataError(
                f"X has {n} rows and the splitter was built for {len(self.t0)}; "
                "build one from the t0 and t1 of these rows."
            )
        for test in np.array_split(np.arange(n, dtype=np.int64), self.n_splits):
            keep = intervals.purge(
                self.t0, self.t1, [test], embargo=self.embargo, margin=self.purge, bars=self.bars
            )
            train = np.flatnonzero(keep)
            if len(train) == 0:
                raise SettingError(
                    f"no training row is left beside test rows {test[0]}-{test[-1]}: purge and embargo cover the rest; "
                    "use fewer folds, a shorter embargo or more data."
                )
            yield train, test

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """The number of folds."""
        return self.n_splits


@dataclass(frozen=True)
class Segments:
    """Row numbers of the three segments, each with its role (training is fitted, validation scored, test sealed)."""

    training: Rows
    validation: Rows
    test: Rows

    def named(self) -> dict[str, Rows]:
        """The segments by name, in time order."""
        return {"training": self.training, "validation": self.validation, "test": self.test}


def cut_instants(closes: Any, ratios: Sequence[float]) -> tuple[int, int]:
    """The instants after which validation and test begin, from the closes of every bar and (train, val, test) shares.

    Cut by bars of the full series, so that they are the same for every horizon. Raises SettingError unless the
    shares are positive and add up to 1 (to within 1e-9).
    """
    if len(ratios) != 3 or not min(ratios) > 0 or not abs(sum(ratios) - 1) <= 1e-9:
        raise SettingError(
            f"train, validation and test ratios {tuple(ratios)} must be positive and add up to 1; "
            f"they add up to {sum(ratios):g}."
        )
    instants = intervals.as_instants(closes, "closes")
    if len(instants) < 10:
        raise DataError(f"{len(instants)} bars are too few to cut into three segments.")
    # 100 * 0.57 is 56.99 and some: shares are meant as written.
    first = max(int(len(instants) * ratios[0] + 1e-9) - 1, 0)
    second = max(int(len(instants) * (ratios[0] + ratios[1]) + 1e-9) - 1, first + 1)
    return int(instants[first]), int(instants[second])


def holdout(
    t0: Any, t1: Any, cuts: tuple[int, int], *, embargo: Any, purge: Any = 0, bars: Any = None
) -> Segments:
    """Split rows into training (t0 <= cuts[0]), validation and test (t0 > cuts[1]), purged where labels cross a cut.

    Each later segment is a test block for all earlier ones: a training row whose label meets the span of the
    validation or test rows is dropped, as is a validation row whose label meets the span of the test rows.
    """
    start, end = _checked_intervals(t0, t1)
    settings = _checked_settings(embargo, purge, t0, bars)
    training = np.flatnonzero(start <= cuts[0])
    validation = np.flatnonzero((start > cuts[0]) & (start <= cuts[1]))
    test = np.flatnonzero(start > cuts[1])
    beside_test = intervals.purge(start, end, [test], **settings)
    validation = validation[beside_test[validation]]
    beside_validation = intervals.purge(start, end, [validation], **settings)
    training = training[beside_test[training] & beside_validation[training]]
    for name, rows in (("training", training), ("validation", validation), ("test", test)):
        if len(rows) == 0:
            raise DataError(
                f"the {name} segment is empty after purging; more bars or other ratios are needed."
            )
    return Segments(training, validation, test)


def purged_tail(
    t0: Any, t1: Any, share: float, *, embargo: Any, purge: Any = 0, bars: Any = None
) -> tuple[Rows, Rows]:
    """Split rows into a head to fit on and the last `share` of them to score, the head purged against the tail.

    Used for early stopping and tuning inside a fold's own training rows, which may have a hole where its test
    fold was taken out.
    """
    start, end = _checked_intervals(t0, t1)
    if not 0 < share < 1:
        raise SettingError(f"share={share} of the rows cannot be a tail; give a number between 0 and 1.")
    settings = _checked_settings(embargo, purge, t0, bars)
    first = max(1, round(len(start) * (1 - share)))
    tail = np.arange(first, len(start), dtype=np.int64)
    keep = intervals.purge(start, end, [tail], **settings)
    head = np.flatnonzero(keep)
    if len(head) == 0 or len(tail) == 0:
        raise DataError(
            f"{len(start)} rows leave no purged tail of {share:.0%} with a head before it; more rows or a shorter "
            "embargo are needed."
        )
    return head, tail


def _checked_intervals(t0: Any, t1: Any) -> tuple[Instants, Instants]:
    """t0 and t1 as instants; DataError unless equally long, ordered in time and not ending before they begin."""
    start, end = intervals.as_instants(t0, "t0"), intervals.as_instants(t1, "t1")
    if len(start) != len(end):
        raise DataError(f"t0 has {len(start)} entries and t1 has {len(end)}; both need one per row.")
    if (np.diff(start) < 0).any():
        row = int(np.flatnonzero(np.diff(start) < 0)[0]) + 1
        raise DataError(f"t0 goes back in time at row {row}; sort the rows by decision time first.")
    if (end < start).any():
        row = int(np.flatnonzero(end < start)[0])
        raise DataError(f"the label of row {row} ends before it begins (t1 < t0).")
    return start, end


def _checked_length(length: Any, name: str, t0: Any, bars: Instants | None) -> Any:
    """A purge or embargo length that can be counted: not negative, not None, and in a unit that t0 has."""
    if length is None or isinstance(length, bool | float):
        raise SettingError(f"{name}={length!r}: give a timedelta or a whole number of bars (0 for none).")
    whole = intervals.counts_bars(length)
    size = int(length) if whole else intervals.as_span(length, name)
    if size < 0:
        raise SettingError(f"{name}={length!r} is negative; 0 is the least.")
    if whole and size > 0 and bars is None and not _are_bar_numbers(t0):
        raise SettingError(
            f"{name}={length} bars cannot be counted without `bars=`, the closes of the full series; "
            "pass them, or give a timedelta."
        )
    return length


def _checked_bars(bars: Any) -> Instants | None:
    """Closes of the full series as instants; DataError unless they rise, since bars are counted by looking them up."""
    if bars is None:
        return None
    instants = intervals.as_instants(bars, "bars")
    if (np.diff(instants) <= 0).any():
        row = int(np.flatnonzero(np.diff(instants) <= 0)[0]) + 1
        raise DataError(
            f"bars must rise without repeats and do not at entry {row}; give the close of every bar, in order."
        )
    return instants


def _checked_settings(embargo: Any, purge: Any, t0: Any, bars: Any) -> dict[str, Any]:
    """What `intervals.purge` needs, refused on the same grounds by every split."""
    instants = _checked_bars(bars)
    return {
        "embargo": _checked_length(embargo, "embargo", t0, instants),
        "margin": _checked_length(purge, "purge", t0, instants),
        "bars": instants,
    }


def _are_bar_numbers(t0: Any) -> bool:
    """Whether t0 counts bars: integers too small to be microseconds since 1970 (of any day but its first)."""
    values = t0.to_numpy() if hasattr(t0, "to_numpy") else np.asarray(t0)
    return values.dtype.kind in "iu" and (len(values) == 0 or int(np.abs(values).max()) < _FIRST_DAY)
