"""Trade the probabilities of a held-out segment by a rule, with the instrument's own ticks and costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from foldsmith.contracts import LABELS
from foldsmith.evaluation.backtest import Backtest, backtest, most_probable_signal
from foldsmith.evaluation.rows import Floats
from foldsmith.evaluation.sizing import signed_contracts, signed_sizes
from foldsmith.evaluation.trading_rule import DEFAULT_RULE, TradingRule
from foldsmith.evaluation.walk import walk_bars
from foldsmith.evaluation.walk_inputs import BARS
from foldsmith.intervals import Rows
from foldsmith.labels.scheme import TRIPLE_BARRIER
from foldsmith.labels.triple_barrier import volatility
from foldsmith.runs.store import Run
from foldsmith.stages.horizon import HorizonTable
from foldsmith.stages.tables import read_table
from foldsmith.validation.cross_validate import Probabilities

TERCILES = (1 / 3, 2 / 3)


def trade(
    dataset: Run, table: HorizonTable, rows: Rows, P: Probabilities, rule: TradingRule = DEFAULT_RULE
) -> Backtest:
    """What the rule makes of these rows; by default each label's own exit, else a walk over the bars."""
    labels = read_table(dataset.path / f"labels_h{table.horizon}.parquet", LABELS)
    wanted = pl.DataFrame({"bar": table.bar[rows]})
    labels = wanted.join(labels, on="bar", how="left", maintain_order="left")
    bars = read_table(dataset.path / "bars.parquet", columns=list(BARS))
    first, last = labels["datetime"][0], labels["label_end"].max()
    inside = bars["close_time"].is_between(first, last)
    mine = table.recipe.instrument
    costs: dict[str, Any] = {
        "tick_size": mine.tick_size, "tick_value": mine.tick_value, "commission": mine.commission
    }  # fmt: skip
    if rule == DEFAULT_RULE:
        signal = most_probable_signal(P)
        return backtest(
            signal, labels, sessions=bars.filter(inside), slippage_ticks=mine.slippage_ticks, **costs
        )
    segment, begin = bars.filter(inside), int(inside.arg_max() or 0)
    here = labels.with_columns(pl.col("bar") - begin)
    held_until = _last_bars(here, segment, table)
    ticks = _slippage(bars, table, labels, rule)
    walked: dict[str, Any] = {
        "slippage_ticks": ticks, "barriers": table.recipe.labelling.name == TRIPLE_BARRIER, **costs
    }  # fmt: skip
    # A mean is rounded once, after its sizes were averaged.
    sizes = signed_sizes(P, rule) if rule.overlap == "average" else signed_contracts(P, rule)
    found = walk_bars(sizes, here, held_until, segment, rule, **walked)
    too_small = int(((sizes == 0) & (most_probable_signal(P) != 0)).sum())
    yardsticks: dict[str, Any] = {"always_flat": {"trades": 0, "gross": 0.0, "cost": 0.0, "net": 0.0}}
    for name, side in (("always_long", 1), ("always_short", -1)):
        every = np.full(len(rows), side * rule.contracts)
        yardsticks[name] = walk_bars(every, here, held_until, segment, rule, **walked).summary
    told = {"too_small": too_small, "rule": rule.as_dict(), "yardsticks": yardsticks}
    return Backtest(found.trades, found.daily, found.summary | told)


def _last_bars(labels: pl.DataFrame, segment: pl.DataFrame, table: HorizonTable) -> Rows:
    """The bar at whose close a lot has to be left: the vertical barrier, or where a label of another kind ends."""
    if table.recipe.labelling.name == TRIPLE_BARRIER:
        return labels["bar"].to_numpy() + table.recipe.horizons[table.horizon].max_bars
    ends = segment["close_time"].search_sorted(labels["label_end"])
    return np.asarray(ends.to_numpy(), dtype=np.int64)


def _slippage(bars: pl.DataFrame, table: HorizonTable, labels: pl.DataFrame, rule: TradingRule) -> Floats:
    """Ticks a side at each decision, by the tercile of its volatility among those of the training rows."""
    if rule.slippage is None:
        return np.full(labels.height, table.recipe.instrument.slippage_ticks)
    sigma = volatility(bars, table.recipe.volatility_window)
    seen = sigma[table.bar[table.segments.training]]
    cuts = np.quantile(seen[np.isfinite(seen)], TERCILES)
    regime = np.searchsorted(cuts, sigma[labels["bar"].to_numpy()], side="right")
    return np.asarray(np.asarray(rule.slippage, dtype=np.float64)[regime])
