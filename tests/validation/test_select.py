from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from tests.models.rows import QUICK
from tests.validation.rows import apart, grid, poisoned

from foldsmith.dataset import Dataset
from foldsmith.errors import DataError, SettingError
from foldsmith.labels.weighting import Weighting
from foldsmith.models.catalogue import make
from foldsmith.models.stored import pack
from foldsmith.splits import PurgedKFold, purged_tail
from foldsmith.validation.cross_validate import Fitting, Search, fit_fold
from foldsmith.validation.fold_features import FILE, FoldFeatures, FoldModel
from foldsmith.validation.select import (
    SELECTIONS,
    clusters,
    mda,
    rank_correlation,
    select,
    stability,
    uncorrelated,
)

N = 900
GRID, BARS = grid(N)
APART = apart(BARS)
EDGE, TWIN, NOISE = (0, 3), 5, (1, 2, 4)


def market(seed: int = 1) -> Dataset:
    """Two features that tell, each with noise beside it, and a twin of the first."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, 6))
    X[:, TWIN] = X[:, 0] + 0.01 * rng.normal(size=N)
    score = 1.5 * X[:, 0] - 1.2 * X[:, 3] + rng.normal(size=N)
    y = np.where(score > 0.7, 1, np.where(score < -0.7, -1, 0)).astype(np.int8)
    names = tuple(f"f{column}" for column in range(6))
    return replace(GRID, X=X.astype(np.float32), y=y, names=names)


DATA = market()
HEAD, TAIL = purged_tail(DATA.t0, DATA.t1, 0.25, **APART.options())


def fit(rows: Dataset) -> Any:
    return make("logistic", seed=1).fit(rows.X, rows.y, rows.weight)


def chosen(method: str, data: Dataset = DATA) -> list[int]:
    return select(method, data, seed=3, fit=fit, head=HEAD, tail=TAIL).tolist()


def test_what_tells_is_kept_and_twins_stand_or_fall_together() -> None:
    assert chosen("none") == [0, 1, 2, 3, 4, 5]
    assert chosen("correlation") == [0, 1, 2, 3, 4]
    noise = 0
    for seed in range(1, 7):
        assert chosen("mdi", market(seed)) == [0, 3, TWIN]
        found = set(chosen("mda", market(seed)))
        assert {0, 3, TWIN} <= found
        noise += len(found & set(NOISE))
    # About one of six noises is a standard error above nothing by chance.
    assert noise <= 8


@pytest.mark.parametrize("method", SELECTIONS)
def test_one_is_kept_where_nothing_tells(method: str) -> None:
    blank = replace(DATA, X=np.zeros_like(DATA.X))
    assert len(chosen(method, blank)) >= 1
    one = replace(DATA, X=DATA.X[:, :1], names=("f0",))
    assert chosen(method, one) == [0]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), p=st.integers(2, 8))
def test_correlations_and_pruning_against_slow_twins(seed: int, p: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(60, p)).round(1).astype(np.float32)
    X[:, rng.integers(p)] = X[:, 0] * rng.choice([-1, 1]) + 0.001
    found = rank_correlation(X)
    for a, b in combinations(range(p), 2):
        assert found[a, b] == pytest.approx(spearmanr(X[:, a], X[:, b]).statistic, abs=1e-9)
    kept = uncorrelated(found)
    for column in range(p):
        alike = any(abs(found[column, earlier]) > 0.95 for earlier in kept if earlier < column)
        assert (column in kept) == (not alike)


def test_clusters_hold_what_moves_together() -> None:
    found = clusters(rank_correlation(DATA.X))
    assert found[0] == found[TWIN] == 0
    assert len(set(found.tolist())) == 5
    assert clusters(np.eye(1)).tolist() == [0]


def test_mda_is_the_loss_that_a_permuted_cluster_adds() -> None:
    cluster = clusters(rank_correlation(DATA.X))
    worth, error = mda(DATA, cluster, 3, fit, HEAD, TAIL)
    assert (error > 0).all()
    assert worth[cluster[0]] > 0.1
    assert worth[cluster[3]] > 0.1
    assert np.abs(worth[[cluster[1], cluster[2], cluster[4]]]).max() < 0.05
    # Alone, a twin is covered by the other: this is what clusters are for.
    alone, _ = mda(DATA, np.arange(6), 3, fit, HEAD, TAIL)
    assert max(alone[0], alone[TWIN]) < worth[cluster[0]]


@pytest.mark.parametrize("n_trials", [0, 1])
@pytest.mark.parametrize("model", ["logistic", "lightgbm"])
@pytest.mark.parametrize("method", SELECTIONS[1:])
def test_nothing_outside_the_training_rows_is_looked_at(model: str, method: str, n_trials: int) -> None:
    fitting = Fitting(APART, Weighting("none", BARS), 0.25, select=method)
    train, test = list(PurgedKFold(4, t0=DATA.t0, t1=DATA.t1, **APART.options()).split(DATA.X))[1]
    outside = np.setdiff1d(np.arange(N), train)

    def one(data: Dataset) -> Any:
        return fit_fold(
            model, data, train, test, fitting=fitting, seed=3, keys=(), search=Search(n_trials),
            params=None if n_trials else QUICK[model],
        )  # fmt: skip

    clean, bad = one(DATA), one(poisoned(DATA, outside, keep_X=test))
    assert clean.fitted.to_files() == bad.fitted.to_files()
    assert clean.probabilities.tobytes() == bad.probabilities.tobytes()
    assert FILE in clean.fitted.to_files()
    assert (
        clean.fitted.classifier.n_features_
        == len(clean.fitted.features.kept)
        <= (6 if method == "mda" else 5)
    )
    again = FoldModel.from_files(model, clean.fitted.to_files())
    assert again.predict_proba(DATA.X[test], None).tobytes() == clean.probabilities.tobytes()


@settings(max_examples=30, deadline=None)
@given(kept=st.lists(st.sets(st.integers(0, 9), min_size=1, max_size=9).map(sorted), min_size=2, max_size=6))
def test_stability_against_its_definition(kept: list[list[int]]) -> None:
    M, p = len(kept), 10
    Z = np.array([[column in one for column in range(p)] for one in kept], dtype=float)
    h, k = Z.mean(axis=0), Z.sum(axis=1).mean()
    by_hand = 1 - (M / (M - 1) * h * (1 - h)).mean() / (k / p * (1 - k / p))
    assert stability(kept, p) == pytest.approx(by_hand, abs=1e-9)
    assert stability([kept[0]] * 3, p) == pytest.approx(1)
    assert stability([kept[0]], p) is None
    assert stability([list(range(p))] * 3, p) is None


def test_stability_of_choices_by_chance_is_about_zero() -> None:
    rng = np.random.default_rng(2)
    found = [stability([rng.choice(40, 12, replace=False) for _ in range(5)], 40) for _ in range(300)]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(300)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(
        SettingError, match="--select 'best' is unknown; there are none, correlation, mdi, mda"
    ):
        chosen("best")


@pytest.mark.parametrize("kept", [[], [1, 0], [0, 0], [-1], [0.5], ["0"], [10**9], [True]])
def test_a_damaged_selection_is_refused(kept: list[Any]) -> None:
    facts = {"features": [], "markov": {}, "kept": kept, "kept_names": ["a"] * len(kept)}
    with pytest.raises(DataError, match="train"):
        FoldFeatures.from_files(pack(FILE, facts, {}))
    wide = {"features": [], "markov": {}, "kept": [7], "kept_names": ["a"]}
    with pytest.raises(DataError, match="column 7 was selected and there are 6"):
        FoldFeatures.from_files(pack(FILE, wide, {})).matrix(DATA.X, None)
