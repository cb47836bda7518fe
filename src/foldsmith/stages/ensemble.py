"""Phase 4: one ensemble, from stored or freshly made out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from foldsmith.config import CrossValidateSettings, parameters
from foldsmith.contracts import prediction_contract
from foldsmith.evaluation.metrics import score
from foldsmith.intervals import Rows
from foldsmith.models.base import Classifier
from foldsmith.runs.manifest import Parent
from foldsmith.runs.store import Run, Workspace
from foldsmith.stages.certificates import certified_apart, certified_folds
from foldsmith.stages.crossed import NO_OWN, Own
from foldsmith.stages.ensemble_inputs import EnsembleInputs, Source, fresh_inputs, stored_inputs
from foldsmith.stages.ensemble_options import PLAIN, EnsembleOptions
from foldsmith.stages.ensemble_paths import cross_fitted, ensemble_paths, maker
from foldsmith.stages.executors import Executor
from foldsmith.stages.horizon import load_horizons
from foldsmith.stages.join import events, spans
from foldsmith.stages.joined import check_horizons, coverage_lines, joined_inputs, sources_named
from foldsmith.stages.levels import base_levels, ensemble_levels
from foldsmith.stages.model_store import StoredModel, loadable_files
from foldsmith.stages.models_file import KEY as OWN_MODELS
from foldsmith.stages.models_file import classes, classes_of
from foldsmith.stages.path_data import ENSEMBLE as PATHS
from foldsmith.stages.path_data import StoredPaths, write_paths
from foldsmith.stages.publish import Building, Provenance, publishing, run_parent
from foldsmith.stages.recipe import Recipe
from foldsmith.stages.scores import probability_matrix, scored
from foldsmith.stages.stacking_data import find_cv_run
from foldsmith.stages.tables import write_table
from foldsmith.stages.trained import predictions_table, write_trained
from foldsmith.stages.window import checked_window, refuse_joined, window_lines
from foldsmith.validation.cross_validate import class_shares
from foldsmith.validation.meta_level import MetaFolds, MetaModel, fit_meta

Say = Callable[[str], None]

NOT_FULLY_NESTED = (
    "The meta-learner is cross-validated on purged folds of the fixed out-of-fold table. This is not fully nested: "
    "base predictions of its training rows come from models that saw labels of its test rows. Validation is the "
    "score that is clean at both levels."
)


@dataclass(frozen=True)
class TrainedEnsemble:
    """A fitted ensemble with its predictions and scores."""

    stored: StoredModel
    validation: np.ndarray[Any, np.dtype[np.float32]]
    oof_rows: np.ndarray[Any, np.dtype[np.int64]]
    oof: np.ndarray[Any, np.dtype[np.float32]]
    metrics: dict[str, Any]


def fit_ensemble(
    inputs: EnsembleInputs, name: str, meta_learner: str | None, options: EnsembleOptions = PLAIN
) -> TrainedEnsemble:
    """Fit an ensemble on the OOF table, cross-validate it on purged folds, and score it on validation."""
    data, apart = spans(inputs.oof), inputs.separation
    P = probability_matrix(inputs.oof, inputs.models)
    fold = inputs.oof["fold"].to_numpy()
    make_one = maker(inputs, name, meta_learner)
    pairs: list[tuple[Rows, Rows]] = []
    folds = cross_fitted(inputs, make_one, P, options, lambda *pair: pairs.append(pair))
    fitted = fit_meta(make_one, P, data, fold, folds, options.calibrate_ensemble)
    held = spans(inputs.validation)
    certificates = {
        "meta_folds": certified_folds(f"{name}, meta-level fold", data, pairs, apart),
        "training_validation": certified_apart("training against validation, cut", data, held, apart),
    }
    Q = _stored(fitted, probability_matrix(inputs.validation, inputs.models))
    metrics = {
        **_scores(inputs, name, fitted, folds, P, Q),
        "training_base_rate": list(class_shares(data.y)),
        "statement": NOT_FULLY_NESTED,
        "ensemble": fitted.describe(),
        "certificates": certificates,
        **({"coverage": inputs.coverage} if inputs.coverage else {}),
    }
    stored = StoredModel(name, fitted.get_params(), loadable_files(fitted), inputs.bases)
    return TrainedEnsemble(stored, Q, folds.rows, folds.probabilities, metrics)


def _stored(model: MetaModel, P: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Probabilities as they are stored."""
    return np.asarray(model.predict_proba(P), dtype=np.float32)


def _scores(
    inputs: EnsembleInputs,
    name: str,
    fitted: MetaModel,
    folds: MetaFolds,
    P: np.ndarray[Any, Any],
    Q: np.ndarray[Any, Any],
) -> dict[str, Any]:
    """Scores at both levels, of the ensemble and of what it joins."""
    data, held, seed = events(inputs.oof), events(inputs.validation), inputs.settings.seed
    # The yardstick of weighted scores is weighted as they are.
    rate = np.array(class_shares(data.y, data.weight))
    out = data.take(folds.rows)
    by_model = {model: probability_matrix(inputs.validation, (model,)) for model in inputs.models}
    levels = {
        model: base_levels(
            data, probability_matrix(inputs.oof, (model,)), held, by_model[model], rate, seed=seed
        )
        for model in inputs.models
    }
    own = _stored(fitted, P[folds.rows])
    levels[name] = ensemble_levels(out, own, out, folds.probabilities, held, Q, rate, seed=seed)
    return {
        "validation": scored(held.y, Q, held.weight, rate, held.t0, seed=seed),
        "meta_out_of_fold": scored(out.y, folds.probabilities, out.weight, rate, out.t0, seed=seed),
        # Their intervals are in the results of the cross-validation.
        "base_models_on_validation": {
            model: score(held.y, probabilities, held.weight, rate)
            for model, probabilities in by_model.items()
        },
        "levels": levels,
    }


def train_stored(
    workspace: Workspace,
    cv_run_id: str,
    horizon: int,
    name: str,
    meta_learner: str | None,
    provenance: Provenance,
    say: Say,
    *,
    phase3_folder: Path,
    folder: Path,
    also: Sequence[str] = (),
    options: EnsembleOptions = PLAIN,
) -> Run:
    """Train an ensemble from the stored predictions of a CV run, joined by those of others (`also`)."""
    runs = [find_cv_run(workspace, run_id, phase3_folder) for run_id in (cv_run_id, *also)]
    inputs, sources = stored_joined(workspace, runs, horizon, options, say)
    paths = _paths(sources, inputs, name, meta_learner, options, say)
    with publishing(folder, "model", provenance, prefix=f"{name}_h{horizon}_") as run:
        if paths is not None:
            about = {"dataset": sources[0].dataset.manifest.content, "model": name, "horizon": horizon}
            write_paths(paths, run.path / PATHS, about)
        return _finish(run, inputs, sources[0].recipe, name, meta_learner, options, _parents(runs, sources))


def _paths(
    sources: Sequence[Source],
    inputs: EnsembleInputs,
    name: str,
    meta_learner: str | None,
    options: EnsembleOptions,
    say: Say,
) -> StoredPaths | None:
    """Paths of an ensemble over one run that has some."""
    run = sources[0].run
    if len(sources) > 1 or run is None:
        if any(source.run is not None and "paths" in source.run.manifest.parameters for source in sources):
            say("no paths: predictions of several runs or horizons are joined, and paths are those of one")
        return None
    paths = ensemble_paths(run, inputs, name, meta_learner, options)
    if paths is not None:
        say(f"{len(paths.P)} combinatorial paths of {name}, on the same meta-level folds")
    return paths


def stored_joined(
    workspace: Workspace, runs: Sequence[Run], horizon: int, options: EnsembleOptions, say: Say
) -> tuple[EnsembleInputs, list[Source]]:
    """What an ensemble over these CV runs is trained from, and what each of them gave to it."""
    sources = []
    for number, cv_run in enumerate(runs):
        for wanted in (horizon, *(options.with_horizons if number == 0 else ())):
            sources.append(stored_inputs(workspace, cv_run, wanted, number + 1))
            models = ", ".join(sources[-1].inputs.models)
            rows = sources[-1].inputs.oof.height
            say(f"read {rows:,} out-of-fold rows of {models} from {cv_run.path.name}")
    return _inputs(sources, options, say, lambda bases: classes_of(workspace, bases)), sources


def _parents(runs: Sequence[Run], sources: Sequence[Source]) -> list[Parent]:
    """Each CV run and its dataset; of datasets with one content, the first: they are one part of a join."""
    parents: list[Parent] = []
    for cv_run in runs:
        dataset = run_parent(next(each.dataset for each in sources if each.run is cv_run))
        known = {each.content for each in parents}
        parents += [run_parent(cv_run), *([] if dataset.content in known else [dataset])]
    return parents


def train_fresh(
    dataset: Run,
    cv: CrossValidateSettings,
    name: str,
    meta_learner: str | None,
    provenance: Provenance,
    say: Say,
    *,
    folder: Path,
    executor: Executor,
    options: EnsembleOptions = PLAIN,
    own: Own = NO_OWN,
) -> Run:
    """Train an ensemble on predictions made on the spot (the legacy way)."""
    (horizon,) = cv.horizons
    horizons = check_horizons(horizon, options)
    if len(horizons) > 1:
        refuse_joined(cv.models)
    window = checked_window(dataset, cv.models, cv.validation, cv.features)
    tables = load_horizons(dataset, horizons, cv.validation, window=window)
    for line in window_lines(tables.values()):
        say(line)
    with publishing(folder, "model", provenance, prefix=f"{name}_h{horizon}_") as run:
        made = fresh_inputs(
            run, tables, replace(cv, horizons=horizons), dataset.manifest.content, executor, say, own
        )
        sources = [Source(made[each], tables[each].recipe, dataset, 1) for each in horizons]
        inputs = _inputs(sources, options, say, lambda _: classes(own))
        return _finish(run, inputs, sources[0].recipe, name, meta_learner, options, [run_parent(dataset)])


def _inputs(
    sources: Sequence[Source],
    options: EnsembleOptions,
    say: Say,
    classes_by_name: Callable[[list[StoredModel]], dict[str, type[Classifier]]],
) -> EnsembleInputs:
    """Those of the one source, or of all joined; what the user wrote is loaded only where it is run."""
    if len(sources) == 1:
        return sources[0].inputs
    refuse_joined(name for source in sources for name in source.inputs.models)
    bases = [base for source in sources for base in source.inputs.bases.values()]
    inputs = joined_inputs(sources_named(sources), options, classes_by_name(bases))
    for line in coverage_lines(inputs.coverage):
        say(line)
    return inputs


def _finish(
    run: Building,
    inputs: EnsembleInputs,
    recipe: Recipe,
    name: str,
    meta_learner: str | None,
    options: EnsembleOptions,
    parents: list[Parent],
) -> Run:
    trained = fit_ensemble(inputs, name, meta_learner, options)
    _write(run, inputs, recipe, trained)
    features = {
        model: list(base.features) for model, base in inputs.bases.items() if base.features is not None
    }
    own = {base.name: base.own.as_dict() for base in inputs.bases.values() if base.own is not None}
    return run.publish(
        parameters={
            "model": name,
            "horizon": inputs.horizon,
            "meta_learner": meta_learner,
            "base_models": list(inputs.models),
            **({"features": features} if features else {}),
            **({OWN_MODELS: own} if own else {}),
            **parameters(inputs.settings),
            **parameters(options),
        },
        parents=parents,
        seed=inputs.settings.seed,
        extra={"symbol": recipe.symbol, "model": name, "horizon": inputs.horizon},
    )


def _write(run: Building, inputs: EnsembleInputs, recipe: Recipe, trained: TrainedEnsemble) -> None:
    held = events(inputs.validation)
    write_trained(run, trained.stored, recipe, held, trained.validation, trained.metrics)
    if inputs.join is not None:
        inputs.join.write(run.path / "model")
    write_table(
        predictions_table(events(inputs.oof).take(trained.oof_rows), trained.oof),
        run.path / "predictions" / "meta_out_of_fold.parquet",
        prediction_contract(),
    )
