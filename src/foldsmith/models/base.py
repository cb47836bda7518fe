"""What every base model does: fit weighted rows of three classes, give probabilities, become bytes and come
back.

Class order is -1, 0, 1 everywhere. A model is a pure function of its rows, parameters and seed: equal inputs
give equal bits for any number of threads, and equal bytes when saved. No model touches the disk.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import CLASSES
from foldsmith.errors import DataError, SettingError
from foldsmith.models.parameters import Number, Parameter, settle, suggest
from foldsmith.models.stored import fact, pack, unpack

Matrix = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int8]
Weights = npt.NDArray[np.float64]
Probabilities = npt.NDArray[np.float64]
Evaluation = tuple[Matrix, Labels, Weights]

FACTS_FILE = "classifier.json"
MAX_SEED = 2**31 - 1
MAX_FEATURES = 1_000_000
"""A saved model that claims more is damaged."""


@dataclass(frozen=True)
class Rows:
    """Checked rows: X float32 (n, p), codes int64 (n,) of 0, 1, 2 for -1, 0, 1, weight float64 (n,)."""

    X: Matrix
    codes: npt.NDArray[np.int64]
    weight: Weights


@dataclass(frozen=True)
class Prepared:
    """Rows in the form a library trains on (binned, where it bins), to be fitted any number of times."""

    n_features: int
    train: Any
    evaluation: Any | None


class Classifier(ABC):
    """A three-class model.

    Parameters
    ----------
    seed : all randomness enters here.
    threads : threads of one fit; results do not depend on it.
    params : hyperparameters, see `parameters`; SettingError for an unknown one or a value out of range.

    Attributes
    ----------
    best_iteration_ : number of boosting rounds that early stopping kept (usable as `rounds` of a refit),
        None where nothing was stopped early.

    A class says what it is by its attributes: `parameters`, its hyperparameters; `early_stopping`, whether it looks at
    evaluation rows; `rounds`, the parameter that `best_iteration_` is a value of; `library` and `extra`, what must be
    installed; `sees`, the names of the features it is given unless the user names others (empty for all); `windowed`,
    whether a row is the `length` bars that end at it (`foldsmith.models.windows`) and not one bar; `cost`, about how
    long a fit takes beside a random forest's, which decides what begins first and nothing else.
    """

    name: ClassVar[str]
    parameters: ClassVar[Mapping[str, Parameter]]
    early_stopping: ClassVar[bool] = False
    library: ClassVar[str | None] = None
    extra: ClassVar[str | None] = None
    rounds: ClassVar[str] = "n_estimators"
    sees: ClassVar[tuple[str, ...]] = ()
    cost: ClassVar[float] = 1.0
    windowed: ClassVar[bool] = False

    def __init__(self, *, seed: int, threads: int = 1, **params: Any) -> None:
        self.params: dict[str, Number] = settle(self.name, self.parameters, params)
        if not 0 <= seed <= MAX_SEED:
            raise SettingError(f"seed={seed} cannot be used; every library takes 0 to {MAX_SEED}.")
        if threads < 1:
            raise SettingError(f"threads={threads} cannot fit anything; give 1 or more.")
        self.seed = int(seed)
        self.threads = int(threads)
        self.n_features_: int | None = None
        self.best_iteration_: int | None = None

    def fit(
        self, X: Matrix, y: Labels, sample_weight: Weights, *, evaluation: Evaluation | None = None
    ) -> Self:
        """Fit rows X float32 (n, p), y of -1, 0, 1, positive weights (n,).

        `evaluation` is (X, y, weight) of rows to stop early on, by weighted log loss; a model without early
        stopping does not look at it. A class that y lacks gets a probability near or at 0. Raises DataError
        for lengths that differ, values that are not finite, labels of other classes, and weights that are not
        positive.
        """
        return self.fit_prepared(self.prepare(X, y, sample_weight, evaluation))

    def prepare(
        self, X: Matrix, y: Labels, sample_weight: Weights, evaluation: Evaluation | None = None
    ) -> Prepared:
        """Check and bin rows once, for several fits with the same seed and other hyperparameters."""
        rows = checked_rows(X, y, sample_weight)
        train = self._prepare(rows, None)
        if evaluation is None or not self.early_stopping:
            return Prepared(rows.X.shape[1], train, None)
        against = checked_rows(*evaluation, n_features=rows.X.shape[1])
        return Prepared(rows.X.shape[1], train, self._prepare(against, train))

    def fit_prepared(self, prepared: Prepared) -> Self:
        """Fit rows that `prepare` made; the same as `fit` to the bit."""
        self.n_features_ = prepared.n_features
        self.best_iteration_ = self._train(prepared.train, prepared.evaluation)
        return self

    def predict_proba(self, X: Matrix) -> Probabilities:
        """float64 (n, 3), class order -1, 0, 1; rows add up to 1. DataError for values not finite."""
        features = checked_features(X, self._fitted_features())
        if len(features) == 0:
            return np.empty((0, len(CLASSES)))
        P = np.asarray(self._predict(features), dtype=np.float64)
        return np.asarray(P / P.sum(axis=1, keepdims=True))

    def contributions(self, X: Matrix) -> Probabilities | None:
        """What each feature adds to each class's score, float64 (n, 3, p + 1), a constant last; None but for boosters.

        SHAP values, computed by the model's own library: they add up to the score before it becomes a probability.
        """
        features = checked_features(X, self._fitted_features())
        found = self._contributions(features)
        return (
            None if found is None else np.asarray(found, dtype=np.float64).reshape(len(X), len(CLASSES), -1)
        )

    @property
    def window(self) -> int:
        """Bars of the window that a row is; 0 for a model that reads single bars."""
        return int(self.params["length"]) if self.windowed else 0

    def get_params(self) -> dict[str, Any]:
        """What decides the result but the rows: `make(name, **get_params())` is it."""
        return {"seed": self.seed, **self.params}

    @classmethod
    def suggest(cls, trial: Any) -> dict[str, Number]:
        """Hyperparameters drawn from an Optuna trial within the model's search space."""
        return suggest(cls.parameters, trial)

    def to_files(self) -> dict[str, bytes]:
        """The fitted model as named bytes; equal fits give equal bytes."""
        n_features = self._fitted_features()
        facts, files = self._dump()
        common = {
            "model": self.name,
            "seed": self.seed,
            "params": self.params,
            "n_features": n_features,
            "best_iteration": self.best_iteration_,
            "classes": list(CLASSES),
        }
        return pack(FACTS_FILE, {**common, **facts}, files)

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], *, threads: int = 1) -> Self:
        """What `to_files` saved. DataError or IntegrityError for anything else; no code is run."""
        facts, others = unpack(FACTS_FILE, files)
        if facts.get("model") != cls.name or facts.get("classes") != list(CLASSES):
            raise DataError(f"{FACTS_FILE} holds a model {facts.get('model')!r:.60}, not {cls.name}.")
        params = {str(key): value for key, value in fact(facts, "params", dict).items()}
        if {"seed", "threads"} & set(params):
            raise DataError(f"{FACTS_FILE} names the seed twice; it is damaged: train the model again.")
        try:
            model = cls(seed=fact(facts, "seed", int), threads=threads, **params)
        except SettingError as error:
            raise DataError(f"{FACTS_FILE} was not saved by this version ({error}); train again.") from error
        n_features = fact(facts, "n_features", int)
        if not 1 <= n_features <= MAX_FEATURES:
            raise DataError(
                f"{FACTS_FILE} claims {n_features} features; it is damaged: train the model again."
            )
        model.n_features_ = n_features
        stopped = facts.get("best_iteration")
        model.best_iteration_ = None if stopped is None else int(fact(facts, "best_iteration", int))
        model._restore(facts, others)
        return model

    def _fitted_features(self) -> int:
        if self.n_features_ is None:
            raise DataError(f"this {self.name} model has not been fitted; call fit first.")
        return self.n_features_

    def _prepare(self, rows: Rows, reference: Any | None) -> Any:  # noqa: ARG002 - for those that bin
        """Rows in the library's form; evaluation rows are binned like `reference`, the training rows."""
        return rows

    @abstractmethod
    def _train(self, train: Any, evaluation: Any | None) -> int | None:
        """Fit; return the number of rounds that early stopping kept."""

    @abstractmethod
    def _predict(self, X: Matrix) -> npt.NDArray[Any]:
        """(n, 3) not negative and of positive sum."""

    def _contributions(self, X: Matrix) -> npt.NDArray[Any] | None:  # noqa: ARG002 - for those that have them
        """(n, 3, p + 1) or (n, 3 (p + 1)), class by class."""
        return None

    @abstractmethod
    def _dump(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        """Facts and files."""

    @abstractmethod
    def _restore(self, facts: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        """Undo `_dump`; everything in it may be hostile."""


def checked_features(X: Any, n_features: int | None = None) -> Matrix:
    """X as float32 (n, p), row by row; DataError unless two-dimensional, finite and of this width."""
    try:
        array = np.ascontiguousarray(X, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(f"X holds something else than numbers ({error}).") from error
    if array.ndim != 2 or array.shape[1] == 0:
        raise DataError(f"X has shape {array.shape}; rows by features are needed.")
    if n_features is not None and array.shape[1] != n_features:
        raise DataError(f"X has {array.shape[1]} features and {n_features} are needed, those of the fit.")
    # A sum in float64 cannot overflow: it is finite if all values are, and no mask of X's size is made.
    if not np.isfinite(array.sum(dtype=np.float64)):
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise DataError(
            f"feature {column} of row {row} is {array[row, column]}; models take finite values only: "
            "drop rows in warm-up."
        )
    return array


def checked_labels(y: Any, n: int) -> npt.NDArray[np.int64]:
    """y of -1, 0, 1 as codes 0, 1, 2; DataError for another length or value."""
    labels = np.asarray(y)
    if labels.shape != (n,):
        raise DataError(f"y has shape {labels.shape} and there are {n} rows; one label per row is needed.")
    strange = labels[~np.isin(labels, CLASSES)]
    if len(strange):
        raise DataError(f"y holds {strange[0]!r}; labels are -1, 0 and 1.")
    return labels.astype(np.int64) + 1


def checked_weights(weight: Any, n: int) -> Weights:
    """Weights as float64 (n,); DataError unless positive and finite."""
    weights = np.ascontiguousarray(weight, dtype=np.float64)
    if weights.shape != (n,):
        raise DataError(
            f"sample_weight has shape {weights.shape} and there are {n} rows; one per row is needed."
        )
    if not (np.isfinite(weights) & (weights > 0)).all():
        bad = weights[~(np.isfinite(weights) & (weights > 0))][0]
        raise DataError(f"sample_weight holds {bad}; weights are positive and finite: drop the row instead.")
    return weights


def checked_rows(X: Any, y: Any, weight: Any, n_features: int | None = None) -> Rows:
    """Training or evaluation rows; DataError if there is none or they break their contract."""
    features = checked_features(X, n_features)
    if len(features) == 0:
        raise DataError(
            "there is no row to fit on; purging may have taken all: use more data or a shorter embargo."
        )
    return Rows(features, checked_labels(y, len(features)), checked_weights(weight, len(features)))
