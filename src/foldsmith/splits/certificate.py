"""Certificates: what a split's own row numbers say about it, whoever made it.

Nothing here asks a splitter. Overlaps are counted label against label, and what a purge and an embargo should have held
back is found from the test rows alone, by counting the bars between two instants: another road than the splitters take.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith import intervals
from foldsmith.errors import DataError, LeakError
from foldsmith.intervals import Closed, EmbargoFrom, Instants, Mask, Rows
from foldsmith.splits.checks import checked_anchor, checked_intervals, checked_settings


@dataclass(frozen=True)
class Certificate:
    """What is true of one split, counted in rows.

    overlaps : training rows whose label meets the label of a test row (a row in both meets itself).
    breaches : training rows that meet no test label, and that purge or embargo as set should have held back.
    purged : rows neither trained on nor tested that meet the span of a test block, or lie within `purge` of it.
    embargoed : others of those that lie within `embargo` after a test block.
    unused : the rest of those, such as the rows after a test block when walking forward.
    gap_before, gap_after : the least distance between a training label and a test block's span, on either side, in
        the unit of t0 (microseconds of datetimes); negative where one reaches into the other, None without such a row.
    bars_before, bars_after : the same in bars, None without `bars`.
    embargo, purge, closed, embargo_from : the settings that breaches, purged and embargoed are counted by.

    The five counts of rows add up to all rows, unless a row is both trained on and tested.
    """

    n_train: int
    n_test: int
    overlaps: int
    breaches: int
    purged: int
    embargoed: int
    unused: int
    gap_before: int | None
    gap_after: int | None
    bars_before: int | None
    bars_after: int | None
    embargo: str
    purge: str
    closed: str
    embargo_from: str

    @property
    def holds(self) -> bool:
        """Whether no training row overlaps a test row, and purge and embargo are as set."""
        return self.overlaps == 0 and self.breaches == 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as they are stored."""
        return asdict(self)


def certify(
    splits: Iterable[tuple[Any, Any]],
    *,
    t0: Any,
    t1: Any,
    embargo: Any = 0,
    purge: Any = 0,
    bars: Any = None,
    closed: Closed = "both",
    embargo_from: EmbargoFrom = "test_label_end",
) -> list[Certificate]:
    """One certificate for each (train, test) pair of row numbers, from any splitter or list.

    t0, t1, bars and the settings are as those of `PurgedKFold`, and say what the split is measured against. O(n log n).
    Raises DataError for row numbers that are none, and what `PurgedKFold` raises for its arguments.

    >>> from sklearn.model_selection import KFold
    >>> t0 = np.arange(12)
    >>> [one.overlaps for one in certify(KFold(3).split(t0), t0=t0, t1=t0 + 2)]
    [2, 4, 2]
    >>> split = PurgedKFold(3, t0=t0, t1=t0 + 2, embargo=1)
    >>> [(one.overlaps, one.purged, one.embargoed) for one in certify(split.split(t0), t0=t0, t1=t0 + 2, embargo=1)]
    [(0, 2, 1), (0, 4, 1), (0, 2, 0)]
    """
    start, end = checked_intervals(t0, t1)
    settings = checked_settings(embargo, purge, t0, bars)
    anchor = checked_anchor(embargo_from)
    measure = _Measure(start, end, intervals.last_instants(start, end, closed), settings["bars"])
    said: dict[str, Any] = {
        "embargo": str(embargo),
        "purge": str(purge),
        "closed": closed,
        "embargo_from": anchor,
    }
    return [
        Certificate(
            **_counted(measure, _rows(train, len(start)), _rows(test, len(start)), settings, said), **said
        )
        for train, test in splits
    ]


def require(certificates: Iterable[Certificate], what: str) -> list[Certificate]:
    """The certificates, all of which hold; LeakError naming the first that does not."""
    found = list(certificates)
    for number, one in enumerate(found):
        if not one.holds:
            raise LeakError(
                f"{what} {number}: {one.overlaps} training rows overlap what they are scored on and {one.breaches} "
                f"more lie within the purge or embargo (of {one.n_train:,}; embargo {one.embargo}, purge {one.purge}). "
                "Nothing was published; this is a fault of the program, so please report it with the command."
            )
    return found


@dataclass(frozen=True)
class _Measure:
    """Label intervals, closed (`last` is the last instant held), and the distance between two instants."""

    t0: Instants
    t1: Instants
    last: Instants
    bars: Instants | None

    def within(self, earlier: Instants, later: Instants, length: Any) -> Mask:
        """Whether `later` follows `earlier` within `length`: of h bars, fewer than h close between the two."""
        if not intervals.counts_bars(length):
            return np.asarray(later - earlier <= intervals.as_span(length), dtype=np.bool_)
        if self.bars is None or length == 0:
            return np.asarray(later - earlier <= int(length), dtype=np.bool_)
        between = np.searchsorted(self.bars, later, "left") - np.searchsorted(self.bars, earlier, "right")
        return np.asarray(between < int(length), dtype=np.bool_)

    def soon_after(self, ends: Instants, length: Any) -> Mask:
        """Rows that begin after one of `ends` (sorted), within `length` of the nearest."""
        nearest = np.searchsorted(ends, self.t0, side="left") - 1
        return (nearest >= 0) & self.within(ends[nearest], self.t0, length)

    def soon_before(self, starts: Instants, length: Any) -> Mask:
        """Rows that end before one of `starts` (sorted), within `length` of the nearest."""
        nearest = np.searchsorted(starts, self.last, side="right")
        there = nearest < len(starts)
        return there & self.within(self.last, starts[np.where(there, nearest, 0)], length)


def _counted(
    at: _Measure, train: Rows, test: Rows, settings: dict[str, Any], said: dict[str, Any]
) -> dict[str, Any]:
    firsts = np.flatnonzero(np.r_[True, np.diff(test) != 1])
    starts, ends = at.t0[test[firsts]], np.maximum.reduceat(at.last[test], firsts)
    decided = at.t0[test[np.r_[firsts[1:] - 1, len(test) - 1]]]
    anchors = np.sort(ends) if said["embargo_from"] == "test_label_end" else decided
    in_purge = intervals.overlap_counts(at.t0, at.last, starts, ends) > 0
    in_purge |= at.soon_after(np.sort(ends), settings["margin"]) | at.soon_before(starts, settings["margin"])
    in_embargo = at.soon_after(anchors, settings["embargo"])
    meets = intervals.overlap_counts(at.t0[train], at.last[train], at.t0[test], at.last[test]) > 0
    left_out = np.ones(len(at.t0), dtype=np.bool_)
    left_out[train] = left_out[test] = False
    return {
        "n_train": len(train),
        "n_test": len(test),
        "overlaps": int(meets.sum()),
        "breaches": int(((in_purge | in_embargo)[train] & ~meets).sum()),
        "purged": int((left_out & in_purge).sum()),
        "embargoed": int((left_out & in_embargo & ~in_purge).sum()),
        "unused": int((left_out & ~in_embargo & ~in_purge).sum()),
        **_gaps(at, train, starts, np.maximum.reduceat(at.t1[test], firsts)),
    }


def _gaps(at: _Measure, train: Rows, starts: Instants, ends: Instants) -> dict[str, int | None]:
    """Least distances between training labels and the spans [start, end] of test blocks, in time and in bars."""
    begins, reach = at.t0[train], np.maximum.accumulate(at.t1[train])
    number = np.searchsorted(begins, starts, side="left")
    before, after = number > 0, number < len(train)
    latest, next_ = reach[number[before] - 1], begins[number[after]]
    gaps: dict[str, int | None] = {
        "gap_before": _least(starts[before] - latest),
        "gap_after": _least(next_ - ends[after]),
        "bars_before": None,
        "bars_after": None,
    }
    if at.bars is not None:
        gaps["bars_before"] = _least(_closed_by(at.bars, starts[before]) - _closed_by(at.bars, latest))
        gaps["bars_after"] = _least(_closed_by(at.bars, next_) - _closed_by(at.bars, ends[after]))
    return gaps


def _closed_by(bars: Instants, instants: Instants) -> Instants:
    """How many bars have closed by each instant."""
    return np.asarray(np.searchsorted(bars, instants, side="right"), dtype=np.int64)


def _least(values: npt.NDArray[np.int64]) -> int | None:
    return int(values.min()) if len(values) else None


def _rows(numbers: Any, n: int) -> Rows:
    """Sorted row numbers of one side of a split, each once; DataError for what are none."""
    rows = np.asarray(numbers)
    if rows.ndim != 1 or len(rows) == 0 or rows.dtype.kind not in "iu":
        raise DataError(
            f"a side of a split is {rows.dtype} of shape {rows.shape}; a list of row numbers, not empty, is needed."
        )
    if rows.min() < 0 or rows.max() >= n:
        raise DataError(
            f"row numbers from {rows.min()} to {rows.max()} with {n} rows; they lie from 0 to {n - 1}."
        )
    rows = rows.astype(np.int64)
    return rows if (rows[1:] > rows[:-1]).all() else np.unique(rows)
