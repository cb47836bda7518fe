"""Phase 2: one base model, fitted on the whole training segment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from foldsmith.config import ValidationSettings, parameters
from foldsmith.models.catalogue import Model
from foldsmith.models.own import OwnModel
from foldsmith.runs.store import Run
from foldsmith.stages.certificates import certified_segments
from foldsmith.stages.crossed import WHOLE
from foldsmith.stages.horizon import load_horizons
from foldsmith.stages.model_store import StoredModel, loadable_files
from foldsmith.stages.models_file import recorded
from foldsmith.stages.out_of_fold import searching, single_trial
from foldsmith.stages.publish import Provenance, publishing, run_parent
from foldsmith.stages.scores import scored
from foldsmith.stages.trained import write_trained
from foldsmith.stages.window import checked_window, window_facts, window_lines
from foldsmith.validation.cross_validate import class_shares, derived_seed, fit_fold, predict_rows, refit

Say = Callable[[str], None]


def train_base(
    dataset: Run,
    model: str,
    horizon: int,
    settings: ValidationSettings,
    params: dict[str, Any],
    provenance: Provenance,
    say: Say,
    *,
    folder: Path,
    threads: int,
    features: tuple[str, ...] | None = None,
    own: OwnModel | None = None,
) -> Run:
    """Fit one base model on the whole training segment, score it on validation, and publish it.

    One fit at a time, so it may have all cores (`threads`); its bytes do not depend on them. features : what the model
    sees, None for all of the dataset. own : the model, where the user wrote it.
    """
    kind: Model = model if own is None else own.load()
    seen = {} if features is None else {model: features}
    window = checked_window(dataset, [model], settings, seen, params)
    table = load_horizons(dataset, (horizon,), settings, window=window)[horizon]
    for line in window_lines([table]):
        say(line)
    data = table.data.select(features)
    training = data.take(table.segments.training)
    with publishing(folder, "model", provenance, prefix=f"{model}_h{horizon}_") as run:
        certificates = {"segments": certified_segments(data, table.segments, table.separation)}
        recorder = run.recorder(dataset.manifest.content).seeing(features).of(own)
        everything = np.arange(len(training), dtype=np.int64)
        say(f"training {model} on {len(training):,} rows of horizon {horizon}")
        fit = fit_fold(
            kind,
            training,
            everything,
            None,
            fitting=table.fitting,
            seed=derived_seed(settings.seed, model, horizon, WHOLE),
            keys=(model, horizon, WHOLE),
            search=searching(settings, lambda trial: recorder.record(model, horizon, WHOLE, [trial])),
            params=params,
            threads=threads,
        )
        if not fit.trials:
            recorder.record(model, horizon, WHOLE, [single_trial(fit.params)])
        fitted = refit(
            kind,
            training,
            fitting=table.fitting,
            calibrator=fit.fitted.correction.calibrator,
            params=fit.params,
            iterations=[fit.best_iteration],
            seed=derived_seed(settings.seed, model, horizon, "refit"),
            threads=threads,
        )
        stored = StoredModel(
            model,
            fitted.classifier.get_params(),
            loadable_files(fitted),
            features=features,
            own=None if own is None else own.record,
        )
        held = data.take(table.segments.validation)
        probabilities = predict_rows(fitted, held)
        rate = np.array(class_shares(training.y))
        metrics = {
            "validation": scored(held.y, probabilities, held.weight, rate, held.t0, seed=settings.seed),
            "training_base_rate": rate.tolist(),
            "trials": len(fit.trials) or 1,
            "params": stored.params,
            "certificates": certificates,
            **window_facts(table),
        }
        write_trained(run, stored, table.recipe, held, probabilities, metrics)
        return run.publish(
            parameters={
                "model": model,
                "horizon": horizon,
                "params": params,
                **({} if features is None else {"features": list(features)}),
                **recorded({} if own is None else {model: own}),
                **parameters(settings),
            },
            parents=[run_parent(dataset)],
            seed=settings.seed,
            extra={"symbol": table.recipe.symbol, "model": model, "horizon": horizon},
        )
