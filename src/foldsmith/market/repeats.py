"""Rows that a file holds more than once, alone or in whole blocks."""

from __future__ import annotations

import numpy as np
import polars as pl

from foldsmith.intervals import Mask
from foldsmith.market.readers.columns import NUMBERS
from foldsmith.market.tally import Tally

BLOCK = 10
"""Rows that are repeated together from which on they are a block."""


def repeats(frame: pl.DataFrame, tally: Tally) -> Mask:
    """Rows to leave out so that each time and contract is there once: the last in the file stays.

    `frame` is sorted by datetime, of equal times in the order of the file, and has each row's place in the file
    as `row` unless the file was sorted. Rows equal to the one that stays are `duplicate`, others are
    `conflicting_duplicate`; a run of `BLOCK` duplicates or more, one below the other in the file, is a
    `repeated_block`.
    """
    instants = frame["datetime"].to_physical().to_numpy()
    same = np.diff(instants) == 0
    equal, other = np.zeros(len(instants), dtype=np.bool_), np.zeros(len(instants), dtype=np.bool_)
    if same.any():
        rows = np.flatnonzero(np.r_[False, same] | np.r_[same, False])
        part = frame[rows].with_columns(pl.Series("row", rows))
        group = ["datetime", "contract"]
        last = part.select(
            "row",
            dropped=pl.col("row") < pl.col("row").max().over(group),
            equal=pl.all_horizontal(pl.col(name) == pl.col(name).last().over(group) for name in NUMBERS),
        ).filter("dropped")
        equal[last.filter("equal")["row"].to_numpy()] = True
        other[last.filter(~pl.col("equal"))["row"].to_numpy()] = True
    _count_blocks(frame, equal, tally)
    return tally.meet("duplicate", frame, equal) | tally.meet("conflicting_duplicate", frame, other)


def _count_blocks(frame: pl.DataFrame, equal: Mask, tally: Tally) -> None:
    """Note runs of repeated rows that are neighbours in the file; in a sorted file a row's twin lies between."""
    blocks = []
    if equal.any() and "row" in frame.columns:
        rows = np.flatnonzero(equal)
        places = frame["row"].to_numpy()[rows].astype(np.int64)
        rows = rows[np.argsort(places)]
        begins = np.flatnonzero(np.r_[True, np.diff(np.sort(places)) != 1])
        lengths = np.diff(np.r_[begins, len(rows)])
        instants = frame["datetime"].to_physical().to_numpy()
        blocks = [
            {"at": int(instants[rows[begin]]), "rows": int(length)}
            for begin, length in zip(begins, lengths, strict=True)
            if length >= BLOCK
        ]
    tally.note("repeated_block", len(blocks), blocks)
