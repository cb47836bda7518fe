"""`audit residual`: a cheap model cross-validated under longer and longer embargoes on a dataset's training segment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from foldsmith.config import ValidationSettings
from foldsmith.evaluation.residual_leak import curve, embargoes_of, matched_folds
from foldsmith.models.catalogue import Model, model_class
from foldsmith.runs.files import disk_errors_told
from foldsmith.runs.store import Run, Workspace, write_json
from foldsmith.stages.horizon import load_horizons
from foldsmith.stages.models_file import check_named
from foldsmith.stages.scores import trading_days
from foldsmith.stages.window import checked_window, window_lines
from foldsmith.validation.cross_validate import derived_seed, fit_fold

Say = Callable[[str], None]


def residual_leak(
    workspace: Workspace, dataset: Run, horizon: int, model: str, n_splits: int, seed: int, say: Say
) -> dict[str, Any]:
    """The curve of one model on the training segment; nothing is written, and no trial is counted.

    Folds, scored rows and seeds are the same for every embargo, and so is the number of rows fitted on. Early stopping
    keeps the embargo that it has in a run.
    """
    own = check_named(workspace, (model,), say)
    kind: Model = own[model].load() if model in own else model
    model_class(kind)
    settings = ValidationSettings(n_splits=n_splits, seed=seed)
    window = checked_window(dataset, [model], settings, {})
    table = load_horizons(dataset, (horizon,), settings, window=window)[horizon]
    for told in window_lines([table]):
        say(told)
    rows = table.data.take(table.segments.training)
    apart, embargoes = table.separation, embargoes_of(horizon)
    splits = matched_folds(n_splits, embargoes, t0=rows.t0, t1=rows.t1, purge=apart.purge, bars=apart.bars)
    found = {}
    for embargo in embargoes:
        P = np.empty((len(rows), 3), dtype=np.float32)
        for k, split in enumerate(splits):
            keys = (model, horizon, k)
            P[split.test] = fit_fold(
                kind,
                rows,
                split.train[embargo],
                split.test,
                fitting=table.fitting,
                seed=derived_seed(seed, *keys),
                keys=keys,
            ).probabilities
        found[embargo] = P
        say(f"embargo {embargo}: {n_splits} folds of {len(rows):,} rows predicted")
    days = trading_days(rows.t0)
    return {
        "dataset": dataset.id,
        "model": model,
        "n_splits": n_splits,
        "seed": seed,
        "rows": len(rows),
        **curve(rows.y, found, days, horizon=horizon, seed=seed),
    }


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The curve as lines of a terminal."""
    for point in found["points"]:
        told = ", ".join(
            f"{name.replace('_', ' ')} {point[name]['estimate']:.4f}{_difference(point[name])}"
            for name in ("log_loss", "direction_auc")
        )
        yield f"embargo {point['embargo']:>4} bars: {told}"
    yield suggestion(found)


def suggestion(found: Mapping[str, Any]) -> str:
    """What the curve says, and what it does not."""
    if found["suggested_embargo"] is None:
        return f"{found['days']} days are too few to tell a fall from chance; no embargo is suggested."
    if found["falls_to_the_end"]:
        return (
            f"The score falls to the longest embargo tried, {found['suggested_embargo']} bars: features or the market "
            "remember longer than that. Look at what the model sees."
        )
    return (
        f"Suggested embargo: {found['suggested_embargo']} bars, the smallest than which no longer one scores worse by "
        "more than three standard errors. A diagnosis, not a proof; nothing is changed by it."
    )


def _difference(score: Mapping[str, float | None]) -> str:
    if score["low"] is None or score["high"] is None or not score["difference"]:
        return ""
    return f" ({score['difference']:+.4f}, {score['low']:+.4f} to {score['high']:+.4f})"


def write_residual(found: Mapping[str, Any], json_file: Path | None, page: Path | None) -> Iterator[Path]:
    """Write the JSON and the page that are asked for, and give their paths."""
    if json_file is not None:
        with disk_errors_told(f"write {json_file}"):
            write_json(json_file, dict(found))
        yield json_file
    if page is not None:
        from foldsmith.report.residual import render_residual

        with disk_errors_told(f"write {page}"):
            page.write_text(render_residual(found, suggestion(found)), encoding="utf-8")
        yield page
