"""Meta-learners that are base models of the catalogue, fitted on log-probabilities with settings of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import CLASSES
from foldsmith.ensembles.meta_learners import Codes, Floats, MetaLearner, logs
from foldsmith.errors import DataError
from foldsmith.models.base import FACTS_FILE, Classifier
from foldsmith.models.catalogue import load_model, make


class ClassifierMetaLearner(MetaLearner):
    """A base model on X = log max(P, 1e-6), float32 (n, 3 m): saved by its own files beside the ensemble's facts.

    Settings are such that nothing is drawn, so the seed that every base model takes plays no part.
    """

    _classifier: Classifier

    @classmethod
    def settings(cls, rows: int) -> dict[str, Any]:
        """Hyperparameters for this many rows."""
        raise NotImplementedError

    def fit(self, P: npt.NDArray[Any], codes: Codes, weight: Floats) -> Self:
        """As the base model is fitted, on one thread and stopping nowhere early."""
        labels = np.asarray(CLASSES, dtype=np.int8)[codes]
        made = make(self.name, seed=0, **self.settings(len(P)))
        self._classifier = made.fit(_features(P), labels, weight)
        return self

    def predict_proba(self, P: npt.NDArray[Any]) -> Floats:
        """float64 (n, 3), rows adding up to 1."""
        return self._classifier.predict_proba(_features(P))

    def as_facts(self) -> dict[str, Any]:
        """The hyperparameters; what was learned is in the files."""
        return {"settings": dict(self._classifier.params)}

    def as_files(self) -> dict[str, bytes]:
        """Those of the base model."""
        return self._classifier.to_files()

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], n_models: int) -> Self:  # noqa: ARG003
        """Refused: it needs files."""
        raise DataError(f"{FACTS_FILE} of the meta-learner {cls.name} is missing; train the ensemble again.")

    @classmethod
    def from_saved(cls, facts: Mapping[str, Any], files: Mapping[str, bytes], n_models: int) -> Self:
        """Undo `as_facts` and `as_files`; DataError for what does not fit."""
        learner = cls()
        learner._classifier = load_model(cls.name, files)
        if learner._classifier.n_features_ != len(CLASSES) * n_models:
            raise DataError(f"{FACTS_FILE} is of another number of base models; train the ensemble again.")
        if facts.get("settings") != learner._classifier.params:
            raise DataError(f"{FACTS_FILE} has other settings than the ensemble names; train it again.")
        return learner


class RidgeMetaLearner(ClassifierMetaLearner):
    """Ridge regression of the classes on the base models' log-probabilities: one solve, shrunk towards their mean.

    minimise  sum_i w_i |y_i - a - B z_i|^2 / sum_i w_i + 0.01 |B|^2, z the log-probabilities standardised and y the
    classes' indicators. Scores a + B z are no probabilities: a multinomial regression on the rows' leave-one-out scores
    makes them so (`foldsmith.models.ridge`).
    """

    name: ClassVar[str] = "ridge"

    @classmethod
    def settings(cls, rows: int) -> dict[str, Any]:  # noqa: ARG003
        """The same for any number of rows."""
        return {"l2": 1e-2}


class LightGBMMetaLearner(ClassifierMetaLearner):
    """Shallow LightGBM on the base models' log-probabilities: finds when one model is to be believed and another not.

    60 trees a class of at most 4 leaves, each of a 50th of the rows or more (20 at the least), learning rate 0.05, L2
    penalty 10 on leaves, no sampling of rows or columns, so that nothing is drawn. Rounds are fixed: stopping early
    would need rows that the meta-learner is not fitted on, and there are few.
    """

    name: ClassVar[str] = "lightgbm"

    @classmethod
    def settings(cls, rows: int) -> dict[str, Any]:
        """Leaves grow with the number of rows."""
        return {
            "n_estimators": 60,
            "learning_rate": 0.05,
            "num_leaves": 4,
            "min_child_samples": max(20, rows // 50),
            "subsample": 1.0,
            "colsample_bytree": 1.0,
            "reg_lambda": 10.0,
        }


def _features(P: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return logs(P).astype(np.float32)
