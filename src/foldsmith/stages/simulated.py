"""Simulated markets on disk, and what could be known in one: label frequencies by hidden state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.errors import TakenError
from foldsmith.intervals import as_instants
from foldsmith.market.instruments import Instrument
from foldsmith.market.simulate import Simulation, simulate
from foldsmith.runs.rename import rename_without_replacing
from foldsmith.runs.store import Workspace, ensure_folder
from foldsmith.stages.market_bars import market_bars
from foldsmith.stages.prepare import SIMULATION_KEY, label_bars, label_volatility
from foldsmith.stages.recipe import Recipe

Say = Callable[[str], None]
LONG_SESSIONS = 600
"""Trading days of the long simulation behind the best reachable log loss: some 165,000 bars of 5 minutes."""
OTHER_SEED = 1_000_003
"""Added to the market's seed, so that the long simulation is another draw of the same market."""


def write_market(workspace: Workspace, settings: Simulation, instrument: Instrument, say: Say) -> Path:
    """Simulate a market and put it among the raw bars as {SYMBOL}_1m.parquet; TakenError if one is there."""
    path = ensure_folder(workspace.raw) / f"{settings.symbol}_1m.parquet"
    if path.exists():
        raise TakenError(f"{path} exists and was left untouched; move it away or choose another --symbol.")
    frame, _ = simulate(settings, instrument)
    aside = path.with_name(f".{path.name}.writing")
    try:
        frame.write_parquet(aside, metadata={SIMULATION_KEY: settings.as_json()})
        rename_without_replacing(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    say(f"wrote {path}: {frame.height:,} bars of {settings.sessions} trading days, edge {settings.edge:g}")
    return path


def label_counts(recipe: Recipe, horizon: int) -> npt.NDArray[np.int64]:
    """How often each label follows each state of the signal, int64 (3, 3): states by labels, both -1, 0, 1.

    From a simulation of the same market under another seed, labelled in the same way; the state is that of
    the last minute known at t0.
    """
    assert recipe.simulation is not None  # noqa: S101 - the caller's business, not the user's
    settings = Simulation.from_json(recipe.simulation)
    long = replace(settings, seed=settings.seed + OTHER_SEED, sessions=LONG_SESSIONS)
    raw, state = simulate(long, recipe.instrument)
    bars = raw.rename({"timestamp": "datetime"}).with_columns(
        pl.col("datetime").dt.replace_time_zone("UTC"), pl.col("volume").cast(pl.Float64)
    )
    market = market_bars(bars, recipe.instrument, recipe.bars, rules=recipe.rules, roll=recipe.roll)
    sigma = label_volatility(market.bars, recipe.volatility_window, recipe.labelling)
    made = recipe.horizons[horizon]
    labels, _ = label_bars(market, sigma, horizon, made, recipe.instrument, recipe.labelling)
    minute = np.searchsorted(as_instants(bars["datetime"]), as_instants(labels["datetime"]), side="left") - 1
    counts = np.zeros((3, 3), dtype=np.int64)
    np.add.at(counts, (state[minute].astype(np.int64) + 1, labels["y"].to_numpy().astype(np.int64) + 1), 1)
    return counts
