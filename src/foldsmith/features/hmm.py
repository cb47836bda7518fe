"""Hidden Markov models of a market's state: fitted on sequences of bars, then filtered forward, never smoothed.

What `fit` sees it sees whole; what `filtered` says at a bar depends on that bar and earlier ones of its block alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foldsmith.errors import DataError
from foldsmith.features.fitted import POINT, MarkovSpec

LIMIT = 8.0
"""Standard deviations at which an observation is cut: one bar must not make a state of its own."""
FLOOR = 0.01
"""The least variance of a state, as a share of that of all training bars: ticks must not make a state of one price."""
STAY = 0.9
"""Probability that a state lasts another bar, from which a fit begins."""
SETTLE = 24
"""Bars that are averaged to tell the states of a start: they last, and one bar says little."""
STEPS = 200
TOLERANCE = 1e-6
"""A fit ends when a step gains less than this in log-likelihood per bar, or after `STEPS`."""
LEAST_BARS = 100

Floats = npt.NDArray[np.float64]
Bars = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Parameters:
    """Numbers of a Gaussian hidden Markov model of m states and k observations, that are independent within a state.

    transition : (m, m), rows add up to 1; means, variances : (m, k). A sequence begins in each state alike.
    """

    transition: Floats
    means: Floats
    variances: Floats

    def __post_init__(self) -> None:
        m = len(self.transition)
        shaped = (
            m >= 1 and self.transition.shape == (m, m) and self.means.shape == self.variances.shape
        ) and (self.means.ndim == 2 and len(self.means) == m)
        if not shaped or not all(
            np.isfinite(part).all() for part in (self.transition, self.means, self.variances)
        ):
            raise DataError(
                f"a model of {m} states needs finite numbers of shapes (m, m), (m, k) and (m, k)."
            )
        whole = np.abs(self.transition.sum(axis=1) - 1).max() < 1e-9 and self.transition.min() >= 0
        if not whole or self.variances.min() <= 0:
            raise DataError("rows of a transition matrix add up to 1, and variances are positive.")

    def ordered(self, order: str) -> Parameters:
        """The same model with its states by mean or variance of the first observation, the lowest first."""
        by = (self.means if order == "mean" else self.variances)[:, 0]
        at = np.argsort(by, kind="stable")
        return Parameters(
            np.ascontiguousarray(self.transition[np.ix_(at, at)]), self.means[at], self.variances[at]
        )


@dataclass(frozen=True)
class Hmm:
    """A fitted model: `spec` says what it looks at; mean, scale : (k,), those of the training bars."""

    spec: MarkovSpec
    mean: Floats
    scale: Floats
    parameters: Parameters

    def __post_init__(self) -> None:
        k, m = len(self.spec.inputs), self.spec.states
        if self.parameters.means.shape != (m, k) or self.mean.shape != (k,) or self.scale.shape != (k,):
            raise DataError(f"model {self.spec.name} has {m} states of {k} inputs; its numbers have others.")
        if not np.isfinite(self.mean).all() or not (self.scale > 0).all():
            raise DataError(f"model {self.spec.name}: means are finite, and scales positive.")

    def filtered(self, X: npt.NDArray[np.float32], block: npt.NDArray[np.int32]) -> Floats:
        """float64 (n, m): P(state at t | bars of the block up to t); NaN where an input is.

        X : float32 (n, k), the inputs of bars that follow each other, in the order of `spec.inputs`; block : (n,).
        """
        return LiveFilter(self).extend(X, block)


class LiveFilter:
    """The filter of a model, bar by bar: its values have the same bits as those of `Hmm.filtered`."""

    def __init__(self, model: Hmm) -> None:
        self._model = model
        self._state = np.zeros(model.spec.states)
        self._begun = False
        self._block: int | None = None

    def update(self, x: npt.NDArray[np.float32], block: int) -> Floats:
        """float64 (m,): the state after one more bar. x : float32 (k,), its inputs; block : that it is in."""
        found: Floats = self.extend(np.asarray(x, dtype=np.float32)[None, :], np.array([block], np.int32))[0]
        return found

    def extend(self, X: npt.NDArray[np.float32], block: npt.NDArray[np.int32]) -> Floats:
        """float64 (n, m): the states after each of n more bars."""
        from foldsmith.features.hmm_kernel import filter_states

        model = self._model
        out = np.empty((len(X), model.spec.states))
        if len(X) == 0:
            return out
        z = np.clip((_observed(model.spec, X) - model.mean) / model.scale, -LIMIT, LIMIT)
        numbers = model.parameters
        blocks = np.array(block, dtype=np.int64)
        self._begun = filter_states(
            z,
            blocks,
            _owned(numbers.transition),
            _owned(numbers.means),
            _owned(numbers.variances),
            self._state,
            self._begun and self._block == blocks[0],
            out,
        )
        self._block = int(blocks[-1])
        return out


def fit(spec: MarkovSpec, X: npt.NDArray[np.float32], bar: Bars, block: npt.NDArray[np.int32]) -> Hmm:
    """Fit by expectation and maximisation on these bars alone (Baum et al. 1970), from a start without chance.

    X : float32 (n, k), finite inputs of the training bars in the order of time; bar : (n,), their numbers in the
    series; block : (n,), the blocks that they are in. Bars that follow each other in one block are one sequence; where
    a bar is missing, or the block is another, the next begins. DataError for fewer than 100 bars, bars out of order, or
    missing inputs.
    """
    if len(X) < LEAST_BARS:
        raise DataError(
            f"{len(X)} training bars are too few to fit the hidden Markov model {spec.name}: at least {LEAST_BARS} are "
            "needed. Use fewer folds, more data, or features without hmm."
        )
    if (np.diff(bar) <= 0).any():
        raise DataError(f"training bars of {spec.name} are not in the order of time; sort the rows by bar.")
    if not np.isfinite(X).all():
        raise DataError(f"an input of {spec.name} is missing in a training bar; drop rows in warm-up.")
    observed = _observed(spec, X)
    mean, scale = _moments(observed)
    z = np.clip((observed - mean) / scale, -LIMIT, LIMIT)
    found, _ = maximise_likelihood(z, sequences(bar, block), start(z, spec.states, spec.order))
    return Hmm(spec, mean, scale, found.ordered(spec.order))


def sequences(bar: Bars, block: npt.NDArray[np.int32]) -> Bars:
    """Where runs of bars that follow each other in one block begin, and after them the number of rows.

    >>> sequences(np.array([3, 4, 6, 7]), np.array([0, 0, 0, 1])).tolist()
    [0, 2, 3, 4]
    """
    breaks = (np.diff(bar) != 1) | (np.diff(block) != 0)
    return np.array([0, *(np.flatnonzero(breaks) + 1), len(bar)], dtype=np.int64)


def start(z: Floats, states: int, order: str) -> Parameters:
    """Where a fit begins: bars in as many equal parts, by the first observation's mean (of |z| for variance) so far.

    The mean is that of the last 24 bars: without it, the likelihood that the steps reach is often far lower.
    """
    from foldsmith.features.hmm_kernel import sums_so_far

    by = sums_so_far(_owned(z[:, 0] if order == "mean" else np.abs(z[:, 0])), SETTLE)
    parts = np.array_split(np.argsort(by, kind="stable"), states)
    moments = [_sums(z[part]) for part in parts]
    transition = np.full((states, states), (1 - STAY) / max(states - 1, 1))
    np.fill_diagonal(transition, STAY if states > 1 else 1.0)
    return Parameters(
        transition,
        np.array([mean for mean, _ in moments]),
        np.maximum(np.array([variance for _, variance in moments]), FLOOR),
    )


def maximise_likelihood(
    z: Floats, starts: Bars, begin: Parameters, steps: int = STEPS
) -> tuple[Parameters, list[float]]:
    """The model that `steps` of expectation and maximisation make of another, and the log-likelihood before each.

    z : (n, k); starts : as `sequences` gives them. The log-likelihood never falls; the last is not that of the result.
    """
    from foldsmith.features.hmm_kernel import expect, maximise

    transition, means, variances = map(_owned, (begin.transition, begin.means, begin.variances))
    gamma, moves = np.empty((len(z), len(means))), np.empty_like(transition)
    said: list[float] = []
    z = _owned(z)
    for _ in range(steps):
        said.append(expect(z, starts, transition, means, variances, gamma, moves))
        maximise(z, gamma, moves, FLOOR, transition, means, variances)
        if len(said) > 1 and said[-1] - said[-2] < TOLERANCE * len(z):
            break
    transition /= transition.sum(axis=1, keepdims=True)
    return Parameters(transition, means, variances), said


def _observed(spec: MarkovSpec, X: npt.NDArray[np.float32]) -> Floats:
    """Inputs as observations, float64 (n, k): some of them in logs."""
    from foldsmith.features.hmm_kernel import logs

    out = np.array(X, dtype=np.float64, order="C")
    for column, name in enumerate(spec.inputs):
        if name in spec.logs:
            out[:, column] = logs(np.array(out[:, column]), POINT)
    return out


def _moments(observed: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each column; 1 for one that is constant, which then says nothing."""
    mean, variance = _sums(observed)
    scale = np.sqrt(variance)
    constant = scale <= 1e-7 * np.maximum(np.abs(mean), 1e-300)
    return mean, np.where(constant, 1.0, scale)


def _sums(x: Floats) -> tuple[Floats, Floats]:
    """Mean and variance (over n) of each column, summed alike whatever the machine's threads."""
    if len(x) == 0:
        return np.zeros(x.shape[1]), np.ones(x.shape[1])
    mean = np.array([column.sum() for column in np.ascontiguousarray(x.T)]) / len(x)
    away = np.ascontiguousarray(((x - mean) ** 2).T)
    return mean, np.array([column.sum() for column in away]) / len(x)


def _owned(values: Floats) -> Floats:
    """A copy, contiguous and writable: each kind of array would be compiled for."""
    return np.array(values, dtype=np.float64, order="C")
