"""Certificates of the splits that a run used, kept beside its results; a split that leaks stops the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from foldsmith.dataset import Dataset
from foldsmith.intervals import Rows
from foldsmith.splits import Segments, certify
from foldsmith.splits.certificate import require
from foldsmith.validation.cross_validate import Separation

Pair = tuple[Rows, Rows]


def certified_folds(
    what: str, data: Dataset, pairs: Sequence[Pair], separation: Separation
) -> list[dict[str, Any]]:
    """A certificate of each (fitted, scored) pair of rows, in order; LeakError if one does not hold."""
    found = certify(pairs, t0=data.t0, t1=data.t1, **separation.options())
    return [one.to_dict() for one in require(found, what)]


def certified_segments(
    data: Dataset, segments: Segments, separation: Separation
) -> dict[str, dict[str, Any]]:
    """A certificate of each segment against each later one, `earlier_later`; LeakError if one does not hold."""
    named = segments.named()
    pairs = [("training", "validation"), ("training", "test"), ("validation", "test")]
    return {
        f"{a}_{b}": certified_folds(
            f"{a} against {b}, segment cut", data, [(named[a], named[b])], separation
        )[0]
        for a, b in pairs
    }


def certified_apart(what: str, fitted: Dataset, scored: Dataset, separation: Separation) -> dict[str, Any]:
    """The certificate of rows in two tables, one fitted on and the later scored; LeakError if it does not hold."""
    both = Dataset(
        X=np.empty((len(fitted) + len(scored), 0), dtype=np.float32),
        y=np.r_[fitted.y, scored.y],
        weight=np.ones(len(fitted) + len(scored)),
        t0=np.r_[fitted.t0, scored.t0],
        t1=np.r_[fitted.t1, scored.t1],
        names=(),
    )
    rows = np.arange(len(both), dtype=np.int64)
    return certified_folds(what, both, [(rows[: len(fitted)], rows[len(fitted) :])], separation)[0]
