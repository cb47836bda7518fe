"""The one overlap rule: two labels overlap if their closed intervals [t0, t1] meet.

    overlap(a, b)  <=>  t0_a <= t1_b  and  t0_b <= t1_a

Splits, weights and audits all call this module; nothing else in the project decides what an overlap is.
Instants are int64 microseconds since 1970 UTC, or plain integers (bar numbers) in examples and tests.

Source: Lopez de Prado, Advances in Financial Machine Learning (2018), chapters 4 and 7, with closed intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith.errors import DataError, SettingError

Instants = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


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


def overlaps(t0: Instants, t1: Instants, start: Any, end: Any) -> Mask:
    """Whether each closed interval [t0, t1] meets the closed interval [start, end] (broadcast as numpy does).

    >>> overlaps(np.array([0, 3]), np.array([2, 5]), 2, 2)
    array([ True, False])
    """
    return np.asarray((t0 <= end) & (t1 >= start), dtype=np.bool_)


def concurrency(t0: Instants, t1: Instants, at: Instants) -> npt.NDArray[np.int64]:
    """Number of closed intervals [t0, t1] that hold each instant of `at`, in O((n + m) log n).

    Equal to counting `overlaps(t0, t1, s, s)` for every s, by two sorted look-ups: those that have begun by s,
    less those that ended before it.
    """
    begun = np.searchsorted(np.sort(t0), at, side="right")
    ended = np.searchsorted(np.sort(t1), at, side="left")
    return np.asarray(begun - ended, dtype=np.int64)


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
        return end + as_span(length, name)
    if bars is None:
        return end + int(length)
    # The first bar closing after `end` is number 1 of the span.
    last = int(np.searchsorted(bars, end, side="right")) + int(length) - 1
    if length == 0:
        return end
    return int(bars[last]) if last < len(bars) else int(np.iinfo(np.int64).max)


def span_before(start: int, length: Any, bars: Instants | None, name: str) -> int:
    """The first instant of the span of `length` that leads up to `start`; the mirror of `span_after`."""
    if not counts_bars(length):
        return start - as_span(length, name)
    if bars is None:
        return start - int(length)
    if length == 0:
        return start
    first = int(np.searchsorted(bars, start, side="left")) - int(length)
    return int(bars[first]) if first >= 0 else int(np.iinfo(np.int64).min)


def purge(
    t0: Instants,
    t1: Instants,
    test_blocks: Sequence[Rows],
    *,
    embargo: Any,
    margin: Any = 0,
    bars: Instants | None = None,
) -> Mask:
    """Which rows may train: those no test block overlaps, precedes within the embargo, or holds.

    For each contiguous test block with span [s, e] = [min t0, max t1] of its rows, a row is dropped if

        [t0, t1] meets [s - margin, e + margin]      (the purge, both sides)
        e < t0 <= e + embargo                        (the embargo)

    The span of a block is closed and solid: a row between two test rows is dropped even if it meets neither.
    Returns a boolean mask with one entry per row.
    """
    keep = np.ones(len(t0), dtype=np.bool_)
    for rows in test_blocks:
        if len(rows) == 0:
            continue
        start, end = int(t0[rows].min()), int(t1[rows].max())
        first = span_before(start, margin, bars, "purge")
        last = span_after(end, margin, bars, "purge")
        keep &= ~overlaps(t0, t1, first, last)
        keep &= ~((t0 > end) & (t0 <= span_after(end, embargo, bars, "embargo")))
        keep[rows] = False
    return keep


def _naive_utc(value: Any) -> Any:
    """A datetime without its zone, in UTC; numpy refuses zone-aware ones."""
    if getattr(value, "tzinfo", None) is not None:
        from datetime import UTC

        return value.astimezone(UTC).replace(tzinfo=None)
    return value
