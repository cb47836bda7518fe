"""A support vector machine with an approximate radial kernel, whose cost grows with the rows and not their square."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import CLASSES
from foldsmith.models.base import Classifier, Matrix
from foldsmith.models.leave_one_out import calibrate
from foldsmith.models.multinomial import Multinomial, single_threaded, single_threaded_products
from foldsmith.models.parameters import Parameter
from foldsmith.models.preprocessing import Standardiser
from foldsmith.models.squared_hinge import BLOCK, fit_squared_hinge
from foldsmith.models.stored import arrays_of, as_bytes

Floats = npt.NDArray[np.float64]

FILE = "svm.bin"


class SVM(Classifier):
    """Support vector machine on random Fourier features of a radial kernel, one class against the others.

    k(x, y) = exp(-gamma |x - y|^2 / p) over p features standardised and clipped at 8 standard deviations is
    approximated by `frequencies` random cosines and sines; on them `fit_squared_hinge`, and on its left-out scores a
    multinomial regression that makes them probabilities (`foldsmith.models.leave_one_out`).

    Source: Rahimi and Recht (2007), Random features for large-scale kernel machines.
    """

    name: ClassVar[str] = "svm"
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "frequencies": Parameter(128, 1, 4096),
        "gamma": Parameter(0.1, 1e-6, 1e3, (0.01, 2.0), log=True),
        "l2": Parameter(1e-4, 1e-9, 1e3, (1e-6, 0.1), log=True),
    }

    _standardiser: Standardiser
    _waves: Floats
    _coefficients: Floats
    _calibration: Multinomial

    def _train(self, train: Any, evaluation: Any | None) -> int | None:  # noqa: ARG002
        self._standardiser = Standardiser.fit(train.X, train.weight)
        shape = int(self.params["frequencies"]), train.X.shape[1]
        self._waves = drawn_waves(shape, float(self.params["gamma"]), self.seed)
        targets = np.where(train.codes[:, None] == np.arange(len(CLASSES)), 1.0, -1.0)
        with single_threaded():
            hinge = fit_squared_hinge(
                lambda rows: waves(self._standardiser.transform(train.X[rows]), self._waves),
                targets,
                train.weight / train.weight.sum(),
                l2=float(self.params["l2"]),
            )
        self._coefficients = hinge.coefficients
        self._calibration = calibrate(hinge.left_out, train.codes, train.weight)
        return None

    def _predict(self, X: Matrix) -> npt.NDArray[Any]:
        with single_threaded_products():
            parts = [
                waves(self._standardiser.transform(X[first : first + BLOCK]), self._waves)
                @ self._coefficients.T
                for first in range(0, len(X), BLOCK)
            ]
        return self._calibration.predict_proba(np.concatenate(parts))

    def _dump(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        content = as_bytes(self._waves, self._coefficients)
        return self._standardiser.as_facts() | self._calibration.as_facts(), {FILE: content}

    def _restore(self, facts: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        p, m, k = self._fitted_features(), int(self.params["frequencies"]), len(CLASSES)
        self._standardiser = Standardiser.from_facts(facts, p)
        self._calibration = Multinomial.from_facts(facts, k)
        self._waves, self._coefficients = arrays_of(files, FILE, [(m, p), (k, 2 * m + 1)])


def drawn_waves(shape: tuple[int, int], gamma: float, seed: int) -> Floats:
    """Frequencies (m, p): normal, of variance 2 gamma / p, which is the spectrum of the kernel."""
    return np.asarray(np.sqrt(2 * gamma / shape[1]) * np.random.default_rng(seed).normal(size=shape))


def waves(Z: Floats, frequencies: Floats) -> Floats:
    """float64 (n, 2 m + 1): cosines, sines, and ones for the intercept; cosines and sines of two rows multiply to
    about the kernel."""
    phase = Z @ frequencies.T
    m = len(frequencies)
    made = np.ones((len(Z), 2 * m + 1))
    np.cos(phase, out=made[:, :m])
    np.sin(phase, out=made[:, m:-1])
    made[:, :-1] /= np.sqrt(m)
    return made
