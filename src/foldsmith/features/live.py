"""Features bar by bar, as they become known: the same definition as `compute`, called on the bars that it can reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.contracts import BARS
from foldsmith.errors import DataError, SettingError
from foldsmith.features.catalogue import FEATURES, members
from foldsmith.features.compute import compute

ACROSS = ("seasonal", "time")
"""Families that look over the edge of a block."""
FADED = 1500
"""Bars of a block after which a recursive feature of the set `core` has forgotten where it began, to 1e-6 of its scale:
(13 / 14)^n and (47 / 49)^n, its slowest weights, are far below that."""


def compute_from(
    bars: pl.DataFrame, first: int, slot_seconds: int, names: Sequence[str], *, threads: int = 1
) -> pl.DataFrame:
    """Rows of `compute` from the begin of the block of row `first` on, made from the bars that those can reach.

    From row `first` on each value is, bit for bit, that of `compute` on all bars; before it, features that look over
    the edge of a block may differ. `datetime` stands first, columns are in the order of FEATURES.
    """
    begin, reach = reached(bars, first, names)
    over = {name for family in ACROSS for name in members(family)}
    within = [name for name in names if name not in over]
    across = [name for name in names if name in over]
    made = compute(bars.slice(begin), slot_seconds, within, threads=threads)
    if across:
        made = made.with_columns(
            compute(bars.slice(reach), slot_seconds, across, threads=threads)
            .slice(begin - reach)
            .drop("datetime")
        )
    wanted = set(names)
    return made.select("datetime", *(name for name in FEATURES if name in wanted))


def reached(bars: pl.DataFrame, first: int, names: Sequence[str]) -> tuple[int, int]:
    """The first row of the block of row `first`, and the first row that a feature of rows from `first` on looks at."""
    same_block, same_session = (
        int((bars[name].slice(0, first + 1) == bars[name][first]).arg_max() or 0)
        for name in ("block", "session")
    )
    if any(FEATURES[name].memory == "slot" for name in names):
        return same_block, 0
    return same_block, min(same_block, same_session)


class LiveFeatures:
    """Features of each bar from the bars given so far.

    names : features of the catalogue; slot_seconds : as `compute` takes it. Given row t of a table of bars after rows 0
    to t - 1, `update` returns what `compute` of the table has at row t, bit for bit. Begun later than the table, a
    feature of memory `window` differs by rounding alone; one of memory `session` is right from the next session on; a
    recursive one comes within 1e-6 of its scale after `FADED` bars; one of memory `slot` as missed sessions fade.

    Kept are the bars of this block and this session, and with features of memory `slot` all bars given, some 100 bytes
    each. An update computes the wanted families on them anew: time grows with the bars of the block.

    >>> LiveFeatures(["return_1"]).names
    ('return_1',)
    """

    def __init__(self, names: Sequence[str], slot_seconds: int = 1) -> None:
        unknown = next((name for name in names if name not in FEATURES), None)
        if unknown is not None or not names:
            raise SettingError(
                f"feature {unknown!r:.60} is not in the catalogue; see `foldsmith features list`."
            )
        self.names = tuple(name for name in FEATURES if name in set(names))
        self._slot_seconds = slot_seconds
        over = {name for family in ACROSS for name in members(family)}
        self._within = tuple(name for name in self.names if name not in over)
        self._across = tuple(name for name in self.names if name in over)
        self._keep_all = any(FEATURES[name].memory == "slot" for name in self.names)
        self._bars = pl.DataFrame(schema={name: column.dtype for name, column in BARS.columns.items()})

    def update(self, bar: Mapping[str, Any]) -> npt.NDArray[np.float32]:
        """Values of the features at the close of `bar`, in the order of `names`: float32 (p,), NaN in a warm-up.

        bar : a value for each column of `contracts.BARS`, such as a row of a table of bars, `frame.row(i, named=True)`;
        it opens when the one before has closed, or later. Raises DataError for one that breaks the contract, and then
        nothing is changed.
        """
        schema = self._bars.schema
        missing = next((name for name in schema if name not in bar), None)
        if missing is not None:
            raise DataError(f"a bar lacks {missing!r}; it needs {', '.join(schema)}.")
        try:
            row = pl.DataFrame({name: [bar[name]] for name in schema}, schema=schema, strict=True)
        except (TypeError, pl.exceptions.PolarsError) as error:
            raise DataError(
                f"a bar does not fit the table of bars ({str(error).splitlines()[0]})."
            ) from error
        # The newest bar kept is enough to see that the new one follows it.
        BARS.check(pl.concat([self._bars.tail(1), row]), "live")
        self._bars = self._reached(row)
        inside = self._bars.filter(pl.col("block") == row["block"][0])
        found: dict[str, float] = {}
        for names, bars in ((self._within, inside), (self._across, self._bars)):
            if names:
                found |= compute(bars, self._slot_seconds, names).tail(1).row(0, named=True)
        return np.array([found[name] for name in self.names], dtype=np.float32)

    def _reached(self, row: pl.DataFrame) -> pl.DataFrame:
        """The bars kept so far that a feature can still reach, and the new one."""
        kept = self._bars
        if not self._keep_all and kept.height and not _goes_on(kept.tail(1), row):
            same_block, same_session = (pl.col(name) == row[name][0] for name in ("block", "session"))
            kept = kept.filter(same_block | same_session)
        return pl.concat([kept, row], rechunk=True)


def _goes_on(last: pl.DataFrame, row: pl.DataFrame) -> bool:
    return all(bool(last[name][0] == row[name][0]) for name in ("block", "session"))
