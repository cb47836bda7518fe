"""What a fold fits before its model, and the model behind it: both on the same rows, and saved together.

A fold's preprocessing is one object: `fit(rows)` looks at the rows to fit on and at nothing else, `matrix` gives the
columns that the model sees for any rows, `to_files` and `from_files` save it to the bit beside the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import BarInputs, Dataset
from foldsmith.errors import DataError
from foldsmith.features import hmm
from foldsmith.features.fitted import FITTED, MARKOV, models_of
from foldsmith.features.hmm import Hmm, Parameters
from foldsmith.intervals import Rows
from foldsmith.models.base import MAX_FEATURES, Classifier
from foldsmith.models.catalogue import Model, load_model
from foldsmith.models.stored import fact, numbers, pack, unpack
from foldsmith.validation.correction import Correction

FILE = "fold_features.json"
"""Beside the files of the model that it serves; there is none where nothing was fitted before the model."""

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FoldFeatures:
    """The features fitted on a fold's training rows: their names, and the fitted models that they read.

    kept : columns that selection left, rising, of those of X and behind them the fitted ones; None for all.
    kept_names : their names.
    """

    names: tuple[str, ...] = ()
    markov: Mapping[str, Hmm] | None = None
    kept: tuple[int, ...] | None = None
    kept_names: tuple[str, ...] = ()

    @classmethod
    def fit(cls, rows: Dataset) -> Self:
        """Fit the features `rows.fitted` on the inputs of these rows' bars alone; nothing where there are none."""
        if not rows.fitted or rows.inputs is None:
            return cls()
        inputs = rows.inputs
        block = inputs.block[inputs.bar]
        found = {}
        for name in models_of(rows.fitted):
            spec = MARKOV[name]
            found[name] = hmm.fit(spec, inputs.columns(spec.inputs)[inputs.bar], inputs.bar, block)
        return cls(rows.fitted, found)

    def matrix(self, X: Matrix, inputs: BarInputs | None) -> Matrix:
        """Columns that the model sees: float32 (n, p + q), X and behind it the q fitted features, or those kept.

        The value of a row depends on the bars of its block up to its own, and on none after it. DataError where a row's
        inputs are missing.
        """
        if not self.names:
            return self._left_of(X)
        if inputs is None:
            raise DataError(f"feature {self.names[0]} needs its inputs at every bar; none were given.")
        made = self._of_bars(inputs)[inputs.bar]
        if not np.isfinite(made).all():
            raise DataError(f"an input of {self.names[0]} is missing in a row; drop rows in warm-up.")
        return self._left_of(np.ascontiguousarray(np.hstack([X, made])))

    def _left_of(self, X: Matrix) -> Matrix:
        if self.kept is None:
            return X
        if self.kept[-1] >= X.shape[1]:
            raise DataError(
                f"column {self.kept[-1]} was selected and there are {X.shape[1]}; train the model again."
            )
        return np.ascontiguousarray(X[:, list(self.kept)])

    def selecting(self, kept: Rows, names: Sequence[str]) -> Self:
        """The same, of whose columns, called `names`, these alone are left."""
        columns = tuple(int(column) for column in kept)
        return replace(self, kept=columns, kept_names=tuple(names[column] for column in columns))

    def apply(self, data: Dataset) -> Dataset:
        """The same rows with the fitted features among those of X."""
        if not self.names and self.kept is None:
            return data
        return Dataset(
            self.matrix(data.X, data.inputs),
            data.y,
            data.weight,
            data.t0,
            data.t1,
            (*data.names, *self.names) if self.kept is None else self.kept_names,
        )

    def _of_bars(self, inputs: BarInputs) -> Matrix:
        """The fitted features of every bar up to the last that is asked for: float32 (n, q)."""
        until = int(inputs.bar.max()) + 1 if len(inputs.bar) else 0
        states = {
            name: model.filtered(inputs.columns(model.spec.inputs)[:until], inputs.block[:until])
            for name, model in (self.markov or {}).items()
        }
        made = [states[FITTED[name].model][:, FITTED[name].state] for name in self.names]
        return np.stack(made, axis=1).astype(np.float32)

    def to_files(self) -> dict[str, bytes]:
        """As named bytes, none where nothing was fitted; equal fits give equal bytes."""
        if not self.names and self.kept is None:
            return {}
        markov = {name: _facts(model) for name, model in (self.markov or {}).items()}
        facts: dict[str, Any] = {"features": list(self.names), "markov": markov}
        if self.kept is not None:
            facts |= {"kept": list(self.kept), "kept_names": list(self.kept_names)}
        return pack(FILE, facts, {})

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """What `to_files` saved among these files. DataError or IntegrityError for anything else."""
        if FILE not in files:
            return cls()
        facts, _ = unpack(FILE, files)
        names = tuple(fact(facts, "features", list))
        for name in names:
            if not isinstance(name, str) or name not in FITTED or names.count(name) > 1:
                raise DataError(
                    f"{FILE} names {name!r:.60}, no fitted feature, or twice; train the model again."
                )
        markov = fact(facts, "markov", dict)
        if set(markov) != set(models_of(names)):
            raise DataError(f"{FILE} holds other models than its features need; train the model again.")
        found = cls(names, {name: _restored(name, fact(markov, name, dict)) for name in models_of(names)})
        if "kept" not in facts:
            return found
        kept, kept_names = fact(facts, "kept", list), fact(facts, "kept_names", list)
        if (
            not kept
            or len(kept) != len(kept_names)
            or not all(type(one) is int and 0 <= one < MAX_FEATURES for one in kept)
            or any(a >= b for a, b in pairwise(kept))
            or not all(isinstance(one, str) for one in kept_names)
        ):
            raise DataError(f"{FILE} names no selection of columns; train the model again.")
        return replace(found, kept=tuple(kept), kept_names=tuple(kept_names))


@dataclass(frozen=True)
class FoldModel:
    """A fitted classifier, what was fitted before it, and what corrects its probabilities."""

    features: FoldFeatures
    classifier: Classifier
    correction: Correction

    def predict_proba(self, X: Any, inputs: BarInputs | None) -> Matrix:
        """Probabilities as they are stored: float32 (n, 3), class order -1, 0, 1; see `FoldFeatures.matrix`.

        X : rows as the classifier is given them, see `models.windows.seen_by`.
        """
        made = self.classifier.predict_proba(self.features.matrix(X, inputs))
        return np.asarray(self.correction.apply(made), dtype=np.float32)

    def to_files(self) -> dict[str, bytes]:
        """All as named bytes."""
        return {
            **self.classifier.to_files(),
            **self.features.to_files(),
            **self.correction.to_files(),
        }

    @classmethod
    def from_files(cls, model: Model, files: Mapping[str, bytes]) -> Self:
        """What `to_files` saved of this model. DataError or IntegrityError for anything else."""
        return cls(FoldFeatures.from_files(files), load_model(model, files), Correction.from_files(files))


def _facts(model: Hmm) -> dict[str, Any]:
    numbers_of = model.parameters
    return {
        "inputs": list(model.spec.inputs),
        "mean": model.mean.tolist(),
        "scale": model.scale.tolist(),
        "transition": numbers_of.transition.tolist(),
        "means": numbers_of.means.tolist(),
        "variances": numbers_of.variances.tolist(),
    }


def _restored(name: str, facts: Mapping[str, Any]) -> Hmm:
    spec = MARKOV[name]
    if facts.get("inputs") != list(spec.inputs):
        raise DataError(
            f"{FILE}: {name} was fitted on other inputs, by another version; train the model again."
        )
    k, m = len(spec.inputs), spec.states
    return Hmm(
        spec,
        numbers(facts, "mean", (k,)),
        numbers(facts, "scale", (k,)),
        Parameters(
            numbers(facts, "transition", (m, m)),
            numbers(facts, "means", (m, k)),
            numbers(facts, "variances", (m, k)),
        ),
    )
