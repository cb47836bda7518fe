"""Forward and backward recursions of a Gaussian hidden Markov model with diagonal covariances, compiled.

All arrays are float64 and row-major, counts int64. n bars, k observations, m states. No sum is left to a library that
may split it over threads: the same numbers go in one order, and give the same bits.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

NEVER = 1e-100
"""Added to the forecast of each state, so that a bar that no state foresaw divides by something."""


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def logs(x: Any, shift: float) -> Any:
    """ln(x + shift), value by value: a vector loop's bits may depend on where a value stands in the array."""
    out = np.empty(len(x))
    for i in range(len(x)):
        out[i] = math.log(x[i] + shift)
    return out


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def sums_so_far(x: Any, width: int) -> Any:
    """out[t] = x[t - width + 1] + ... + x[t], of fewer at the start."""
    out = np.empty(len(x))
    for t in range(len(x)):
        total = 0.0
        for i in range(max(t - width + 1, 0), t + 1):
            total += x[i]
        out[t] = total
    return out


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _constants(means: Any, variances: Any) -> Any:
    """ln of the density of each state at its own mean."""
    out = np.zeros(len(means))
    for j in range(len(means)):
        for d in range(means.shape[1]):
            out[j] -= 0.5 * math.log(2 * math.pi * variances[j, d])
    return out


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _density(z: Any, t: int, means: Any, halves: Any, constants: Any, b: Any) -> float:
    """Fill `b` with the density of bar t under each state over the highest of them, whose ln is returned.

    halves : 1 / (2 variance), (m, k).
    """
    top = -math.inf
    for j in range(len(b)):
        value = constants[j]
        for d in range(z.shape[1]):
            away = z[t, d] - means[j, d]
            value -= halves[j, d] * away * away
        b[j] = value
        top = max(top, value)
    for j in range(len(b)):
        # The highest needs no exponential, the costliest step of all.
        b[j] = 1.0 if b[j] == top else math.exp(b[j] - top)
    return top


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _forward(before: Any, fresh: bool, transition: Any, b: Any, after: Any) -> float:
    """Fill `after` with P(state | bars so far) from that of the bar before, and return what it was divided by.

    A fresh sequence begins in each state alike. `before` and `after` are different arrays.
    """
    m = len(b)
    total = 0.0
    for j in range(m):
        forecast = 1.0 / m
        if not fresh:
            forecast = 0.0
            for i in range(m):
                forecast += before[i] * transition[i, j]
        after[j] = (forecast + NEVER) * b[j]
        total += after[j]
    share = 1.0 / total
    for j in range(m):
        after[j] *= share
    return total


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def filter_states(
    z: Any, block: Any, transition: Any, means: Any, variances: Any, state: Any, begun: bool, out: Any
) -> bool:
    """Fill `out` (n, m) with P(state at t | bars of the block up to t); a bar with a missing observation is NaN.

    z : (n, k) standardised; block : (n,). The recursion begins anew where the block changes and after a missing bar.
    state : (m,), P at the bar before row 0 if it `begun`, in the block of row 0; left as that at the last row. Returns
    whether that row was known.
    """
    m = len(transition)
    constants, halves = _constants(means, variances), 0.5 / variances
    b = np.empty(m)
    after = np.empty(m)
    for t in range(len(z)):
        if t > 0 and block[t] != block[t - 1]:
            begun = False
        total = 0.0
        for d in range(z.shape[1]):
            total += z[t, d]
        if not math.isfinite(total):
            for j in range(m):
                out[t, j] = math.nan
            begun = False
            continue
        _density(z, t, means, halves, constants, b)
        _forward(state, not begun, transition, b, after)
        begun = True
        for j in range(m):
            state[j] = after[j]
            out[t, j] = after[j]
    return begun


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def expect(z: Any, starts: Any, transition: Any, means: Any, variances: Any, gamma: Any, moves: Any) -> float:
    """Log-likelihood of the sequences z[starts[s] : starts[s + 1]], and what it takes to better it (Baum-Welch).

    gamma : (n, m), filled with P(state at t | its whole sequence); moves : (m, m), with the expected number of moves
    from state to state. Forward values are scaled to add up to 1 (Rabiner 1989), so no sequence is too long.
    """
    n, m = gamma.shape
    constants, halves = _constants(means, variances), 0.5 / variances
    b = np.empty((n, m))
    scale = np.empty(n)
    found = 0.0
    for s in range(len(starts) - 1):
        for t in range(starts[s], starts[s + 1]):
            found += _density(z, t, means, halves, constants, b[t])
            scale[t] = _forward(gamma[t - 1], t == starts[s], transition, b[t], gamma[t])
            found += math.log(scale[t])
    moves[:] = 0.0
    later = np.empty(m)
    weighed = np.empty(m)
    for s in range(len(starts) - 1):
        later[:] = 1.0
        for t in range(starts[s + 1] - 1, starts[s] - 1, -1):
            if t < starts[s + 1] - 1:
                for j in range(m):
                    weighed[j] = b[t + 1, j] * later[j] / scale[t + 1]
                for i in range(m):
                    later[i] = 0.0
                    for j in range(m):
                        step = transition[i, j] * weighed[j]
                        later[i] += step
                        moves[i, j] += gamma[t, i] * step
            # Behind the recursion forward values are needed no more.
            _posterior(gamma, t, later)
    return found


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _posterior(gamma: Any, t: int, later: Any) -> None:
    total = 0.0
    for j in range(len(later)):
        gamma[t, j] *= later[j]
        total += gamma[t, j]
    for j in range(len(later)):
        gamma[t, j] /= total


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def maximise(
    z: Any, gamma: Any, moves: Any, floor: float, transition: Any, means: Any, variances: Any
) -> None:
    """Put the most likely parameters, given those expectations, in place of the old; variances are at least `floor`.

    A state that no bar is in keeps its numbers, as does one that is never left nor stayed in.
    """
    n, k = z.shape
    for j in range(len(means)):
        left = moves[j].sum()
        if left > 0:
            transition[j] = moves[j] / left
        weight = 0.0
        for t in range(n):
            weight += gamma[t, j]
        if weight <= 0:
            continue
        for d in range(k):
            total = 0.0
            for t in range(n):
                total += gamma[t, j] * z[t, d]
            centre = total / weight
            square = 0.0
            for t in range(n):
                square += gamma[t, j] * (z[t, d] - centre) ** 2
            means[j, d] = centre
            variances[j, d] = max(square / weight, floor)
