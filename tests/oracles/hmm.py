"""Slow, obvious twins of the hidden Markov recursions: sums over paths, and a forward pass in logs."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from scipy.special import logsumexp
from scipy.stats import norm


def log_density(z: Any, means: Any, variances: Any) -> np.ndarray:
    """ln p(z | state) of one bar, (m,); observations are independent within a state."""
    return np.array(
        [
            sum(
                norm.logpdf(value, mu, math.sqrt(variance))
                for value, mu, variance in zip(z, mus, spreads, strict=True)
            )
            for mus, spreads in zip(means, variances, strict=True)
        ]
    )


def filtered(z: Any, block: Any, transition: Any, means: Any, variances: Any) -> np.ndarray:
    """P(state at t | bars of the block up to t), each bar from the start of its block anew: quadratic, and in logs."""
    found = np.full((len(z), len(means)), np.nan)
    with np.errstate(divide="ignore"):
        moves = np.log(transition)
    for t in range(len(z)):
        if not np.isfinite(z[t]).all():
            continue
        begin = t
        while begin > 0 and block[begin - 1] == block[t] and np.isfinite(z[begin - 1]).all():
            begin -= 1
        state = np.full(len(means), -math.log(len(means)))
        for u in range(begin, t + 1):
            if u > begin:
                state = np.array([logsumexp(state + moves[:, j]) for j in range(len(means))])
            state = state + log_density(z[u], means, variances)
        found[t] = np.exp(state - logsumexp(state))
    return found


def paths(z: Any, transition: Any, means: Any, variances: Any) -> tuple[float, np.ndarray, np.ndarray]:
    """ln p(z), P(state at t | z) and the expected moves of one short sequence, by the sum over every path of states."""
    n, m = len(z), len(means)
    density = np.exp([log_density(row, means, variances) for row in z])
    total, gamma, moves = 0.0, np.zeros((n, m)), np.zeros((m, m))
    for path in itertools.product(range(m), repeat=n):
        chance = 1 / m
        for t, state in enumerate(path):
            chance *= density[t][state] * (transition[path[t - 1]][state] if t else 1)
        total += chance
        for t, state in enumerate(path):
            gamma[t, state] += chance
            if t:
                moves[path[t - 1], state] += chance
    return math.log(total), gamma / total, moves / total
