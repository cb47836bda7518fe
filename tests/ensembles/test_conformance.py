"""What every ensemble must do, with every meta-learner."""

import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.oracles import models as oracle

from foldsmith.ensembles.base import FACTS_FILE
from foldsmith.ensembles.catalogue import ENSEMBLES, load_ensemble, make_ensemble
from foldsmith.ensembles.learner_catalogue import META_LEARNERS
from foldsmith.ensembles.meta_learners import GreedyMetaLearner, LogisticMetaLearner
from foldsmith.errors import DataError, IntegrityError, SettingError
from foldsmith.models.stored import OWN, pack

KINDS = [
    (name, learner)
    for name, cls in ENSEMBLES.items()
    for learner in (cls.learners if cls.needs_meta_learner else [None])
]
MODELS = ["xgboost", "lightgbm", "logistic"]


def table(n=600, m=3, seed=0):
    """P, y, weight, fold: the first model sees most, the last nothing."""
    rng = np.random.default_rng(seed)
    y = rng.integers(-1, 2, n).astype(np.int8)
    parts = []
    for k in range(m):
        z = np.eye(3)[y + 1] * (1.2 - k * 1.2 / max(m - 1, 1)) + 0.4 * rng.normal(size=(n, 3))
        parts.append(np.exp(z) / np.exp(z).sum(axis=1, keepdims=True))
    P = np.hstack(parts).astype(np.float32)
    return P, y, rng.uniform(0.5, 1.5, n), np.repeat(np.arange(4), -(-n // 4))[:n].astype(np.int16)


P, Y, W, FOLD = table()


@pytest.fixture(params=KINDS, ids=lambda kind: "-".join(map(str, kind)))
def kind(request):
    return request.param


def build(kind, models=MODELS, seed=5):
    return make_ensemble(*kind, models=models, seed=seed)


def body(files):
    return {k: v for k, v in json.loads(files[FACTS_FILE]).items() if k not in ("format", "sha256", OWN)}


def test_probabilities_are_in_class_order_and_learn(kind):
    found = build(kind).fit(P, Y, W, FOLD).predict_proba(P)
    assert found.shape == (len(P), 3)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
    assert (found >= 0).all()
    fresh, y, *_ = table(seed=1)
    q = build(kind).fit(P, Y, W, FOLD).predict_proba(fresh)
    loss = -np.log(q[np.arange(len(y)), y + 1]).mean()
    worst = -np.log(fresh[np.arange(len(y)), 6 + y + 1]).mean()
    assert loss < 0.85 * np.log(3) < worst


def test_equal_fits_give_equal_bytes_and_read_back_to_the_bit(kind):
    one, two = build(kind).fit(P, Y, W, FOLD), build(kind).fit(np.asfortranarray(P), Y.astype(int), W, FOLD)
    files = one.to_files()
    assert files == two.to_files()
    back = load_ensemble(kind[0], files)
    assert back.predict_proba(P).tobytes() == one.predict_proba(P).tobytes()
    assert back.to_files() == files
    assert back.get_params() == one.get_params()
    assert back.describe() == one.describe()
    assert make_ensemble(kind[0], **one.get_params()).fit(P, Y, W, FOLD).to_files() == files
    assert json.loads(json.dumps(one.describe())) == one.describe()


def test_a_missing_class_is_bearable(kind):
    rows = np.flatnonzero(Y != 0)
    found = build(kind).fit(P[rows], Y[rows], W[rows], FOLD[rows]).predict_proba(P)
    assert found.shape == (len(P), 3)
    assert np.isfinite(found).all()
    if kind[1] == "logistic" and kind[0] != "meta_labelling":  # which tells right from wrong, and no more
        assert (found[:, 1] == 0).all()


def test_no_rows_are_predicted_as_none(kind):
    assert build(kind).fit(P, Y, W, FOLD).predict_proba(P[:0]).shape == (0, 3)


def bad_tables():
    negative, empty, high = P.copy(), P.copy(), P.copy()
    negative[3, 1], empty[5, 3:6], high[4, 0] = -0.01, 0, 1.01
    holed = P.copy()
    holed[2, 2] = np.nan
    return [
        ("probabilities lie in", (negative, Y, W, FOLD)),
        ("probabilities lie in", (high, Y, W, FOLD)),
        ("lightgbm in row 5", (empty, Y, W, FOLD)),
        ("finite", (holed, Y, W, FOLD)),
        ("columns", (P[:, :6], Y, W, FOLD)),
        ("one label per row", (P, Y[1:], W, FOLD)),
        ("-1, 0 and 1", (P, Y + 1, W, FOLD)),
        ("positive", (P, Y, W * 0, FOLD)),
        ("one per row", (P, Y, W, FOLD[1:])),
        ("no row", (P[:0], Y[:0], W[:0], FOLD[:0])),
    ]


@pytest.mark.parametrize(("says", "rows"), bad_tables())
def test_refuses_tables_that_break_their_contract(kind, says, rows):
    with pytest.raises(DataError, match=says):
        build(kind).fit(*rows)


def test_refuses_to_predict_what_it_cannot(kind):
    ensemble = build(kind)
    if ensemble.needs_meta_learner:
        for call in (lambda: ensemble.predict_proba(P), ensemble.to_files):
            with pytest.raises(DataError, match="not been fitted"):
                call()
    ensemble.fit(P, Y, W, FOLD)
    for other in (P[:, 3:], P * 2, P[0], P / 2):
        with pytest.raises(DataError):
            ensemble.predict_proba(other)


def test_refuses_settings_that_do_not_apply():
    for name, learner, says in [
        ("stacking", None, "needs a meta-learner"),
        ("voting", "logistic", "cannot apply"),
        ("blending", "logistik", "Did you mean logistic"),
        ("stackin", "logistic", "Did you mean stacking"),
        ("meta_labelling", "greedy", "cannot have the meta-learner greedy"),
        ("meta_labelling", "logistik", "Did you mean logistic"),
        ("meta_labelling", None, "give --meta-learner logistic[.]"),
    ]:
        with pytest.raises(SettingError, match=says):
            make_ensemble(name, learner, models=MODELS, seed=1)
    with pytest.raises(SettingError, match="none is named"):
        make_ensemble("voting", None, models=[], seed=1)


def test_damaged_files_are_refused(kind):
    files = build(kind).fit(P, Y, W, FOLD).to_files()
    content = files[FACTS_FILE]
    rng = random.Random(1)
    for name, whole in files.items():
        for _ in range(100):
            at = rng.randrange(len(whole))
            flipped = bytearray(whole)
            flipped[at] ^= 1 << rng.randrange(8)
            for damaged in (bytes(flipped), whole[:at]):
                with pytest.raises((DataError, IntegrityError)):
                    load_ensemble(kind[0], files | {name: damaged})
    for name in set(files) - {FACTS_FILE}:
        with pytest.raises(DataError, match="missing"):
            load_ensemble(kind[0], {one: files[one] for one in files if one != name})
    for damaged in ({}, {FACTS_FILE: b"[]"}, {FACTS_FILE: b"{}"}, {"other": content}):
        with pytest.raises(DataError):
            load_ensemble(kind[0], damaged)
    other = "voting" if kind[0] != "voting" else "stacking"
    with pytest.raises(DataError, match="not"):
        load_ensemble(other, files)


def test_facts_that_vouch_for_themselves_are_still_checked(kind):
    files = build(kind).fit(P, Y, W, FOLD).to_files()
    facts, others = body(files), {name: files[name] for name in files if name != FACTS_FILE}
    for key in facts:
        for value in (None, True, -1, 1.5, "logistic", "x", [], [1], ["a"], [[1.0]], {}, 1e308):
            try:
                ensemble = load_ensemble(kind[0], pack(FACTS_FILE, {**facts, key: value}, others))
                ensemble.predict_proba(P[:, : 3 * len(ensemble.models)])
            except (DataError, IntegrityError):
                continue
            # Every meta-learner's own facts are needed; only these may hold anything of their kind.
            assert key in ("seed", "models", "meta_learner", "present") or facts[key] == value, (key, value)


def test_voting_is_the_plain_mean():
    found = make_ensemble("voting", None, models=MODELS, seed=1).predict_proba(P)
    np.testing.assert_allclose(found, (P[:, :3] + P[:, 3:6] + P[:, 6:]) / 3, atol=1e-6)


@pytest.mark.parametrize("learner", META_LEARNERS)
def test_blending_looks_at_the_last_fold_only(learner):
    rng = np.random.default_rng(3)
    last = FOLD.max() == FOLD
    other = np.where(last[:, None], P, np.roll(P, 3, axis=1))
    y = np.where(last, Y, rng.permutation(Y))
    one = make_ensemble("blending", learner, models=MODELS, seed=1).fit(P, Y, W, FOLD)
    two = make_ensemble("blending", learner, models=MODELS, seed=1).fit(
        other, y, W**2 * ~last + W * last, FOLD
    )
    assert one.to_files() == two.to_files()
    alone = make_ensemble("stacking", learner, models=MODELS, seed=1).fit(
        P[last], Y[last], W[last], FOLD[last]
    )
    assert one.predict_proba(P).tobytes() == alone.predict_proba(P).tobytes()
    np.testing.assert_array_equal(one.fitting_rows(FOLD), np.flatnonzero(last))


@pytest.mark.parametrize("learner", META_LEARNERS)
def test_stacking_looks_at_every_fold(learner):
    first = FOLD == 0
    swapped = np.where(first[:, None], np.roll(P, 3, axis=1), P)
    fits = [
        make_ensemble("stacking", learner, models=MODELS, seed=1).fit(p, Y, W, FOLD) for p in (P, swapped)
    ]
    assert fits[0].to_files() != fits[1].to_files()


@pytest.mark.parametrize("kind", [("voting", None), ("stacking", "greedy"), ("blending", "greedy")])
def test_a_mean_over_one_model_is_that_model(kind):
    found = build(kind, ["xgboost"]).fit(P[:, :3], Y, W, FOLD).predict_proba(P[:, :3])
    np.testing.assert_allclose(found, P[:, :3], atol=1e-6)


def test_logistic_finds_that_a_calibrated_model_needs_nothing():
    rng = np.random.default_rng(0)
    q = rng.dirichlet([3, 4, 3], 40_000)
    y = (rng.random(40_000)[:, None] > q.cumsum(axis=1)).sum(axis=1) - 1
    stacked = make_ensemble("stacking", "logistic", models=["a"], seed=1)
    found = stacked.fit(q, y, np.ones(len(q)), np.zeros(len(q))).predict_proba(q)
    assert np.abs(found - q).max() < 0.05


def test_logistic_is_at_its_optimum():
    """The slope of mean log loss + l2 m / 2 |b - E|^2 is 0, E the geometric mean of the models."""
    learner = LogisticMetaLearner().fit(P, Y.astype(np.int64) + 1, W)
    m = P.shape[1] // 3
    facts = learner.as_facts()
    mean = np.hstack([np.eye(3)] * m) / m
    away = (learner.predict_proba(P) - np.eye(3)[Y.astype(np.int64) + 1]) * (W / W.sum())[:, None]
    logs = np.log(np.maximum(P.astype(float), 1e-6))
    slope = (logs.T @ away).T + LogisticMetaLearner.L2 * m * (np.array(facts["coefficients"]) - mean)
    np.testing.assert_allclose(slope, 0, atol=1e-8)
    np.testing.assert_allclose(away.sum(axis=0), 0, atol=1e-10)


@settings(deadline=None, max_examples=20)
@given(copies=st.integers(2, 5), m=st.integers(1, 3))
def test_logistic_does_not_care_how_often_its_models_are_repeated(copies, m):
    once, codes = P[:, : 3 * m], Y.astype(np.int64) + 1
    many = np.tile(once, copies)
    found = LogisticMetaLearner().fit(many, codes, W).predict_proba(many)
    np.testing.assert_allclose(
        found, LogisticMetaLearner().fit(once, codes, W).predict_proba(once), atol=1e-7
    )


@settings(deadline=None, max_examples=40)
@given(n=st.integers(1, 25), m=st.integers(1, 4), seed=st.integers(0, 9999), ties=st.booleans())
def test_greedy_equals_its_slow_twin(n, m, seed, ties):
    rng = np.random.default_rng(seed)
    q = rng.multinomial(4, [0.3, 0.4, 0.3], size=(n, m)) / 4 if ties else rng.dirichlet([1, 1, 1], (n, m))
    codes, w = rng.integers(0, 3, n), rng.uniform(0.1, 2, n)
    learner = GreedyMetaLearner().fit(q.reshape(n, 3 * m), codes, w)
    weights = np.array(learner.as_facts()["weights"])
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1)
    slow = oracle.greedy_weights(q.reshape(n, 3 * m), codes, w, learner.ROUNDS)

    def loss(share):
        mean = np.einsum("k,nkc->nc", share, q)[np.arange(n), codes]
        return np.average(-np.log(np.maximum(mean, 1e-6)), weights=w)

    # Rounding may settle a tie the other way; then both are equally good.
    assert np.allclose(weights, slow) or loss(weights) == pytest.approx(loss(np.array(slow)), abs=1e-9)
    singles = [loss(np.eye(m)[k]) for k in range(m)]
    assert loss(weights) <= min(singles) + 1e-12


def test_greedy_ignores_a_model_that_knows_nothing():
    weights = GreedyMetaLearner().fit(P, Y.astype(np.int64) + 1, W).as_facts()["weights"]
    assert weights[0] > 0.8
    assert weights[2] < 0.1
