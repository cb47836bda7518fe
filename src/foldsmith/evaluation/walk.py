"""Trade signals bar by bar: lots of whole contracts, left at their barriers, in time, at a session's end or a roll."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.errors import DataError
from foldsmith.evaluation.backtest import PERIODS_PER_YEAR, Backtest, Costs, daily_table, summary_of
from foldsmith.evaluation.rows import Floats
from foldsmith.evaluation.trading_rule import TradingRule

REASONS = {1: "barrier", 2: "ambiguous", 3: "time", 4: "session", 5: "roll", 6: "end"}
BARS = ("close_time", "session", "block", "open", "high", "low", "close")
LABELS = ("datetime", "label_end", "bar", "upper", "lower", "exit_long", "exit_short")


def walk_bars(
    contracts: Any,
    labels: pl.DataFrame,
    last: Any,
    bars: pl.DataFrame,
    rule: TradingRule,
    *,
    tick_size: float,
    tick_value: float,
    commission: float,
    slippage_ticks: Any,
    barriers: bool = True,
) -> Backtest:
    """Walk over bars and hold a lot for each signal that there is room for.

        gross = contracts (exit - entry) / tick_size * tick_value,    contracts below 0 short
        cost  = |contracts| (2 commission + 2 slippage_ticks * tick_value),    net = gross - cost

    contracts : (n,) signed whole numbers, one per row of `labels` (contracts.LABELS with `bar` as a row of `bars`).
    Entry is the open after the decision. Exit is the first of: a barrier, at its price or at the open that is beyond
    it; the close of bar `last` (n,); the close before a roll or a hole; the session's last close (`flat_overnight`);
    the last bar. Where a bar reaches both barriers the label's own exit is taken if it ended there (its minutes
    knew), else the stop. Of "skip", a signal while a lot is open is passed over; of "net", each is a lot, cut to what
    keeps the lots of its side within `rule.contracts`, and so the net position, whichever of them closes first.
    slippage_ticks : a side, one number or (n,), known at the decision.
    barriers : False for labels that end in time only.

    Returns what `backtest` does; `trades` has `contracts` and `reason` too, a trade's `label_end` is the close of its
    exit bar, `skipped` counts signals passed over and `too_small`, `no_entry`, `cut` those sized to none, without a bar
    to enter at, and taken in part. Errors: DataError, SettingError.
    """
    wanted, ticks = _checked(contracts, labels, bars, slippage_ticks)
    costs = Costs(tick_size, tick_value, commission, float(ticks.max(initial=0.0)))
    held = _walk(wanted, labels, last, bars, rule, tick_size, barriers)
    trades = _trades(held, labels, bars, costs, ticks)
    daily = daily_table(trades, bars["session"].unique().sort())
    reason, taken = held[3], held[0]
    passed = int((reason == -1).sum())
    told = {
        "no_entry": int((reason == -2).sum()),
        "cut": int(((taken != 0) & (np.abs(taken) < np.abs(wanted))).sum()),
        "contracts": int(np.abs(taken).sum()),
        "exits": {name: int((reason[taken != 0] == code).sum()) for code, name in REASONS.items()},
    }
    return Backtest(trades, daily, summary_of(trades, daily, passed, bars.height, PERIODS_PER_YEAR) | told)


def _checked(
    contracts: Any, labels: pl.DataFrame, bars: pl.DataFrame, slippage_ticks: Any
) -> tuple[npt.NDArray[np.int64], Floats]:
    for frame, names, what in ((labels, LABELS, "labels"), (bars, BARS, "bars")):
        missing = [name for name in names if name not in frame.columns]
        if missing:
            raise DataError(
                f"column {missing[0]!r} is missing from {what}; it has {', '.join(frame.columns)}."
            )
    wanted = np.asarray(contracts)
    if wanted.shape != (labels.height,) or not np.array_equal(wanted, wanted.astype(np.int64)):
        raise DataError(
            f"contracts have shape {wanted.shape} for {labels.height} labels; whole numbers are needed."
        )
    bar = labels["bar"].to_numpy()
    if len(bar) and (bar.min() < 0 or bar.max() >= bars.height or (np.diff(bar) <= 0).any()):
        raise DataError(f"labels point outside the {bars.height:,} bars, or do not rise in time.")
    ticks = np.broadcast_to(np.asarray(slippage_ticks, dtype=np.float64), wanted.shape)
    if not np.isfinite(ticks).all() or (ticks < 0).any():
        raise DataError("slippage_ticks holds a value that is no number of at least 0.")
    return wanted.astype(np.int64), ticks


def _walk(
    wanted: npt.NDArray[np.int64],
    labels: pl.DataFrame,
    last: Any,
    bars: pl.DataFrame,
    rule: TradingRule,
    tick: float,
    barriers: bool,
) -> tuple[Any, Any, Any, Any]:
    from foldsmith.evaluation.walk_kernel import walk

    def column(frame: pl.DataFrame, name: str) -> Floats:
        return np.ascontiguousarray(frame[name].to_numpy(), dtype=np.float64)

    n = len(wanted)
    closes = bars["close_time"]
    told_bar = (
        closes.search_sorted(labels["label_end"]).cast(pl.Int64) if n else pl.Series([], dtype=pl.Int64)
    )
    held = np.zeros(n, np.int64), np.full(n, -1), np.full(n, np.nan), np.zeros(n, np.int64)
    walk(
        tuple(column(bars, name) for name in ("open", "high", "low", "close")),
        (_last_of(bars["session"]), _last_of(bars["block"])),
        (
            np.ascontiguousarray(labels["bar"].to_numpy(), dtype=np.int64),
            wanted,
            np.ascontiguousarray(last, dtype=np.int64),
        ),
        (column(labels, "upper"), column(labels, "lower")),
        (
            np.ascontiguousarray(told_bar.to_numpy(), dtype=np.int64),
            column(labels, "exit_long"),
            column(labels, "exit_short"),
        ),
        tick,
        barriers,
        rule.overlap == "net",
        rule.contracts,
        rule.flat_overnight,
        held,
    )
    return held


def _last_of(series: pl.Series) -> npt.NDArray[np.bool_]:
    """Rows after which the value changes."""
    values = series.to_numpy()
    return np.asarray(np.r_[values[1:] != values[:-1], False][: len(values)], dtype=np.bool_)


def _trades(
    held: tuple[Any, Any, Any, Any], labels: pl.DataFrame, bars: pl.DataFrame, costs: Costs, ticks: Floats
) -> pl.DataFrame:
    taken, exit_bar, exit_price, reason = held
    # In the order in which they end, as money comes in; of those that end together the earlier decision first.
    rows = np.flatnonzero(taken)
    rows = rows[np.argsort(exit_bar[rows], kind="stable")]
    bar, leave = labels["bar"].to_numpy()[rows], exit_bar[rows]
    size = taken[rows]
    entry = bars["open"].to_numpy()[bar + 1]
    gross = size * (exit_price[rows] - entry) / costs.tick_size * costs.tick_value
    cost = np.abs(size) * (2 * costs.commission + 2 * ticks[rows] * costs.tick_value)
    return pl.DataFrame(
        {
            "datetime": labels["datetime"][rows],
            "label_end": bars["close_time"][leave],
            "side": np.sign(size).astype(np.int8),
            "contracts": np.abs(size),
            "entry": entry,
            "exit": exit_price[rows],
            "gross": gross,
            "cost": cost,
            "net": gross - cost,
            "bars": leave - bar,
            "session": bars["session"][leave],
            "reason": pl.Series([REASONS[int(code)] for code in reason[rows]], dtype=pl.String),
        }
    )
