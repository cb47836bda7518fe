"""The tests of `audit null` themselves: calibrated where they must be, and sharp where they must be."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from foldsmith.audit.null_market import (
    LEAST,
    Statement,
    at_most,
    centred,
    direction_test,
    false_positives,
    mean_test,
    prove_null,
    prove_power,
    prove_seen,
    rejected,
    rows_apart,
    smallest_found,
    uniform,
)
from foldsmith.audit.proof import BLIND, BROKEN, HELD

BARS = 400


def fair_labels(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Overlapping labels of a random walk: side at the first step of 4 either way within 30; and the walk."""
    walk = np.cumsum(rng.choice([-1, 1], BARS + 31))
    y, t1 = np.zeros(BARS, dtype=int), np.arange(BARS) + 30
    for t in range(BARS):
        away = np.flatnonzero(np.abs(walk[t + 1 : t + 31] - walk[t]) >= 4)
        if len(away):
            y[t], t1[t] = np.sign(walk[t + 1 + away[0]] - walk[t]), t + 1 + away[0]
    return y, np.arange(BARS), t1, walk[:BARS]


@pytest.fixture(scope="module")
def draws() -> dict[str, list[float]]:
    """p-values over markets without edge of a coin, a score of the past (momentum), and of the naive test."""
    found: dict[str, list[float]] = {"coin": [], "momentum": [], "naive": [], "leak": []}
    for seed in range(600):
        rng = np.random.default_rng(seed)
        y, t0, t1, walk = fair_labels(rng)
        momentum = walk - np.r_[np.full(20, walk[0]), walk[:-20]]
        for name, up in (("coin", rng.random(BARS)), ("momentum", momentum)):
            test = direction_test(y, up, t0, t1)
            assert test is not None
            found[name].append(test.p)
        d, hit = momentum - momentum.mean(), y != 0
        z = np.sum((d * y)[hit]) / np.sqrt(np.sum(d[hit] ** 2))
        found["naive"].append(float(stats.norm.sf(z)))
        leak = direction_test(y, rng.standard_normal(BARS) + 0.6 * y, t0, t1)
        assert leak is not None
        found["leak"].append(leak.p)
    return found


@pytest.mark.parametrize("score", ["coin", "momentum"])
def test_p_values_are_uniform_without_an_edge(draws: dict[str, list[float]], score: str) -> None:
    assert stats.kstest(draws[score], "uniform").pvalue > 0.01
    assert false_positives(score, draws[score]).p > 0.01


def test_a_test_over_all_overlapping_rows_would_not_be(draws: dict[str, list[float]]) -> None:
    """So that the tests above could fail."""
    assert uniform("naive", draws["naive"]).p < 1e-6
    assert false_positives("naive", draws["naive"]).p < 1e-6


def test_a_leak_of_the_label_is_seen(draws: dict[str, list[float]]) -> None:
    assert np.mean(np.array(draws["leak"]) < 0.05) > 0.8
    assert uniform("leak", draws["leak"]).p < 1e-6


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 20)), max_size=40))
def test_rows_apart_do_not_meet_and_none_is_missed(steps: list[tuple[int, int]]) -> None:
    t0 = np.cumsum([step for step, _ in steps], dtype=np.int64)
    t1 = t0 + np.array([length for _, length in steps], dtype=np.int64)
    taken = rows_apart(t0, t1).tolist()
    assert all(t0[b] >= t1[a] for a, b in itertools.pairwise(taken))
    for row in set(range(len(steps))) - set(taken):
        before = [each for each in taken if each < row]
        assert t0[row] < t1[before[-1]], "a row that could be taken was not"


@given(st.integers(0, 2**32 - 1))
def test_the_direction_test_by_hand(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, up = rng.choice([-1, 0, 1], 40), rng.random(40)
    t0 = np.arange(40)
    d = [up[i] - (up[:i].mean() if i else up[0]) for i in range(40)]
    z = (
        sum(a * b for a, b in zip(d, y, strict=True))
        / sum(a * a for a, b in zip(d, y, strict=True) if b) ** 0.5
    )
    found = direction_test(y, up, t0, t0 + 1)
    assert found is not None
    assert found.z == pytest.approx(z)
    assert found.p == pytest.approx(stats.norm.sf(z))


def test_a_score_that_never_differs_has_found_nothing() -> None:
    y, t0 = np.tile([1, -1], 30), np.arange(60)
    assert direction_test(y, np.full(60, 0.7), t0, t0 + 1).p == 1.0  # type: ignore[union-attr]
    assert direction_test(y[: LEAST - 1], np.ones(LEAST - 1), t0[: LEAST - 1], t0[: LEAST - 1] + 1) is None
    # Such a model fails the proof: its p-values are not those of chance.
    assert prove_null([uniform("constant", [1.0] * 200)])[0].outcome == BROKEN


def test_the_mean_test_is_students() -> None:
    values = np.random.default_rng(3).normal(0.3, 1, 50)
    known = stats.ttest_1samp(values, 0.0, alternative="greater")
    found = mean_test(values)
    assert found is not None
    assert (found.z, found.p) == pytest.approx((known.statistic, known.pvalue))
    assert mean_test(values[: LEAST - 1]) is None
    assert mean_test(np.ones(50)) is None


def test_statements_against_scipy() -> None:
    p = np.random.default_rng(4).random(300)
    assert uniform("x", p).p == pytest.approx(stats.kstest(p, "uniform").pvalue)
    few = int((p <= 0.05).sum())
    assert false_positives("x", p).p == pytest.approx(stats.binomtest(few, 300, 0.05).pvalue)
    assert at_most("x", p).p == pytest.approx(stats.binomtest(few, 300, 0.05, alternative="greater").pvalue)
    z = np.random.default_rng(5).normal(size=30)
    assert centred("x", z).p == pytest.approx(stats.ttest_1samp(z, 0.0).pvalue)


def test_the_family_of_true_statements_fails_as_seldom_as_is_said() -> None:
    rng = np.random.default_rng(6)
    wrong = sum(any(rejected([Statement("", p, "") for p in rng.random(30)], 0.05)) for _ in range(2000))
    assert stats.binom.sf(wrong - 1, 2000, 0.05) > 0.001
    assert wrong > 50, "a correction that never fails is none"


def test_what_is_not_seen_is_blind() -> None:
    fine, bad = Statement("fine", 0.5, ""), Statement("bad", 1e-9, "")
    assert prove_seen("leak", "a leak", [fine, bad]).outcome == HELD
    assert prove_seen("leak", "a leak", [fine, fine]).outcome == BLIND
    assert prove_seen("leak", "a leak", []).outcome == BLIND


def test_power_must_exceed_its_bound_and_permuted_predictions_must_not() -> None:
    def proof(found: int, permuted: int) -> str:
        p = [[0.001] * hits + [0.5] * (50 - hits) for hits in (found, permuted)]
        return prove_power("edge", p[0], p[1], bound=0.5, statements=4).outcome

    assert proof(48, 3) == HELD
    assert proof(30, 3) == BROKEN, "60% of 50 is not surely more than a half"
    assert proof(2, 3) == BROKEN
    assert proof(48, 47) == BLIND


def test_the_smallest_edge_found() -> None:
    assert smallest_found({0.0: 0.05, 0.08: 0.2}) is None
    assert smallest_found({0.0: 0.05, 0.1: 0.8, 0.2: 1.0}) == 0.1
