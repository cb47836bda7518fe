"""The learning curve of a stored base model, scored on validation rows: no test row is read, whatever is evaluated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from foldsmith.config import ValidationSettings
from foldsmith.dataset import Dataset
from foldsmith.errors import DataError
from foldsmith.evaluation.metrics import score
from foldsmith.models.catalogue import Model, model_class
from foldsmith.runs.store import Workspace
from foldsmith.stages.crossed import WHOLE
from foldsmith.stages.horizon import HorizonTable
from foldsmith.stages.model_store import Predictor, StoredModel
from foldsmith.stages.models_file import classes_of
from foldsmith.stages.scores import scored
from foldsmith.validation.cross_validate import derived_seed, predict_rows
from foldsmith.validation.learning_curve import SHARES, ShareFit, fit_share, recent_rows

Say = Callable[[str], None]
ENSEMBLE = "an ensemble is fitted on out-of-fold predictions; train one of its base models alone and ask for its curve"
TOO_FEW = "these rows are too few to fit it on"


def learning_curve(
    workspace: Workspace,
    stored: StoredModel,
    predictor: Predictor,
    table: HorizonTable,
    settings: ValidationSettings,
    say: Say,
    *,
    threads: int = 1,
) -> dict[str, Any]:
    """Fit a base model again on growing recent shares of its training rows; JSON-able, or `skipped` and why.

    workspace : names the models that the user wrote. Returns rows (validation), of (training rows), rounds (fixed, None
    for a model without early stopping), whole_is_stored (whether the fit on all rows predicts, bit for bit, what the
    stored model does), and points: share, rows, log_loss with low and high, log_loss_base (the class shares of the same
    training rows), gain over it with gain_low and gain_high, direction_auc, all on validation rows, and
    training_log_loss, training_log_loss_base on the rows that were fitted on; or `skipped` where these are too few.
    """
    if stored.bases or stored.members:
        return {"skipped": ENSEMBLE}
    kind: Model = classes_of(workspace, [stored]).get(stored.name, stored.name)
    data = table.data.select(stored.features)
    training, held = data.take(table.segments.training), data.take(table.segments.validation)
    keys = (settings.seed, stored.name, table.horizon)
    seeds = derived_seed(*keys, WHOLE), derived_seed(*keys, "refit")
    points: list[dict[str, Any]] = []
    whole_is_stored = False
    for share in SHARES:
        told: dict[str, Any] = {"share": share, "rows": len(recent_rows(len(training), share))}
        say(
            f"learning curve: fitting {stored.name} on the last {told['rows']:,} of {len(training):,} training rows"
        )
        try:
            fit = fit_share(
                kind,
                training,
                share,
                fitting=table.fitting,
                params=stored.params,
                seeds=seeds,
                threads=threads,
            )
        except DataError as error:
            say(f"  left out: {error}")
            points.append(told | {"skipped": TOO_FEW})
            continue
        points.append(told | _scores(fit, training, held, settings.seed))
        if share == 1:
            mine, (own,) = predict_rows(fit.fitted, held), predictor.bases[stored.name]
            whole_is_stored = mine.tobytes() == predict_rows(own, held).tobytes()
    class_ = model_class(kind)
    return {
        "rows": len(held),
        "of": len(training),
        "rounds": stored.params.get(class_.rounds) if class_.early_stopping else None,
        "whole_is_stored": whole_is_stored,
        "points": points,
    }


def _scores(fit: ShareFit, training: Dataset, held: Dataset, seed: int) -> dict[str, Any]:
    rate = np.array(fit.base_rate)
    found = scored(held.y, predict_rows(fit.fitted, held), held.weight, rate, held.t0, seed=seed)
    mine = training.take(fit.rows)
    fitted = score(mine.y, predict_rows(fit.fitted, mine), mine.weight, rate)
    loss, gain = (found["interval"][name] for name in ("log_loss", "log_loss_gain"))
    return {
        "log_loss": found["log_loss"],
        "low": loss["low"],
        "high": loss["high"],
        "log_loss_base": found["log_loss_base"],
        "gain": found["log_loss_base"] - found["log_loss"],
        "gain_low": gain["low"],
        "gain_high": gain["high"],
        "direction_auc": found["direction_auc"],
        "training_log_loss": fitted["log_loss"],
        "training_log_loss_base": fitted["log_loss_base"],
    }
