"""Triple-barrier labels: which of two price barriers is reached first, or neither before time runs out.

Source: Lopez de Prado, Advances in Financial Machine Learning (2018), chapter 3, with the rules of execution added:
entry at the next open, fills at the open through a gap, and minutes inside a bar that reaches both barriers.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.contracts import UTC_MICROSECONDS
from foldsmith.errors import DataError, SettingError
from foldsmith.intervals import Instants
from foldsmith.labels.targets import with_targets

Floats = npt.NDArray[np.float64]

FLAT = 1e-12
"""A volatility up to this is rounding of prices that do not move, and is called 0."""
_MOST_TICKS = 2.0**30
_CHUNK = 8192
COLUMNS: dict[str, type[np.generic]] = {
    "datetime": np.int64,
    "label_end": np.int64,
    "y": np.int8,
    "bar": np.int64,
    "entry": np.float64,
    "upper": np.float64,
    "lower": np.float64,
    "exit_long": np.float64,
    "exit_short": np.float64,
    "ambiguous": np.bool_,
}
"""Columns of labels as the walk fills them, in their contract's order."""


@dataclass(frozen=True)
class Barriers:
    """Widths of the upper and the lower barrier, in multiples of the volatility over the whole window."""

    up: float
    down: float

    def __post_init__(self) -> None:
        for name, width in (("up", self.up), ("down", self.down)):
            if not 0 < width < 100:
                raise SettingError(
                    f"barrier width {name}={width:g} cannot be used; give one above 0 and below 100."
                )


@dataclass(frozen=True)
class LabelCounts:
    """What became of every bar of the table: `events` are kept, each other bar is dropped for one reason.

    short, neutral, long : events by label. ambiguous : neutral events that reached both barriers inside one base
    bar. gap_fills : events decided by an open at or beyond a barrier.
    warm_up : no volatility yet. no_volatility : prices stood still. end_of_data, crosses_block : the window is cut by
    the end of the data, or by a roll or a hole. no_room : the lower barrier would not be a positive price.
    """

    horizon: int
    max_bars: int
    bars: int
    events: int
    short: int
    neutral: int
    long: int
    ambiguous: int
    gap_fills: int
    warm_up: int
    no_volatility: int
    crosses_block: int
    end_of_data: int
    no_room: int

    def as_dict(self) -> dict[str, int]:
        """The counts by name."""
        return asdict(self)


def volatility(bars: pl.DataFrame, window: int) -> Floats:
    """Rolling standard deviation of log close-to-close returns, one per bar, known at its close.

        sigma_t = sqrt(sum_{i=0}^{w-1} (r_{t-i} - mean)^2 / (w - 1)),    r_t = ln(close_t / close_{t-1})

    over `window` returns inside one block; NaN while the block has fewer. Prices that stand still give 0. A value
    depends on its own window alone, to the last bit, so earlier or later data never changes it.
    """
    if window < 2:
        raise SettingError(f"a volatility window of {window} bars has no spread; at least 2 are needed.")
    n = bars.height
    sigma = np.full(n, np.nan)
    if n <= window:
        return sigma
    returns = np.diff(np.log(bars["close"].to_numpy()))  # returns[i] is that of bar i + 1
    for start in range(window, n, _CHUNK):
        stop = min(start + _CHUNK, n)
        rows = [returns[start - 1 - lag : stop - 1 - lag] for lag in range(window)]
        mean = np.zeros(stop - start)
        for row in rows:
            mean += row
        mean /= window
        squares = np.zeros(stop - start)
        for row in rows:
            squares += (row - mean) ** 2
        sigma[start:stop] = np.sqrt(squares / (window - 1))
    sigma[sigma <= FLAT] = 0.0
    block = bars["block"].to_numpy()
    begins = np.r_[0, np.flatnonzero(np.diff(block)) + 1]
    lengths = np.diff(np.r_[begins, n])
    since = np.arange(n) - np.repeat(begins, lengths)
    sigma[since < window] = np.nan
    return sigma


def triple_barrier(
    bars: pl.DataFrame,
    base: pl.DataFrame,
    ranges: tuple[Instants, Instants],
    sigma: Floats,
    *,
    horizon: int,
    max_bars: int,
    barriers: Barriers,
    tick_size: float,
    least_ticks: float = 1.0,
) -> tuple[pl.DataFrame, LabelCounts]:
    """Labels (`contracts.LABELS`) of every bar whose whole window can be seen, and what became of the others.

    Decided at the close of bar t, entered at the open of bar t + 1, watched over bars t + 1 to t + max_bars:

        upper = entry (1 + up sigma_t sqrt(max_bars)),    lower = entry (1 - down sigma_t sqrt(max_bars)),

    rounded away from the entry to the tick grid, at least `least_ticks` from it. y is 1 if a high reaches the upper
    barrier first, -1 if a low reaches the lower one first, and 0 if neither is reached. A bar that opens at or beyond
    a barrier reaches that one first and fills at the open. In a bar that reaches both otherwise, its base bars decide
    by the same rules; a base bar that reaches both is ambiguous: y = 0, and either side leaves at its stop. Targets of
    a regression are those of `with_targets`.

    Parameters
    ----------
    bars, base : resampled and base bars (`contracts.BARS`). ranges : the rows [first, stop) of `base` in each bar.
    sigma : volatility of each bar, as from `volatility`; NaN where there is none yet.
    horizon : the name of the labels, in bars; it goes into the counts. max_bars : the window.
    tick_size : prices within a millionth of a tick of the grid are on it.

    A bar is dropped, and counted, where its window t .. t + max_bars leaves its block or the data, even if a barrier is
    reached before. Raises DataError for inputs that do not belong together.
    """
    table = PathTable.of(bars, base, ranges, sigma, tick_size)
    columns, counts = table.labels(horizon, max_bars, barriers, least_ticks)
    frame = pl.DataFrame(dict(zip(COLUMNS, columns, strict=True)))
    frame = frame.with_columns(pl.col("datetime", "label_end").cast(UTC_MICROSECONDS))
    return with_targets(frame, table.sigma, max_bars), counts


@dataclass(frozen=True)
class PathTable:
    """Bars as the compiled walk takes them, made once and labelled as often as needed."""

    ticks: tuple[Any, Any, Any]
    prices: tuple[Any, Any]
    minutes: tuple[Any, Any, Any]
    ranges: tuple[Any, Any]
    closes: Instants
    block: npt.NDArray[np.int32]
    sigma: Floats
    tick_size: float

    @classmethod
    def of(
        cls,
        bars: pl.DataFrame,
        base: pl.DataFrame,
        ranges: tuple[Instants, Instants],
        sigma: Floats,
        tick_size: float,
    ) -> PathTable:
        """Check that the inputs belong together, and put prices on the tick grid."""
        first, stop = ranges
        for name, entries in (("sigma", len(sigma)), ("first", len(first)), ("stop", len(stop))):
            if entries != bars.height:
                raise DataError(
                    f"{name} has {entries} entries for {bars.height} bars; one per bar is needed."
                )
        if bars.height and (first[0] < 0 or stop.max() > base.height or (stop <= first).any()):
            raise DataError(
                "the bars refer to base bars that are not there; make the ranges from these two tables."
            )
        if not 0 < tick_size < np.inf:
            raise SettingError(
                f"tick_size={tick_size!r} is no price step; give the instrument's, such as 0.25."
            )
        highest = float(bars["high"].to_numpy().max(initial=0.0))
        if not highest / tick_size < _MOST_TICKS:
            raise DataError(
                f"a price of {highest:g} is too many ticks of {tick_size:g}; the tick size is likely wrong."
            )
        # Compiled code comes with 0.9 s of import, so only where there is work for it.
        from foldsmith.labels.barrier_kernel import in_ticks

        open_, high, low, close = (
            _frozen(bars[name].to_numpy()) for name in ("open", "high", "low", "close")
        )
        n = bars.height
        ticks = np.empty(n), np.empty(n, dtype=np.int32), np.empty(n, dtype=np.int32)
        in_ticks(open_, high, low, float(tick_size), ticks)
        return cls(
            ticks=ticks,
            prices=(open_, close),
            minutes=tuple(_frozen(base[name].to_numpy()) for name in ("open", "high", "low")),  # type: ignore[arg-type]
            ranges=(_frozen(first.astype(np.int64, copy=False)), _frozen(stop.astype(np.int64, copy=False))),
            closes=_frozen(bars["close_time"].to_physical().to_numpy()),
            block=_frozen(bars["block"].to_numpy()),
            sigma=_frozen(np.asarray(sigma, dtype=np.float64)),
            tick_size=float(tick_size),
        )

    def labels(
        self,
        horizon: int,
        max_bars: int,
        barriers: Barriers,
        least_ticks: float = 1.0,
        *,
        only_count: bool = False,
    ) -> tuple[tuple[npt.NDArray[Any], ...], LabelCounts]:
        """The columns of the labels, in their contract's order (empty if they are only counted), and the counts."""
        if max_bars < 1:
            raise SettingError(f"max_bars={max_bars} leaves no bar to watch; at least 1 is needed.")
        if not 1 <= least_ticks < _MOST_TICKS:
            raise SettingError(
                f"barriers at least {least_ticks:g} ticks away cannot be set; at least 1 tick is needed."
            )
        from foldsmith.labels import barrier_kernel as kernel

        fate = kernel.fates(self.sigma, self.block, max_bars)
        tally = np.zeros(7, dtype=np.int64)
        rows = 0 if only_count else int(np.count_nonzero(fate == kernel.KEPT))
        columns = tuple(np.empty(rows + 1, dtype=dtype) for dtype in COLUMNS.values())
        root = float(np.sqrt(max_bars))
        kernel.walk(
            self.ticks,
            self.prices,
            self.minutes,
            self.ranges,
            self.closes,
            self.sigma,
            fate,
            max_bars,
            barriers.up * root,
            barriers.down * root,
            float(least_ticks),
            self.tick_size,
            grid(self.tick_size),
            columns,
            not only_count,
            tally,
        )
        if tally[5]:
            raise DataError(
                f"bar {tally[6]} reaches both barriers and its base bars do not ({tally[5]} such in all); the bars "
                "were not made from these base bars."
            )
        by_fate = np.bincount(fate, minlength=6)
        counts = LabelCounts(
            horizon=horizon,
            max_bars=max_bars,
            bars=len(fate),
            events=int(by_fate[kernel.KEPT]),
            short=int(tally[0]),
            neutral=int(tally[1]),
            long=int(tally[2]),
            ambiguous=int(tally[3]),
            gap_fills=int(tally[4]),
            warm_up=int(by_fate[kernel.WARM_UP]),
            no_volatility=int(by_fate[kernel.NO_VOLATILITY]),
            crosses_block=int(by_fate[kernel.CROSSES_BLOCK]),
            end_of_data=int(by_fate[kernel.END_OF_DATA]),
            no_room=int(by_fate[kernel.NO_ROOM]),
        )
        return tuple(column[: 0 if only_count else counts.events] for column in columns), counts


def grid(tick_size: float) -> tuple[float, float]:
    """(a, b) so that k ticks cost k * a / b.

    Divided where it can be: 57 / 100 is the double 0.57, as a vendor's decimal is read, and 57 * 0.01 is not.
    """
    per_unit = round(1 / tick_size)
    if per_unit >= 1 and abs(per_unit * tick_size - 1) < 1e-12:
        return 1.0, float(per_unit)
    return tick_size, 1.0


def _frozen(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The values, never writable and in one piece: arrays of other kinds would each be compiled for."""
    view = np.ascontiguousarray(values).view()
    view.flags.writeable = False
    return view
