"""Models x horizons x folds -> out-of-fold predictions, and each base model refitted for later use.

The same code serves `cv`, which publishes what it made, and `train` without stored data, which goes straight on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

import numpy as np

from foldsmith.config import BAG, ValidationSettings
from foldsmith.dataset import Dataset
from foldsmith.intervals import Rows
from foldsmith.models.catalogue import model_class
from foldsmith.models.own import OwnModel
from foldsmith.splits import PurgedKFold
from foldsmith.stages.certificates import certified_folds, certified_segments
from foldsmith.stages.crossed import (
    NO_OWN,
    WHOLE,
    CrossValidated,
    Features,
    Own,
    assemble,
    fold_key,
    out_of_fold_rows,
    refit_key,
)
from foldsmith.stages.executors import Executor
from foldsmith.stages.horizon import HorizonTable
from foldsmith.stages.model_store import loadable_files
from foldsmith.stages.trials import StudyLog, TrialRecorder
from foldsmith.stages.units import Result, Unit, UnitStore, run_units
from foldsmith.validation.cross_validate import (
    NONE,
    Fitting,
    Probabilities,
    Search,
    Separation,
    calibrated,
    derived_seed,
    fit_fold,
    predict_rows,
    refit,
)
from foldsmith.validation.tune import COMPLETE, Trial

Say = Callable[[str], None]
Seen = tuple[int, tuple[str, ...] | None]
"""A horizon and a choice of features, None for all."""


def fit_unit(
    *,
    model: str,
    horizon: int,
    fold: int | str,
    data: Dataset,
    train: Rows,
    test: Rows | None,
    validation: Dataset | None,
    fitting: Fitting,
    settings: ValidationSettings,
    log: StudyLog,
    own: OwnModel | None = None,
) -> Result:
    """Tune and fit one fold; runs in a worker process. Trials in the log are not made again.

    Given `validation`, the fold's model is kept, and predicts these rows too: it is one of a bag. Given `own`, the
    model is one that the user wrote, whose class is loaded here.
    """
    keys = (model, horizon, fold)
    fit = fit_fold(
        model if own is None else own.load(),
        data,
        train,
        test,
        fitting=fitting,
        seed=derived_seed(settings.seed, *keys),
        keys=keys,
        search=searching(settings, log.add, log.read()),
    )
    if not fit.trials:
        log.recorder.record(model, horizon, fold, [single_trial(fit.params)])
    record: dict[str, Any] = {
        "params": fit.params,
        "best_iteration": fit.best_iteration,
        "base_rate": list(fit.base_rate),
        "n_train": fit.n_train,
        "trials": [asdict(trial) for trial in fit.trials],
    }
    kept = fit.fitted.features.kept
    if kept is not None:
        record |= {"kept": list(kept), "kept_names": list(fit.fitted.features.kept_names)}
    arrays = {"probabilities": fit.probabilities}
    if fit.uncalibrated is not None:
        arrays["uncalibrated"] = fit.uncalibrated
    if validation is None:
        return Result(record, arrays)
    arrays["validation"] = predict_rows(fit.fitted, validation)
    return Result(
        record | {"params_of_model": fit.fitted.classifier.get_params()}, arrays, loadable_files(fit.fitted)
    )


def searching(
    settings: ValidationSettings, on_trial: Callable[[Trial], None], history: Sequence[Trial] = ()
) -> Search:
    """The search that the settings ask for."""
    return Search(
        settings.n_trials if settings.tune else 0, settings.tune_splits, settings.prune, on_trial, history
    )


def refit_unit(
    *,
    model: str,
    horizon: int,
    data: Dataset,
    validation: Dataset,
    fitting: Fitting,
    settings: ValidationSettings,
    params: dict[str, Any],
    iterations: list[int | None],
    out_of_fold: Probabilities | None,
    own: OwnModel | None = None,
) -> Result:
    """Fit the whole training segment and predict the validation segment; runs in a worker process.

    `out_of_fold` are the rows' predictions by models that had not seen them, which a calibrator is fitted on.
    """
    calibrator = None
    if out_of_fold is not None:
        weight = fitting.weighting.of(data.t0, data.t1)
        calibrator = calibrated(fitting.calibrate, out_of_fold, data.with_weight(weight))
    fitted = refit(
        model if own is None else own.load(),
        data,
        fitting=fitting,
        params=params,
        iterations=iterations,
        seed=derived_seed(settings.seed, model, horizon, "refit"),
        calibrator=calibrator,
    )
    record = {"params": fitted.classifier.get_params()}
    return Result(record, {"probabilities": predict_rows(fitted, validation)}, loadable_files(fitted))


def run_folds(
    tables: Mapping[int, HorizonTable],
    models: Sequence[str],
    settings: ValidationSettings,
    store: UnitStore,
    *,
    executor: Executor,
    say: Say,
    recorder: TrialRecorder,
    features: Features = MappingProxyType({}),
    own: Own = NO_OWN,
) -> dict[int, CrossValidated]:
    """Fit every fold, then every refit, and put the pieces together, horizon by horizon.

    features : what a model sees, for those that do not see all of the dataset; rows and folds are the same for all.
    own : the models that the user wrote.
    """
    training = {h: table.data.take(table.segments.training) for h, table in tables.items()}
    folds = {h: _folds(training[h], tables[h].separation, settings.n_splits) for h in tables}
    certificates = {h: _certificates(tables[h], training[h], folds[h]) for h in tables}
    seen = _seen(training, features)
    units = _fold_units(tables, seen, folds, models, settings, store, recorder, features, own)
    refits = 0 if settings.predict_with == BAG else len(models) * len(tables)
    progress = _Progress(say, len(units) + refits)
    fitted = run_units(units, store, executor=executor, done=progress.fold)
    if refits:
        waiting = _refit_units(tables, seen, folds, models, settings, fitted, features, own)
        fitted |= run_units(waiting, store, executor=executor, done=progress.refit)
    found = {
        h: assemble(tables[h], training[h], folds[h], tuple(models), settings, fitted, features, own)
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
    own: Own,
) -> list[Unit]:
    units = []
    for h, table in tables.items():
        parts: list[tuple[int | str, Rows, Rows | None]] = [(k, *fold) for k, fold in enumerate(folds[h])]
        bagged = settings.predict_with == BAG
        validation = table.data.take(table.segments.validation) if bagged else None
        if settings.tune and not bagged:
            # The refit's own study.
            parts.append((WHOLE, np.arange(len(seen[h, None]), dtype=np.int64), None))
        for model in models:
            entering = recorder.seeing(features.get(model)).of(own.get(model))
            for fold, train, test in parts:
                arguments = {
                    "model": model,
                    "horizon": h,
                    "fold": fold,
                    "data": seen[h, features.get(model)],
                    "train": train,
                    "test": test,
                    "validation": None if validation is None else validation.select(features.get(model)),
                    "fitting": table.fitting,
                    "settings": settings,
                    "own": own.get(model),
                }
                key = fold_key(model, h, fold)
                arguments["log"] = StudyLog(store.folder / f"{key}.trials", entering, model, h, fold)
                cost = cost_of(model, own, len(train))
                units.append(Unit(key, fit_unit, arguments, cost))
    return units


def _refit_units(
    tables: Mapping[int, HorizonTable],
    seen: Mapping[Seen, Dataset],
    folds: Mapping[int, list[tuple[Rows, Rows]]],
    models: Sequence[str],
    settings: ValidationSettings,
    fitted: Mapping[str, Result],
    features: Features,
    own: Own,
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
                "validation": validation.select(features.get(model)),
                "fitting": table.fitting,
                "settings": settings,
                "params": params,
                "iterations": iterations,
                "out_of_fold": None,
                "own": own.get(model),
            }
            if table.fitting.calibrate != NONE:
                arguments["out_of_fold"] = out_of_fold_rows(model, h, folds[h], fitted, "uncalibrated")
            cost = cost_of(model, own, len(table.segments.training))
            units.append(Unit(refit_key(model, h), refit_unit, arguments, cost))
    return units


def cost_of(model: str, own: Own, rows: int) -> float:
    """About how long a fit takes; for a model of the user's own, as if it were a forest."""
    return rows * (1.0 if model in own else model_class(model).cost)


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
