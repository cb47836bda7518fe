"""What is stated of the records of many markets, and judged: see `foldsmith.audit.null_market`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from foldsmith.audit.null_market import (
    FAMILY_LEVEL,
    NULL,
    TEST_LEVEL,
    Statement,
    at_most,
    centred,
    false_positives,
    prove_null,
    prove_power,
    prove_seen,
    smallest_found,
    uniform,
)
from foldsmith.audit.proof import NOT_RUN, Proof

Record = dict[str, Any]
WHATS = ("direction", "trades")
POWER_BOUND = 0.5
"""Share of markets with the largest edge in which it must be found."""
POWER_PLACES = ("voting oof", "stacking test")
MOST_LEAN = 0.03
"""How far above 0.5 the meta-learner's own out-of-fold AUC may lean, as it is not fully nested (docs/ensembles.md)."""
LEAST_TESTED = 0.5
"""Share of markets in which a test must have enough rows. Predictions alone say which have, so no p-value bends."""


def null_proofs(nulls: Mapping[str, Sequence[Record]]) -> list[Proof]:
    """Of each kind of market without edge; all statements share one family-wise level."""
    statements: list[Statement] = []
    missing: list[Proof] = []
    for kind, records in nulls.items():
        made, lacking = null_statements(kind, records)
        statements += made + coin_statements(kind, records) + meta_statements(kind, records)
        missing += lacking
    return missing + prove_null(statements)


def seen_proofs(leaks: Mapping[str, Sequence[Record]]) -> Iterator[Proof]:
    """That each leaking pipeline fails the statements of a market without edge."""
    for leak, records in leaks.items():
        yield prove_seen(leak, leak, null_statements(leak, records)[0])


def null_statements(kind: str, records: Sequence[Record]) -> tuple[list[Statement], list[Proof]]:
    """Of every place and both tests: p-values uniform, false positives at their level, statistics centred."""
    made: list[Statement] = []
    lacking: list[Proof] = []
    for place in records[0]["places"]:
        found = [record["places"][place] for record in records]
        for what in WHATS:
            name = f"{kind}, {place}, {what}"
            p = [each[what]["p"] for each in found if each[what] is not None]
            if "mean_z" in found[0]:
                made += _folds_statements(name, found, what)
            if len(p) < LEAST_TESTED * len(found):
                said = f"{len(found) - len(p)} of {len(found)} markets have too few rows to test"
                lacking.append(Proof(NULL, name, NOT_RUN, said))
                continue
            made += [uniform(name, p), false_positives(name, p)]
            if "mean_z" not in found[0]:
                made.append(centred(name, [each[what]["z"] for each in found if each[what] is not None]))
        if "mean_z" not in found[0]:
            together = [sum(each["sharpe"]) for each in found if each["sharpe"] is not None]
            made.append(centred(f"{kind}, {place}, Sharpe after costs plus costs", together))
    return made, lacking


def _folds_statements(name: str, found: Sequence[Mapping[str, Any]], what: str) -> list[Statement]:
    """Of all folds of each market together."""
    known = [each for each in found if each["mean_z"][what] is not None]
    return [
        at_most(f"{name}, all folds", [p_of_folds(each, what) for each in known]),
        centred(f"{name}, all folds", [each["mean_z"][what] for each in known]),
    ]


def coin_statements(kind: str, records: Sequence[Record]) -> list[Statement]:
    """The same tests of predictions drawn at random: they must be calibrated, or what they say means nothing."""
    return [
        uniform(f"{kind}, coin beside {place}, {what}", p)
        for place in records[0]["coin"]
        for what in WHATS
        if len(p := [r["coin"][place][what]["p"] for r in records if r["coin"][place][what] is not None]) > 1
    ]


def meta_statements(kind: str, records: Sequence[Record]) -> list[Statement]:
    """The stacking's own score, which is not fully nested: it may lean above 0.5, by no more than is said."""
    from scipy.special import stdtr

    lean = np.array([record["meta_oof_auc"]["stacking"] - 0.5 for record in records])
    error = float(lean.std(ddof=1) / np.sqrt(len(lean))) or 1e-12
    p = float(stdtr(len(lean) - 1, -(lean.mean() - MOST_LEAN) / error))
    said = f"mean AUC {0.5 + lean.mean():.4f}, standard error {error:.4f}"
    name = f"{kind}, stacking's own out-of-fold AUC leans above 0.5 by at most {MOST_LEAN}"
    return [Statement(name, p, said, {"markets": len(records)})]


def p_of_folds(found: Mapping[str, Any], what: str) -> float:
    """One-sided p-value of the folds of a market together.

        z = sum_k z_k / sqrt(2 K)

    What fold j teaches fits k as well as what k teaches fits j, so the sum has up to twice the variance of independent
    ones (tests/properties/test_noise.py): a p-value that is uniform for linear models and too large for others.
    """
    from scipy.special import ndtr

    z, folds = found["mean_z"][what], found["folds"]
    return 1.0 if z is None else float(ndtr(-z * np.sqrt(folds / 2)))


def power_proofs(edges: Mapping[float, Sequence[Record]]) -> Iterator[Proof]:
    """For each place and test: the largest edge is found, and what share of markets shows each edge."""
    largest = max(edges)
    for place in POWER_PLACES:
        for what in WHATS:
            p = {edge: _found(records, "places", place, what) for edge, records in edges.items()}
            permuted = _found(edges[largest], "permuted", place, what)
            proof = prove_power(
                f"{place}, {what}, edge {largest:g}",
                p[largest],
                permuted,
                bound=POWER_BOUND,
                statements=len(POWER_PLACES) * len(WHATS),
            )
            said = f"{proof.said}; {_curve(p)}{_recovered(edges, place)}"
            yield Proof(proof.group, proof.name, proof.outcome, said, proof.counts, proof.planted)


def _found(records: Sequence[Record], of: str, place: str, what: str) -> list[float]:
    """p-values; a market with too few rows to test has found nothing."""
    tests = [record[of][place] for record in records]
    return [
        1.0 if each[what] is None else p_of_folds(each, what) if "mean_z" in each else each[what]["p"]
        for each in tests
    ]


def _curve(p: Mapping[float, Sequence[float]]) -> str:
    shares = {edge: float(np.mean(np.asarray(values) <= TEST_LEVEL)) for edge, values in p.items()}
    told = ", ".join(f"{share:.0%} at {edge:g}" for edge, share in shares.items())
    # Without an edge the level is found, which the statements of markets without edge hold it to.
    smallest = smallest_found({0.0: TEST_LEVEL} | shares)
    least = "no edge here is found with 80% power" if smallest is None else f"80% power from {smallest:g}"
    return f"by edge: {told}; {least}"


def _recovered(edges: Mapping[float, Sequence[Record]], place: str) -> str:
    """The share of the reachable gain in direction log loss, mean over markets."""
    shares = []
    for edge, records in edges.items():
        gains = [record["gain"].get(place) for record in records]
        known = [gain for gain in gains if gain is not None]
        reachable = records[0]["reachable"]
        if known and reachable:
            shares.append(f"{np.mean(known) / reachable:.0%} at {edge:g}")
    return f"; of the reachable log loss {', '.join(shares)}" if shares else ""


__all__ = ["FAMILY_LEVEL", "null_proofs", "null_statements", "power_proofs", "seen_proofs"]
