"""What many markets of known truth say of the pipeline: p-values inside a market, and statements over markets.

Inside a market rows overlap, so a test over all of them is wrong. Both tests here take rows one after the other,
each decided at or after the end of the last, as a trader with one position does. Without an edge the side of such a
label is a fair coin given all that was known before it, so with d_i known at its decision

    z = sum_i d_i s_i / sqrt(sum_i d_i^2),    s_i = -1, 1 the side that came,

has mean 0 and variance 1 whatever features and model are, and is close to normal (a martingale; Hall and Heyde 1980).
An AUC has no such promise: it compares scores with later ones, which may know the earlier label.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith.audit.proof import BLIND, BROKEN, HELD, Proof
from foldsmith.intervals import Instants, Rows

Floats = npt.NDArray[np.float64]

NULL, POWER, SEEN = "null market", "power", "planted in null markets"
FAMILY_LEVEL = 0.01
"""Chance that a sound pipeline fails any statement of a run."""
TEST_LEVEL = 0.05
"""Level of the test inside each market, whose false positives are counted."""
LEAST = 8
"""Rows that a test inside a market needs."""


@dataclass(frozen=True)
class MarketTest:
    """One test in one market: rows, the statistic, and the one-sided p-value (small: there is an edge)."""

    n: int
    z: float
    p: float


def rows_apart(t0: Instants, t1: Instants) -> Rows:
    """Numbers of rows in time order, each with t0 at or after the t1 of the one before.

    >>> rows_apart(np.array([0, 1, 2, 3]), np.array([2, 9, 3, 4])).tolist()
    [0, 2, 3]
    """
    taken = []
    free: int | None = None
    for row, (start, end) in enumerate(zip(t0.tolist(), t1.tolist(), strict=True)):
        if free is None or start >= free:
            taken.append(row)
            free = end
    return np.asarray(taken, dtype=np.int64)


def direction_test(y: Any, up: Any, t0: Instants, t1: Instants) -> MarketTest | None:
    """Does a score tell the side of labels that do not overlap?

        d_i = up_i - mean(up_1 .. up_{i-1}),  d_1 = 0

    y : (n,) of -1, 0, 1 in time order; up : (n,) the score of "up" as known at t0. Rows of label 0 hold their place in
    time and do not count. The mean of the scores before is taken off because it is known, and because a model's lean to
    one side says nothing of which rows rise. None with fewer than LEAST rows that count. A score that never differs is
    no evidence: z = 0, p = 1.
    """
    taken = rows_apart(t0, t1)
    side, score = np.asarray(y, dtype=np.float64)[taken], np.asarray(up, dtype=np.float64)[taken]
    before = np.r_[score[:1], np.cumsum(score)[:-1] / np.arange(1, len(score))]
    hit = side != 0
    d = (score - before)[hit]
    n, size = int(hit.sum()), float(np.sqrt(np.sum(d**2)))
    if n < LEAST:
        return None
    if size < 1e-9:
        return MarketTest(n, 0.0, 1.0)
    z = float(np.sum(d * side[hit])) / size
    return MarketTest(n, z, _above(z))


def mean_test(values: Any) -> MarketTest | None:
    """Is the mean of fair bets that follow each other above 0? Student's t as `z`; None with fewer than LEAST."""
    from scipy.special import stdtr

    sample = np.asarray(values, dtype=np.float64)
    if len(sample) < LEAST or sample.max() == sample.min():
        return None
    t = float(sample.mean() / (sample.std(ddof=1) / np.sqrt(len(sample))))
    return MarketTest(len(sample), t, float(stdtr(len(sample) - 1, -t)))


def _above(z: float) -> float:
    from scipy.special import ndtr

    return float(ndtr(-z))


@dataclass(frozen=True)
class Statement:
    """A statement over markets: p is how likely data are that speak so clearly against it, where it is true."""

    name: str
    p: float
    said: str
    counts: Mapping[str, int] = field(default_factory=dict)


def uniform(name: str, p_values: Sequence[float]) -> Statement:
    """The p-values are uniform: Kolmogorov and Smirnov, two-sided."""
    from scipy.stats import kstest

    found = kstest(np.asarray(p_values, dtype=np.float64), "uniform")
    return Statement(
        f"{name}, p-values uniform",
        float(found.pvalue),
        f"Kolmogorov-Smirnov distance {found.statistic:.3f}",
        {"markets": len(p_values)},
    )


def false_positives(name: str, p_values: Sequence[float], level: float = TEST_LEVEL) -> Statement:
    """The share of p-values at or below `level` is `level`: an exact binomial test, two-sided."""
    from scipy.stats import binom, binomtest

    n, found = len(p_values), int(np.sum(np.asarray(p_values) <= level))
    low, high = binom.interval(1 - FAMILY_LEVEL, n, level)
    return Statement(
        f"{name}, false positives at {level:.0%}",
        float(binomtest(found, n, level).pvalue),
        f"{found} of {n} ({found / n:.1%}); {1 - FAMILY_LEVEL:.0%} of draws lie in {int(low)} to {int(high)}",
        {"markets": n, "found": found},
    )


def at_most(name: str, p_values: Sequence[float], level: float = TEST_LEVEL) -> Statement:
    """The share of p-values at or below `level` is no more than `level`: exact, one-sided."""
    from scipy.stats import binom

    n, found = len(p_values), int(np.sum(np.asarray(p_values) <= level))
    if n == 0:
        return Statement(f"{name}, false positives at most {level:.0%}", 0.0, "no market was tested")
    return Statement(
        f"{name}, false positives at most {level:.0%}",
        float(binom.sf(found - 1, n, level)),
        f"{found} of {n} ({found / n:.1%})",
        {"markets": n, "found": found},
    )


def centred(name: str, values: Sequence[float]) -> Statement:
    """The mean over markets is 0: Student's t, two-sided; markets are independent, whatever their rows are."""
    from scipy.special import stdtr

    sample = np.asarray(values, dtype=np.float64)
    spread = float(sample.std(ddof=1)) if len(sample) > 1 else 0.0
    if spread == 0.0:
        constant = len(sample) == 0 or bool(sample[0] != 0) or len(sample) < 3
        return Statement(
            f"{name}, centred at 0", 0.0 if constant else 1.0, "no spread", {"markets": len(sample)}
        )
    t = float(sample.mean()) / (spread / np.sqrt(len(sample)))
    return Statement(
        f"{name}, centred at 0",
        float(2 * stdtr(len(sample) - 1, -abs(t))),
        f"mean {sample.mean():+.4f}, between markets sd {spread:.4f}, t {t:+.2f}",
        {"markets": len(sample)},
    )


def rejected(statements: Sequence[Statement], level: float = FAMILY_LEVEL) -> list[bool]:
    """Which statements data speak against, with at most `level` chance that any true one is among them (Holm 1979).

    >>> rejected([Statement("a", 0.004, ""), Statement("b", 0.006, ""), Statement("c", 0.5, "")])
    [False, False, False]
    >>> rejected([Statement("a", 0.003, ""), Statement("b", 0.004, ""), Statement("c", 0.5, "")])
    [True, True, False]
    """
    found = [False] * len(statements)
    order = sorted(range(len(statements)), key=lambda i: statements[i].p)
    for rank, i in enumerate(order):
        if not statements[i].p <= level / (len(statements) - rank):
            break
        found[i] = True
    return found


def prove_null(statements: Sequence[Statement], level: float = FAMILY_LEVEL) -> list[Proof]:
    """A proof for each statement: BROKEN where Holm rejects it, all of them together wrong with chance `level`."""
    return [
        Proof(
            NULL,
            each.name,
            BROKEN if wrong else HELD,
            f"{each.said}; p {each.p:.3g} (with {len(statements)} statements at {level:.0%} together)",
            dict(each.counts),
        )
        for each, wrong in zip(statements, rejected(statements, level), strict=True)
    ]


def prove_seen(name: str, what: str, statements: Sequence[Statement], level: float = FAMILY_LEVEL) -> Proof:
    """That a leaking pipeline fails the same statements; BLIND where it passes."""
    wrong = [each for each, found in zip(statements, rejected(statements, level), strict=True) if found]
    counts = {"statements": len(statements), "failed": len(wrong)}
    if not wrong:
        least = min((each.p for each in statements), default=1.0)
        return Proof(
            SEEN, name, BLIND, f"{what}: passes for a market without edge; smallest p {least:.3g}", counts
        )
    worst = min(wrong, key=lambda each: each.p)
    said = f"{what}: {len(wrong)} of {len(statements)} statements fail, first {worst.name}: {worst.said}"
    return Proof(SEEN, name, HELD, said, counts, planted=f"{what}: seen")


def share_found(
    p_values: Sequence[float], confidence: float, level: float = TEST_LEVEL
) -> tuple[int, float, float]:
    """Markets in which an edge is found at `level`, and the two-sided interval of their share (Clopper and Pearson)."""
    from scipy.stats import binomtest

    found = int(np.sum(np.asarray(p_values) <= level))
    interval = binomtest(found, len(p_values)).proportion_ci(confidence, method="exact")
    return found, float(interval.low), float(interval.high)


def prove_power(
    name: str, p_values: Sequence[float], permuted: Sequence[float], *, bound: float, statements: int
) -> Proof:
    """That a planted edge is found in more than a share `bound` of markets, and not by predictions of other rows.

    The lower end of the share's interval must exceed the bound, at FAMILY_LEVEL over `statements` such proofs. BLIND
    where permuted predictions would pass too: then the edge would not be what is found.
    """
    confidence = 1 - 2 * FAMILY_LEVEL / statements
    found, low, high = share_found(p_values, confidence)
    wrong, mutant_low, _ = share_found(permuted, confidence)
    counts = {"markets": len(p_values), "found": found, "found by permuted predictions": wrong}
    said = f"found in {found} of {len(p_values)} markets ({low:.0%} to {high:.0%}; more than {bound:.0%} is asked)"
    outcome = BROKEN if low <= bound else BLIND if mutant_low > bound else HELD
    told = f"permuted predictions: found in {wrong} of {len(permuted)}"
    return Proof(POWER, name, outcome, said, counts, planted=told)


def smallest_found(shares: Mapping[float, float], power: float = 0.8) -> float | None:
    """The smallest edge found with this power, by straight lines between (edge, share); None where none is.

    >>> smallest_found({0.0: 0.05, 0.1: 0.65, 0.2: 0.95})
    0.15
    """
    known = sorted(shares.items())
    for (a, before), (b, after) in itertools.pairwise(known):
        if before < power <= after:
            return round(a + (power - before) / (after - before) * (b - a), 4)
    return known[0][0] if known and known[0][1] >= power else None
