"""Models x horizons x folds -> out-of-fold predictions, and each base model refitted for later use.

The same code serves `cv`, which publishes what it made, and `train` without stored data, which goes straight on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.config import TAIL_SHARE, ValidationSettings
from foldsmith.contracts import UTC_MICROSECONDS, oof_contract, probability_columns
from foldsmith.dataset import Dataset
from foldsmith.intervals import Rows
from foldsmith.labels.weighting import Weighting
from foldsmith.models.base import Classifier
from foldsmith.splits import PurgedKFold
from foldsmith.stages.certificates import certified_folds, certified_segments
from foldsmith.stages.horizon import HorizonTable
from foldsmith.stages.model_store import StoredModel, loadable_files
from foldsmith.stages.scores import log_loss, table_scores
from foldsmith.stages.trials import StudyLog, TrialRecorder
from foldsmith.stages.units import Result, Unit, UnitStore, run_units
from foldsmith.validation.cross_validate import (
    Separation,
    class_shares,
    derived_seed,
    fit_fold,
    predict,
    refit,
)
from foldsmith.validation.tune import COMPLETE, Trial

Say = Callable[[str], None]
Features = Mapping[str, tuple[str, ...]]
Seen = tuple[int, tuple[str, ...] | None]
"""A horizon and a choice of features, None for all."""
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


def fold_key(model: str, horizon: int, fold: int | str) -> str:
    """Name of a unit, the same in every run."""
    return f"{model}_h{horizon}_fold_{fold}"


def fit_unit(
    *,
    model: str,
    horizon: int,
    fold: int | str,
    data: Dataset,
    train: Rows,
    test: Rows | None,
    separation: Separation,
    weighting: Weighting,
    settings: ValidationSettings,
    n_trials: int,
    log: StudyLog,
) -> Result:
    """Tune and fit one fold; runs in a worker process. Trials in the log are not made again."""
    keys = (model, horizon, fold)
    fit = fit_fold(
        model,
        data,
        train,
        test,
        separation=separation,
        weighting=weighting,
        tail_share=TAIL_SHARE,
        seed=derived_seed(settings.seed, *keys),
        keys=keys,
        n_trials=n_trials,
        on_trial=log.add,
        history=log.read(),
    )
    if not fit.trials:
        log.recorder.record(model, horizon, fold, [single_trial(fit.params)])
    record = {
        "params": fit.params,
        "best_iteration": fit.best_iteration,
        "base_rate": list(fit.base_rate),
        "n_train": fit.n_train,
        "trials": [asdict(trial) for trial in fit.trials],
    }
    return Result(record, {"probabilities": fit.probabilities})


def refit_unit(
    *,
    model: str,
    horizon: int,
    data: Dataset,
    validation_X: npt.NDArray[np.float32],
    weighting: Weighting,
    settings: ValidationSettings,
    params: dict[str, Any],
    iterations: list[int | None],
) -> Result:
    """Fit the whole training segment and predict the validation segment; runs in a worker process."""
    fitted: Classifier = refit(
        model,
        data,
        weighting=weighting,
        params=params,
        iterations=iterations,
        seed=derived_seed(settings.seed, model, horizon, "refit"),
    )
    record = {"params": fitted.get_params()}
    return Result(record, {"probabilities": predict(fitted, validation_X)}, loadable_files(fitted))


def run_folds(
    tables: Mapping[int, HorizonTable],
    models: Sequence[str],
    settings: ValidationSettings,
    store: UnitStore,
    *,
    workers: int,
    say: Say,
    recorder: TrialRecorder,
    features: Features = MappingProxyType({}),
) -> dict[int, CrossValidated]:
    """Fit every fold, then every refit, and put the pieces together, horizon by horizon.

    features : what a model sees, for those that do not see all of the dataset; rows and folds are the same for all.
    """
    training = {h: table.data.take(table.segments.training) for h, table in tables.items()}
    folds = {h: _folds(training[h], tables[h].separation, settings.n_splits) for h in tables}
    certificates = {h: _certificates(tables[h], training[h], folds[h]) for h in tables}
    seen = _seen(training, features)
    units = _fold_units(tables, seen, folds, models, settings, store, recorder, features)
    progress = _Progress(say, len(units) + len(models) * len(tables))
    fitted = run_units(units, store, workers=workers, done=progress.fold)
    refits = _refit_units(tables, seen, models, settings, fitted, features)
    refitted = run_units(refits, store, workers=workers, done=progress.refit)
    found = {
        h: _assemble(tables[h], training[h], folds[h], tuple(models), settings, fitted, refitted, features)
        for h in tables
    }
    for h, crossed in found.items():
        crossed.results["certificates"] = certificates[h]
    return found


def _seen(training: Mapping[int, Dataset], features: Features) -> dict[Seen, Dataset]:
    """Training rows of each horizon and choice of features, so that models of one choice share their memory."""
    return {
        (h, names): data.select(names) for h, data in training.items() for names in {None, *features.values()}
    }


def _folds(data: Dataset, separation: Separation, n_splits: int) -> list[tuple[Rows, Rows]]:
    split = PurgedKFold(n_splits, t0=data.t0, t1=data.t1, **separation.options())
    return list(split.split(data.X))


def _certificates(table: HorizonTable, training: Dataset, folds: list[tuple[Rows, Rows]]) -> dict[str, Any]:
    """What the row numbers of segments and folds say of themselves; LeakError, before anything is fitted."""
    h = table.horizon
    return {
        "segments": certified_segments(table.data, table.segments, table.separation),
        "folds": certified_folds(f"horizon {h}, fold", training, folds, table.separation),
    }


def _fold_units(
    tables: Mapping[int, HorizonTable],
    seen: Mapping[Seen, Dataset],
    folds: Mapping[int, list[tuple[Rows, Rows]]],
    models: Sequence[str],
    settings: ValidationSettings,
    store: UnitStore,
    recorder: TrialRecorder,
    features: Features,
) -> list[Unit]:
    units = []
    for h, table in tables.items():
        parts: list[tuple[int | str, Rows, Rows | None]] = [(k, *fold) for k, fold in enumerate(folds[h])]
        if settings.tune:
            # The refit's own study; longest first, so that no process is left waiting for it at the end.
            parts.insert(0, (WHOLE, np.arange(len(seen[h, None]), dtype=np.int64), None))
        for model in models:
            entering = recorder.seeing(features.get(model))
            for fold, train, test in parts:
                arguments = {
                    "model": model,
                    "horizon": h,
                    "fold": fold,
                    "data": seen[h, features.get(model)],
                    "train": train,
                    "test": test,
                    "separation": table.separation,
                    "weighting": table.weighting,
                    "settings": settings,
                    "n_trials": settings.n_trials if settings.tune else 0,
                }
                key = fold_key(model, h, fold)
                arguments["log"] = StudyLog(store.folder / f"{key}.trials", entering, model, h, fold)
                units.append(Unit(key, fit_unit, arguments))
    return units


def _refit_units(
    tables: Mapping[int, HorizonTable],
    seen: Mapping[Seen, Dataset],
    models: Sequence[str],
    settings: ValidationSettings,
    fitted: Mapping[str, Result],
    features: Features,
) -> list[Unit]:
    units = []
    for h, table in tables.items():
        validation = table.data.take(table.segments.validation)
        for model in models:
            params, iterations = refit_settings(model, h, settings, fitted)
            arguments = {
                "model": model,
                "horizon": h,
                "data": seen[h, features.get(model)],
                "validation_X": validation.select(features.get(model)).X,
                "weighting": table.weighting,
                "settings": settings,
                "params": params,
                "iterations": iterations,
            }
            units.append(Unit(f"{model}_h{h}_refit", refit_unit, arguments))
    return units


def refit_settings(
    model: str, horizon: int, settings: ValidationSettings, fitted: Mapping[str, Result]
) -> tuple[dict[str, Any], list[int | None]]:
    """Parameters and candidate iterations of the refit.

    Untuned, all folds share their parameters and the refit takes the median of their best iterations. Tuned, each
    fold has its own learning rate, and a median over different rates means nothing: the refit takes the parameters
    and the best iteration of the study over the whole training segment (docs/decisions/0003).
    """
    if settings.tune:
        whole = fitted[fold_key(model, horizon, WHOLE)].record
        return dict(whole["params"]), [whole["best_iteration"]]
    records = [fitted[fold_key(model, horizon, fold)].record for fold in range(settings.n_splits)]
    return dict(records[0]["params"]), [record["best_iteration"] for record in records]


def _assemble(
    table: HorizonTable,
    training: Dataset,
    folds: list[tuple[Rows, Rows]],
    models: tuple[str, ...],
    settings: ValidationSettings,
    fitted: Mapping[str, Result],
    refitted: Mapping[str, Result],
    features: Features,
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
        stored = np.empty((len(training), 3), dtype=np.float32)
        for k, (_, test) in enumerate(folds):
            stored[test] = fitted[fold_key(model, h, k)].arrays["probabilities"]
        oof = oof.with_columns(pl.Series(name, stored[:, i]) for i, name in enumerate(names))
        predicted = refitted[f"{model}_h{h}_refit"].arrays["probabilities"]
        validation = validation.with_columns(pl.Series(name, predicted[:, i]) for i, name in enumerate(names))
    bases = {}
    for model in models:
        made = refitted[f"{model}_h{h}_refit"]
        bases[model] = StoredModel(model, made.record["params"], made.files, features=features.get(model))
    order = list(oof_contract(models).columns)
    oof = oof.select(order)
    validation = validation.select([name for name in order if name != "fold"])
    tuned = {model: _tuned(model, h, settings, fitted) for model in models} if settings.tune else {}
    results = _results(table, training, models, settings, oof, validation, fitted, refitted)
    return CrossValidated(h, models, oof, validation, bases, tuned, results)


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
    model: str, horizon: int, settings: ValidationSettings, fitted: Mapping[str, Result]
) -> dict[str, Any]:
    """What `tuned_params/{model}_h{H}.json` holds: each outer fold's choice and the whole segment's."""

    def chosen(fold: int | str) -> dict[str, Any]:
        record = fitted[fold_key(model, horizon, fold)].record
        return {key: record[key] for key in ("params", "best_iteration", "trials")}

    return {"folds": [chosen(fold) for fold in range(settings.n_splits)], "whole_segment": chosen(WHOLE)}


def _results(
    table: HorizonTable,
    training: Dataset,
    models: tuple[str, ...],
    settings: ValidationSettings,
    oof: pl.DataFrame,
    validation: pl.DataFrame,
    fitted: Mapping[str, Result],
    refitted: Mapping[str, Result],
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
            "refit": {"params": refitted[f"{model}_h{h}_refit"].record["params"]},
            "trials": sum(len(record["trials"]) for record in records)
            + (len(fitted[fold_key(model, h, WHOLE)].record["trials"]) if settings.tune else 0),
        }
    return found


class _Progress:
    """Says a line for each finished unit."""

    def __init__(self, say: Say, total: int) -> None:
        self._say, self._total, self._count = say, total, 0

    def fold(self, key: str, record: dict[str, Any]) -> None:
        model, _, rest = key.rpartition("_h")
        horizon, _, fold = rest.partition("_fold_")
        tuned = f", {len(record['trials'])} trials" if record["trials"] else ""
        rounds = f", {record['best_iteration']} rounds" if record["best_iteration"] else ""
        self._line(f"{model} h{horizon} fold {fold}: {record['n_train']:,} training rows{tuned}{rounds}")

    def refit(self, key: str, _: dict[str, Any]) -> None:
        self._line(key.replace("_refit", "").replace("_h", " h") + ": refitted on the whole training segment")

    def _line(self, text: str) -> None:
        self._count += 1
        self._say(f"[{self._count}/{self._total}] {text}")


def single_trial(params: dict[str, Any]) -> Trial:
    """An untuned fit is one thing tried."""
    return Trial(0, params, None, COMPLETE)
