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
from foldsmith.evaluation.walk_average import walk_average
from foldsmith.evaluation.walk_inputs import check_tables, laid_out, slippage_of

REASONS = {1: "barrier", 2: "ambiguous", 3: "time", 4: "session", 5: "roll", 6: "end"}


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
    Of "average", real numbers, which `walk_average` takes.
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
    if rule.overlap == "average":
        paid: dict[str, Any] = {"commission": commission, "slippage_ticks": slippage_ticks}
        priced: dict[str, Any] = {"tick_size": tick_size, "tick_value": tick_value, **paid}
        return walk_average(contracts, labels, last, bars, rule, **priced, barriers=barriers)
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
    check_tables(labels, bars)
    wanted = np.asarray(contracts)
    if wanted.shape != (labels.height,) or not np.array_equal(wanted, wanted.astype(np.int64)):
        raise DataError(
            f"contracts have shape {wanted.shape} for {labels.height} labels; whole numbers are needed."
        )
    return wanted.astype(np.int64), slippage_of(slippage_ticks, labels.height)


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

    n = len(wanted)
    held = np.zeros(n, np.int64), np.full(n, -1), np.full(n, np.nan), np.zeros(n, np.int64)
    walk(
        *laid_out(wanted, labels, last, bars),
        tick,
        barriers,
        rule.overlap == "net",
        rule.contracts,
        rule.flat_overnight,
        held,
    )
    return held


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
