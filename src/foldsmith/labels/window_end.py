"""Labels told by the closes of a whole window, and left at its end: fixed horizon and trend scanning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.contracts import UTC_MICROSECONDS
from foldsmith.errors import DataError, SettingError
from foldsmith.intervals import Rows
from foldsmith.labels.targets import with_targets
from foldsmith.labels.triple_barrier import Barriers, Floats, LabelCounts, grid


@dataclass(frozen=True)
class Windows:
    """Bars whose whole window can be seen, and the levels around their entries.

    rows : bar t of each; upper, lower : whole ticks; close : of every bar, in ticks; sigma : volatility of
    every bar; fate : why each other bar of the
    table is dropped (`barrier_kernel`).
    """

    bars: pl.DataFrame
    rows: Rows
    upper: Floats
    lower: Floats
    close: Floats
    sigma: Floats
    fate: npt.NDArray[np.uint8]
    max_bars: int
    tick_size: float

    @classmethod
    def of(
        cls,
        bars: pl.DataFrame,
        sigma: Floats,
        *,
        max_bars: int,
        barriers: Barriers,
        tick_size: float,
        least_ticks: float = 1.0,
    ) -> Windows:
        """The windows t .. t + max_bars that stay in their block and the data, and levels as of `triple_barrier`."""
        if max_bars < 1:
            raise SettingError(f"max_bars={max_bars} leaves no bar to watch; at least 1 is needed.")
        if len(sigma) != bars.height:
            raise DataError(f"sigma has {len(sigma)} entries for {bars.height} bars; one per bar is needed.")
        if not 0 < tick_size < np.inf:
            raise SettingError(
                f"tick_size={tick_size!r} is no price step; give the instrument's, such as 0.25."
            )
        from foldsmith.labels import barrier_kernel as kernel

        fate = kernel.fates(np.asarray(sigma, dtype=np.float64), bars["block"].to_numpy(), max_bars)
        open_, close = (_ticks(bars[name].to_numpy(), tick_size) for name in ("open", "close"))
        rows = np.flatnonzero(fate == kernel.KEPT)
        entry = open_[rows + 1]
        unit = entry * sigma[rows] * np.sqrt(max_bars)
        upper = np.ceil(entry + np.maximum(barriers.up * unit, least_ticks) - kernel.SLACK)
        lower = np.floor(entry - np.maximum(barriers.down * unit, least_ticks) + kernel.SLACK)
        room = lower >= 1
        fate[rows[~room]] = kernel.NO_ROOM
        return cls(bars, rows[room], upper[room], lower[room], close, sigma, fate, max_bars, tick_size)

    def labels(self, horizon: int, y: npt.NDArray[np.int8]) -> tuple[pl.DataFrame, LabelCounts]:
        """`contracts.LABELS` of these labels, left at the close of the window's last bar, and the counts."""
        a, b = grid(self.tick_size)
        closes, last = self.bars["close_time"], self.rows + self.max_bars
        leave = self.bars["close"].to_numpy()[last]
        frame = pl.DataFrame(
            {
                "datetime": closes.gather(self.rows),
                "label_end": closes.gather(last),
                "y": y,
                "bar": self.rows,
                "entry": self.bars["open"].to_numpy()[self.rows + 1],
                "upper": self.upper * a / b,
                "lower": self.lower * a / b,
                "exit_long": leave,
                "exit_short": leave,
                "ambiguous": np.zeros(len(y), dtype=np.bool_),
            },
            schema_overrides={"datetime": UTC_MICROSECONDS, "label_end": UTC_MICROSECONDS},
        )
        return with_targets(frame, self.sigma, self.max_bars), self.counts(horizon, y)

    def counts(self, horizon: int, y: npt.NDArray[np.int8]) -> LabelCounts:
        """What became of every bar, these being the labels."""
        from foldsmith.labels import barrier_kernel as kernel

        by_fate = np.bincount(self.fate, minlength=6)
        return LabelCounts(
            horizon=horizon,
            max_bars=self.max_bars,
            bars=len(self.fate),
            events=len(y),
            short=int(np.count_nonzero(y < 0)),
            neutral=int(np.count_nonzero(y == 0)),
            long=int(np.count_nonzero(y > 0)),
            ambiguous=0,
            gap_fills=0,
            warm_up=int(by_fate[kernel.WARM_UP]),
            no_volatility=int(by_fate[kernel.NO_VOLATILITY]),
            crosses_block=int(by_fate[kernel.CROSSES_BLOCK]),
            end_of_data=int(by_fate[kernel.END_OF_DATA]),
            no_room=int(by_fate[kernel.NO_ROOM]),
        )


def fixed_horizon(windows: Windows) -> npt.NDArray[np.int8]:
    """1 where the window's last close is at or above the upper level, -1 where at or below the lower one, else 0.

        upper = entry (1 + up sigma_t sqrt(H)),  lower = entry (1 - down sigma_t sqrt(H)),  y by close_{t+H}

    The levels are rounded as barriers are, and only the close of bar t + H is compared with them.

    Source: Lopez de Prado (2018), section 3.2, with the threshold scaled by volatility.
    """
    last = windows.close[windows.rows + windows.max_bars]
    return np.asarray(
        (last >= windows.upper).astype(np.int8) - (last <= windows.lower).astype(np.int8), dtype=np.int8
    )


def _ticks(price: Any, tick_size: float) -> Floats:
    """Prices in ticks, whole numbers where they are meant to be."""
    from foldsmith.labels.barrier_kernel import SLACK

    exact = price / tick_size
    whole = np.rint(exact)
    return np.asarray(np.where(np.abs(exact - whole) <= SLACK, whole, exact), dtype=np.float64)
