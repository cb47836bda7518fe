"""Windows, and the conformance of the models that read them."""

import json
import pickle
import random
import tracemalloc
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.test_conformance import STRANGE, body, log_loss, others
from tests.oracles import models as oracle

from foldsmith.errors import DataError, IntegrityError, SettingError
from foldsmith.models.base import FACTS_FILE
from foldsmith.models.sequence import SEQUENCES
from foldsmith.models.stored import pack
from foldsmith.models.windows import as_windows, view_windows, windows

torch_only = pytest.mark.skipif(
    find_spec("torch") is None, reason="needs the extra `neural`: torch is not installed"
)
LENGTH, P = 6, 3
QUICK = {"length": LENGTH, "n_epochs": 6, "learning_rate": 0.02, "width": 8, "layers": 1, "dropout": 0.1}

OWN = {"patchtst": {"patch": 3}}


def quick(name, *, seed=3, threads=1, **params):
    return SEQUENCES[name](seed=seed, threads=threads, **{**QUICK, **OWN.get(name, {}), **params})


def planted(n=260, seed=0):
    """The mean of the first feature over the window's last bars, blurred, decides: one bar does not tell."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, LENGTH, P)).astype(np.float32)
    score = X[:, -4:, 0].mean(axis=1) * 2 + 0.2 * rng.normal(size=n)
    y = (np.where(score > 0.4, 1, 0) - np.where(score < -0.4, 1, 0)).astype(np.int8)
    return X, y, rng.uniform(0.5, 1.5, n)


X, Y, W = planted()
HEAD, TAIL = slice(0, 180), slice(180, 260)
EVALUATION = (X[TAIL], Y[TAIL], W[TAIL])


@pytest.fixture(params=SEQUENCES)
def name(request):
    return request.param


@settings(max_examples=60, deadline=None)
@given(
    runs=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    length=st.integers(1, 5),
    holes=st.sets(st.integers(0, 29), max_size=3),
    seed=st.integers(0, 99),
)
def test_windows_are_those_of_one_block_and_finite(runs, length, holes, seed):
    block = np.repeat(np.arange(len(runs)), runs)
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(len(block), 2)).astype(np.float32)
    for row in holes:
        values[row % len(values), rng.integers(2)] = rng.choice([np.nan, np.inf])
    bar = np.sort(rng.choice(len(block), size=rng.integers(0, len(block) + 1), replace=False))
    found, whole = windows(values, block, bar, length)
    expected, good = oracle.windows(values, block, bar, length)
    assert whole.tolist() == good
    assert found.shape == (sum(good), length, 2)
    np.testing.assert_array_equal(found.tolist(), expected)


def test_windows_look_at_no_bar_after_their_own():
    values = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    block = np.repeat([0, 1], 15)
    before, whole = windows(values, block, np.arange(20), 4)
    values[20:] = np.nan
    block[20:] = 7
    after, still = windows(values, block, np.arange(20), 4)
    assert before.tobytes() == after.tobytes()
    assert whole.tolist() == still.tolist()


def test_a_view_is_the_windows_without_their_memory():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(40, 3)).astype(np.float32)
    values[11, 2] = np.nan
    block, bar = np.repeat([0, 1], 20), np.array([3, 5, 16, 17, 19, 21, 25, 39])
    cube, whole = windows(values, block, bar, 5)
    view, same = view_windows(values, block, bar, 5)
    assert whole.tolist() == same.tolist()
    assert view.shape == cube.shape
    assert view.values is values
    for rows in (slice(None), slice(1, 3), np.array([2, 0])):
        assert view[rows].tobytes() == cube[rows].tobytes()
        assert as_windows(cube)[rows].tobytes() == cube[rows].tobytes()
    assert view.take(np.array([1, 2]))[:].tobytes() == cube[1:3].tobytes()
    assert view.last().tobytes() == cube[:, -1].tobytes()
    held = {b for last in bar[whole] for b in range(last - 4, last + 1)}
    assert np.flatnonzero(view.read()).tolist() == sorted(held)


def test_windows_refuse_what_is_not_there():
    values, block = np.zeros((4, 1), dtype=np.float32), np.zeros(4, dtype=np.int64)
    for bar in ([4], [-1]):
        with pytest.raises(DataError, match="asked for"):
            windows(values, block, np.array(bar), 2)
    with pytest.raises(DataError, match="one block per bar"):
        windows(values, block[1:], np.array([1]), 2)
    with pytest.raises(SettingError, match="holds none"):
        windows(values, block, np.array([1]), 0)


@torch_only
def test_they_find_what_lies_in_the_window(name):
    fresh, y, w = planted(seed=9)
    model = quick(name, n_epochs=25).fit(X, Y, W)
    P = model.predict_proba(fresh)
    assert P.shape == (len(fresh), 3)
    np.testing.assert_allclose(P.sum(axis=1), 1, atol=1e-12)
    base = np.array([np.average(label == Y, weights=W) for label in (-1, 0, 1)])
    assert log_loss(y, P, w) < 0.8 * log_loss(y, np.tile(base, (len(y), 1)), w)


@torch_only
def test_a_view_of_bars_is_fitted_to_the_same_bytes(name):
    """And no bar outside the windows that are fitted on has a say: spoilt, they change nothing."""
    rng = np.random.default_rng(4)
    values = rng.normal(size=(200, P)).astype(np.float32)
    block, bar = np.repeat([0, 1], 100), np.arange(200)
    view, _ = view_windows(values, block, bar, LENGTH)
    y = rng.integers(-1, 2, len(view)).astype(np.int8)
    w = rng.uniform(0.5, 1.5, len(view))
    on, stop = np.r_[0:60, 110:130], np.arange(140, 170)
    fits = []
    for rows, against in ((view.take(on), view.take(stop)), (view[on], view[stop])):
        model = quick(name).fit(rows, y[on], w[on], evaluation=(against, y[stop], w[stop]))
        fits.append((model.to_files(), model.predict_proba(rows).tobytes()))
    spoilt = values.copy()
    spoilt[~(view.take(on).read() | view.take(stop).read())] = np.nan
    assert np.isnan(spoilt).any()
    other = replace(view, values=spoilt)
    model = quick(name).fit(other.take(on), y[on], w[on], evaluation=(other.take(stop), y[stop], w[stop]))
    fits.append((model.to_files(), model.predict_proba(other.take(on)).tobytes()))
    assert fits[0] == fits[1] == fits[2]
    with pytest.raises(DataError, match="is nan"):
        model.predict_proba(other)
    with pytest.raises(DataError, match="bars by features"):
        model.predict_proba(replace(view, length=LENGTH - 1))


@torch_only
def test_a_view_is_never_held_whole():
    """Peak memory of numpy's arrays beside the bars, in fitting and in predicting, is far below that of the windows."""
    n, length, p = 6000, 64, 8
    values = np.random.default_rng(0).normal(size=(n, p)).astype(np.float32)
    view, whole = view_windows(values, np.zeros(n, dtype=np.int64), np.arange(n), length)
    y = np.where(values[whole, 0] > 0, 1, -1).astype(np.int8)
    model = quick("tcn", length=length, n_epochs=1, width=4)
    tracemalloc.start()
    try:
        model.fit(view, y, np.ones(len(y)))
        model.predict_proba(view)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.5 * len(view) * length * p * 4, peak


@torch_only
def test_equal_seeds_give_equal_bytes_and_others_do_not(name):
    import torch

    made = []
    for threads, seed in ((1, 3), (2, 3), (1, 4)):
        before = (
            torch.get_num_threads(),
            torch.are_deterministic_algorithms_enabled(),
            torch.random.get_rng_state(),
        )
        model = quick(name, threads=threads, seed=seed).fit(X[HEAD], Y[HEAD], W[HEAD], evaluation=EVALUATION)
        made.append((model.to_files(), model.predict_proba(X).tobytes()))
        # What others set or drew in torch is left as it was.
        assert before[:2] == (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())
        assert torch.equal(before[2], torch.random.get_rng_state())
        torch.manual_seed(len(made))
    assert made[0] == made[1]
    assert made[0][1] != made[2][1]


@torch_only
def test_saved_models_predict_to_the_bit_and_row_by_row(name):
    model = quick(name).fit(X[HEAD], Y[HEAD], W[HEAD], evaluation=EVALUATION)
    P = model.predict_proba(X)
    back = SEQUENCES[name].from_files(model.to_files(), threads=2)
    assert back.predict_proba(X).tobytes() == P.tobytes()
    assert back.to_files() == model.to_files()
    assert back.best_iteration_ == model.best_iteration_
    for row in (0, 17, 259):
        assert model.predict_proba(X[row : row + 1])[0].tobytes() == P[row].tobytes()
    some = np.random.default_rng(0).permutation(len(X))[:77]
    assert model.predict_proba(X[some]).tobytes() == P[some].tobytes()
    assert model.predict_proba(X[:0]).shape == (0, 3)


@torch_only
def test_early_stopping_only_chooses_the_number_of_epochs(name):
    turned = (X[TAIL], -Y[TAIL], W[TAIL])
    kept = []
    for evaluation in (EVALUATION, turned):
        stopped = quick(name, n_epochs=40, learning_rate=0.01).fit(
            X[HEAD], Y[HEAD], W[HEAD], evaluation=evaluation
        )
        fixed = quick(name, n_epochs=stopped.best_iteration_, learning_rate=0.01).fit(
            X[HEAD], Y[HEAD], W[HEAD]
        )
        assert fixed.best_iteration_ is None
        assert fixed.predict_proba(X).tobytes() == stopped.predict_proba(X).tobytes()
        kept.append(stopped.best_iteration_)
    assert kept[1] < kept[0]


@torch_only
def test_weights_matter_in_the_right_direction(name):
    heavy = np.where(Y == 1, 6.0, 1.0)
    plain = quick(name).fit(X, Y, np.ones(len(Y))).predict_proba(X)
    assert quick(name).fit(X, Y, heavy).predict_proba(X)[:, 2].mean() > plain[:, 2].mean() + 0.03


@torch_only
@pytest.mark.parametrize("present", [(-1, 1), (0,)])
def test_a_class_that_is_missing_gets_no_probability(name, present):
    rows = np.isin(Y, present)
    for evaluation in (None, EVALUATION) if len(present) == 1 else (None,):
        model = quick(name).fit(X[rows], Y[rows], W[rows], evaluation=evaluation)
        P = model.predict_proba(X)
        assert np.isfinite(P).all()
        assert max(P[:, label + 1].max() for label in (-1, 0, 1) if label not in present) == 0
        back = SEQUENCES[name].from_files(model.to_files())
        assert back.predict_proba(X).tobytes() == P.tobytes()


@torch_only
def test_rows_that_break_their_contract_are_refused(name):
    holed = X.copy()
    holed[7, 2, 1] = np.nan
    for says, rows in (
        ("is nan", (holed, Y, W)),
        ("shape", (X[:, :, 0], Y, W)),
        ("bars", (X[:, 1:], Y, W)),
        ("no row", (X[:0], Y[:0], W[:0])),
        ("-1, 0 and 1", (X, np.where(Y == 1, 2, Y), W)),
        ("positive", (X, Y, np.zeros(len(Y)))),
    ):
        with pytest.raises(DataError, match=says):
            quick(name).fit(*rows)
        with pytest.raises(DataError, match=says):
            quick(name).fit(X, Y, W, evaluation=rows)
    model = quick(name)
    with pytest.raises(DataError, match="not been fitted"):
        model.predict_proba(X)
    model.fit(X, Y, W)
    for other in (X[:, :, 1:], holed, X[:, 1:], X[0]):
        with pytest.raises(DataError):
            model.predict_proba(other)


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("a pickle was run",)


@torch_only
def test_hostile_files_are_refused(name):
    files = quick(name, n_epochs=1).fit(X, Y, W).to_files()
    cls, rng = SEQUENCES[name], random.Random(1)
    for _ in range(20):
        target = rng.choice(list(files))
        at = rng.randrange(len(files[target]))
        flipped = bytearray(files[target])
        flipped[at] ^= 1 << rng.randrange(8)
        for damaged in (bytes(flipped), files[target][:at], b""):
            with pytest.raises((DataError, IntegrityError)):
                cls.from_files({**files, target: damaged})
    # Hashes repaired: another model perhaps, but nothing worse.
    content = files["network.safetensors"]
    for _ in range(40):
        flipped = bytearray(content)
        flipped[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        try:
            model = cls.from_files(pack(FACTS_FILE, body(files), {"network.safetensors": bytes(flipped)}))
        except DataError:
            continue
        assert np.isfinite(model.predict_proba(X[:5])).all()
    for bomb in (pickle.dumps(Bomb()), b"{}", b"\0" * 64, b"\xff" * 64, content[:50]):
        with pytest.raises(DataError):
            cls.from_files(pack(FACTS_FILE, body(files), {"network.safetensors": bomb}))
    facts = body(files)
    for key in facts:
        for value in STRANGE:
            try:
                model = cls.from_files(pack(FACTS_FILE, {**facts, key: value}, others(files)))
            except (DataError, IntegrityError):
                continue
            assert model.predict_proba(X[:5]).shape == (5, 3), (key, value)
    wide = {**facts, "params": {**facts["params"], "width": 512, "layers": 6}}
    with pytest.raises(DataError, match="other weights"):
        cls.from_files(pack(FACTS_FILE, wide, others(files)))


@torch_only
def test_the_networks_see_no_later_bar_than_they_may():
    """A causal convolution at bar t says the same whatever follows t."""
    import torch

    from foldsmith.models.sequence_networks import Causal

    torch.manual_seed(0)
    layer, rows = Causal(2, 4, 2, 0.0).eval(), torch.randn(3, 2, 10)
    later = rows.clone()
    later[:, :, 6:] += 5
    assert torch.equal(layer(rows)[:, :, :6], layer(later)[:, :, :6])
    assert not torch.equal(layer(rows)[:, :, 6:], layer(later)[:, :, 6:])


@torch_only
def test_every_bar_of_the_window_is_heard(name):
    model = quick(name, length=9, layers=3, n_epochs=1)
    rng = np.random.default_rng(0)
    cube = rng.normal(size=(60, 9, P)).astype(np.float32)
    model.fit(cube, rng.integers(-1, 2, 60).astype(np.int8), np.ones(60))
    before = model.predict_proba(cube[:1])
    for bar in range(1 if name == "patchtst" else 0, 9):
        changed = cube[:1].copy()
        changed[0, bar] += 3
        assert not np.array_equal(model.predict_proba(changed), before), bar


@torch_only
def test_facts_are_plain_numbers(name):
    facts = json.loads(quick(name, n_epochs=1).fit(X, Y, W).to_files()[FACTS_FILE])
    assert facts["model"] == name
    assert facts["n_features"] == LENGTH * P
