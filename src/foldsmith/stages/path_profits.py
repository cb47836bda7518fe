"""What combinatorial paths would have earned: their Sharpe ratios after costs, traded as out-of-fold profits are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from foldsmith.contracts import LABELS
from foldsmith.errors import MissingError, SettingError
from foldsmith.evaluation.backtest import PERIODS_PER_YEAR
from foldsmith.evaluation.trial_series import path_sharpes
from foldsmith.runs.registry import find_run
from foldsmith.runs.store import Run, Workspace
from foldsmith.stages.horizon import HorizonTable
from foldsmith.stages.oof_profits import traded
from foldsmith.stages.path_data import BASE, ENSEMBLE, StoredPaths, read_paths
from foldsmith.stages.tables import read_table
from foldsmith.validation.path_groups import PathGroups

NO_PATHS = (
    "No spread of Sharpe ratios over combinatorial paths: this model has none. cv --paths 6,2 makes them, and an "
    "ensemble trained from the stored predictions of that one run has its own."
)
NO_ERROR = (
    "The paths predict the same rows, and share models and training rows: their spread is no standard error. It says "
    "how much the result hangs on which rows were trained on."
)


def path_figures(paths: Mapping[str, StoredPaths], dataset: Run, table: HorizonTable) -> dict[str, Any]:
    """Sharpe ratios a year after costs of each model's paths, by the default rule, one position at a time; JSON-able.

    All paths are of the same groups. `days` by model: those of an ensemble that is fitted on a part are fewer.
    """
    labels = read_table(dataset.path / f"labels_h{table.horizon}.parquet", LABELS)
    bars = read_table(dataset.path / "bars.parquet", columns=["close_time", "session"])
    groups = next(iter(paths.values())).groups
    found = {}
    for name, each in paths.items():
        net = np.stack(
            [traded(each.rows["datetime"], P, labels, bars, table)["net"].to_numpy() for P in each.P]
        )
        found[name] = {**path_sharpes(net, PERIODS_PER_YEAR), "days": net.shape[1]}
    return {**described(groups), "periods_per_year": PERIODS_PER_YEAR, "models": found, "statement": NO_ERROR}


def described(groups: PathGroups) -> dict[str, int]:
    """Numbers of groups, tested groups, splits and paths."""
    return {
        "groups": groups.groups,
        "tested": groups.tested,
        "splits": groups.n_splits,
        "paths": groups.n_paths,
    }


def model_paths(workspace: Workspace, model: Run, dataset: Run, table: HorizonTable) -> dict[str, Any]:
    """`path_figures` of an ensemble and its base models, whose paths its CV run holds.

    `skipped` says why there are none, `missing` what could not be read.
    """
    if ENSEMBLE not in model.manifest.files:
        return {"skipped": NO_PATHS}
    found = {f"{model.manifest.extra['model']} (ensemble)": read_paths(model, ENSEMBLE)}
    bases, missing = _base_paths(workspace, model, table.horizon)
    return {**path_figures({**found, **bases}, dataset, table), "missing": missing}


def _base_paths(workspace: Workspace, model: Run, horizon: int) -> tuple[dict[str, StoredPaths], list[str]]:
    parent = next(parent for parent in model.manifest.parents if parent.kind == "cv")
    try:
        run = find_run(workspace, parent.id)
    except (MissingError, SettingError):  # the latter where several have its name
        return {}, ["the CV run that it was made from is not found"]
    if run.manifest.content != parent.content:
        return {}, ["the CV run that it was made from is another now"]
    names = [str(name) for name in run.manifest.extra["models"]]
    return {name: read_paths(run, BASE.format(name, horizon)) for name in names}, []


def rows_of(frame: pl.DataFrame) -> pl.DataFrame:
    """When rows of a stored table were decided and ended, and their labels: what makes two tables be of one."""
    return frame.select("datetime", "label_end", "y_true")
