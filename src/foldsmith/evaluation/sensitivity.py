"""How a result hangs on the least probability that is traded, and on what trading costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from foldsmith.evaluation.backtest import Costs, Market, most_probable_signal, one_at_a_time
from foldsmith.evaluation.rows import Floats
from foldsmith.evaluation.significance import sharpe_ratio

LOWEST = 0.34
"""The most probable of three classes has at least a third."""
MOST_POINTS = 30
MULTIPLES = (0, 1, 2, 3)


def threshold_curve(P: Any, labels: pl.DataFrame, sessions: pl.DataFrame, costs: Costs) -> dict[str, Any]:
    """Profit of the default rule where the side's probability must be at least a threshold; JSON-able.

    P : (n, 3); labels, sessions as `backtest` takes them. One contract, one position at a time, each label's own exit.
    Thresholds rise from 0.34 by 0.01, or by the least multiple of it that needs at most 30 of them, up to the highest
    probability of a side. Returns step and points, each with threshold, signals, trades, gross, net, gross_per_trade
    (null without a trade). The best point of the curve is a choice among as many: it is no estimate of later profit.
    """
    market = Market.read(labels, sessions)
    probabilities = np.asarray(P, dtype=np.float64)
    side = most_probable_signal(probabilities)
    sure = np.where(side > 0, probabilities[:, 2], probabilities[:, 0])
    tops = sure[side != 0]
    last = int(100 * tops.max() + 1e-9) if len(tops) else 0
    first = round(100 * LOWEST)
    step = max(1, -(-(last - first + 1) // MOST_POINTS))
    entry = labels["entry"].to_numpy()
    leave = np.where(side > 0, labels["exit_long"].to_numpy(), labels["exit_short"].to_numpy())
    gross = side * (leave - entry) / costs.tick_size * costs.tick_value
    points = []
    for hundredth in range(first, last + 1, step):
        wanted = np.where(sure >= hundredth / 100, side, 0).astype(np.int8)
        taken, skipped = one_at_a_time(wanted, market.t0, market.t1)
        made, n = float(gross[taken].sum()), len(taken)
        points.append(
            {
                "threshold": hundredth / 100,
                "signals": n + skipped,
                "trades": n,
                "gross": made,
                "net": made - n * costs.per_trade,
                "gross_per_trade": made / n if n else None,
            }
        )
    return {"step": step / 100, "points": points}


def cost_curve(daily: pl.DataFrame, trades: int, periods_per_year: int) -> dict[str, Any]:
    """Profit, drawdown and Sharpe ratio at multiples of the costs, and the costs that leave nothing; JSON-able.

        net_k = sum_d (gross_d - k cost_d),    break-even: sum_d gross_d / sum_d cost_d

    The same trades at 0, 1, 2 and 3 times their costs: dearer trading would not have been traded more rarely. daily :
    `daily` of a `Backtest`; trades : their number. Returns points (multiple, net, max_drawdown, sharpe_annual) and
    break_even (multiple of the costs; per_trade, in currency), its parts null where there are no costs, no trades, or
    nothing was earned before costs.
    """
    gross, cost = daily["gross"].to_numpy(), daily["cost"].to_numpy()
    points = []
    for multiple in MULTIPLES:
        net = gross - multiple * cost
        equity = np.cumsum(net)
        ratio = sharpe_ratio(net)
        points.append(
            {
                "multiple": multiple,
                "net": float(net.sum()),
                "max_drawdown": float(drawdown(equity).max(initial=0.0)),
                "sharpe_annual": None if ratio is None else ratio.sharpe * periods_per_year**0.5,
            }
        )
    earned, paid = float(gross.sum()), float(cost.sum())
    some = trades > 0 and earned > 0
    return {
        "points": points,
        "break_even": {
            "multiple": earned / paid if some and paid > 0 else None,
            "per_trade": earned / trades if some else None,
        },
    }


def drawdown(equity: Floats) -> Floats:
    """How far a running profit is below its highest point so far, the start at 0 counted: (n,), not negative.

    >>> drawdown(np.array([-1.0, 2.0, 1.0])).tolist()
    [1.0, 0.0, 1.0]
    """
    peak = np.maximum.accumulate(np.maximum(equity, 0.0))
    return np.asarray(peak - equity, dtype=np.float64)
