"""Fit one model on one fold, and refit it on all of them.

Everything fitted here (scaling, early stopping, tuning, sample weights) sees the training rows of its own
fold and nothing else. No disk, no clock, no parallelism: the stages decide where a fold runs and where its
result is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import CLASSES, Dataset
from foldsmith.ensembles.base import Ensemble
from foldsmith.intervals import Instants, Rows
from foldsmith.labels.weighting import Weighting
from foldsmith.models.base import Classifier
from foldsmith.models.calibrators import Calibrator, calibrator_class
from foldsmith.models.catalogue import Model, make, model_class
from foldsmith.models.windows import shown
from foldsmith.splits import PurgedKFold, purged_tail
from foldsmith.validation.correction import Balance, Correction, balanced, weigh_classes
from foldsmith.validation.fold_features import FoldFeatures, FoldModel
from foldsmith.validation.select import select
from foldsmith.validation.tune import Part, Trial, tune

Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Separation:
    """How training rows are kept apart from the rows they are scored on.

    `embargo` and `purge` are bars counted on `bars`, the closes (int64 microseconds UTC) of the full series.
    """

    embargo: int
    purge: int
    bars: Instants

    def options(self) -> dict[str, Any]:
        """As the keyword arguments that every splitter takes."""
        return {"embargo": self.embargo, "purge": self.purge, "bars": self.bars}


@dataclass(frozen=True)
class Search:
    """How hyperparameters are searched inside a fold's training rows.

    n_trials : 0 for no search. n_splits : purged folds of the training rows that a trial is scored on; 1 for their
    purged tail alone. prune : give up trials that fall behind, fold by fold. on_trial, history : those of `tune`.
    """

    n_trials: int = 0
    n_splits: int = 1
    prune: bool = False
    on_trial: Callable[[Trial], None] | None = None
    history: Sequence[Trial] = ()


NO_SEARCH = Search()


NONE, BALANCED = "none", "balanced"


@dataclass(frozen=True)
class Fitting:
    """How a model is fitted on rows, its hyperparameters aside.

    tail_share : of the training rows, the last, that early stopping, tuning and calibration are scored on.
    class_weight : "none" or "balanced", undone in the probabilities. calibrate : "none" or a name in
    `models.calibrators`. select : "none" or a method of `validation.select`.
    """

    separation: Separation
    weighting: Weighting
    tail_share: float
    class_weight: str = NONE
    calibrate: str = NONE
    select: str = NONE


@dataclass(frozen=True)
class FoldFit:
    """What fitting one fold leaves behind.

    probabilities : float32 (n_test, 3), class order -1, 0, 1, rows as in the test fold; uncalibrated : the same before
    they were calibrated, None where they were not. fitted : the model that gave them.
    base_rate : class shares of the fold's training rows, weighted as its scores are: their yardstick.
    best_iteration : boosting rounds that early stopping chose, None where the model has none.
    """

    probabilities: Probabilities
    params: dict[str, Any]
    best_iteration: int | None
    base_rate: tuple[float, float, float]
    n_train: int
    trials: tuple[Trial, ...]
    fitted: FoldModel
    uncalibrated: Probabilities | None = None


def derived_seed(*parts: Any) -> int:
    """A 31-bit seed from any parts: the same on every machine, process and run order."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def class_shares(
    y: npt.NDArray[np.int8], weight: npt.NDArray[np.float64] | None = None
) -> tuple[float, float, float]:
    """Share of each class in y, in class order -1, 0, 1; of its weight, where scores have weights."""
    weight = np.ones(len(y)) if weight is None else weight
    shares = [float(weight[y == label].sum() / weight.sum()) for label in CLASSES]
    return shares[0], shares[1], shares[2]


def weighted_rows(data: Dataset, weighting: Weighting) -> Dataset:
    """The rows to fit on, weighted among themselves; those that time decay gives no weight are left out."""
    weight = weighting.of_fit(data.t0, data.t1)
    if (weight > 0).all():
        return data.with_weight(weight)
    kept = np.flatnonzero(weight > 0)
    return data.take(kept).with_weight(weight[kept] / weight[kept].mean())


def fit_fold(
    model: Model,
    data: Dataset,
    train: Rows,
    test: Rows | None,
    *,
    fitting: Fitting,
    seed: int,
    keys: Sequence[Any],
    search: Search = NO_SEARCH,
    params: dict[str, Any] | None = None,
    threads: int = 1,
) -> FoldFit:
    """Tune (where trials are asked for) and fit `model` on the training rows, and predict the test rows (none
    without `test`).

    The purged tail of the training rows is the yardstick of early stopping, of calibration, and of tuning unless it
    has folds of its own among the training rows. A model with early stopping is fitted on the head and stops on the
    tail; any other is fitted on all training rows. What a fold fits beside its model is fitted on the same rows.
    """
    training = data.take(train)
    plain = weighted_rows(training, fitting.weighting)
    balance = balanced(plain) if fitting.class_weight == BALANCED else None
    rows = weigh_classes(plain, balance)
    stops = model_class(model).early_stopping
    head = tail = np.arange(len(rows), dtype=np.int64)
    if stops or fitting.calibrate != NONE or (search.n_trials and search.n_splits == 1):
        head, tail = purged_tail(rows.t0, rows.t1, fitting.tail_share, **fitting.separation.options())
    trials: tuple[Trial, ...] = ()
    chosen = dict(params or {})
    if search.n_trials:
        untuned = _FitOn(model, {}, seed, threads, fitting)
        parts = _parts(plain, balance, head, tail, search.n_splits, untuned)
        study = tune(
            model,
            parts,
            seed=seed,
            n_trials=search.n_trials,
            threads=threads,
            keys=keys,
            prune=search.prune,
            on_trial=search.on_trial,
            history=search.history,
        )
        chosen, trials = dict(study.best), study.trials
    fit = _FitOn(model, chosen, seed, threads, fitting)
    fitted = fit.stopping(rows, head, tail) if stops else fit.all_of(rows)
    calibrator = None
    if fitting.calibrate != NONE:
        before = FoldModel(*(fitted if stops else fit.all_of(rows.take(head))), Correction(balance))
        calibrator = calibrated(fitting.calibrate, predict_rows(before, plain.take(tail)), plain.take(tail))
    found = FoldModel(*fitted, Correction(balance, calibrator))
    tested = None if test is None else data.take(test)
    uncalibrated = found if calibrator is None else FoldModel(*fitted, Correction(balance))
    return FoldFit(
        probabilities=np.empty((0, 3), dtype=np.float32) if tested is None else predict_rows(found, tested),
        uncalibrated=None if calibrator is None or tested is None else predict_rows(uncalibrated, tested),
        params=chosen,
        best_iteration=found.classifier.best_iteration_,
        base_rate=class_shares(training.y, fitting.weighting.of(training.t0, training.t1)),
        n_train=len(rows),
        trials=trials,
        fitted=found,
    )


@dataclass(frozen=True)
class _FitOn:
    """One model and its hyperparameters, to be fitted on any rows with the features that are fitted with it."""

    model: Model
    params: dict[str, Any]
    seed: int
    threads: int
    fitting: Fitting

    def features(self, rows: Dataset) -> FoldFeatures:
        """What is fitted before the model, on these rows alone; selection by mda splits them once more."""
        found = FoldFeatures.fit(rows)
        if self.fitting.select == NONE:
            return found
        seen = found.apply(rows)
        options = self.fitting.separation.options()
        head, tail = purged_tail(rows.t0, rows.t1, self.fitting.tail_share, **options)
        kept = select(self.fitting.select, seen, seed=self.seed, fit=self._fitted_to, head=head, tail=tail)
        return found.selecting(kept, seen.names)

    def _fitted_to(self, seen: Dataset) -> Classifier:
        new = self._new()
        return new.fit(shown(new.window, seen), seen.y, seen.weight)

    def all_of(self, rows: Dataset) -> tuple[FoldFeatures, Classifier]:
        """Fitted on all rows, stopping nowhere early."""
        features = self.features(rows)
        return features, self._fitted_to(features.apply(rows))

    def stopping(self, rows: Dataset, head: Rows, tail: Rows) -> tuple[FoldFeatures, Classifier]:
        """Fitted on the head, stopping on the tail."""
        features = self.features(rows.take(head))
        on, against = features.apply(rows.take(head)), features.apply(rows.take(tail))
        new = self._new()
        evaluation = (shown(new.window, against), against.y, against.weight)
        return features, new.fit(shown(new.window, on), on.y, on.weight, evaluation=evaluation)

    def _new(self) -> Classifier:
        return make(self.model, seed=self.seed, threads=self.threads, **self.params)


def calibrated(name: str, P: Probabilities, rows: Dataset) -> Calibrator:
    """A calibrator fitted on predictions of rows that the model was not fitted on, by the weights of these rows."""
    return calibrator_class(name)().fit(P, rows.y.astype(np.int64) + 1, rows.weight)


def _parts(
    rows: Dataset,
    balance: Balance | None,
    head: Rows,
    tail: Rows,
    n_splits: int,
    fit: _FitOn,
) -> list[Part]:
    """Rows to search on: the head and the tail, or purged folds; features are fitted on what each model is fitted on.

    On folds, a model that stops early does so on the purged tail of the fold's own training rows, never on the rows
    that score.
    """
    if n_splits == 1:
        return [_part(rows, balance, head, tail, tail, fit)]
    parts = []
    options = fit.fitting.separation.options()
    for train, test in PurgedKFold(n_splits, t0=rows.t0, t1=rows.t1, **options).split(rows.X):
        on = stop = np.arange(len(train), dtype=np.int64)
        if model_class(fit.model).early_stopping:
            on, stop = purged_tail(rows.t0[train], rows.t1[train], fit.fitting.tail_share, **options)
        parts.append(_part(rows, balance, train[on], train[stop], test, fit))
    return parts


def _part(rows: Dataset, balance: Balance | None, on: Rows, stop: Rows, against: Rows, fit: _FitOn) -> Part:
    weighted = weigh_classes(rows.take(on), balance)
    features = fit.features(weighted)
    return Part(
        features.apply(weighted),
        features.apply(rows.take(against)),
        features.apply(weigh_classes(rows.take(stop), balance)),
        Correction(balance).apply,
    )


def refit(
    model: Model,
    data: Dataset,
    *,
    fitting: Fitting,
    params: dict[str, Any],
    iterations: Sequence[int | None],
    seed: int,
    threads: int = 1,
    calibrator: Calibrator | None = None,
) -> FoldModel:
    """Fit on every row, stopping nowhere early: boosters take the median of `iterations` (rounded down).

    `calibrator` was fitted on predictions of these rows by models that had not seen them.
    """
    rows = weighted_rows(data, fitting.weighting)
    balance = balanced(rows) if fitting.class_weight == BALANCED else None
    known = [iteration for iteration in iterations if iteration is not None]
    fixed = {**params, model_class(model).rounds: max(1, int(median(known)))} if known else params
    features, classifier = _FitOn(model, fixed, seed, threads, fitting).all_of(weigh_classes(rows, balance))
    return FoldModel(features, classifier, Correction(balance, calibrator))


def predict_rows(model: FoldModel, data: Dataset) -> Probabilities:
    """Probabilities of rows as they are stored, their fitted features made first."""
    return model.predict_proba(shown(model.classifier.window, data), data.inputs)


def predict(model: Classifier | Ensemble, X: npt.NDArray[np.float32]) -> Probabilities:
    """Probabilities as they are stored: float32, class order -1, 0, 1."""
    return np.asarray(model.predict_proba(X), dtype=np.float32)
