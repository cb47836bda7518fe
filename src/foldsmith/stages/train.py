"""Phases 2 and 4: one base model, or one ensemble from stored or freshly made out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from foldsmith.config import CrossValidateSettings, ValidationSettings, parameters
from foldsmith.contracts import oof_contract, prediction_contract
from foldsmith.dataset import Dataset
from foldsmith.ensembles.catalogue import make_ensemble
from foldsmith.errors import DataError, IntegrityError, MissingError, SettingError
from foldsmith.evaluation.metrics import score
from foldsmith.intervals import Rows, as_instants
from foldsmith.models.catalogue import Model
from foldsmith.models.own import OwnModel
from foldsmith.runs.manifest import Parent
from foldsmith.runs.store import Run, Workspace, write_json
from foldsmith.stages.certificates import certified_apart, certified_folds, certified_segments
from foldsmith.stages.crossed import NO_OWN, WHOLE, CrossValidated, Own, events_table
from foldsmith.stages.executors import Executor
from foldsmith.stages.horizon import HorizonTable, load_closes, load_horizons, load_recipe
from foldsmith.stages.model_store import RECIPE, StoredModel, loadable_files, read_model, write_model
from foldsmith.stages.models_file import KEY as OWN_MODELS
from foldsmith.stages.models_file import recorded
from foldsmith.stages.out_of_fold import run_folds, searching, single_trial
from foldsmith.stages.publish import Building, Provenance, publishing, run_parent
from foldsmith.stages.recipe import Recipe
from foldsmith.stages.scores import probability_matrix, scored
from foldsmith.stages.stacking_data import find_cv_run, read_stacking
from foldsmith.stages.tables import write_table
from foldsmith.stages.units import UnitStore
from foldsmith.validation.cross_validate import (
    Separation,
    class_shares,
    derived_seed,
    fit_fold,
    out_of_fold,
    predict,
    predict_rows,
    refit,
)

Say = Callable[[str], None]

NOT_FULLY_NESTED = (
    "The meta-learner is cross-validated on purged folds of the fixed out-of-fold table. This is not fully nested: "
    "base predictions of its training rows come from models that saw labels of its test rows. Validation is the "
    "score that is clean at both levels."
)


@dataclass(frozen=True)
class EnsembleInputs:
    """All that an ensemble is trained from, wherever it came from."""

    horizon: int
    models: tuple[str, ...]
    oof: pl.DataFrame
    validation: pl.DataFrame
    bases: dict[str, StoredModel]
    settings: ValidationSettings
    separation: Separation


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
    table = load_horizons(dataset, (horizon,), settings)[horizon]
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
        }
        _write_run(run, stored, table.recipe, held, probabilities, metrics)
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


def stored_inputs(workspace: Workspace, cv_run: Run, horizon: int) -> tuple[EnsembleInputs, Recipe, Run]:
    """Read what an ensemble needs from a CV run, every hash checked, its dataset too."""
    stacking = read_stacking(cv_run, horizon)
    metadata = stacking.metadata
    dataset = parent_dataset(workspace, cv_run)
    recipe = load_recipe(dataset)
    try:
        settings = ValidationSettings(**metadata["validation"])
    except (TypeError, SettingError) as error:
        raise DataError(
            f"CV run {cv_run.id} does not say how its folds were made ({error}); make it again."
        ) from error
    models = tuple(metadata["models"])
    inputs = EnsembleInputs(
        horizon=horizon,
        models=models,
        oof=stacking.data,
        validation=stacking.validation,
        bases={model: read_model(cv_run, f"models/{model}_h{horizon}") for model in models},
        settings=settings,
        separation=Separation(int(metadata["embargo_bars"]), settings.purge_bars, load_closes(dataset)),
    )
    return inputs, recipe, dataset


def parent_dataset(workspace: Workspace, run: Run) -> Run:
    """The dataset a run was made from: found by id, and refused if its content is another."""
    wanted = next((parent for parent in run.manifest.parents if parent.kind == "dataset"), None)
    if wanted is None:
        raise IntegrityError(f"run {run.path.name} names no dataset as its parent; make it again.")
    try:
        dataset = workspace.open_run(workspace.datasets, wanted.id)
    except MissingError as error:
        raise MissingError(
            f"run {run.path.name} was made from dataset {wanted.id}, which is gone from {workspace.datasets}; {error}"
        ) from error
    if dataset.manifest.content != wanted.content:
        raise IntegrityError(
            f"run {run.path.name} was made from dataset {wanted.id} with content {wanted.content[:12]}; the dataset "
            f"now there has {dataset.manifest.content[:12]}{_otherwise(run, dataset)}. Make the run again from it."
        )
    return dataset


def _otherwise(run: Run, dataset: Run) -> str:
    """In what the dataset that is there now was made otherwise than the one a run was made from, as far as it says."""
    kept = next((name for name in sorted(run.manifest.files) if name.endswith(f"/{RECIPE}")), None)
    if kept is None:
        return ""
    run.verify([kept])
    before = Recipe.read(run.path / kept)
    horizon = run.manifest.extra.get("horizon")
    found = before.differences(load_recipe(dataset), horizon)
    return f" ({'; '.join(found[:4])})" if found else " (the same settings, and other bars)"


def fresh_inputs(
    run: Building,
    table: HorizonTable,
    cv: CrossValidateSettings,
    fingerprint: str,
    executor: Executor,
    say: Say,
    own: Own = NO_OWN,
) -> EnsembleInputs:
    """Make the out-of-fold predictions here and now (the legacy way), by the code that `cv` runs."""
    store = UnitStore(run.path)
    crossed: CrossValidated = run_folds(
        {table.horizon: table},
        cv.models,
        cv.validation,
        store,
        executor=executor,
        say=say,
        recorder=run.recorder(fingerprint),
        features=cv.features,
        own=own,
    )[table.horizon]
    return EnsembleInputs(
        horizon=table.horizon,
        models=crossed.models,
        oof=oof_contract(crossed.models).check(crossed.oof),
        validation=crossed.validation,
        bases=crossed.bases,
        settings=cv.validation,
        separation=table.separation,
    )


@dataclass(frozen=True)
class TrainedEnsemble:
    """A fitted ensemble with its predictions and scores."""

    stored: StoredModel
    validation: np.ndarray[Any, np.dtype[np.float32]]
    oof_rows: np.ndarray[Any, np.dtype[np.int64]]
    oof: np.ndarray[Any, np.dtype[np.float32]]
    metrics: dict[str, Any]


def fit_ensemble(inputs: EnsembleInputs, name: str, meta_learner: str | None) -> TrainedEnsemble:
    """Fit an ensemble on the OOF table, cross-validate it on purged folds, and score it on validation."""
    seed = derived_seed(inputs.settings.seed, name, inputs.horizon)
    data = _events(inputs.oof)
    P = probability_matrix(inputs.oof, inputs.models)
    fold = inputs.oof["fold"].to_numpy()

    def make_one() -> Any:
        return make_ensemble(name, meta_learner, models=inputs.models, seed=seed)

    fitted = make_one().fit(P, data.y, data.weight, fold)
    held, apart = _events(inputs.validation), inputs.separation
    pairs: list[tuple[Rows, Rows]] = []
    rows, out = out_of_fold(
        make_one,
        P,
        data,
        fold,
        n_splits=inputs.settings.n_splits,
        separation=apart,
        on_fold=lambda fitted_on, scored_on: pairs.append((fitted_on, scored_on)),
    )
    certificates = {
        "meta_folds": certified_folds(f"{name}, meta-level fold", data, pairs, apart),
        "training_validation": certified_apart("training against validation, cut", data, held, apart),
    }
    probabilities = predict(fitted, probability_matrix(inputs.validation, inputs.models))
    # The yardstick of weighted scores is weighted as they are.
    rate = np.array(class_shares(data.y, data.weight))
    seed_of_interval = inputs.settings.seed
    metrics = {
        "validation": scored(held.y, probabilities, held.weight, rate, held.t0, seed=seed_of_interval),
        "meta_out_of_fold": scored(
            data.y[rows], out, data.weight[rows], rate, data.t0[rows], seed=seed_of_interval
        ),
        # Their intervals are in the results of the cross-validation.
        "base_models_on_validation": {
            model: score(held.y, probability_matrix(inputs.validation, (model,)), held.weight, rate)
            for model in inputs.models
        },
        "training_base_rate": list(class_shares(data.y)),
        "statement": NOT_FULLY_NESTED,
        "ensemble": fitted.describe(),
        "certificates": certificates,
    }
    stored = StoredModel(name, fitted.get_params(), loadable_files(fitted), inputs.bases)
    return TrainedEnsemble(stored, probabilities, rows, out, metrics)


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
) -> Run:
    """Train an ensemble from the stored predictions of a CV run."""
    cv_run = find_cv_run(workspace, cv_run_id, phase3_folder)
    inputs, recipe, dataset = stored_inputs(workspace, cv_run, horizon)
    say(f"read {inputs.oof.height:,} out-of-fold rows of {', '.join(inputs.models)} from {cv_run.path.name}")
    with publishing(folder, "model", provenance, prefix=f"{name}_h{horizon}_") as run:
        return _finish(run, inputs, recipe, name, meta_learner, [run_parent(cv_run), run_parent(dataset)])


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
    own: Own = NO_OWN,
) -> Run:
    """Train an ensemble on predictions made on the spot (the legacy way)."""
    (horizon,) = cv.horizons
    table = load_horizons(dataset, cv.horizons, cv.validation)[horizon]
    with publishing(folder, "model", provenance, prefix=f"{name}_h{horizon}_") as run:
        inputs = fresh_inputs(run, table, cv, dataset.manifest.content, executor, say, own)
        return _finish(run, inputs, table.recipe, name, meta_learner, [run_parent(dataset)])


def _finish(
    run: Building,
    inputs: EnsembleInputs,
    recipe: Recipe,
    name: str,
    meta_learner: str | None,
    parents: list[Parent],
) -> Run:
    trained = fit_ensemble(inputs, name, meta_learner)
    features = {
        model: list(base.features) for model, base in inputs.bases.items() if base.features is not None
    }
    own = {model: base.own.as_dict() for model, base in inputs.bases.items() if base.own is not None}
    held = _events(inputs.validation)
    _write_run(run, trained.stored, recipe, held, trained.validation, trained.metrics)
    scored_rows = _events(inputs.oof).take(trained.oof_rows)
    write_table(
        predictions_table(scored_rows, trained.oof),
        run.path / "predictions" / "meta_out_of_fold.parquet",
        prediction_contract(),
    )
    return run.publish(
        parameters={
            "model": name,
            "horizon": inputs.horizon,
            "meta_learner": meta_learner,
            "base_models": list(inputs.models),
            **({"features": features} if features else {}),
            **({OWN_MODELS: own} if own else {}),
            **parameters(inputs.settings),
        },
        parents=parents,
        seed=inputs.settings.seed,
        extra={"symbol": recipe.symbol, "model": name, "horizon": inputs.horizon},
    )


def _write_run(
    run: Building,
    stored: StoredModel,
    recipe: Recipe,
    held: Dataset,
    probabilities: np.ndarray[Any, np.dtype[np.float32]],
    metrics: dict[str, Any],
) -> None:
    """The files that every trained model leaves."""
    write_model(run.path / "model", stored)
    recipe.write(run.path / "model" / RECIPE)
    write_table(
        predictions_table(held, probabilities),
        run.path / "predictions" / "validation.parquet",
        prediction_contract(),
    )
    write_json(run.path / "metrics.json", metrics)


def predictions_table(data: Dataset, P: np.ndarray[Any, np.dtype[np.float32]]) -> pl.DataFrame:
    """Rows and their probabilities, as `contracts.prediction_contract` has them."""
    return events_table(data).with_columns(
        pl.Series(name, P[:, i]) for i, name in enumerate(("prob_short", "prob_neutral", "prob_long"))
    )


def _events(frame: pl.DataFrame) -> Dataset:
    """Rows of a stacking table as a dataset without features (the probabilities travel beside it)."""
    return Dataset(
        X=np.empty((frame.height, 0), dtype=np.float32),
        y=frame["y_true"].to_numpy().astype(np.int8),
        weight=frame["sample_weight"].to_numpy(),
        t0=as_instants(frame["datetime"]),
        t1=as_instants(frame["label_end"]),
        names=(),
    )
