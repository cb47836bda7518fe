"""Stored evaluations against each other, on the rows and days that all of them have. No held-out row is opened.

Everything is read from the evaluations' own files, each compared with its hash: neither a dataset nor a model is read,
and no look is entered, as nothing is learnt of the rows that was not shown before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from foldsmith.contracts import prediction_contract
from foldsmith.errors import DataError, SettingError
from foldsmith.evaluation.bootstrap import MIN_DAYS, drawn_days, drawn_scores
from foldsmith.evaluation.rows import Floats
from foldsmith.intervals import as_instants
from foldsmith.runs.registry import EVALUATIONS, find_run
from foldsmith.runs.store import Run, Workspace, open_run, read_json
from foldsmith.stages.scores import trading_days
from foldsmith.stages.tables import read_table

SCORES = ("log_loss", "direction_log_loss", "direction_auc", "brier")
DRAWS = 1000
BLOCK_DAYS = 5
LEVEL = 0.95
SEED = 20240
"""Of the draws of days: one for all, so that equal commands print equal numbers."""
MOST = 20


@dataclass(frozen=True)
class Stored:
    """A stored evaluation: its metrics, scored rows and daily profits."""

    run: Run
    metrics: dict[str, Any]
    rows: pl.DataFrame
    daily: pl.DataFrame

    @property
    def split(self) -> str:
        """The segment it looked at."""
        return str(self.run.manifest.parameters.get("split"))

    @property
    def model(self) -> str:
        """Id of the model it is of."""
        return next((one.id for one in self.run.manifest.parents if one.kind == "model"), "")


def read_evaluation(run: Run) -> Stored:
    """The files of an evaluation run, hashes and contract checked; DataError for another kind of run."""
    if run.manifest.kind != "evaluation":
        raise DataError(f"run {run.id} is a {run.manifest.kind} run; an evaluation is needed.")
    run.verify(["metrics.json", "predictions.parquet", "daily.parquet"])
    rows = read_table(run.path / "predictions.parquet", prediction_contract())
    daily = read_table(run.path / "daily.parquet")
    if not {"session", "net", "gross"} <= set(daily.columns):
        raise DataError(f"daily.parquet of {run.id} has no daily profits; evaluate the model again.")
    return Stored(run, read_json(run.path / "metrics.json"), rows, daily)


def evaluation_named(workspace: Workspace, run_id: str, split: str, also: Sequence[Any] = ()) -> Run:
    """An evaluation by its id, or the newest of a model at a split; SettingError where there is none."""
    run = find_run(workspace, run_id, also)
    if run.manifest.kind == "evaluation":
        return run
    if run.manifest.kind != "model":
        raise SettingError(
            f"{run_id} is a {run.manifest.kind} run; name evaluations, or models that have some."
        )
    folder = run.path / EVALUATIONS
    names = sorted(
        each.name for each in folder.iterdir() if each.name.startswith(f"{split}_")
    ) if folder.is_dir() else []  # fmt: skip
    if not names:
        raise SettingError(
            f"model {run.id} has no evaluation at {split} rows, and none is made here; make one: "
            f"foldsmith evaluate --run-id {run.id} --split {split}"
        )
    return open_run(folder, names[-1], workspace.ledger)


def compare_evaluations(runs: Sequence[Run]) -> dict[str, Any]:
    """Scores of evaluations on the rows they share, and each one's difference to the first; JSON-able.

    Rows are those with one decision time, label end and label in all of them; profits are of the days that all have.
    One draw of days serves all models, so that differences are paired: percentiles of 1000 draws of blocks of five
    days, or none with fewer than ten blocks. Returns split, rows, days, runs (id, model, own_rows, scores, net,
    sharpe_daily) and against: for each further run, per score its difference to the FIRST run's with low and high.
    SettingError for fewer than two, for two splits, or for nothing in common.
    """
    if not 2 <= len(runs) <= MOST:
        raise SettingError(f"{len(runs)} evaluations cannot be compared; name 2 to {MOST}.")
    if len({run.id for run in runs}) < len(runs):
        raise SettingError("an evaluation is named twice; name each once.")
    each = [read_evaluation(run) for run in runs]
    if len(splits := sorted({one.split for one in each})) > 1:
        raise SettingError(
            f"these are evaluations at {' and '.join(splits)} rows; compare those of one split."
        )
    tables = _shared([one.rows for one in each])
    daily = _shared_days([one.daily for one in each])
    drawn = [_scores(table) for table in tables]
    return {
        "split": each[0].split,
        "rows": tables[0].height,
        "days": len(daily[0]),
        "level": LEVEL,
        "block_days": BLOCK_DAYS,
        "runs": [
            {
                "id": one.run.id,
                "model": one.model,
                "own_rows": one.rows.height,
                "scores": {name: whole.get(name) for name in SCORES},
                "net": float(net.sum()),
            }
            for one, (whole, _, _), net in zip(each, drawn, daily, strict=True)
        ],
        "against": [
            {
                "id": one.run.id,
                "differences": {
                    **_differences(mine, drawn[0]),
                    "net_a_day": _day_difference(net - daily[0]),
                },
            }
            for one, mine, net in zip(each[1:], drawn[1:], daily[1:], strict=True)
        ],
    }


def _shared(tables: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
    keys = ["datetime", "label_end", "y_true"]
    shared = tables[0].select(keys)
    for other in tables[1:]:
        shared = shared.join(other.select(keys), on=keys, how="inner", maintain_order="left")
    if shared.is_empty():
        raise SettingError(
            "these evaluations have no row in common (decision time, label end and label); are they of one dataset "
            "and horizon?"
        )
    return [shared.join(table, on=keys, how="left", maintain_order="left") for table in tables]


def _shared_days(tables: Sequence[pl.DataFrame]) -> list[Floats]:
    days = tables[0].select("session")
    for other in tables[1:]:
        days = days.join(other.select("session"), on="session", how="inner", maintain_order="left")
    joined = [days.join(table, on="session", how="left", maintain_order="left") for table in tables]
    return [np.asarray(one["net"].to_numpy(), dtype=np.float64) for one in joined]


def _scores(table: pl.DataFrame) -> tuple[dict[str, float], dict[str, Floats], int]:
    P = table.select("prob_short", "prob_neutral", "prob_long").to_numpy()
    days = trading_days(as_instants(table["datetime"]))
    return drawn_scores(table["y_true"].to_numpy(), P, days, seed=SEED, draws=DRAWS, block_days=BLOCK_DAYS)


def _differences(
    mine: tuple[dict[str, float], dict[str, Floats], int],
    first: tuple[dict[str, float], dict[str, Floats], int],
) -> dict[str, Any]:
    enough = mine[2] >= MIN_DAYS * BLOCK_DAYS
    return {
        name: _told(mine[0][name] - first[0][name], mine[1][name] - first[1][name] if enough else None)
        for name in SCORES
        if name in mine[0] and name in first[0]
    }


def _day_difference(difference: Floats) -> dict[str, Any]:
    n = len(difference)
    if n == 0:
        return _told(float("nan"), None)
    if n < MIN_DAYS * BLOCK_DAYS:
        return _told(float(difference.mean()), None)
    return _told(float(difference.mean()), difference[drawn_days(n, DRAWS, BLOCK_DAYS, SEED)].mean(axis=1))


def _told(estimate: float, drawn: Floats | None) -> dict[str, float | None]:
    if not np.isfinite(estimate):
        return {"difference": None, "low": None, "high": None}
    known = np.empty(0) if drawn is None else drawn[np.isfinite(drawn)]
    if drawn is None or len(known) < 0.95 * len(drawn):
        return {"difference": estimate, "low": None, "high": None}
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {"difference": estimate, "low": float(low), "high": float(high)}
