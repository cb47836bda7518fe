"""Why a bar is, or is not, a row of a dataset, of a segment and of a fold: one reason for each bar."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith.audit.intervals import Apart, Instants, Rows, barred

REASONS: Mapping[str, str] = MappingProxyType({
    "warm_up": "no label: its volatility is not known yet, its block (since the last roll or hole) is too young",
    "no_volatility": "no label: prices stood still, so barriers have no width",
    "end_of_data": "no label: its full window runs past the end of the data",
    "crosses_block": "no label: its full window crosses a roll or a hole",
    "no_room": "no label: the lower barrier would be no positive price",
    "no_feature": "no row: a feature is not known yet, in the warm-up of its block",
    "training": "a row of the training segment",
    "validation": "a row of the validation segment",
    "test": "a row of the test segment",
    "purged_from_training": "no row: before the first cut, and its label meets a later segment",
    "purged_from_validation": "no row: between the cuts, and its label meets the test segment",
})  # fmt: skip
"""Every reason there is, and what it says; each bar has exactly one."""
FOLD_REASONS = ("tested", "trained on", "purged", "under embargo")
"""What a training row is to a fold."""


def bar_reasons(
    *,
    sigma: npt.NDArray[np.float64],
    block: npt.NDArray[np.int32],
    max_bars: int,
    labelled: Rows,
    known: npt.NDArray[np.bool_],
    t0: Instants,
    cuts: tuple[int, int],
    segments: Mapping[str, Rows],
) -> npt.NDArray[np.str_]:
    """The reason of each bar, a key of REASONS.

    sigma, block : of every bar; labelled : bars that have a label; known : bars whose features are; t0 : close of every
    bar; segments : bars of each segment by name. A bar without a label is told first why it has none.
    """
    n = len(sigma)
    ends = np.r_[np.flatnonzero(np.diff(block)) + 1, n]
    block_end = ends[np.searchsorted(ends, np.arange(n), side="right")]
    last = np.arange(n) + max_bars
    found = np.full(n, "no_room", dtype="<U24")
    found[last >= block_end] = "crosses_block"
    found[last >= n] = "end_of_data"
    found[sigma <= 0] = "no_volatility"
    found[np.isnan(sigma)] = "warm_up"
    found[labelled] = np.where(t0[labelled] <= cuts[0], "purged_from_training", "purged_from_validation")
    has = np.zeros(n, dtype=np.bool_)
    has[labelled] = True
    found[has & ~known] = "no_feature"
    for name, rows in segments.items():
        found[rows] = name
    return found


def fold_reason(t0: Instants, t1: Instants, row: int, test: Rows, apart: Apart) -> str:
    """What one row is to the fold that tests these rows; one of FOLD_REASONS."""
    if row in test:
        return "tested"
    purged, embargoed = barred(t0, t1, test, apart)
    return "purged" if purged[row] else "under embargo" if embargoed[row] else "trained on"


def counted(reasons: npt.NDArray[Any]) -> dict[str, int]:
    """How many bars have each reason, all of REASONS named."""
    return {name: int((reasons == name).sum()) for name in REASONS}
