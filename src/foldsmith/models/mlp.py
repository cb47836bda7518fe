"""A small neural network in plain numpy, saved as plain numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import CLASSES
from foldsmith.errors import DataError
from foldsmith.models.base import Classifier, Matrix
from foldsmith.models.multinomial import SUBSETS, single_threaded, single_threaded_products, softmax
from foldsmith.models.parameters import Parameter
from foldsmith.models.preprocessing import Standardiser
from foldsmith.models.stored import arrays_of, as_bytes, fact

FILE = "network.bin"
PATIENCE = 5
BATCH = 256
MEMORY = (0.9, 0.999)
"""How much of the mean gradient and mean squared gradient Adam keeps at each step."""
FLOOR = 1e-15
LARGEST = 1e12
"""Of a saved weight: with larger ones the scores of a deep network could overflow."""

Arrays = list[npt.NDArray[Any]]


class MLP(Classifier):
    """A network of `layers` layers of `width` rectified units, trained by Adam on the weighted log loss.

    Features are standardised and clipped at 8 standard deviations; `decay` shrinks the weights at each step. Epochs run
    to `n_epochs`, or with `evaluation` until its log loss has not improved for 5; the weights of the best are kept. One
    thread: the order of a sum decides its last bits. A class that the training rows lack has probability 0.

    Source: Kingma and Ba (2015), Adam; Loshchilov and Hutter (2019), Decoupled weight decay regularization.
    """

    name: ClassVar[str] = "mlp"
    early_stopping: ClassVar[bool] = True
    rounds: ClassVar[str] = "n_epochs"
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "n_epochs": Parameter(30, 1, 10_000),
        "learning_rate": Parameter(1e-3, 1e-6, 1.0, (1e-4, 1e-2), log=True),
        "width": Parameter(32, 1, 4096, (8, 128), log=True),
        "layers": Parameter(2, 1, 8, (1, 3)),
        "decay": Parameter(0.1, 0.0, 100.0, (0.001, 10.0), log=True),
    }

    _standardiser: Standardiser
    _weights: Arrays
    _present: tuple[int, ...]

    def _train(self, train: Any, evaluation: Any | None) -> int | None:
        self._standardiser = Standardiser.fit(train.X, train.weight)
        self._present = tuple(int(code) for code in np.unique(train.codes))
        rng = np.random.default_rng(self.seed)
        self._weights = _drawn(rng, self._sizes(train.X.shape[1]))
        if len(self._present) == 1:
            return None if evaluation is None else 1
        Z = self._standardiser.transform(train.X).astype(np.float32)
        weight = (train.weight / train.weight.mean()).astype(np.float32)
        adam = _Adam(self._weights, float(self.params["learning_rate"]), float(self.params["decay"]))
        best, kept, found = math.inf, 0, self._weights
        with single_threaded():
            for epoch in range(1, int(self.params["n_epochs"]) + 1):
                order = rng.permutation(len(Z))
                for first in range(0, len(Z), BATCH):
                    rows = order[first : first + BATCH]
                    adam.step(self._slopes(Z[rows], train.codes[rows], weight[rows]))
                if evaluation is None:
                    continue
                loss = self._loss(evaluation)
                if loss < best:
                    best, kept, found = loss, epoch, [array.copy() for array in self._weights]
                elif epoch >= kept + PATIENCE:
                    break
        if not all(np.isfinite(array).all() for array in self._weights):
            raise DataError(
                f"the network's weights left the range of 32 bits at learning_rate={self.params['learning_rate']}; "
                "use a smaller one."
            )
        self._weights = found
        return None if evaluation is None else max(1, kept)

    def _sizes(self, p: int) -> list[tuple[int, ...]]:
        """Shapes of weights and biases, layer by layer."""
        widths = [p, *[int(self.params["width"])] * int(self.params["layers"]), len(CLASSES)]
        return [shape for a, b in pairwise(widths) for shape in ((a, b), (b,))]

    def _slopes(
        self, Z: npt.NDArray[np.float32], codes: npt.NDArray[np.int64], weight: npt.NDArray[np.float32]
    ) -> Arrays:
        """Gradient of the batch's weighted mean log loss, one array for each of the weights."""
        layers = _forward(self._weights, Z)
        P = softmax(layers[-1], self._present).astype(np.float32)
        P[np.arange(len(Z)), codes] -= 1
        delta = P * (weight / np.float32(len(Z)))[:, None]
        slopes: Arrays = []
        for at in range(len(self._weights) - 2, -1, -2):
            below = layers[at // 2]
            slopes[:0] = [below.T @ delta, delta.sum(axis=0)]
            delta = (delta @ self._weights[at].T) * (below > 0)
        return slopes

    def _loss(self, rows: Any) -> float:
        P = self._predict(rows.X)[np.arange(len(rows.X)), rows.codes]
        # A class that has probability 0 would make every epoch's loss alike.
        return float(np.average(-np.log(np.maximum(P, FLOOR)), weights=rows.weight))

    def _predict(self, X: Matrix) -> npt.NDArray[Any]:
        wide = [array.astype(np.float64) for array in self._weights]
        with single_threaded_products():
            scores = _forward(wide, self._standardiser.transform(X))[-1]
        return softmax(scores, self._present)

    def _dump(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        facts = {"present": list(self._present), **self._standardiser.as_facts()}
        return facts, {FILE: as_bytes(*self._weights)}

    def _restore(self, facts: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        p = self._fitted_features()
        present = fact(facts, "present", list)
        if present not in [list(codes) for codes in SUBSETS]:
            raise DataError(f"the saved model's entry 'present' is {present!r:.60}; train it again.")
        self._present = tuple(present)
        self._standardiser = Standardiser.from_facts(facts, p)
        wide = arrays_of(files, FILE, self._sizes(p))
        if max(float(np.abs(array).max()) for array in wide) > LARGEST:
            raise DataError(
                f"{FILE} holds weights that no network has; it is damaged: train the model again."
            )
        self._weights = [array.astype(np.float32) for array in wide]


class _Adam:
    """Adam with decoupled decay; changes the arrays it was given."""

    def __init__(self, arrays: Arrays, rate: float, decay: float) -> None:
        self.arrays, self.rate, self.decay = arrays, rate, decay
        self.mean = [np.zeros_like(array) for array in arrays]
        self.square = [np.zeros_like(array) for array in arrays]
        self.steps = 0

    def step(self, slopes: Arrays) -> None:
        """One step against these slopes."""
        self.steps += 1
        keep, keep_square = MEMORY
        rate = self.rate * math.sqrt(1 - keep_square**self.steps) / (1 - keep**self.steps)
        for array, slope, mean, square in zip(self.arrays, slopes, self.mean, self.square, strict=True):
            mean += (1 - keep) * (slope - mean)
            square += (1 - keep_square) * (slope**2 - square)
            if array.ndim == 2:
                array *= 1 - self.rate * self.decay
            array -= rate * mean / (np.sqrt(square) + np.float32(1e-8))


def _drawn(rng: np.random.Generator, shapes: list[tuple[int, ...]]) -> Arrays:
    """Weights of variance 2 / inputs (He et al. 2015), the last layer's small; biases 0. float32."""
    arrays: Arrays = [
        (rng.normal(size=shape) * math.sqrt(2 / shape[0]) if len(shape) == 2 else np.zeros(shape)).astype(
            np.float32
        )
        for shape in shapes
    ]
    arrays[-2] *= np.float32(0.1)
    return arrays


def _forward(weights: Arrays, Z: npt.NDArray[Any]) -> Arrays:
    """What enters each layer, and the scores (n, 3) last."""
    layers = [Z]
    for at in range(0, len(weights), 2):
        Z = layers[-1] @ weights[at] + weights[at + 1]
        layers.append(np.maximum(Z, 0) if at + 2 < len(weights) else Z)
    return layers
