"""Features that a user wrote: how they are called, what their values must be, and the probe for the future in them."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.errors import DataError, SettingError

PROBED_BLOCKS = 3
"""Blocks that the probe tries, the longest first."""
CUTS = (0.25, 0.5, 0.75, 0.95)
"""Where the probe cuts a block, as shares of its bars; and right after the warm-up."""
WILD = {"open": 3.0, "high": 4.0, "low": 2.0, "close": 3.5, "volume": 7.0}
"""What prices and volumes after a cut are multiplied by."""

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class OwnFeature:
    """What `features.toml` says of one feature.

    file : path below the workspace; function : its name in that file; warmup : bars of a block that must be seen for
    the first value, the bar itself included; digest : SHA-256 of the file, empty before it is read.
    """

    name: str
    file: str
    function: str
    warmup: int
    equation: str
    digest: str = ""

    def __post_init__(self) -> None:
        texts = (self.name, self.file, self.function, self.equation, self.digest)
        # Also read back from recipes, where it may be anything.
        if (
            not all(isinstance(text, str) for text in texts)
            or type(self.warmup) is not int
            or self.warmup < 1
        ):
            raise SettingError(f"feature {self.name!r:.60} is not described as features.toml does.")


@dataclass(frozen=True)
class Loaded:
    """A user's feature and its function: f(bars of one block) -> as many numbers, in the order of the bars."""

    feature: OwnFeature
    function: Callable[[pl.DataFrame], Any]

    def compute(self, bars: pl.DataFrame) -> pl.Series:
        """Float32 (n,) of bars that keep `contracts.BARS`, block by block; NaN in the warm-up of each.

        Raises DataError, naming the feature and the bar, for a result of another length, of no numbers, or that is not
        finite after the warm-up, and for whatever the function raises.
        """
        parts = [self._checked(block) for block in bars.partition_by("block", maintain_order=True)]
        values = np.concatenate(parts) if parts else np.zeros(0)
        return pl.Series(self.feature.name, values.astype(np.float32))

    def probe(self, bars: pl.DataFrame) -> None:
        """Raise DataError if a value changes, by one bit, when the bars after it are replaced or are not there.

        What the probe does not try it does not see: it cuts the longest blocks at a few places.
        """
        blocks = sorted(bars.partition_by("block", maintain_order=True), key=len, reverse=True)
        for block in blocks[:PROBED_BLOCKS]:
            before = self._values(block)
            if not _same(before, self._values(block)).all():
                raise DataError(
                    f"{self._said} gives other values each time it is called; remove what is random."
                )
            for cut in self._cuts(len(block)):
                for after in _otherwise(block, cut):
                    changed = np.flatnonzero(~_same(before[: cut + 1], self._values(after)[: cut + 1]))
                    if len(changed):
                        self._refuse(block, int(changed[0]), cut)

    def _cuts(self, height: int) -> Iterator[int]:
        places = {int(share * height) for share in CUTS} | {self.feature.warmup}
        return iter(sorted(cut for cut in places if 0 <= cut < height - 1))

    def _refuse(self, block: pl.DataFrame, row: int, cut: int) -> None:
        raise DataError(
            f"{self._said} knows the future: its value at the bar of {block['datetime'][row]:%Y-%m-%d %H:%M} UTC "
            f"changes when bars after {block['datetime'][cut]:%Y-%m-%d %H:%M} do. A value may depend on its own bar "
            "and earlier ones only; look for a shift backwards, a centred window, or a mean over the whole block."
        )

    def _checked(self, block: pl.DataFrame) -> Values:
        values = self._values(block).copy()
        values[: self.feature.warmup - 1] = np.nan
        with np.errstate(over="ignore"):
            fits = np.isfinite(values.astype(np.float32))
        bad = np.flatnonzero(~fits[self.feature.warmup - 1 :])
        if len(bad):
            row = int(bad[0]) + self.feature.warmup - 1
            raise DataError(
                f"{self._said} is {values[row]} at bar {row} of the block that begins at "
                f"{block['datetime'][0]:%Y-%m-%d %H:%M} UTC; after its warm-up of {self.feature.warmup} bars a value "
                "is a finite number that 32 bits hold. Say a longer warmup, or give a number where there is none."
            )
        return values

    def _values(self, block: pl.DataFrame) -> Values:
        try:
            # A copy of the frame: columns added to it stay the user's.
            made = self.function(block.clone())
        except Exception as error:  # the user's own code: whatever it raises is told with its line
            line = traceback.extract_tb(error.__traceback__)[-1]
            told = " ".join(str(error).split())[:200]
            raise DataError(
                f"{self._said} failed at line {line.lineno} of {line.filename}: {type(error).__name__}: {told}"
            ) from error
        if not isinstance(made, pl.Series) or not made.dtype.is_float():
            kind = f"a series of {made.dtype}" if isinstance(made, pl.Series) else type(made).__name__
            raise DataError(f"{self._said} gives {kind}; a polars series of Float64 or Float32 is needed.")
        if len(made) != block.height:
            raise DataError(
                f"{self._said} gives {len(made)} values for {block.height} bars; give one for each."
            )
        return made.cast(pl.Float64).fill_null(float("nan")).to_numpy()

    @property
    def _said(self) -> str:
        return f"feature {self.feature.name} ({self.feature.file}, function {self.feature.function})"


def _same(one: Values, other: Values) -> npt.NDArray[np.bool_]:
    """Equal bit for bit, a missing value equal to a missing one."""
    same: npt.NDArray[np.bool_] = one.view(np.uint64) == other.view(np.uint64)
    return same | (np.isnan(one) & np.isnan(other))


def _otherwise(block: pl.DataFrame, cut: int) -> Iterator[pl.DataFrame]:
    """The block with the bars after row `cut` replaced by others, and without them."""
    later = pl.int_range(pl.len()) > cut
    yield block.with_columns(
        pl.when(later).then(pl.col(name) * factor + 1).otherwise(pl.col(name)).alias(name)
        for name, factor in WILD.items()
    )
    yield block.head(cut + 1)
