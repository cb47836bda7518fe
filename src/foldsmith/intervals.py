"""The one overlap rule: two labels overlap if their closed intervals [t0, t1] meet.

    overlap(a, b)  <=>  t0_a <= t1_b  and  t0_b <= t1_a

Splits, weights and audits all call this module; nothing else in the project decides what an overlap is. Whoever reads
labels as half-open, [t0, t1), says `closed="left"`: instants are whole, so that is the closed interval up to the
instant before t1, and the rule stays the same.
Instants are int64 microseconds since 1970 UTC, or plain integers (bar numbers) in examples and tests.

Source: Lopez de Prado, Advances in Financial Machine Learning (2018), chapters 4 and 7, with closed intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from foldsmith.errors import DataError, SettingError

Instants = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Ranges = npt.NDArray[np.int64]
"""Row numbers as (m, 2) pairs [first, after the last), rising and apart: a training set is a handful of them."""
Closed = Literal["both", "left"]
"""Whether a label holds both its ends, [t0, t1], or only its beginning, [t0, t1)."""
EmbargoFrom = Literal["test_label_end", "test_last_t0"]
"""Where an embargo begins: at the largest t1 of a contiguous test block, or at its last decision time."""
_ENDLESS = np.iinfo(np.int64)


def as_instants(values: Any, name: str = "values") -> Instants:
    """Return `values` as int64: datetimes become microseconds since 1970 UTC, integers stay as they are.

    Accepts numpy arrays, polars or pandas series, and lists, of datetimes (zone-aware ones are taken in UTC) or
    integers. Raises DataError for any other type, for missing values, or for more than one dimension.
    """
    array = values.to_numpy() if hasattr(values, "to_numpy") else np.asarray(values)
    if array.ndim != 1:
        raise DataError(f"{name} has {array.ndim} dimensions; one entry per row is needed.")
    if array.dtype.kind == "O":
        array = np.asarray([np.datetime64(_naive_utc(v), "us") for v in array], dtype="datetime64[us]")
    if array.dtype.kind == "M":
        if np.isnat(array).any():
            raise DataError(
                f"{name} holds {int(np.isnat(array).sum())} missing instants; every row needs one."
            )
        return array.astype("datetime64[us]").astype(np.int64)
    if array.dtype.kind in "iu":
        return array.astype(np.int64)
    raise DataError(f"{name} has type {array.dtype}; datetimes or integers are needed.")


def as_span(span: Any, name: str = "span") -> int:
    """Return a time span (timedelta, numpy or pandas) as microseconds; a bare integer is refused."""
    if isinstance(span, np.timedelta64):
        return int(span.astype("timedelta64[us]").astype(np.int64))
    if isinstance(span, timedelta):
        return int(span / timedelta(microseconds=1))
    raise SettingError(f"{name}={span!r} is no span of time; give a timedelta, or whole bars with `bars=`.")


def counts_bars(length: Any) -> bool:
    """Whether a length is a whole number of bars, rather than a span of time (numpy calls its spans integers)."""
    return isinstance(length, int | np.integer) and not isinstance(length, bool | np.timedelta64)


def last_instants(t0: Any, t1: Any, closed: Closed = "both") -> Any:
    """The last instant that each label holds: t1 if closed at both ends, the instant before it if half-open.

    A label that ends where it begins holds that one instant under either reading: an empty interval would meet nothing,
    and a row could be trained on beside its own twin.
    """
    if closed not in get_args(Closed):
        raise SettingError(
            f"closed={closed!r} is not known; 'both' is for labels [t0, t1], 'left' for [t0, t1)."
        )
    return t1 if closed == "both" else np.maximum(t1 - 1, t0)


def overlaps(t0: Instants, t1: Instants, start: Any, end: Any, closed: Closed = "both") -> Mask:
    """Whether each interval [t0, t1] meets the interval [start, end] (broadcast as numpy does).

    >>> overlaps(np.array([0, 3]), np.array([2, 5]), 2, 2)
    array([ True, False])
    >>> overlaps(np.array([0, 3]), np.array([2, 5]), 2, 3, closed="left")
    array([False, False])
    """
    last, until = last_instants(t0, t1, closed), last_instants(start, end, closed)
    return np.asarray((t0 <= until) & (last >= start), dtype=np.bool_)


def overlap_counts(
    t0: Instants, t1: Instants, start: Instants, end: Instants, closed: Closed = "both"
) -> npt.NDArray[np.int64]:
    """How many of the intervals [start, end] each [t0, t1] overlaps, in O((n + m) log m); in any order.

    Equal to summing `overlaps` over every pair, by two sorted look-ups: those that have begun by the last instant of a
    label, less those that ended before its first.

    >>> overlap_counts(np.array([0, 3]), np.array([2, 5]), np.array([1, 2, 9]), np.array([1, 4, 9]))
    array([2, 1])
    """
    begun = np.searchsorted(np.sort(start), last_instants(t0, t1, closed), side="right")
    ended = np.searchsorted(np.sort(last_instants(start, end, closed)), t0, side="left")
    return np.asarray(begun - ended, dtype=np.int64)


def concurrency(t0: Instants, t1: Instants, at: Instants) -> npt.NDArray[np.int64]:
    """Number of closed intervals [t0, t1] that hold each instant of `at`, in O((n + m) log n)."""
    return overlap_counts(at, at, t0, t1)


def contiguous_blocks(rows: Rows) -> list[Rows]:
    """Cut sorted row numbers into runs of consecutive numbers: [0, 1, 5] -> [[0, 1], [5]]."""
    if len(rows) == 0:
        return []
    return np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1)


def span_after(end: int, length: Any, bars: Instants | None, name: str) -> int:
    """The last instant of the span of `length` that follows `end`.

    `length` is a timedelta, or a whole number of bars. Bars are counted on `bars`, the close of every bar of the
    full series (not of the surviving rows); past its last bar the span is endless. Without `bars` a number of
    bars can only be added where instants are bar numbers themselves, which the caller must have settled.
    """
    if not counts_bars(length):
        return min(end + as_span(length, name), _ENDLESS.max)
    if bars is None:
        return min(end + int(length), _ENDLESS.max)
    # The first bar closing after `end` is number 1 of the span.
    last = int(np.searchsorted(bars, end, side="right")) + int(length) - 1
    if length == 0:
        return end
    return int(bars[last]) if last < len(bars) else _ENDLESS.max


def span_before(start: int, length: Any, bars: Instants | None, name: str) -> int:
    """The first instant of the span of `length` that leads up to `start`; the mirror of `span_after`."""
    if not counts_bars(length):
        return max(start - as_span(length, name), _ENDLESS.min)
    if bars is None:
        return max(start - int(length), _ENDLESS.min)
    if length == 0:
        return start
    first = int(np.searchsorted(bars, start, side="left")) - int(length)
    return int(bars[first]) if first >= 0 else _ENDLESS.min


@dataclass(frozen=True)
class Labels:
    """Label intervals sorted by t0, with what finding the overlapping ones takes.

    last : the last instant each label holds; reach : the running maximum of `last`, so that all rows before the first
    whose reach comes to an instant have ended before it.
    """

    t0: Instants
    last: Instants
    reach: Instants

    @classmethod
    def of(cls, t0: Instants, t1: Instants, closed: Closed = "both") -> Labels:
        """Labels of sorted t0, under either reading of their ends."""
        last = last_instants(t0, t1, closed)
        return cls(t0, last, np.maximum.accumulate(last))

    def __len__(self) -> int:
        return len(self.t0)


def barred(
    labels: Labels,
    block: Rows | slice,
    *,
    embargo: Any,
    margin: Any = 0,
    bars: Instants | None = None,
    embargo_from: EmbargoFrom = "test_label_end",
) -> Ranges:
    """Rows that may not train beside one contiguous test block: its own, those that overlap it, those under embargo.

    With the block's span [s, e] = [min t0, max t1] of its rows, and a = e or the block's last t0, as `embargo_from`
    says, a row is barred if

        [t0, t1] meets [s - margin, e + margin]      (the purge, both sides)
        a < t0 <= a + embargo                        (the embargo)

    The span of a block is closed and solid: a row between two test rows is barred even if it meets neither. Of
    half-open labels e is the last instant held, the one before the largest t1. Takes O(log n) and a look at each row of
    the block and at the few before it that could reach it. Ranges may touch.
    """
    t0, decided = labels.t0, labels.t0[block]
    if len(decided) == 0:
        return np.empty((0, 2), dtype=np.int64)
    start, end = int(decided[0]), int(labels.last[block].max())
    if embargo_from not in get_args(EmbargoFrom):
        raise SettingError(f"embargo_from={embargo_from!r}; {' and '.join(get_args(EmbargoFrom))} are known.")
    anchor = end if embargo_from == "test_label_end" else int(decided[-1])
    first = span_before(start, margin, bars, "purge")
    last = span_after(end, margin, bars, "purge")
    until = span_after(anchor, embargo, bars, "embargo")
    # Rows that begin in [first, last] overlap, and those under embargo follow them without a gap, as a >= s.
    inside = int(np.searchsorted(t0, first, side="left"))
    after = int(np.searchsorted(t0, max(last, until), side="right"))
    # Of those that begin before, none ahead of `near` lasts until `first`; each of the rest is looked at.
    near = int(np.searchsorted(labels.reach, first, side="left"))
    reaching = near + np.flatnonzero(overlaps(t0[near:inside], labels.last[near:inside], first, last))
    # Rows in a row make one range.
    breaks = np.flatnonzero(reaching[1:] - reaching[:-1] != 1)
    ranges = np.empty((min(len(reaching), len(breaks) + 1) + 1, 2), dtype=np.int64)
    ranges[-1] = inside, after
    if len(reaching):
        ranges[0, 0], ranges[-2, 1] = reaching[0], reaching[-1] + 1
        ranges[1:-1, 0], ranges[:-2, 1] = reaching[breaks + 1], reaching[breaks] + 1
    return ranges


def ranges_left(n: int, taken: Sequence[Ranges]) -> Ranges:
    """The rows of range(n) that none of the ranges takes; they may overlap, and come in any order.

    >>> ranges_left(9, [np.array([[2, 4], [3, 5]]), np.array([[7, 9]])])
    array([[0, 2],
           [5, 7]])
    """
    every = np.concatenate([np.empty((0, 2), dtype=np.int64), *taken])
    every = every[np.argsort(every[:, 0], kind="stable")]
    free = np.empty((len(every) + 1, 2), dtype=np.int64)
    free[0, 0], free[-1, 1] = 0, n
    free[1:, 0], free[:-1, 1] = np.maximum.accumulate(every[:, 1]), every[:, 0]
    return free[free[:, 0] < free[:, 1]]


def rows_of(ranges: Ranges) -> Rows:
    """The row numbers that ranges stand for: [[0, 2], [5, 6]] -> [0, 1, 5]."""
    if len(ranges) == 0:
        return np.empty(0, dtype=np.int64)
    return np.concatenate([np.arange(first, after, dtype=np.int64) for first, after in ranges.tolist()])


def purge(labels: Labels, test_blocks: Sequence[Rows | slice], **settings: Any) -> Ranges:
    """The rows that may train: those that are barred (see `barred`, which takes the settings) by no test block."""
    return ranges_left(len(labels), [barred(labels, block, **settings) for block in test_blocks])


def _naive_utc(value: Any) -> Any:
    """A datetime without its zone, in UTC; numpy refuses zone-aware ones."""
    if getattr(value, "tzinfo", None) is not None:
        from datetime import UTC

        return value.astimezone(UTC).replace(tzinfo=None)
    return value
