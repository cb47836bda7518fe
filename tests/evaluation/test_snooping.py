"""Tests of data snooping by `arch`: the known answer on noise and on a planted edge, and a word where it is missing."""

import sys

import numpy as np
import pytest

from foldsmith.errors import DataError, MissingExtraError
from foldsmith.evaluation.snooping import snooping_tests


def noise(seed, days=250, models=4):
    return np.random.default_rng(seed).normal(size=(days, models))


def test_an_edge_is_found_and_named():
    pytest.importorskip("arch")
    profits = noise(0)
    profits[:, 2] += 0.4
    found = snooping_tests(profits, "abcd", seed=1, reps=300)
    assert found["spa"]["consistent"] < 0.01
    assert found["stepm"] == ["c"]
    assert found["mcs"] == ["c"]
    assert found["mcs_p"]["c"] == 1
    assert snooping_tests(profits, "abcd", seed=1, reps=300) == found


def test_the_best_of_many_without_an_edge_is_not_believed():
    """60 times the best of 20 models without an edge: naively it is found in most, by SPA in about 5 of 100."""
    pytest.importorskip("arch")
    naive = believed = 0
    for seed in range(60):
        profits = noise(seed, 120, 20)
        t = profits.mean(axis=0) / profits.std(axis=0, ddof=1) * np.sqrt(120)
        naive += t.max() > 1.645
        believed += snooping_tests(profits, range(20), seed=seed, reps=100)["spa"]["consistent"] < 0.05
    assert naive > 30
    assert believed <= 9


def test_models_that_never_traded_are_left_out_and_told():
    pytest.importorskip("arch")
    profits = noise(3, 80, 2)
    profits[:, 0] = 0
    found = snooping_tests(profits, ["flat", "moves"], seed=1, reps=100)
    assert (found["left_out"], found["mcs"]) == (["flat"], ["moves"])
    with pytest.raises(DataError, match="no model traded"):
        snooping_tests(0 * profits, "ab", seed=1)
    with pytest.raises(DataError, match="too few"):
        snooping_tests(profits[:40], "ab", seed=1)


def test_without_arch_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "arch.bootstrap", None)
    with pytest.raises(MissingExtraError, match=r"foldsmith\[stats\]"):
        snooping_tests(noise(0), "abcd", seed=1)
