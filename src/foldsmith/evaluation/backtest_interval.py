"""Intervals of what a backtest shows, by resampling whole trading days in blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from foldsmith.evaluation.bootstrap import MIN_DAYS, drawn_days
from foldsmith.evaluation.rows import Floats

DRAWS = 1000
LEVEL = 0.95
BLOCK_DAYS = 5
"""Days that are drawn together: a trading week, over which volatility lasts."""


def backtest_interval(
    daily: pl.DataFrame,
    *,
    seed: int,
    periods_per_year: int,
    draws: int = DRAWS,
    level: float = LEVEL,
    block_days: int = BLOCK_DAYS,
) -> dict[str, Any]:
    """Block-bootstrap percentiles of the profit, Sharpe ratio, drawdown and profit a trade; JSON-able.

    Each draw takes circular blocks of `block_days` consecutive days until it has as many days as there are, and every
    figure is that of the drawn days in their drawn order, as `backtest` has it of the real ones. daily : `daily` of a
    `Backtest`. Returns level, draws, days, block_days and, for gross, net, sharpe_annual, max_drawdown,
    gross_per_trade, net_per_trade, a dict of estimate, low, high; the last two null with fewer than 10 blocks of days
    or where over 5% of draws leave the figure undefined. A drawdown of shuffled days says what such days could have
    made, not how wrong the real one is.
    """
    n = daily.height
    facts: dict[str, Any] = {"level": level, "draws": draws, "days": n, "block_days": block_days}
    columns = [daily[name].to_numpy().astype(np.float64) for name in ("gross", "net", "trades")]
    whole = _figures(periods_per_year, *(column[None, :] for column in columns)) if n else {}
    if n < MIN_DAYS * block_days:
        return facts | {name: _told(float(found[0]), None, level) for name, found in whole.items()}
    taken = drawn_days(n, draws, block_days, seed)
    drawn = _figures(periods_per_year, *(column[taken] for column in columns))
    return facts | {name: _told(float(whole[name][0]), drawn[name], level) for name in drawn}


def _figures(periods_per_year: int, gross: Floats, net: Floats, trades: Floats) -> dict[str, Floats]:
    """Every figure of every draw, (draws,) each, from days in their order, (draws, days)."""
    count = trades.sum(axis=1)
    mean, spread = net.mean(axis=1), net.std(axis=1, ddof=1) if net.shape[1] > 1 else np.zeros(len(net))
    equity = np.cumsum(net, axis=1)
    peak = np.maximum.accumulate(np.maximum(equity, 0.0), axis=1)
    return {
        "gross": gross.sum(axis=1),
        "net": net.sum(axis=1),
        "sharpe_annual": _ratio(mean * periods_per_year**0.5, spread),
        "max_drawdown": (peak - equity).max(axis=1),
        "gross_per_trade": _ratio(gross.sum(axis=1), count),
        "net_per_trade": _ratio(net.sum(axis=1), count),
    }


def _ratio(top: Floats, below: Floats) -> Floats:
    return np.asarray(np.divide(top, below, out=np.full(len(top), np.nan), where=below > 0))


def _told(estimate: float, drawn: Floats | None, level: float) -> dict[str, float | None]:
    if not np.isfinite(estimate):
        return {"estimate": None, "low": None, "high": None}
    known = np.empty(0) if drawn is None else drawn[np.isfinite(drawn)]
    if drawn is None or len(known) < 0.95 * len(drawn):
        return {"estimate": estimate, "low": None, "high": None}
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return {"estimate": estimate, "low": float(low), "high": float(high)}
