"""Cuts that are made once: training, validation and test segments, and the purged tail of a fold's training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foldsmith import intervals
from foldsmith.errors import DataError, SettingError
from foldsmith.intervals import Labels, Ranges, Rows
from foldsmith.splits.checks import checked_intervals, checked_settings


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
    start, end = checked_intervals(t0, t1)
    settings = checked_settings(embargo, purge, t0, bars)
    training = np.flatnonzero(start <= cuts[0])
    validation = np.flatnonzero((start > cuts[0]) & (start <= cuts[1]))
    test = np.flatnonzero(start > cuts[1])
    labels = Labels.of(start, end)
    validation = _shared(validation, intervals.purge(labels, [test], **settings))
    training = _shared(training, intervals.purge(labels, [test, validation], **settings))
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
    start, end = checked_intervals(t0, t1)
    if not 0 < share < 1:
        raise SettingError(f"share={share} of the rows cannot be a tail; give a number between 0 and 1.")
    settings = checked_settings(embargo, purge, t0, bars)
    first = max(1, round(len(start) * (1 - share)))
    tail = np.arange(first, len(start), dtype=np.int64)
    head = intervals.rows_of(intervals.purge(Labels.of(start, end), [tail], **settings))
    if len(head) == 0 or len(tail) == 0:
        raise DataError(
            f"{len(start)} rows leave no purged tail of {share:.0%} with a head before it; more rows or a shorter "
            "embargo are needed."
        )
    return head, tail


def _shared(rows: Rows, ranges: Ranges) -> Rows:
    """Those of the sorted rows that the ranges hold."""
    return np.intersect1d(rows, intervals.rows_of(ranges), assume_unique=True)
