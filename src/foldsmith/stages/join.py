"""Out-of-fold tables of several runs and horizons, joined on decision time without a look into any label.

The rows, labels and weights are those of the first table. Beside the label of its own, each row carries the interval
from the first decision to the last label end of the predictions joined in it, by which everything is purged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.contracts import UTC_MICROSECONDS
from foldsmith.dataset import Dataset
from foldsmith.errors import DataError
from foldsmith.intervals import Instants, Rows, as_instants, overlap_counts, span_before
from foldsmith.splits import PurgedKFold
from foldsmith.validation.cross_validate import Separation

ENDLESS = np.iinfo(np.int64)
SPAN = ("joined_from", "joined_until")
"""Columns of a joined table that hold the interval a row is purged by."""


def events(frame: pl.DataFrame) -> Dataset:
    """Rows of a stacking table as a dataset without features (the probabilities travel beside it)."""
    return _rows(frame, "datetime", "label_end")


def spans(frame: pl.DataFrame) -> Dataset:
    """The same with the intervals that they are purged by: of a joined table, those of all that was joined."""
    return _rows(frame, *(SPAN if SPAN[0] in frame.columns else ("datetime", "label_end")))


def _rows(frame: pl.DataFrame, begin: str, end: str) -> Dataset:
    return Dataset(
        X=np.empty((frame.height, 0), dtype=np.float32),
        y=frame["y_true"].to_numpy().astype(np.int8),
        weight=frame["sample_weight"].to_numpy(),
        t0=as_instants(frame[begin]),
        t1=as_instants(frame[end]),
        names=(),
    )


def align(at: Instants, known: Instants, max_age: int) -> Rows:
    """For each instant the last row of `known` (rising) that is not after it nor older than `max_age`; -1 for none.

    >>> align(np.array([5, 6, 9]), np.array([1, 6]), 3).tolist()
    [-1, 1, 1]
    """
    if len(known) == 0:
        return np.full(len(at), -1, dtype=np.int64)
    found = np.searchsorted(known, at, side="right").astype(np.int64) - 1
    young = (found >= 0) & (at - known[np.maximum(found, 0)] <= max_age)
    return np.where(young, found, -1)


def widest(separations: Sequence[Separation]) -> Separation:
    """The largest purge and embargo of all, in bars of the first: what holds back e bars of another series does so too.

    Of another series counts the stretch of e of its bars that holds most bars of the first.
    """
    first = separations[0]
    return Separation(
        max(_in_bars_of(first.bars, each.bars, each.embargo) for each in separations),
        max(_in_bars_of(first.bars, each.bars, each.purge) for each in separations),
        first.bars,
    )


def _in_bars_of(bars: Instants, other: Instants, length: int) -> int:
    """The most of `bars` that close within `length` bars of another series."""
    if length == 0 or len(other) <= length:
        return length
    closed = np.searchsorted(bars, other, side="right")
    return int((closed[length:] - closed[:-length]).max())


@dataclass(frozen=True)
class OofTable:
    """Out-of-fold predictions of one run at one horizon, and how its folds were kept apart."""

    frame: pl.DataFrame
    n_splits: int
    separation: Separation

    def fitted_rows(self) -> list[Rows]:
        """Rows of the table that each fold's base models could be fitted on; DataError where its folds are others."""
        rows, fold = events(self.frame), self.frame["fold"].to_numpy()
        split = PurgedKFold(self.n_splits, t0=rows.t0, t1=rows.t1, **self.separation.options())
        found = []
        for number, (train, test) in enumerate(split.split(rows.X)):
            if not np.array_equal(test, np.flatnonzero(fold == number)):
                raise DataError(
                    "the folds of a stacking dataset are not those that its settings give; make its CV run again."
                )
            found.append(train)
        return found


@dataclass(frozen=True)
class Joined:
    """The joined table, and for each table but the first what became of the first's rows.

    counts : missing (the other has no prediction), purged (it was made by a model that was fitted on a label which the
    row's own label meets).
    """

    frame: pl.DataFrame
    counts: list[dict[str, int]]


def join_out_of_fold(tables: Sequence[OofTable], apart: Separation, max_age: int) -> Joined:
    """Join tables on decision time; their probability columns have different names already.

    A row stays if every other table has a row decided with it (or before, within `max_age`), whose base models were
    fitted on no label that meets the row's own or lies in the purge or embargo `apart` around it: a run with shorter
    labels, or with other folds, trains on rows inside the first run's label else.
    """
    first = tables[0].frame
    own = events(first)
    kept = np.ones(len(own), dtype=np.bool_)
    begin, end = own.t0.copy(), own.t1.copy()
    fold = first["fold"].to_numpy()
    behind = fold.max() - fold
    columns: list[pl.DataFrame] = []
    counts = []
    wide = widened(own, apart)
    for table in tables[1:]:
        theirs = events(table.frame)
        at = align(own.t0, theirs.t0, max_age)
        there = at >= 0
        clear = _clear(wide, table, at)
        counts.append({"missing": int((~there).sum()), "purged": int((there & ~clear).sum())})
        kept &= clear
        seen = np.maximum(at, 0)
        begin = np.where(there, np.minimum(begin, theirs.t0[seen]), begin)
        end = np.where(there, np.maximum(end, theirs.t1[seen]), end)
        their_fold = table.frame["fold"].to_numpy()
        behind = np.maximum(behind, (their_fold.max() - their_fold)[seen])
        columns.append(
            table.frame.select(name for name in table.frame.columns if name not in first.columns)[seen]
        )
    # Blending takes the last fold, whose models saw earlier rows alone: here, the last of every table.
    joint = np.maximum(fold.max() - behind, 0).astype(fold.dtype)
    frame = pl.concat([first, *columns], how="horizontal").with_columns(
        pl.Series("fold", joint), instants(SPAN[0], begin), instants(SPAN[1], end)
    )
    return Joined(frame.filter(pl.Series(kept)), counts)


def widened(rows: Dataset, apart: Separation) -> tuple[Instants, Instants]:
    """Intervals [t0 - purge, t1 + the larger of purge and embargo], both counted on the bars: endless past them."""
    bars, lead, trail = apart.bars, apart.purge, max(apart.purge, apart.embargo)
    first = np.searchsorted(bars, rows.t0, side="left") - lead
    last = np.searchsorted(bars, rows.t1, side="right") + trail - 1
    begin = np.where(first >= 0, bars[np.maximum(first, 0)], ENDLESS.min) if lead else rows.t0
    end = np.where(last < len(bars), bars[np.minimum(last, len(bars) - 1)], ENDLESS.max) if trail else rows.t1
    return begin, end


def _clear(wide: tuple[Instants, Instants], table: OofTable, at: Rows) -> npt.NDArray[np.bool_]:
    """Rows whose widened label meets no label that the model of their prediction was fitted on."""
    theirs, fold = events(table.frame), table.frame["fold"].to_numpy()
    clear = np.zeros(len(at), dtype=np.bool_)
    for number, fitted in enumerate(table.fitted_rows()):
        mine = np.flatnonzero((at >= 0) & (fold[np.maximum(at, 0)] == number))
        meets = overlap_counts(wide[0][mine], wide[1][mine], theirs.t0[fitted], theirs.t1[fitted])
        clear[mine] = meets == 0
    return clear


def before(frame: pl.DataFrame, held: Dataset, apart: Separation) -> pl.DataFrame:
    """The rows whose interval ends before the first of the held rows begins, less the purge."""
    until = span_before(int(held.t0.min()), apart.purge, apart.bars, "purge")
    return frame.filter(pl.Series(spans(frame).t1 < until))


def instants(name: str, values: Instants) -> pl.Series:
    """A column of instants as tables hold them."""
    return pl.Series(name, values, dtype=pl.Int64).cast(UTC_MICROSECONDS)
