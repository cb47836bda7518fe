"""Bars of equal trading: each closes when a sum over base bars has reached a threshold.

Source: Lopez de Prado, Advances in Financial Machine Learning (2018), section 2.3.1.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from foldsmith.contracts import UTC_MICROSECONDS
from foldsmith.errors import DataError, SettingError
from foldsmith.market.findings import iso
from foldsmith.market.resample import frozen, session_rows
from foldsmith.market.sessions import Schedule
from foldsmith.market.timeframe import SUMS, Timeframe

_NO_COUNT = (
    "a timeframe of tick:{:g} counts trades, and these bars do not say how many each holds. Give a file with a column "
    "trades (or trade_count, bar_count), or one of single trades; or take volume: or dollar: instead."
)


def information_bars(
    bars: pl.DataFrame, timeframe: Timeframe, schedule: Schedule, point_value: float
) -> pl.DataFrame:
    """Bars of equal sums (`contracts.BARS`) from marked base bars; one row each, in order of time.

    A bar of base bars i to j closes with the first j at which

        x_i + ... + x_j >= size,    x = trades                             (tick)
                                    x = volume                             (volume)
                                    x = volume (h + l + c) / 3 point_value (dollar)

    and the next begins with base bar j + 1 at a sum of 0. Open is the first, high the largest, low the least,
    close the last, volume the sum. `datetime` is the open of base bar i, `close_time` the close of base bar j.

    No bar mixes sessions, contracts or blocks. What has not reached the size when its session ends is a bar
    that closes at the session's scheduled close: before, nobody knows that no base bar will follow. What a block
    that begins inside the session cuts off is no bar: that it is over shows only in what comes after.

    bars : base bars; for `tick` with a column `trades`. point_value : currency per contract and point.
    Raises SettingError for another kind of timeframe or trades that are not known, DataError for counts that
    are none.
    """
    if timeframe.kind not in SUMS:
        raise SettingError(f"bars of {timeframe.kind} are not closed by a sum; use resample.")
    if bars.is_empty():
        return bars
    counts = _counts(bars, timeframe)
    # Compiled code comes with 0.9 s of import, so only where there is work for it.
    from foldsmith.market.information_bars_kernel import one_pass

    edges, _, session_close = session_rows(bars, schedule)
    first, end, *values = one_pass(
        frozen(bars["close_time"].to_physical()),
        frozen(bars["block"]),
        tuple(frozen(bars[name]) for name in ("open", "high", "low", "close")),
        frozen(bars["volume"]),
        frozen(counts),
        float(point_value) if timeframe.kind == "dollar" else 0.0,
        edges,
        session_close,
        float(timeframe.size),
    )
    return pl.DataFrame(
        {
            "datetime": bars["datetime"].gather(first),
            "close_time": pl.Series(end).cast(UTC_MICROSECONDS),
            **dict(zip(("open", "high", "low", "close", "volume"), values, strict=True)),
            **{name: bars[name].gather(first) for name in ("contract", "session", "block")},
        }
    )


def _counts(bars: pl.DataFrame, timeframe: Timeframe) -> pl.Series:
    """Trades or contracts of each base bar; DataError where one is no count, or all are 0."""
    name = "trades" if timeframe.kind == "tick" else "volume"
    if name not in bars.columns or bars[name].null_count() == bars.height:
        raise SettingError(_NO_COUNT.format(timeframe.size))
    counts = bars[name].cast(pl.Float64).fill_null(np.nan)
    bad = ~(counts.is_finite() & (counts >= 0))
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise DataError(
            f"{name} is {bars[name][row]} in the bar at {iso(int(bars['datetime'].to_physical()[row]))}, which is no "
            f"count ({int(bad.sum())} in all); mend the file, or take bars that another sum or a time closes."
        )
    if not (counts > 0).any():
        raise DataError(
            f"{name} is 0 in all {bars.height:,} bars, so no sum of it closes a bar; take bars that a time closes."
        )
    return counts
