"""Real bars with every edge taken: what is kept, and what is gone."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from foldsmith.errors import DataError
from foldsmith.intervals import as_instants
from foldsmith.market.instruments import instrument
from foldsmith.market.mirror import mirrored
from foldsmith.market.sessions import Schedule, schedule
from foldsmith.market.simulate import Simulation, simulate
from foldsmith.stages.market_bars import clean_bars

MES = instrument("MES")


def base_of(sessions: int, drift: float = 0.0) -> tuple[pl.DataFrame, Schedule]:
    """Cleaned bars of a simulated market whose minutes all rise by `drift`."""
    raw, _ = simulate(Simulation("MES", sessions, 3, 0.3), MES)
    lift = 1 + drift * np.arange(raw.height)
    prices = ("open", "high", "low", "close")
    raw = raw.with_columns(pl.Series(name, raw[name].to_numpy() * lift) for name in prices)
    raw = raw.with_columns(pl.max_horizontal(prices).alias("high"), pl.min_horizontal(prices).alias("low"))
    frame = raw.rename({"timestamp": "datetime"}).with_columns(
        pl.col("datetime").dt.replace_time_zone("UTC"), pl.col("volume").cast(pl.Float64)
    )
    base, calendar, _ = clean_bars(frame, MES)
    return base, calendar


def target(calendar: Schedule, sessions: int) -> Schedule:
    whole = schedule(
        calendar.calendar, *(int(np.datetime64(d, "us").astype(int)) for d in ("2023-01-03", "2023-02-15"))
    )
    return Schedule(whole.calendar, whole.open[:sessions], whole.close[:sessions], whole.day[:sessions])


def test_sizes_and_volumes_are_real_and_sides_are_a_coins() -> None:
    base, calendar = base_of(25, drift=1e-6)
    made = mirrored(base, calendar, target(calendar, 20), tick=1e-6, seed=1)
    moves = (made["close"] / made["open"] - 1).to_numpy()
    real = (base["close"] / base["open"] - 1).to_numpy()
    # Sizes of moves and volumes come from real minutes, to within a tick.
    sizes = np.sort(np.abs(real))
    at = np.searchsorted(sizes, np.abs(moves))
    near = np.minimum(
        *(np.abs(sizes[np.clip(at - back, 0, len(sizes) - 1)] - np.abs(moves)) for back in (0, 1))
    )
    assert np.quantile(near, 0.999) < 1e-6
    assert set(made["volume"].to_list()) <= set(base["volume"].to_list())
    # Ranges: high and low hold open and close.
    assert (made["high"] >= pl.Series(np.maximum(made["open"], made["close"])) - 1e-9).all()
    assert (made["low"] <= pl.Series(np.minimum(made["open"], made["close"])) + 1e-9).all()
    # The edge is gone: the share of rises is a coin's, and the volume tells nothing.
    side = np.sign(moves[moves != 0])
    assert stats.binomtest(int((side > 0).sum()), len(side)).pvalue > 1e-3
    assert abs(stats.spearmanr(made["volume"].to_numpy()[1:-1], moves[2:]).statistic) < 0.03
    # What is left of it beside: clusters of volatility.
    hourly = np.abs(moves[: len(moves) // 60 * 60]).reshape(-1, 60).mean(axis=1)
    assert np.corrcoef(hourly[1:], hourly[:-1])[0, 1] > 0.3


def test_bars_lie_in_the_sessions_they_were_put_into_and_days_differ_by_seed() -> None:
    base, calendar = base_of(25)
    goal = target(calendar, 20)
    one, same, other = (mirrored(base, calendar, goal, tick=0.25, seed=seed) for seed in (1, 1, 2))
    assert one.equals(same)
    assert not one.equals(other)
    at = as_instants(one["timestamp"].dt.replace_time_zone("UTC"))
    assert (np.diff(at) > 0).all()
    assert (goal.locate(at) >= 0).all()
    assert ((one["close"] / 0.25) % 1 == 0).all()


def test_too_few_days_are_refused() -> None:
    base, calendar = base_of(6)
    with pytest.raises(DataError, match="whole days"):
        mirrored(base, calendar, target(calendar, 5), tick=0.25, seed=1)
