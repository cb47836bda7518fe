"""What was estimated out of fold beside what the test segment gave, for every model and ensemble, on real bars.

    python benchmarks/markets.py --raw DIR [--symbols MES,NQ] [--models all] [--timeframe 5m] [--horizon 20]

DIR holds {SYMBOL}_1m.parquet; without it, one simulated market without edge is taken. The five commands run as a user
types them, with default settings, in a temporary workspace; a Markdown table for each market is printed, whatever it
says. Scores of base models are those that the evaluation of `stacking` states of its members; their trades are made
here by the rule of the report, from the predictions of the same saved models. t is that of the mean P&L of a trade
after costs. ECE is the mean over the three classes.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from foldsmith.config import ValidationSettings
from foldsmith.contracts import probability_columns
from foldsmith.evaluation.backtest import backtest, most_probable_signal
from foldsmith.evaluation.calibration import reliability
from foldsmith.evaluation.significance import mean_test
from foldsmith.runs.store import Run, Workspace, read_json
from foldsmith.stages.horizon import load_horizons, load_recipe
from foldsmith.stages.model_store import read_model, revive

ROOT = Path(__file__).parents[1]
ENSEMBLES = ("voting", "stacking")
OWN_INSTRUMENTS = """
[SPY]  # a lot of 100 shares
calendar = "US_EQUITY"
tick_size = 0.01
tick_value = 1.0
commission = 0.5
[FILUSDT]  # one coin; the fee is 0.05% at a price of 4
calendar = "24x7"
tick_size = 0.001
tick_value = 0.001
currency = "USDT"
commission = 0.002
"""
PROBABILITIES = ("prob_short", "prob_neutral", "prob_long")


@dataclass(frozen=True)
class Seen:
    """What one model's predictions of some rows gave. scores : as the run states them."""

    scores: dict[str, Any]
    trades: pl.DataFrame
    ece: float

    def cells(self) -> dict[str, str]:
        """As the table shows it."""
        scores, band = self.scores, self.scores["interval"]["direction_auc"]
        test = mean_test(self.trades["net"].to_numpy())
        known = band["low"] is not None
        between = f"[{band['low']:.3f}, {band['high']:.3f}]" if known else "[too few days]"
        return {
            "loss": f"{scores['log_loss']:.4f} ({scores['log_loss_base']:.4f})",
            "auc": f"{scores['direction_auc']:.3f} {between}",
            "t": "no trade" if test is None else f"{test.t:.1f} ({test.n:,})",
            "ece": f"{self.ece:.3f}",
        }


class Desk:
    """A temporary workspace in which the real commands run."""

    def __init__(self, root: Path) -> None:
        self.workspace = Workspace(root)
        (root / "instruments.toml").write_text(OWN_INSTRUMENTS)
        self.workspace.raw.mkdir(parents=True)

    def run(self, script: str, *words: object) -> str:
        """What a command printed; ends this script with its message where it fails."""
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, str(ROOT / script), *map(str, words)],
            cwd=self.workspace.root, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            sys.exit(f"{script} {' '.join(map(str, words))}: {done.stderr.strip()[-2000:]}")
        print(f"  {script} {words[:4]}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
        return done.stdout


def value(text: str, name: str) -> str:
    """What a command printed after `name: `."""
    return next(line.split(": ", 1)[1] for line in text.splitlines() if line.startswith(f"{name}: "))


def traded(dataset: Run, horizon: int, rows: pl.DataFrame, P: Any) -> pl.DataFrame:
    """Trades of the report's rule on these predictions; rows : their `datetime`."""
    mine = load_recipe(dataset).instrument
    labels = pl.read_parquet(dataset.path / f"labels_h{horizon}.parquet")
    labels = rows.select("datetime").join(labels, on="datetime", how="left", maintain_order="left")
    bars = pl.read_parquet(dataset.path / "bars.parquet", columns=["close_time", "session"])
    first, last = labels["datetime"].min(), labels["label_end"].max()
    return backtest(
        most_probable_signal(P),
        labels,
        sessions=bars.filter(pl.col("close_time").is_between(first, last)),
        tick_size=mine.tick_size,
        tick_value=mine.tick_value,
        commission=mine.commission,
        slippage_ticks=mine.slippage_ticks,
    ).trades


def seen(dataset: Run, horizon: int, rows: pl.DataFrame, P: Any, scores: dict[str, Any]) -> Seen:
    """Scores with trades and calibration beside them; rows : `datetime` and `y_true`."""
    found = reliability(rows["y_true"].to_numpy(), P)
    ece = float(np.mean([part["ece"] for part in found.values()]))
    return Seen(scores, traded(dataset, horizon, rows, P), ece)


def of_bases(dataset: Run, cv: Run, stacked: dict[str, Any], horizon: int) -> dict[str, tuple[Seen, Seen]]:
    """Each base model out of fold and on the test segment, which the evaluation of `stacking` has opened."""
    stated = read_json(cv.path / "cv_results.json")["horizons"][str(horizon)]["models"]
    oof = pl.read_parquet(cv.path / "stacking" / f"stacking_dataset_h{horizon}.parquet")
    table = load_horizons(dataset, (horizon,), ValidationSettings())[horizon]
    held = table.data.take(table.segments.test)
    test = pl.DataFrame({"t0": held.t0, "y_true": held.y})
    test = test.with_columns(pl.col("t0").cast(pl.Datetime("us", "UTC")).alias("datetime"))
    found = {}
    for model in stated:
        predictor = revive(read_model(cv, f"models/{model}_h{horizon}"))
        P = predictor.predict_proba(held.X, held.names, held.inputs)
        mine = oof.select(probability_columns(model)).to_numpy()
        found[model] = (
            seen(dataset, horizon, oof, mine, stated[model]["oof"]),
            seen(dataset, horizon, test, P, stacked["members"][model]),
        )
    return found


def of_ensemble(dataset: Run, run: Run, evaluated: Path, horizon: int) -> tuple[Seen, Seen]:
    """An ensemble on purged folds of the out-of-fold table, and on the test segment."""
    oof = pl.read_parquet(run.path / "predictions" / "meta_out_of_fold.parquet")
    test = pl.read_parquet(evaluated / "predictions.parquet")
    of = read_json(run.path / "metrics.json")["meta_out_of_fold"], read_json(evaluated / "metrics.json")
    return (
        seen(dataset, horizon, oof, oof.select(PROBABILITIES).to_numpy(), of[0]),
        seen(dataset, horizon, test, test.select(PROBABILITIES).to_numpy(), of[1]),
    )


def measure(desk: Desk, symbol: str, given: argparse.Namespace) -> None:
    """Run the workflow on one market and print its table."""
    h, workspace = given.horizon, desk.workspace
    period = [word for name in ("start", "end") if getattr(given, name)
              for word in (f"--{name}", getattr(given, name))]  # fmt: skip
    made = desk.run("pipeline", "run", "--symbols", symbol, "--timeframe", given.timeframe, "--horizons", h,
                    "--yes", *period)  # fmt: skip
    dataset = workspace.open_run(workspace.datasets, value(made, "Dataset ID"))
    text = desk.run("scripts/run_cv.py", "--dataset", dataset.id, "--models", given.models, "--horizons", h,
                    "--workers", given.workers)  # fmt: skip
    cv = workspace.open_run(workspace.stacking, value(text, "CV Run ID"))
    ensembles = {}
    for name in ENSEMBLES:
        learner = ["--meta-learner", "logistic"] if name == "stacking" else []
        text = desk.run(
            "scripts/train_model.py", "--model", name, "--horizon", h, "--stacking-data", cv.id, *learner
        )
        run = workspace.open_run(workspace.runs, value(text, "Run ID"))
        desk.run("scripts/evaluate_model.py", "--run-id", run.id, "--split", "test")
        (evaluated,) = (run.path / "evaluations").glob("test_*")
        ensembles[name] = of_ensemble(dataset, run, evaluated, h)
        stacked = read_json(evaluated / "metrics.json")
    show(symbol, given, {**of_bases(dataset, cv, stacked, h), **ensembles})


def show(symbol: str, given: argparse.Namespace, found: dict[str, tuple[Seen, Seen]]) -> None:
    """Print one market's table."""
    oof, test = next(iter(found.values()))
    print(f"\n### {symbol}, {given.timeframe}, horizon {given.horizon}: {oof.scores['rows']:,} rows out of fold, "
          f"{test.scores['rows']:,} test rows\n")  # fmt: skip
    print("| model | log loss (base rate), OOF | test | direction AUC [95%], OOF | test | t after costs (trades), OOF "
          "| test | ECE, OOF | test |\n|---|---|---|---|---|---|---|---|---|")  # fmt: skip
    for name, pair in found.items():
        a, b = (each.cells() for each in pair)
        print("| " + " | ".join([name, *(cell for key in a for cell in (a[key], b[key]))]) + " |", flush=True)


def main() -> None:
    """Measure every market."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--raw", type=Path, help="folder of raw bars; without it, a simulated market")
    parser.add_argument("--symbols", default="MES")
    parser.add_argument("--models", default="all")
    parser.add_argument("--timeframe", default="5m")
    parser.add_argument("--horizon", type=int, default=20)
    parser.add_argument("--start", help="first instant (UTC)")
    parser.add_argument("--end", help="instant (UTC) before which bars are used")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="foldsmith-markets-"))
    try:
        desk = Desk(root)
        for symbol in given.symbols.split(","):
            if given.raw is None:
                from foldsmith.market.instruments import instrument
                from foldsmith.market.simulate import Simulation
                from foldsmith.stages.simulated import write_market

                write_market(desk.workspace, Simulation(symbol, 120, 1), instrument(symbol), print)
            else:
                shutil.copy(given.raw / f"{symbol}_1m.parquet", desk.workspace.raw)
            measure(desk, symbol, given)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
