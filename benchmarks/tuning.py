"""What searching costs and finds inside one fold: on its purged tail, on inner folds, and on inner folds with pruning.

    python benchmarks/tuning.py [--raw DIR] [--symbol MES] [--model lightgbm] [--n-trials 100] [--inner 3]

DIR holds {SYMBOL}_1m.parquet; without it, a simulated market with an edge is taken. All three ways search in the same
rows, those that the first of five purged folds trains on, from the same seed, one thread each, one after the other.
`best` is the lowest value found on the rows that the way itself scores trials on, so it compares the two ways over
inner folds alone; log loss on the outer fold, which no trial saw, compares all three, and stands beside that of the
untuned defaults. Fits count one for each part that a trial was scored on.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import psutil

from foldsmith.config import PrepareSettings, ValidationSettings
from foldsmith.evaluation.metrics import score
from foldsmith.market.instruments import instrument
from foldsmith.market.simulate import Simulation
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.store import Workspace
from foldsmith.splits import PurgedKFold
from foldsmith.stages.horizon import HorizonTable, load_horizons
from foldsmith.stages.prepare import prepare
from foldsmith.stages.publish import Provenance
from foldsmith.stages.simulated import write_market
from foldsmith.validation.cross_validate import FoldFit, Search, derived_seed, fit_fold
from foldsmith.validation.tune import PRUNED

HORIZON = 20
FOLDS = 5


def quiet(_: str) -> None:
    """No progress lines inside a measurement."""


def rows_of(symbol: str, raw: Path | None) -> HorizonTable:
    """One horizon of a dataset made by phase 1 with default settings."""
    root = Path(tempfile.mkdtemp(prefix="foldsmith-bench-"))
    try:
        workspace = Workspace(root)
        if raw is None:
            write_market(workspace, Simulation(symbol, 120, 1, 0.08), instrument(symbol), quiet)
        else:
            workspace.raw.mkdir(parents=True)
            shutil.copy(raw / f"{symbol}_1m.parquet", workspace.raw)
        settings = PrepareSettings(symbol, horizons=(HORIZON,))
        provenance = Provenance(("benchmark",), Ledger(workspace.ledger))
        dataset = prepare(workspace, settings, instrument(symbol), provenance, quiet)
        return load_horizons(dataset, (HORIZON,), ValidationSettings())[HORIZON]
    finally:
        shutil.rmtree(root)


def measure(table: HorizonTable, model: str, name: str, search: Search) -> str:
    """One row of the table: a search in the first fold."""
    data = table.data.take(table.segments.training)
    split = PurgedKFold(FOLDS, t0=data.t0, t1=data.t1, **table.separation.options())
    train, test = next(iter(split.split(data.X)))
    keys = (model, HORIZON, 0)
    me, started = psutil.Process(), time.perf_counter()
    before = sum(me.cpu_times()[:2])
    fit: FoldFit = fit_fold(
        model,
        data,
        train,
        test,
        fitting=table.fitting,
        seed=derived_seed(42, *keys),
        keys=keys,
        search=search,
    )
    wall, cpu = time.perf_counter() - started, sum(me.cpu_times()[:2]) - before
    trials = fit.trials
    outer = score(data.y[test], fit.probabilities)["log_loss"]
    if not trials:
        return f"| {name} | | | | {wall:.1f} | {cpu:.1f} | | | {outer:.5f} |"
    best = min(trial.value for trial in trials if trial.value is not None)
    fits = sum(max(len(trial.steps), 1) for trial in trials)
    pruned = sum(trial.state == PRUNED for trial in trials) / len(trials)
    return (
        f"| {name} | {len(trials)} | {fits} | {pruned:.0%} | {wall:.1f} | {cpu:.1f} | {60 * len(trials) / cpu:.1f} | "
        f"{best:.5f} | {outer:.5f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--raw", type=Path, help="folder of raw bars; without it, a simulated market")
    parser.add_argument("--symbol", default="MES")
    parser.add_argument("--model", default="lightgbm")
    parser.add_argument("--n-trials", type=int, default=100)
    parser.add_argument("--inner", type=int, default=3)
    given = parser.parse_args()
    table = rows_of(given.symbol, given.raw)
    print(f"{given.symbol}, {given.model}: {len(table.segments.training):,} training rows", file=sys.stderr)
    folds = Search(given.n_trials, given.inner)
    ways = {
        "defaults": Search(),
        "purged tail": Search(given.n_trials),
        f"{given.inner} inner folds": folds,
        f"{given.inner} inner folds, pruned": replace(folds, prune=True),
    }
    print("| trials scored on | trials | fits | pruned | wall, s | processor, s | trials a minute of processor | best "
          "| log loss on the outer fold |\n|---|---|---|---|---|---|---|---|---|", flush=True)  # fmt: skip
    for name, search in ways.items():
        print(measure(table, given.model, name, search), flush=True)


if __name__ == "__main__":
    main()
