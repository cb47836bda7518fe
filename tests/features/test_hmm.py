"""Hidden Markov models against sums over every path; no filtered value knows a later bar, and regimes are found."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.oracles import hmm as oracle

from foldsmith.errors import DataError
from foldsmith.features import FEATURES, hmm
from foldsmith.features.fitted import FITTED, MARKOV, inputs_of, models_of
from foldsmith.features.hmm import Hmm, LiveFilter, Parameters, fit, maximise_likelihood, sequences, start
from foldsmith.features.hmm_kernel import expect

SEEDS = st.integers(0, 2**32 - 1)


def parameters(rng: np.random.Generator, m: int, k: int) -> Parameters:
    """Any model of m states and k observations."""
    return Parameters(
        rng.dirichlet(np.ones(m), size=m), rng.normal(size=(m, k)) * 2, rng.uniform(0.1, 3, size=(m, k))
    )


def any_model(rng: np.random.Generator, name: str) -> Hmm:
    spec = MARKOV[name]
    k = len(spec.inputs)
    return Hmm(spec, rng.normal(size=k) - 5, rng.uniform(0.5, 2, k), parameters(rng, spec.states, k))


def inputs(rng: np.random.Generator, name: str, n: int) -> np.ndarray:
    spec = MARKOV[name]
    X = rng.normal(size=(n, len(spec.inputs)))
    X[:, [i for i, each in enumerate(spec.inputs) if each in spec.logs]] *= 0.01
    return np.abs(X).astype(np.float32)


def observed(model: Hmm, X: np.ndarray) -> np.ndarray:
    z = X.astype(np.float64)
    for i, name in enumerate(model.spec.inputs):
        if name in model.spec.logs:
            z[:, i] = np.log(z[:, i] + 1e-4)
    return np.clip((z - model.mean) / model.scale, -8, 8)


def regimes(n: int, transition: Any, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """States of a chain, and uniform numbers' worth of chance beside them."""
    rng = np.random.default_rng(seed)
    chance, total = rng.random(n), np.cumsum(np.asarray(transition), axis=1)
    state = np.zeros(n, dtype=int)
    for t in range(1, n):
        state[t] = np.searchsorted(total[state[t - 1]], chance[t])
    return state, rng.normal(size=n)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.sampled_from(list(MARKOV)), st.integers(1, 40))
def test_the_filter_is_the_forward_pass_of_each_block(seed: int, name: str, n: int) -> None:
    rng = np.random.default_rng(seed)
    model, X = any_model(rng, name), inputs(rng, name, n)
    X[rng.random(n) < 0.05] = np.nan
    block = np.cumsum(rng.random(n) < 0.1).astype(np.int32)
    p = model.parameters
    with np.errstate(invalid="ignore"):
        expected = oracle.filtered(observed(model, X), block, p.transition, p.means, p.variances)
    np.testing.assert_allclose(model.filtered(X, block), expected, rtol=1e-9, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.sampled_from(list(MARKOV)), st.integers(2, 60), st.sampled_from([1e30, 0.0, np.nan]))
def test_later_bars_and_earlier_blocks_change_nothing(seed: int, name: str, n: int, garbage: float) -> None:
    rng = np.random.default_rng(seed)
    model, X = any_model(rng, name), inputs(rng, name, n)
    block = np.cumsum(rng.random(n) < 0.1).astype(np.int32)
    clean = model.filtered(X, block)
    cut = int(rng.integers(1, n))
    spoilt, other = X.copy(), block.copy()
    spoilt[cut:] = garbage
    other[cut:] = rng.integers(0, 1000, n - cut)
    assert model.filtered(spoilt, other)[:cut].tobytes() == clean[:cut].tobytes()
    assert model.filtered(X[:cut], block[:cut]).tobytes() == clean[:cut].tobytes()
    # The block of the last bar alone, wherever the table begins.
    begin = int(np.flatnonzero(block == block[-1])[0])
    assert model.filtered(X[begin:], block[begin:]).tobytes() == clean[begin:].tobytes()


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.sampled_from(list(MARKOV)), st.integers(1, 30))
def test_bar_by_bar_has_the_bits_of_the_table(seed: int, name: str, n: int) -> None:
    rng = np.random.default_rng(seed)
    model, X = any_model(rng, name), inputs(rng, name, n)
    X[rng.random(n) < 0.1] = np.nan
    block = np.cumsum(rng.random(n) < 0.1).astype(np.int32)
    live = LiveFilter(model)
    found = np.array([live.update(x, int(b)) for x, b in zip(X, block, strict=True)])
    assert found.tobytes() == model.filtered(X, block).tobytes()


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.integers(1, 3), st.integers(1, 2), st.lists(st.integers(1, 6), min_size=1, max_size=3))
def test_expectations_are_sums_over_every_path(seed: int, m: int, k: int, lengths: list[int]) -> None:
    rng = np.random.default_rng(seed)
    p, z = parameters(rng, m, k), rng.normal(size=(sum(lengths), k))
    starts = np.cumsum([0, *lengths]).astype(np.int64)
    gamma, moves = np.empty((len(z), m)), np.empty((m, m))
    found = expect(z, starts, p.transition, p.means, p.variances, gamma, moves)
    parts = [oracle.paths(z[a:b], p.transition, p.means, p.variances) for a, b in itertools.pairwise(starts)]
    np.testing.assert_allclose(found, sum(part[0] for part in parts), rtol=1e-10)
    np.testing.assert_allclose(gamma, np.vstack([part[1] for part in parts]), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(moves, sum(part[2] for part in parts), rtol=1e-8, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(1, 3), st.integers(1, 2), st.booleans())
def test_no_step_lowers_the_likelihood(seed: int, m: int, k: int, ticks: bool) -> None:
    """Also where a variance stands on its floor: half of the samples hold a value that repeats."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(200, k)) * rng.choice([0.3, 2], size=(200, 1))
    if ticks:
        z[rng.random(200) < 0.4, 0] = 0.0
    starts = np.array([0, 50, 51, 140, 200])
    found, said = maximise_likelihood(z, starts, start(z, m, "mean" if seed % 2 else "variance"))
    assert len(said) >= 2
    assert np.diff(said).min() > -1e-9 * abs(said[-1])
    assert found.variances.min() >= hmm.FLOOR


def test_planted_regimes_are_found_whatever_the_scale() -> None:
    transition = [[0.99, 0.01], [0.03, 0.97]]
    state, noise = regimes(20_000, transition)
    X = (np.array([0.5, 1.5])[state] * noise * 1e-3)[:, None].astype(np.float32)
    bar = np.arange(len(X))
    model = fit(MARKOV["volatility_2"], X, bar, (bar // 5000).astype(np.int32))
    np.testing.assert_allclose(model.parameters.transition, transition, atol=0.006)
    sd = np.sqrt(model.parameters.variances[:, 0]) * model.scale[0] / 1e-3
    np.testing.assert_allclose(sd, [0.5, 1.5], rtol=0.03)
    filtered = model.filtered(X, np.zeros(len(X), dtype=np.int32))[:, 1]
    # As often right as the filter that knows the true numbers.
    truth = Parameters(np.array(transition), np.zeros((2, 1)), np.array([[0.25], [2.25]]))
    known = Hmm(MARKOV["volatility_2"], np.zeros(1), np.full(1, 1e-3), truth)
    best = known.filtered(X, np.zeros(len(X), dtype=np.int32))[:, 1]
    right, most = (np.mean((each > 0.5) == (state == 1)) for each in (filtered, best))
    assert 0.94 < most - 0.003 < right
    # Calibrated: of bars said to be volatile with about 0.3, about 0.3 are.
    about = (filtered > 0.2) & (filtered < 0.4)
    assert abs(state[about].mean() - filtered[about].mean()) < 0.08
    again = fit(MARKOV["volatility_2"], X * np.float32(64), bar, (bar // 5000).astype(np.int32))
    np.testing.assert_allclose(again.parameters.transition, model.parameters.transition, rtol=1e-6)


def test_three_states_that_overlap_are_found() -> None:
    """Thirds of single bars tell these states badly: a start from them ends 6% lower in likelihood."""
    transition = np.array([[0.99, 0.01, 0], [0.02, 0.97, 0.01], [0, 0.05, 0.95]])
    state, noise = regimes(40_000, transition, 1)
    X = np.exp(np.array([-8, -7.3, -6.5])[state] + 0.4 * noise)[:, None].astype(np.float32)
    bar = np.arange(len(X))
    model = fit(MARKOV["volatility_3"], X, bar, np.zeros(len(X), dtype=np.int32))
    np.testing.assert_allclose(model.parameters.transition, transition, atol=0.012)
    filtered = model.filtered(X, np.zeros(len(X), dtype=np.int32))
    assert np.mean(filtered.argmax(axis=1) == state) > 0.9


def test_a_break_is_no_move() -> None:
    """Calm and wild halves joined at breaks alone: with the breaks known, no state is ever left."""
    rng = np.random.default_rng(3)
    X = (rng.normal(size=(4000, 1)) * np.repeat([1, 6] * 20, 100)[:, None]).astype(np.float32)
    spec, straight = MARKOV["volatility_2"], np.arange(4000)
    joined = fit(spec, X, straight, np.zeros(4000, dtype=np.int32)).parameters.transition
    by_block = fit(spec, X, straight, (straight // 100).astype(np.int32)).parameters.transition
    by_hole = fit(spec, X, straight + straight // 100, np.zeros(4000, dtype=np.int32)).parameters.transition
    assert by_block.tobytes() == by_hole.tobytes()
    assert (1 - np.diag(by_block)).max() < 1e-4 < 0.005 < (1 - np.diag(joined)).min()


def test_states_keep_their_names() -> None:
    """By the first input's mean or variance, whichever the spec says; and the same bytes each time."""
    rng = np.random.default_rng(4)
    for name, spec in MARKOV.items():
        X = inputs(rng, name, 3000)
        bar, block = np.arange(3000), np.zeros(3000, dtype=np.int32)
        model = fit(spec, X, bar, block)
        by = model.parameters.means if spec.order == "mean" else model.parameters.variances
        assert (np.diff(by[:, 0]) >= 0).all()
        again = fit(spec, X.copy(order="F"), bar, block)
        for field in ("transition", "means", "variances"):
            assert getattr(again.parameters, field).tobytes() == getattr(model.parameters, field).tobytes()


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_a_motionless_market_gives_numbers(value: float) -> None:
    for spec in MARKOV.values():
        X = np.full((300, len(spec.inputs)), value, dtype=np.float32)
        model = fit(spec, X, np.arange(300), np.zeros(300, dtype=np.int32))
        X[100:] = 1e6
        found = model.filtered(X, np.zeros(300, dtype=np.int32))
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found.sum(axis=1), 1)


def test_what_cannot_be_fitted_is_refused() -> None:
    spec = MARKOV["volatility_2"]
    X, bar, block = np.ones((200, 1), np.float32), np.arange(200), np.zeros(200, np.int32)
    with pytest.raises(DataError, match="99 training bars are too few"):
        fit(spec, X[:99], bar[:99], block[:99])
    with pytest.raises(DataError, match="not in the order of time"):
        fit(spec, X, bar[::-1], block)
    X[7] = np.nan
    with pytest.raises(DataError, match="is missing in a training bar"):
        fit(spec, X, bar, block)
    good = parameters(np.random.default_rng(0), 2, 1)
    for field, bad in (
        ("transition", good.transition * 2),
        ("transition", good.transition[:1]),
        ("variances", good.variances * 0),
        ("means", good.means * np.nan),
        ("means", good.means[:, :0]),
    ):
        with pytest.raises(DataError):
            replace(good, **{field: bad})
    with pytest.raises(DataError, match="has 2 states of 1 inputs"):
        Hmm(spec, np.zeros(1), np.ones(1), parameters(np.random.default_rng(0), 3, 1))
    with pytest.raises(DataError, match="scales positive"):
        Hmm(spec, np.zeros(1), np.zeros(1), good)


def test_the_catalogue_of_fitted_features_is_whole() -> None:
    assert set(FITTED).isdisjoint(FEATURES)
    for name, spec in MARKOV.items():
        assert spec.name == name
        assert set(spec.logs) <= set(spec.inputs) <= set(FEATURES)
        assert spec.order in ("mean", "variance")
    for name, feature in FITTED.items():
        spec = MARKOV[feature.model]
        assert (feature.name, feature.memory) == (name, "fitted")
        assert 0 <= feature.state < spec.states
        assert feature.warmup == max(FEATURES[each].warmup for each in spec.inputs)
        assert models_of([name]) == (feature.model,)
        assert set(inputs_of([name])) == set(spec.inputs)
    # All states of a model add up to 1: one of them is left out.
    for name, spec in MARKOV.items():
        assert sum(feature.model == name for feature in FITTED.values()) == spec.states - 1


def test_sequences_by_hand() -> None:
    bar, block = np.array([3, 4, 6, 7, 8]), np.array([0, 0, 0, 1, 1], dtype=np.int32)
    assert sequences(bar, block).tolist() == [0, 2, 3, 5]
    assert sequences(bar[:1], block[:1]).tolist() == [0, 1]
