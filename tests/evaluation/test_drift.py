"""Drift against slow twins, and against what is known of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from foldsmith.errors import DataError
from foldsmith.evaluation.drift import drift_table, effective_rows, psi


def slow_psi(train: list[float], other: list[float], bins: int) -> float:
    """Row by row and bin by bin."""
    edges = sorted({float(np.quantile(train, k / bins)) for k in range(1, bins)})
    counts = {"p": [0.5] * (len(edges) + 1), "q": [0.5] * (len(edges) + 1)}
    for side, values in (("p", train), ("q", other)):
        for value in values:
            counts[side][sum(value > edge for edge in edges)] += 1
    total = 0.0
    for a, b in zip(counts["p"], counts["q"], strict=True):
        p, q = a / sum(counts["p"]), b / sum(counts["q"])
        total += (q - p) * math.log(q / p)
    return total


numbers = st.lists(st.integers(-20, 20).map(float), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(numbers, numbers, st.integers(2, 12))
def test_the_index_is_that_of_its_equation(train: list[float], other: list[float], bins: int) -> None:
    assert psi(np.array(train), np.array(other), bins) == pytest.approx(
        slow_psi(train, other, bins), abs=1e-12
    )


def test_the_index_of_a_case_by_hand() -> None:
    """Halves of 100 training rows at 0 and 1; 20 and 80 of 100 new rows: (.5 - .2) ln(.5 / .2) + ... less half rows."""
    train, other = np.repeat([0.0, 1.0], 50), np.repeat([0.0, 1.0], [20, 80])
    p, q = 50.5 / 101, np.array([20.5, 80.5]) / 101
    assert psi(train, other, 2) == pytest.approx(float(((q - p) * np.log(q / p)).sum()))


def test_rows_of_an_autoregression_count_for_less() -> None:
    """Of AR(1) with coefficient a, n (1 - a) / (1 + a) rows are effective; of independent ones, nearly all."""
    rng = np.random.default_rng(1)
    noise = rng.normal(size=40_000)
    assert effective_rows(noise) > 0.85 * len(noise)
    series = np.empty_like(noise)
    series[0] = 0
    for t in range(1, len(noise)):
        series[t] = 0.9 * series[t - 1] + noise[t]
    assert effective_rows(series) == pytest.approx(len(series) * 0.1 / 1.9, rel=0.2)
    assert effective_rows(np.ones(50)) == 50


def test_dependent_rows_of_one_law_are_not_called_moved_by_the_test() -> None:
    """With n as it is, nearly all p-values of AR(1) are tiny; with effective rows few are below 5%."""
    rng = np.random.default_rng(3)
    small = plain = 0
    for _ in range(60):
        noise = rng.normal(size=6000)
        series = np.empty_like(noise)
        series[0] = noise[0]
        for t in range(1, len(noise)):
            series[t] = 0.9 * series[t - 1] + noise[t]
        found = drift_table(series[:4000, None], series[4000:, None], ["x"])[0]
        small += found["p_value"] < 0.05
        plain += ks_2samp(series[:4000], series[4000:]).pvalue < 0.05
    assert plain > 30
    assert small <= 9


def test_words_and_distances() -> None:
    rng = np.random.default_rng(0)
    train = rng.normal(size=(4000, 3))
    other = rng.normal(size=(2000, 3)) + np.array([0, 0.4, 1.5])
    found = drift_table(train, other, ["a", "b", "c"])
    assert [entry["name"] for entry in found] == ["a", "b", "c"]
    assert [entry["verdict"] for entry in found] == ["stable", "moving", "moved"]
    assert found[0]["p_value"] > 0.01 > found[1]["p_value"]
    for k, entry in enumerate(found):
        assert entry["ks"] == pytest.approx(ks_2samp(train[:, k], other[:, k]).statistic)
    few = drift_table(train[:20], other, ["a", "b", "c"])[2]
    assert (few["verdict"], few["p_value"]) == ("too few rows", None)
    assert few["psi"] > 0.25


def test_what_cannot_be_compared_is_refused() -> None:
    good = np.zeros((3, 2))
    for train, other, said in (
        (good[:, :1], good, "shape"),
        (good, good[:0], "no new rows"),
        (np.full((3, 2), np.nan), good, "not finite"),
    ):
        with pytest.raises(DataError, match=said):
            drift_table(train, other, ["a", "b"])
