"""The whole workflow on one simulated market, by the stages as a library, boiled down to what a verdict needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from tests.properties.conftest import prepared, quiet

from foldsmith.config import CrossValidateSettings
from foldsmith.evaluation.backtest import backtest, most_probable_signal
from foldsmith.evaluation.metrics import score
from foldsmith.intervals import as_instants
from foldsmith.market.instruments import instrument
from foldsmith.market.simulate import Simulation
from foldsmith.runs.store import Run, Workspace, read_json
from foldsmith.stages.cross_validate import cross_validate
from foldsmith.stages.ensemble import train_stored
from foldsmith.stages.evaluate import evaluate
from foldsmith.stages.executors import Executor
from foldsmith.stages.horizon import load_recipe
from foldsmith.stages.simulated import write_market

HORIZON = 10
SESSIONS = 70
MODELS = ("lightgbm", "logistic")
AUC = "direction_auc"


@dataclass(frozen=True)
class Verdict:
    """What one market gave.

    auc : direction AUC among barrier hits, by place ("lightgbm oof", "stacking test" ...). Out of fold it is the mean
        of the folds' own AUCs: each is of rows that one model scored.
    pooled : the AUC over all out-of-fold rows together, as the results state it.
    interval : (low, high) of the 95% interval that the results state.
    gross : P&L before costs of every trade, by place. recovery : as the evaluation of the test segment states it.
    """

    seed: int
    auc: Mapping[str, float]
    pooled: Mapping[str, float]
    interval: Mapping[str, tuple[float, float]]
    gross: Mapping[str, Any]
    recovery: dict[str, Any]
    statement: str


def run_market(root: Path, edge: float, seed: int) -> Verdict:
    """Simulate, prepare, cross-validate, stack and evaluate; default settings, barriers as chosen."""
    write_market(Workspace(root), Simulation("MES", SESSIONS, seed, edge), instrument("MES"), quiet)
    made = prepared(root, horizons=(HORIZON,))
    workspace = made.workspace
    settings = CrossValidateSettings(MODELS, (HORIZON,))
    cv = cross_validate(
        made.dataset, settings, made.provenance, quiet, folder=workspace.stacking, executor=Executor()
    )
    stacked = train_stored(
        workspace, cv.id, HORIZON, "stacking", "logistic", made.provenance, quiet,
        phase3_folder=workspace.stacking, folder=workspace.runs,
    )  # fmt: skip
    auc: dict[str, float] = {}
    pooled: dict[str, float] = {}
    interval: dict[str, tuple[float, float]] = {}
    gross: dict[str, Any] = {}
    for split in ("validation", "test"):
        seen = evaluate(workspace, stacked.id, split, made.provenance, quiet, folder=workspace.runs)
        for name, scores in (("stacking", seen.metrics), *seen.metrics["members"].items()):
            place = f"{name} {split}"
            auc[place] = scores[AUC]
            interval[place] = scores["interval"][AUC]["low"], scores["interval"][AUC]["high"]
        gross[f"stacking {split}"] = pl.read_parquet(seen.run.path / "trades.parquet")["gross"].to_numpy()
        recovery = seen.metrics["recovery"]
    stated = read_json(cv.path / "cv_results.json")["horizons"][str(HORIZON)]["models"]
    table = pl.read_parquet(cv.path / "stacking" / f"stacking_dataset_h{HORIZON}.parquet")
    for model in MODELS:
        place = f"{model} oof"
        auc[place] = float(np.mean([_auc(part, model) for part in table.partition_by("fold")]))
        scores = stated[model]["oof"]
        pooled[place] = scores[AUC]
        interval[place] = scores["interval"][AUC]["low"], scores["interval"][AUC]["high"]
        gross[place] = _traded(made.dataset, table, model)
    metrics = read_json(stacked.path / "metrics.json")
    pooled["stacking oof"] = metrics["meta_out_of_fold"][AUC]
    return Verdict(seed, auc, pooled, interval, gross, recovery, metrics["statement"])


def _matrix(table: pl.DataFrame, model: str) -> Any:
    return table.select(f"{model}_prob_{side}" for side in ("short", "neutral", "long")).to_numpy()


def _auc(table: pl.DataFrame, model: str) -> float:
    return float(score(table["y_true"].to_numpy(), _matrix(table, model))[AUC])


def _traded(dataset: Run, table: pl.DataFrame, model: str) -> Any:
    """P&L before costs of each trade of the report's rule, on out-of-fold predictions."""
    mine = load_recipe(dataset).instrument
    labels = pl.read_parquet(dataset.path / f"labels_h{HORIZON}.parquet")
    rows = table.select("datetime").join(labels, on="datetime", how="left", maintain_order="left")
    bars = pl.read_parquet(dataset.path / "bars.parquet", columns=["close_time", "session"])
    ends = as_instants(bars["close_time"])
    inside = (ends >= as_instants(rows["datetime"]).min()) & (ends <= as_instants(rows["label_end"]).max())
    done = backtest(
        most_probable_signal(_matrix(table, model)),
        rows,
        sessions=bars.filter(pl.Series(inside)),
        tick_size=mine.tick_size,
        tick_value=mine.tick_value,
        commission=mine.commission,
        slippage_ticks=mine.slippage_ticks,
    )
    return done.trades["gross"].to_numpy()


def means_over_seeds(verdicts: list[Verdict], name: str, place: str) -> Any:
    """One number a seed: an AUC, or the mean gross P&L of a trade."""
    return np.array([np.mean(getattr(verdict, name)[place]) for verdict in verdicts])
