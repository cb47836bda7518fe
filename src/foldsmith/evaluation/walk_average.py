"""Hold the mean of all active signals, in whole contracts, instead of a lot for each."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.errors import DataError
from foldsmith.evaluation.backtest import PERIODS_PER_YEAR, Backtest, Costs, daily_table, summary_of
from foldsmith.evaluation.rows import Floats
from foldsmith.evaluation.trading_rule import TradingRule
from foldsmith.evaluation.walk_inputs import check_tables, laid_out, slippage_of

REASONS = {1: "barrier", 2: "ambiguous", 3: "time", 4: "session", 5: "roll", 6: "end", 7: "target"}


def walk_average(
    sizes: Any,
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
    """Walk over bars and hold the mean size of the signals that are not over, in whole contracts.

        m(t) = sum_{j in A(t)} w_j / |A(t)|,    target(t) = sgn m ceil(|m| - 1/2),    0 where A is empty
        gross = sum_k q_k (exit_k - entry_k) / tick_size * tick_value
        cost  = sum_k |q_k| (2 commission + 2 slippage_ticks * tick_value)

    w_j : contracts that signal j is worth, a real number cut to [-contracts, contracts], so that no target and no
    position is larger. Halves are rounded towards 0. A(t) : signals decided before t and not yet left; each is left
    where `walk_bars` leaves a lot of its own. A size of 0 is no signal and is not averaged.

    An order is sent only where the target differs from the position. Contracts that a signal's end takes off are
    traded at the price at which it ends (several at one open or close together; inside a bar one after the other, the
    earliest decision first); all that adds to a position, or turns it round, is bought at the next open, after what is
    decided at this close. k : contracts first bought are first sold; costs are those known at the latest decision
    before they were bought. With at most one signal at a time this is "skip".

    Arguments are as of `walk_bars`, sizes (n,) being real. Returns what it does; `trades` has a row for each part of
    a purchase that is sold at once: `datetime` is the latest decision before it was bought and `reason` says why it
    was sold, "target" where the mean had moved at an open. In the summary `exits` counts signals, not trades, `orders`
    the orders, and `skipped` is 0. Errors: DataError, SettingError.

    Source: Lopez de Prado, Advances in Financial Machine Learning (2018), sections 10.4 and 10.5.
    """
    check_tables(labels, bars)
    wanted = np.array(sizes, dtype=np.float64)
    if wanted.shape != (labels.height,) or not np.isfinite(wanted).all():
        raise DataError(f"sizes have shape {wanted.shape} for {labels.height} labels; numbers are needed.")
    ticks = slippage_of(slippage_ticks, labels.height)
    costs = Costs(tick_size, tick_value, commission, float(ticks.max(initial=0.0)))
    held = np.clip(wanted, -rule.contracts, rule.contracts)
    reason, fills = _walk(held, labels, last, bars, rule, tick_size, barriers)
    trades = _trades(_paired(fills), labels, bars, costs, ticks)
    daily = daily_table(trades, bars["session"].unique().sort())
    summary = summary_of(trades, daily, 0, bars.height, PERIODS_PER_YEAR)
    told = {
        "signals": int((reason > 0).sum()),
        "orders": len(fills[0]),
        "no_entry": int((reason == -2).sum()),
        "cut": int((held != wanted).sum()),
        "contracts": int(trades["contracts"].sum()),
        "exits": {name: int((reason == code).sum()) for code, name in REASONS.items() if name != "target"},
    }
    return Backtest(trades, daily, summary | told)


def _walk(
    sizes: Floats, labels: pl.DataFrame, last: Any, bars: pl.DataFrame, rule: TradingRule, tick: float,
    barriers: bool,
) -> tuple[npt.NDArray[np.int64], tuple[npt.NDArray[Any], ...]]:  # fmt: skip
    from foldsmith.evaluation.average_kernel import walk_mean

    reason, most = np.zeros(len(sizes), np.int64), len(sizes) + bars.height
    fills = tuple(np.empty(most, np.float64 if number == 1 else np.int64) for number in range(5))
    given = laid_out(sizes, labels, last, bars)
    made = walk_mean(*given, tick, barriers, rule.flat_overnight, reason, fills)
    return reason, tuple(part[:made] for part in fills)


Pair = tuple[int, int, int, float, float, int, int]


def _paired(fills: tuple[npt.NDArray[Any], ...]) -> list[Pair]:
    """Each sale with what it sells, first bought first: row, entry bar, exit bar, prices, signed contracts, why."""
    found: list[Pair] = []
    open_: deque[list[Any]] = deque()
    for bar, price, size, why, row in zip(*(part.tolist() for part in fills), strict=True):
        left = size
        while left and open_ and open_[0][2] * left < 0:
            first = open_[0]
            sold = min(abs(first[2]), abs(left)) * (1 if first[2] > 0 else -1)
            found.append((first[3], first[0], bar, first[1], price, sold, why))
            first[2] -= sold
            left += sold
            if first[2] == 0:
                open_.popleft()
        if left:
            open_.append([bar, price, left, row])
    return found


def _trades(
    pairs: list[Pair], labels: pl.DataFrame, bars: pl.DataFrame, costs: Costs, ticks: Floats
) -> pl.DataFrame:
    columns = list(zip(*pairs, strict=True)) or [()] * 7
    row, begin, leave, size = (np.asarray(columns[k], dtype=np.int64) for k in (0, 1, 2, 5))
    entry, price = (np.asarray(columns[k], dtype=np.float64) for k in (3, 4))
    gross = size * (price - entry) / costs.tick_size * costs.tick_value
    cost = np.abs(size) * (2 * costs.commission + 2 * ticks[row] * costs.tick_value)
    return pl.DataFrame(
        {
            "datetime": labels["datetime"][row],
            "label_end": bars["close_time"][leave],
            "side": np.sign(size).astype(np.int8),
            "contracts": np.abs(size),
            "entry": entry,
            "exit": price,
            "gross": gross,
            "cost": cost,
            "net": gross - cost,
            "bars": leave - begin + 1,
            "session": bars["session"][leave],
            "reason": pl.Series([REASONS[code] for code in columns[6]], dtype=pl.String),
        }
    )
