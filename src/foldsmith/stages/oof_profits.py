"""Daily after-cost profits that a model, and all it was made from or beside, would have made out of fold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.contracts import LABELS, prediction_contract
from foldsmith.errors import MissingError, SettingError
from foldsmith.evaluation.backtest import daily_profit, most_probable_signal
from foldsmith.runs.registry import find_run
from foldsmith.runs.store import Run, Workspace
from foldsmith.stages.horizon import HorizonTable
from foldsmith.stages.scores import probability_matrix
from foldsmith.stages.stacking_data import STACKING, read_stacking
from foldsmith.stages.tables import read_table

META = "predictions/meta_out_of_fold.parquet"


@dataclass(frozen=True)
class OutOfFoldProfits:
    """Net profit by day (days, series) and the names of the series; `missing` says what could not be read."""

    names: tuple[str, ...]
    net: npt.NDArray[np.float64]
    missing: tuple[str, ...]


def out_of_fold_profits(
    workspace: Workspace, model: Run, dataset: Run, table: HorizonTable
) -> OutOfFoldProfits:
    """Trade, by the report's rule, what the model's CV runs on its dataset stored of its horizon, and its own folds.

    Days that all have in common are kept. A single model has none: it is fitted on the whole training segment.
    """
    found, missing = _stored(workspace, model, dataset, table.horizon)
    if META in model.manifest.files:
        model.verify([META])
        own = read_table(model.path / META, prediction_contract())
        P = own.select("prob_short", "prob_neutral", "prob_long").to_numpy()
        found[f"{model.manifest.extra['model']} (ensemble)"] = own["datetime"], P
    if not found:
        return OutOfFoldProfits((), np.empty((0, 0)), tuple(missing))
    labels = read_table(dataset.path / f"labels_h{table.horizon}.parquet", LABELS)
    bars = read_table(dataset.path / "bars.parquet", columns=["close_time", "session"])
    daily = [
        traded(datetime, P, labels, bars, table).select("session", pl.col("net").alias(name))
        for name, (datetime, P) in found.items()
    ]
    days = daily[0]
    for other in daily[1:]:
        days = days.join(other, on="session", how="inner", maintain_order="left")
    net = np.ascontiguousarray(days.select(list(found)).to_numpy(), dtype=np.float64)
    return OutOfFoldProfits(tuple(found), net, tuple(missing))


def _stored(
    workspace: Workspace, model: Run, dataset: Run, horizon: int
) -> tuple[dict[str, tuple[pl.Series, Any]], list[str]]:
    """Decision times and probabilities of every base model of the CV runs, by name."""
    found: dict[str, tuple[pl.Series, Any]] = {}
    missing = []
    several = sum(parent.kind == "cv" for parent in model.manifest.parents) > 1
    for number, parent in enumerate((p for p in model.manifest.parents if p.kind == "cv"), 1):
        try:
            run = find_run(workspace, parent.id)
        except (MissingError, SettingError):  # the latter where several have its name
            missing.append(f"CV run {number} that it was made from is not found")
            continue
        if run.manifest.content != parent.content:
            missing.append(f"CV run {number} that it was made from is another now")
            continue
        if STACKING.format(horizon) not in run.manifest.files:
            continue
        stored = read_stacking(run, horizon)
        if stored.metadata.get("dataset") != dataset.manifest.content:
            continue  # of other bars or labels: its days and costs are not these
        for name in stored.metadata["models"]:
            shown = f"{name} (CV run {number})" if several else name
            found[shown] = stored.data["datetime"], probability_matrix(stored.data, (name,))
    return found, missing


def traded(
    datetime: pl.Series, P: Any, labels: pl.DataFrame, bars: pl.DataFrame, table: HorizonTable
) -> pl.DataFrame:
    """Profit by day of these predictions, by the report's rule with the instrument's costs."""
    mine = table.recipe.instrument
    rows = datetime.to_frame().join(labels, on="datetime", how="left", maintain_order="left")
    first, last = rows["datetime"][0], rows["label_end"].max()
    return daily_profit(
        most_probable_signal(P),
        rows,
        sessions=bars.filter(pl.col("close_time").is_between(first, last)),
        tick_size=mine.tick_size,
        tick_value=mine.tick_value,
        commission=mine.commission,
        slippage_ticks=mine.slippage_ticks,
    )
