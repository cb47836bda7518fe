"""The verdict on simulated markets of known truth: how often it finds what is not there, and what is.

A forecaster who is told the hidden state of the market's volume, and nothing else, is scored, traded and judged as
`evaluate` does. Without an edge the state is independent of prices, so whatever it finds is luck.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from foldsmith.evaluation.backtest import backtest, most_probable_signal
from foldsmith.evaluation.bootstrap import interval
from foldsmith.evaluation.verdict import NO_EVIDENCE, Verdict, judge, share_of_error
from foldsmith.intervals import as_instants
from foldsmith.labels.triple_barrier import Barriers, triple_barrier, volatility
from foldsmith.market.instruments import instrument
from foldsmith.market.simulate import Simulation, simulate
from foldsmith.market.timeframe import parse_timeframe
from foldsmith.stages.market_bars import market_bars
from foldsmith.stages.scores import trading_days

LEVEL = 0.01
SESSIONS = 40
HORIZON = 10
NULL_SEEDS, EDGE_SEEDS = range(1, 401), range(1, 31)
EDGE = 0.03
POWER = 0.8
"""Share of markets of 40 sessions with an edge of 0.03 on which evidence is found at the first look, at least."""


def judged(seed: int, edge: float) -> Verdict:
    """The verdict on one market, by the stages' own parts."""
    mine = instrument("MES")
    raw, state = simulate(Simulation("MES", SESSIONS, seed, edge), mine)
    minutes = raw.rename({"timestamp": "datetime"}).with_columns(
        pl.col("datetime").dt.replace_time_zone("UTC"), pl.col("volume").cast(pl.Float64)
    )
    market = market_bars(minutes, mine, parse_timeframe("5m"))
    bars = market.bars
    labels, _ = triple_barrier(
        bars, market.base, (market.first, market.stop), volatility(bars, 48), horizon=HORIZON, max_bars=HORIZON,
        barriers=Barriers(0.8, 0.8), tick_size=mine.tick_size,
    )  # fmt: skip
    t0 = as_instants(labels["datetime"])
    at = np.searchsorted(as_instants(minutes["datetime"]), t0) - 1
    side = state[at].astype(np.int64)
    # Sure of the state's side to a degree of its own in every row, so that no two rows are alike.
    push = 0.3 * side + np.random.default_rng(seed).normal(0, 0.1, len(side))
    P = np.exp(np.stack([-push, np.full(len(push), -0.5), push], axis=1))
    P /= P.sum(axis=1, keepdims=True)
    found = interval(labels["y"].to_numpy(), P, trading_days(t0), seed=seed, draws=300)
    inside = bars.filter(pl.col("close_time").is_between(labels["datetime"][0], labels["label_end"].max()))
    traded = backtest(
        most_probable_signal(P), labels, sessions=inside, tick_size=mine.tick_size, tick_value=mine.tick_value,
        commission=mine.commission, slippage_ticks=mine.slippage_ticks,
    )  # fmt: skip
    return judge(
        found["direction_auc"], traded.daily["gross"], traded.daily["net"], days=found["days"], symmetric=True,
        place=1, trials=1, variance=1 / traded.daily.height,
    )  # fmt: skip


@pytest.mark.proof
def test_no_evidence_is_found_without_an_edge_at_the_stated_rate() -> None:
    """The first look errs in at most 0.025 of markets; more than Binomial allows at 0.01 fails."""
    seen = [judged(seed, 0.0) for seed in NULL_SEEDS]
    found = sum(one.verdict != NO_EVIDENCE for one in seen)
    print(f"evidence on {found} of {len(seen)} markets without an edge; {share_of_error(1)} is stated")
    assert stats.binom.sf(found - 1, len(seen), share_of_error(1)) > LEVEL
    for name in ("direction_auc", "gross_profit"):
        t = [one.numbers["tests"][name]["t"] for one in seen]
        print(name, "t: mean", np.mean(t).round(3), "sd", np.std(t, ddof=1).round(3))
        assert abs(np.mean(t)) < 3 / np.sqrt(len(t))


@pytest.mark.proof
def test_a_planted_edge_is_found_with_the_stated_power() -> None:
    seen = [judged(seed, EDGE) for seed in EDGE_SEEDS]
    found = sum(one.verdict != NO_EVIDENCE for one in seen)
    print(f"evidence on {found} of {len(seen)} markets with an edge of {EDGE}", {one.verdict for one in seen})
    assert stats.binom.cdf(found, len(seen), POWER) > LEVEL
    assert found > len(seen) / 2
