"""What cross-validation of one horizon makes of its units: tables, models and scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl

from foldsmith.config import REFIT, ValidationSettings
from foldsmith.contracts import UTC_MICROSECONDS, oof_contract, probability_columns
from foldsmith.dataset import Dataset
from foldsmith.intervals import Rows
from foldsmith.models.catalogue import search_space
from foldsmith.models.own import OwnModel
from foldsmith.stages.horizon import HorizonTable
from foldsmith.stages.model_store import StoredModel, mean_of
from foldsmith.stages.scores import log_loss, table_scores
from foldsmith.stages.units import Result
from foldsmith.stages.window import window_facts
from foldsmith.validation.cross_validate import NONE, Probabilities, class_shares
from foldsmith.validation.select import stability

Features = Mapping[str, tuple[str, ...]]
Own = Mapping[str, OwnModel]
"""Models that the user wrote, by name."""
NO_OWN: Own = MappingProxyType({})
WHOLE = "whole"
"""Name of the tuning study over the whole training segment."""


@dataclass(frozen=True)
class CrossValidated:
    """What cross-validation of one horizon makes: all that an ensemble needs.

    oof : the stacking dataset; validation : base predictions of the refitted models on the validation segment (same
    columns without `fold`); bases : the refitted models; base_rates : class shares of each fold's training rows.
    """

    horizon: int
    models: tuple[str, ...]
    oof: pl.DataFrame
    validation: pl.DataFrame
    bases: dict[str, StoredModel]
    tuned: dict[str, dict[str, Any]]
    results: dict[str, Any]


def refit_key(model: str, horizon: int) -> str:
    """Name of the unit that fits the whole training segment."""
    return f"{model}_h{horizon}_refit"


def fold_key(model: str, horizon: int, fold: int | str) -> str:
    """Name of a unit, the same in every run."""
    return f"{model}_h{horizon}_fold_{fold}"


def assemble(
    table: HorizonTable,
    training: Dataset,
    folds: list[tuple[Rows, Rows]],
    models: tuple[str, ...],
    settings: ValidationSettings,
    fitted: Mapping[str, Result],
    features: Features,
    own: Own = NO_OWN,
) -> CrossValidated:
    """Join the units of one horizon into tables, models and scores."""
    h = table.horizon
    fold_of = np.full(len(training), -1, dtype=np.int16)
    weight = np.ones(len(training))
    for k, (_, test) in enumerate(folds):
        fold_of[test] = k
        weight[test] = table.weighting.of(training.t0[test], training.t1[test])
    held = table.data.take(table.segments.validation)
    held = held.with_weight(table.weighting.of(held.t0, held.t1))
    oof = events_table(training.with_weight(weight)).with_columns(pl.Series("fold", fold_of))
    validation = events_table(held)
    for model in models:
        names = probability_columns(model)
        stored = out_of_fold_rows(model, h, folds, fitted)
        oof = oof.with_columns(pl.Series(name, stored[:, i]) for i, name in enumerate(names))
        predicted = _on_validation(model, h, settings, fitted)
        validation = validation.with_columns(pl.Series(name, predicted[:, i]) for i, name in enumerate(names))
    bases = {
        model: _base(model, h, settings, fitted, features.get(model), own.get(model)) for model in models
    }
    order = list(oof_contract(models).columns)
    oof = oof.select(order)
    validation = validation.select([name for name in order if name != "fold"])
    tuned = (
        {model: _tuned(model, h, settings, fitted, own.get(model)) for model in models}
        if settings.tune
        else {}
    )
    results = _results(table, training, models, settings, oof, validation, fitted, features)
    return CrossValidated(h, models, oof, validation, bases, tuned, {**window_facts(table), **results})


def out_of_fold_rows(
    model: str,
    horizon: int,
    folds: Sequence[tuple[Rows, Rows]],
    fitted: Mapping[str, Result],
    which: str = "probabilities",
) -> Probabilities:
    """Predictions of every training row by the model of its fold: float32 (n, 3)."""
    found = np.empty((sum(len(test) for _, test in folds), 3), dtype=np.float32)
    for k, (_, test) in enumerate(folds):
        found[test] = fitted[fold_key(model, horizon, k)].arrays[which]
    return found


def _on_validation(
    model: str, horizon: int, settings: ValidationSettings, fitted: Mapping[str, Result]
) -> Probabilities:
    """Predictions of the validation segment: the refitted model's, or the mean of the folds' models'."""
    if settings.predict_with == REFIT:
        return fitted[refit_key(model, horizon)].arrays["probabilities"]
    return mean_of(
        [fitted[fold_key(model, horizon, k)].arrays["validation"] for k in range(settings.n_splits)]
    )


def _base(
    model: str,
    horizon: int,
    settings: ValidationSettings,
    fitted: Mapping[str, Result],
    features: tuple[str, ...] | None,
    own: OwnModel | None,
) -> StoredModel:
    """The base model that predicts later rows."""
    record = None if own is None else own.record
    if settings.predict_with == REFIT:
        made = fitted[refit_key(model, horizon)]
        return StoredModel(model, made.record["params"], made.files, features=features, own=record)
    made_by_fold = [fitted[fold_key(model, horizon, k)] for k in range(settings.n_splits)]
    members = tuple(
        StoredModel(model, made.record["params_of_model"], made.files, features=features, own=record)
        for made in made_by_fold
    )
    return StoredModel(model, members[0].params, {}, features=features, members=members, own=record)


def events_table(data: Dataset) -> pl.DataFrame:
    """When each row was decided and ended, its label and weight: the columns that every stored table begins with."""
    return pl.DataFrame(
        {
            "datetime": pl.Series(data.t0, dtype=pl.Int64).cast(UTC_MICROSECONDS),
            "label_end": pl.Series(data.t1, dtype=pl.Int64).cast(UTC_MICROSECONDS),
            "y_true": pl.Series(data.y, dtype=pl.Int8),
            "sample_weight": pl.Series(data.weight, dtype=pl.Float64),
        }
    )


def _tuned(
    model: str,
    horizon: int,
    settings: ValidationSettings,
    fitted: Mapping[str, Result],
    own: OwnModel | None,
) -> dict[str, Any]:
    """What `tuned_params/{model}_h{H}.json` holds.

    The space that was searched, how the best was told, each outer fold's choice with all its trials, and the whole
    segment's where a refit takes it.
    """

    def chosen(fold: int | str) -> dict[str, Any]:
        record = fitted[fold_key(model, horizon, fold)].record
        return {key: record[key] for key in ("params", "best_iteration", "trials")}

    on = "their purged tail" if settings.tune_splits == 1 else f"{settings.tune_splits} purged folds of them"
    found: dict[str, Any] = {
        "space": {
            name: {"low": low, "high": high, "log": entry.log, "default": entry.default}
            for name, entry in search_space(model if own is None else own.load()).items()
            for low, high in [entry.search or (entry.low, entry.high)]
        },
        "selected": {
            "score": "weighted log loss, the lowest, of equal ones the earliest",
            "scored_on": f"the fold's own training rows: fitted on some, scored on {on}",
            "sampler": "TPE, each trial from a seed of (seed, model, horizon, fold, trial) and the trials before it",
            "pruner": "worse than the median of the trials before it, after 5 whole ones"
            if settings.prune
            else None,
        },
        "folds": [chosen(fold) for fold in range(settings.n_splits)],
    }
    if settings.predict_with == REFIT:
        found["whole_segment"] = chosen(WHOLE)
    return found


def _results(
    table: HorizonTable,
    training: Dataset,
    models: tuple[str, ...],
    settings: ValidationSettings,
    oof: pl.DataFrame,
    validation: pl.DataFrame,
    fitted: Mapping[str, Result],
    features: Features,
) -> dict[str, Any]:
    """Scores of one horizon, each beside its base rate: per fold, pooled out of fold, and on validation."""
    h = table.horizon
    fold_of = oof["fold"].to_numpy()
    rates = np.array(
        [fitted[fold_key(models[0], h, k)].record["base_rate"] for k in range(settings.n_splits)]
    )
    rate = class_shares(training.y, table.weighting.of(training.t0, training.t1))
    rows = {name: len(rows) for name, rows in table.segments.named().items()}
    found: dict[str, Any] = {
        "events": len(table.data),
        "segments": rows,
        "dropped_between_segments": len(table.data) - sum(rows.values()),
        "embargo_bars": table.separation.embargo,
        "purge_bars": table.separation.purge,
        "models": {},
    }
    for model in models:
        n_features = len(
            (*training.names, *training.fitted) if features.get(model) is None else features[model]
        )
        records = [fitted[fold_key(model, h, k)].record for k in range(settings.n_splits)]
        found["models"][model] = {
            "oof": table_scores(oof, model, rates[fold_of], seed=settings.seed),
            "validation": table_scores(validation, model, rate, seed=settings.seed),
            "folds": [
                {
                    "train_rows": record["n_train"],
                    "best_iteration": record["best_iteration"],
                    "log_loss": log_loss(oof.filter(fold_of == k), model),
                }
                for k, record in enumerate(records)
            ],
            "trials": sum(len(record["trials"]) for record in records),
        }
        if settings.select != NONE:
            found["models"][model]["selection"] = _selection(records, n_features)
        if settings.predict_with == REFIT:
            refitted = fitted[refit_key(model, h)].record
            found["models"][model]["refit"] = {"params": refitted["params"]}
            if settings.tune:
                whole = fitted[fold_key(model, h, WHOLE)].record
                found["models"][model]["trials"] += len(whole["trials"])
    return found


def _selection(records: Sequence[Mapping[str, Any]], n_features: int) -> dict[str, Any]:
    """How many features each fold kept, in how many folds each was kept, and how alike the choices are."""
    names = [name for record in records for name in record["kept_names"]]
    return {
        "of": n_features,
        "kept": [len(record["kept"]) for record in records],
        "folds_of": {name: names.count(name) for name in sorted(set(names))},
        "stability": stability([record["kept"] for record in records], n_features),
    }
