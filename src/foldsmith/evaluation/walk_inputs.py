"""What a walk over bars is given, checked once and laid out for a compiled loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.errors import DataError
from foldsmith.evaluation.rows import Floats

BARS = ("close_time", "session", "block", "open", "high", "low", "close")
LABELS = ("datetime", "label_end", "bar", "upper", "lower", "exit_long", "exit_short")


def check_tables(labels: pl.DataFrame, bars: pl.DataFrame) -> None:
    """DataError unless both have their columns, and labels point at bars and rise in time."""
    for frame, names, what in ((labels, LABELS, "labels"), (bars, BARS, "bars")):
        missing = [name for name in names if name not in frame.columns]
        if missing:
            raise DataError(
                f"column {missing[0]!r} is missing from {what}; it has {', '.join(frame.columns)}."
            )
    bar = labels["bar"].to_numpy()
    if len(bar) and (bar.min() < 0 or bar.max() >= bars.height or (np.diff(bar) <= 0).any()):
        raise DataError(f"labels point outside the {bars.height:,} bars, or do not rise in time.")


def slippage_of(ticks: Any, n: int) -> Floats:
    """One number or (n,) of ticks a side as (n,); DataError."""
    each = np.broadcast_to(np.asarray(ticks, dtype=np.float64), (n,))
    if not np.isfinite(each).all() or (each < 0).any():
        raise DataError("slippage_ticks holds a value that is no number of at least 0.")
    return each


def laid_out(sizes: npt.NDArray[Any], labels: pl.DataFrame, last: Any, bars: pl.DataFrame) -> tuple[Any, ...]:
    """prices, ends, signals, barriers, told: the first arguments of the compiled walks."""

    def column(frame: pl.DataFrame, name: str) -> Floats:
        return np.ascontiguousarray(frame[name].to_numpy(), dtype=np.float64)

    told_bar = (
        bars["close_time"].search_sorted(labels["label_end"]).cast(pl.Int64).to_numpy()
        if labels.height
        else np.empty(0, np.int64)
    )
    return (
        tuple(column(bars, name) for name in ("open", "high", "low", "close")),
        (_last_of(bars["session"]), _last_of(bars["block"])),
        (
            np.ascontiguousarray(labels["bar"].to_numpy(), dtype=np.int64),
            sizes,
            np.ascontiguousarray(last, dtype=np.int64),
        ),
        (column(labels, "upper"), column(labels, "lower")),
        (
            np.ascontiguousarray(told_bar, dtype=np.int64),
            column(labels, "exit_long"),
            column(labels, "exit_short"),
        ),
    )


def _last_of(series: pl.Series) -> npt.NDArray[np.bool_]:
    """Rows after which the value changes."""
    values = series.to_numpy()
    return np.asarray(np.r_[values[1:] != values[:-1], False][: len(values)], dtype=np.bool_)
