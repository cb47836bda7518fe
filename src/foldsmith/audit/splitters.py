"""What any splitter in scikit-learn's protocol leaks, counted from the row numbers that it yields and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith.audit.intervals import SAMPLE, Instants, Mask, Rows, meeting, meeting_by_pairs
from foldsmith.errors import DataError

APART, LEAKS, ABSENT, FAILED = STATES = ("apart", "leaks", "not installed", "could not run")
"""Only the first is a splitter that was seen to keep training rows apart."""


@dataclass(frozen=True)
class LabelSpans:
    """Labels [t0, t1] in time order, int64 microseconds UTC, what they say, and the closes of the full series.

    said : in words, where they come from.
    """

    t0: Instants
    t1: Instants
    y: npt.NDArray[np.int8]
    closes: Instants
    said: str

    def __len__(self) -> int:
        return len(self.t0)

    @property
    def longest(self) -> int:
        """Bars that the longest label spans."""
        begun, over = (np.searchsorted(self.closes, each, side="right") for each in (self.t0, self.t1))
        return int((over - begun).max())


@dataclass(frozen=True)
class Measured:
    """One splitter on some labels, counted over all its splits.

    overlaps : training rows whose closed label meets that of a test row; touching : of them, those that meet none if
    labels are read as half-open, [t0, t1); worst : the most overlaps of one split; embargoed :
    others that begin within the embargo after a run of test rows; gap : fewest bars from a training label to a test
    label, 0 where they meet, None where no row is trained on; train : training rows.
    """

    name: str
    library: str
    state: str
    said: str = ""
    splits: int = 0
    train: int = 0
    overlaps: int = 0
    touching: int = 0
    worst: int = 0
    embargoed: int = 0
    gap: int | None = None

    @property
    def apart(self) -> bool:
        """Whether it was measured, and leaks nothing."""
        return self.state == APART

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as they are written to JSON."""
        return asdict(self)


def measured(name: str, library: str, pairs: Iterable[Any], labels: LabelSpans, embargo: int) -> Measured:
    """Count what the (train, test) pairs of a splitter leak; O(n log n) a pair.

    Test rows may come as one array or, as skfolio has it, as a list of them. The sweep is compared with every pair of
    labels for 200 training rows of each split. DataError for row numbers that are none, or no split at all.
    """
    rng = np.random.default_rng(0)
    counts, gaps, trained, embargoed, touching = list[int](), list[int](), 0, 0, 0
    half_open = replace(labels, t1=np.maximum(labels.t1 - 1, labels.t0))
    for number, (train, test) in enumerate(pairs):
        fitted, scored = (row_numbers(rows, len(labels), f"{name}, split {number}") for rows in (train, test))
        if len(fitted) == 0 or len(scored) == 0:
            raise DataError(
                f"{name}, split {number}: {len(fitted)} rows to fit on and {len(scored)} to score."
            )
        met = _met(labels, fitted, scored)
        chosen = rng.permutation(len(fitted))[:SAMPLE]
        t0, t1 = labels.t0, labels.t1
        rows = fitted[chosen]
        if not np.array_equal(met[chosen], meeting_by_pairs(t0[rows], t1[rows], t0[scored], t1[scored])):
            raise DataError(f"{name}, split {number}: the sweep and looking at every pair do not agree.")
        counts.append(int(met.sum()))
        touching += int((met & ~_met(half_open, fitted, scored)).sum())
        trained += len(fitted)
        embargoed += int((under_embargo(labels, scored, embargo)[fitted] & ~met).sum())
        gaps.append(0 if met.any() else smallest_gap(labels, fitted, scored))
    if not counts:
        raise DataError(f"{name} yields no split.")
    leaks = sum(counts)
    state = LEAKS if leaks or embargoed else APART
    return Measured(
        name, library, state, "", len(counts), trained, leaks, touching, max(counts), embargoed, min(gaps)
    )


def row_numbers(rows: Any, n: int, said: str) -> Rows:
    """Row numbers, rising, each once: of an array, a mask, or a list of arrays."""
    if isinstance(rows, list | tuple) and len(rows) and not np.isscalar(rows[0]):
        rows = np.concatenate([np.asarray(each) for each in rows])
    found = np.asarray(rows)
    if found.dtype == np.bool_ and found.shape == (n,):
        return np.flatnonzero(found).astype(np.int64)
    if found.ndim != 1 or (len(found) and found.dtype.kind not in "iu"):
        raise DataError(f"{said}: rows come as {found.dtype} of shape {found.shape}; row numbers are needed.")
    unique = np.unique(found.astype(np.int64))
    if len(unique) and not 0 <= unique[0] <= unique[-1] < n:
        raise DataError(f"{said}: rows {unique[0]} to {unique[-1]} are named, and there are 0 to {n - 1}.")
    return unique


def under_embargo(labels: LabelSpans, scored: Rows, embargo: int) -> Mask:
    """Rows that begin after a run of test rows ended, within `embargo` bars of its end."""
    first = np.r_[0, np.flatnonzero(np.diff(scored) != 1) + 1]
    ends = np.sort(np.maximum.reduceat(labels.t1[scored], first))
    last = np.searchsorted(ends, labels.t0, side="left") - 1
    begun = np.searchsorted(labels.closes, labels.t0, side="right")
    over = np.searchsorted(labels.closes, ends[np.maximum(last, 0)], side="right")
    return np.asarray((last >= 0) & (begun - over <= embargo), dtype=np.bool_)


def smallest_gap(labels: LabelSpans, fitted: Rows, scored: Rows) -> int:
    """Fewest bars from the end of one label to the beginning of the other, of rows that do not meet."""
    t0, t1 = labels.t0, labels.t1
    starts, ends = np.sort(t0[scored]), np.sort(t1[scored])
    following, before = (
        np.searchsorted(starts, t1[fitted], side="right"),
        np.searchsorted(ends, t0[fitted], side="left"),
    )
    found = [len(labels.closes)]
    closed = _closed(labels)
    has = following < len(starts)
    if has.any():
        found.append(int((closed(starts[following[has]]) - closed(t1[fitted][has])).min()))
    has = before > 0
    if has.any():
        found.append(int((closed(t0[fitted][has]) - closed(ends[before[has] - 1])).min()))
    return min(found)


def unpurged_is_seen(labels: LabelSpans, n_splits: int) -> bool:
    """Whether folds of rows with no purge at all are found to leak on these labels."""
    blocks = np.array_split(np.arange(len(labels), dtype=np.int64), n_splits)
    return any(_met(labels, np.setdiff1d(np.arange(len(labels)), block), block).any() for block in blocks)


def counted(found: Sequence[Measured]) -> str:
    """How many splitters there are in each state."""
    counts = {state: sum(each.state == state for each in found) for state in STATES}
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count)


def _met(labels: LabelSpans, fitted: Rows, scored: Rows) -> Mask:
    return meeting(labels.t0[fitted], labels.t1[fitted], labels.t0[scored], labels.t1[scored])


def _closed(labels: LabelSpans) -> Any:
    return lambda instants: np.searchsorted(labels.closes, instants, side="right")
