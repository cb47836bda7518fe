"""What every ensemble does. An ensemble is a model whose features are the probabilities of base models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import CLASSES
from foldsmith.ensembles.learner_catalogue import META_LEARNERS, meta_learner_class
from foldsmith.ensembles.meta_learners import Floats, MetaLearner
from foldsmith.errors import DataError, SettingError
from foldsmith.intervals import Rows
from foldsmith.models.base import checked_features, checked_labels, checked_weights
from foldsmith.models.stored import fact, pack, unpack

FACTS_FILE = "ensemble.json"
SUM_TOLERANCE = 1e-4
"""How far the three probabilities of a model may add up to something else than 1; float32 needs 1e-7."""


class Ensemble(ABC):
    """Base models joined into one.

    Parameters
    ----------
    meta_learner : name of the meta-learner; None where `needs_meta_learner` is False.
    models : names of the base models, in the order of their columns.
    seed : kept with the model; every ensemble and meta-learner is free of chance.

    P is (n, 3 m): probabilities of the m base models side by side, each in class order -1, 0, 1.
    """

    name: ClassVar[str]
    needs_meta_learner: ClassVar[bool]
    learners: ClassVar[Mapping[str, type[MetaLearner]]] = META_LEARNERS
    """The meta-learners it can have, by name."""

    def __init__(self, meta_learner: str | None, *, models: Sequence[str], seed: int) -> None:
        if self.needs_meta_learner and meta_learner is None:
            raise SettingError(
                f"{self.name} needs a meta-learner; give --meta-learner {' or '.join(self.learners)}."
            )
        if not self.needs_meta_learner and meta_learner is not None:
            raise SettingError(
                f"{self.name} has no meta-learner, so {meta_learner!r} cannot apply; "
                "leave --meta-learner out."
            )
        if not models:
            raise SettingError(f"{self.name} joins base models, and none is named.")
        self.meta_learner = meta_learner
        self.models = tuple(models)
        self.seed = int(seed)
        self._learner: MetaLearner | None = None
        if meta_learner is not None:
            self.learner_class(meta_learner)

    @classmethod
    def learner_class(cls, name: str) -> type[MetaLearner]:
        """The class of a meta-learner; SettingError for one that is unknown or that this ensemble cannot have."""
        if name in META_LEARNERS and name not in cls.learners:
            raise SettingError(
                f"{cls.name} cannot have the meta-learner {name}; give --meta-learner {' or '.join(cls.learners)}."
            )
        return meta_learner_class(name, cls.learners)

    @abstractmethod
    def fitting_rows(self, fold: npt.NDArray[Any]) -> Rows:
        """Which rows of the out-of-fold table it is fitted on, given each row's fold."""

    def fit(self, P: npt.NDArray[Any], y: npt.NDArray[Any], weight: Floats, fold: npt.NDArray[Any]) -> Self:
        """Fit on the rows of `fitting_rows`. DataError for lengths that differ or values out of range."""
        probabilities = self._checked(P)
        codes, weights = checked_labels(y, len(probabilities)), checked_weights(weight, len(probabilities))
        if np.shape(fold) != (len(probabilities),):
            raise DataError(
                f"fold has shape {np.shape(fold)} and P has {len(probabilities)} rows; one per row is needed."
            )
        if len(probabilities) == 0:
            raise DataError(f"{self.name} has no row to be fitted on.")
        if self.meta_learner is None:
            return self
        rows = self.fitting_rows(np.asarray(fold))
        learner = self.learner_class(self.meta_learner)()
        self._learner = learner.fit(probabilities[rows], codes[rows], weights[rows])
        return self

    @abstractmethod
    def predict_proba(self, P: npt.NDArray[Any]) -> Floats:
        """float64 (n, 3) in class order -1, 0, 1; rows add up to 1."""

    def describe(self) -> dict[str, Any]:
        """What it is and what it learned, as JSON-able values for a report."""
        learned = {} if self._learner is None else self._learner.as_facts()
        return {
            "ensemble": self.name,
            "meta_learner": self.meta_learner,
            "models": list(self.models),
            **learned,
        }

    def get_params(self) -> dict[str, Any]:
        """`make_ensemble(name, **get_params())` is the same ensemble, not yet fitted."""
        return {"meta_learner": self.meta_learner, "models": list(self.models), "seed": self.seed}

    def to_files(self) -> dict[str, bytes]:
        """The fitted ensemble as named bytes, without its base models; equal fits give equal bytes."""
        if self.needs_meta_learner:
            self._fitted()
        files = {} if self._learner is None else self._learner.as_files()
        return pack(FACTS_FILE, {**self.describe(), "seed": self.seed}, files)

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """What `to_files` saved. DataError or IntegrityError for anything else; no code is run."""
        facts, others = unpack(FACTS_FILE, files)
        if facts.get("ensemble") != cls.name:
            raise DataError(f"{FACTS_FILE} holds an ensemble {facts.get('ensemble')!r:.60}, not {cls.name}.")
        models, learner = fact(facts, "models", list), facts.get("meta_learner")
        if not all(isinstance(name, str) for name in models) or not isinstance(learner, str | None):
            raise DataError(
                f"{FACTS_FILE} does not name its models and meta-learner; train the ensemble again."
            )
        try:
            ensemble = cls(learner, models=models, seed=fact(facts, "seed", int))
        except SettingError as error:
            raise DataError(f"{FACTS_FILE} was not saved by this version ({error}); train again.") from error
        if learner is not None:
            ensemble._learner = cls.learner_class(learner).from_saved(facts, others, len(models))
        return ensemble

    def _fitted(self) -> MetaLearner:
        if self._learner is None:
            raise DataError(f"this {self.name} ensemble has not been fitted; call fit first.")
        return self._learner

    def _checked(self, P: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        probabilities = checked_features(P)
        if probabilities.shape[1] != len(CLASSES) * len(self.models):
            raise DataError(
                f"P has {probabilities.shape[1]} columns; three for each of {', '.join(self.models)} "
                "are needed."
            )
        if len(probabilities) and (probabilities.min() < 0 or probabilities.max() > 1):
            raise DataError(
                f"P holds values from {probabilities.min()} to {probabilities.max()}; "
                "probabilities lie in [0, 1]."
            )
        for first, model in zip(range(0, probabilities.shape[1], len(CLASSES)), self.models, strict=True):
            away = np.abs(sum(probabilities[:, first + i] for i in range(len(CLASSES))) - 1)
            if len(away) and away.max() > SUM_TOLERANCE:
                row = int(away.argmax())
                raise DataError(
                    f"the probabilities of {model} in row {row} are {away[row]:g} off a sum of 1."
                )
        return probabilities
