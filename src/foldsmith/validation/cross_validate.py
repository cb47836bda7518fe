"""Fit one model on one fold, and out-of-fold predictions of an ensemble on purged folds of a fixed table.

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
from foldsmith.models.catalogue import make, model_class
from foldsmith.splits import PurgedKFold, purged_tail
from foldsmith.validation.tune import Trial, tune

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
class FoldFit:
    """What fitting one fold leaves behind.

    probabilities : float32 (n_test, 3), class order -1, 0, 1, rows as in the test fold.
    base_rate : class shares of the fold's training rows, weighted as its scores are: their yardstick.
    best_iteration : boosting rounds that early stopping chose, None where the model has none.
    """

    probabilities: Probabilities
    params: dict[str, Any]
    best_iteration: int | None
    base_rate: tuple[float, float, float]
    n_train: int
    trials: tuple[Trial, ...]


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
    model: str,
    data: Dataset,
    train: Rows,
    test: Rows | None,
    *,
    separation: Separation,
    weighting: Weighting,
    tail_share: float,
    seed: int,
    keys: Sequence[Any],
    n_trials: int = 0,
    params: dict[str, Any] | None = None,
    on_trial: Callable[[Trial], None] | None = None,
    history: Sequence[Trial] = (),
    threads: int = 1,
) -> FoldFit:
    """Tune (n_trials > 0) and fit `model` on the training rows, and predict the test rows (none without
    `test`).

    The last `tail_share` of the training rows, purged, is the only yardstick of tuning and early stopping. A
    model with early stopping is fitted on the head and stops on the tail; any other is fitted on all training
    rows. `on_trial` and `history` are those of `tune`.
    """
    training = data.take(train)
    rows = weighted_rows(training, weighting)
    head = tail = np.arange(len(rows), dtype=np.int64)
    if n_trials or model_class(model).early_stopping:
        head, tail = purged_tail(rows.t0, rows.t1, tail_share, **separation.options())
    trials: tuple[Trial, ...] = ()
    chosen = dict(params or {})
    if n_trials:
        study = tune(
            model,
            rows,
            head,
            tail,
            seed=seed,
            n_trials=n_trials,
            threads=threads,
            keys=keys,
            on_trial=on_trial,
            history=history,
        )
        chosen, trials = dict(study.best), study.trials
    fitted, best_iteration = fit_with_early_stopping(model, rows, head, tail, chosen, seed, threads)
    empty = np.empty((0, 3), dtype=np.float32)
    return FoldFit(
        probabilities=empty if test is None else predict(fitted, data.X[test]),
        params=chosen,
        best_iteration=best_iteration,
        base_rate=class_shares(training.y, weighting.of(training.t0, training.t1)),
        n_train=len(rows),
        trials=trials,
    )


def fit_with_early_stopping(
    model: str, rows: Dataset, head: Rows, tail: Rows, params: dict[str, Any], seed: int, threads: int
) -> tuple[Classifier, int | None]:
    """Fit on the head, stopping on the tail; a model without early stopping is fitted on all rows."""
    classifier = make(model, seed=seed, threads=threads, **params)
    if not classifier.early_stopping:
        return classifier.fit(rows.X, rows.y, rows.weight), None
    on, against = rows.take(head), rows.take(tail)
    classifier.fit(on.X, on.y, on.weight, evaluation=(against.X, against.y, against.weight))
    return classifier, classifier.best_iteration_


def refit(
    model: str,
    data: Dataset,
    *,
    weighting: Weighting,
    params: dict[str, Any],
    iterations: Sequence[int | None],
    seed: int,
    threads: int = 1,
) -> Classifier:
    """Fit on every row, stopping nowhere early: boosters take the median of `iterations` (rounded down)."""
    rows = weighted_rows(data, weighting)
    known = [iteration for iteration in iterations if iteration is not None]
    fixed = {**params, model_class(model).rounds: max(1, int(median(known)))} if known else params
    return make(model, seed=seed, threads=threads, **fixed).fit(rows.X, rows.y, rows.weight)


def predict(model: Classifier | Ensemble, X: npt.NDArray[np.float32]) -> Probabilities:
    """Probabilities as they are stored: float32, class order -1, 0, 1."""
    return np.asarray(model.predict_proba(X), dtype=np.float32)


def out_of_fold(
    make_one: Callable[[], Ensemble],
    P: Probabilities,
    data: Dataset,
    fold: npt.NDArray[np.int16],
    *,
    n_splits: int,
    separation: Separation,
) -> tuple[Rows, Probabilities]:
    """Rows scored and their out-of-fold probabilities: the meta-learner on purged folds of the fixed OOF
    table.

    Not fully nested: base predictions of its training rows come from models that saw labels of its test rows.
    `data.X` is not looked at. Rows are those the ensemble may fit on (`fitting_rows`).
    """
    rows = make_one().fitting_rows(fold)
    inner = data.take(rows)
    out = np.empty((len(rows), 3), dtype=np.float32)
    split = PurgedKFold(n_splits, t0=inner.t0, t1=inner.t1, **separation.options())
    for train, test in split.split(inner.X):
        at = rows[train]
        ensemble = make_one().fit(P[at], inner.y[train], inner.weight[train], fold[at])
        out[test] = predict(ensemble, P[rows[test]])
    return rows, out
