"""What every base model must do, whatever it is made of."""

import json
import pickle
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.models.rows import QUICK, many, planted, quick

from foldsmith.errors import DataError, FoldsmithError, IntegrityError, SettingError
from foldsmith.models.base import FACTS_FILE
from foldsmith.models.catalogue import BY_NAME, FAMILIES, load_model, make, search_space
from foldsmith.models.catalogue import ROW_MODELS as MODELS
from foldsmith.models.stored import OWN, pack

X, Y, W = planted()
HEAD, TAIL = slice(0, 350), slice(350, 500)
EVALUATION = (X[TAIL], Y[TAIL], W[TAIL])
STOPPING = [name for name, cls in MODELS.items() if cls.early_stopping]
UNSEEDED = ("logistic", "ridge", *FAMILIES["baselines"])
LEARNERS = [name for name in MODELS if name not in FAMILIES["baselines"]]
"""What shall find the planted signal; a baseline need not."""


@pytest.fixture(params=MODELS)
def name(request):
    for cls in [MODELS[request.param]]:
        if cls.library is not None:
            pytest.importorskip(cls.library)
    return request.param


def log_loss(y, P, w=None):
    true = np.maximum(P[np.arange(len(y)), y.astype(int) + 1], 1e-15)
    return np.average(-np.log(true), weights=w)


def body(files):
    """The facts of a saved model, without what `pack` adds."""
    facts = json.loads(files[FACTS_FILE])
    return {key: value for key, value in facts.items() if key not in ("format", "sha256", OWN)}


def others(files):
    return {name: content for name, content in files.items() if name != FACTS_FILE}


def test_probabilities_are_rows_of_three_that_add_up_to_one(name):
    P = quick(name).fit(X, Y, W).predict_proba(X)
    assert P.shape == (len(X), 3)
    assert P.dtype == np.float64
    np.testing.assert_allclose(P.sum(axis=1), 1, atol=1e-12)
    assert (P >= 0).all()


@pytest.mark.parametrize("learner", LEARNERS)
def test_probabilities_are_in_class_order_and_beat_the_base_rate_by_far(learner):
    pytest.importorskip(MODELS[learner].library or "sklearn")
    fresh, y, w = planted(seed=9)
    found = quick(learner).fit(X, Y, W).predict_proba(fresh)
    base = np.array([np.average(label == Y, weights=W) for label in (-1, 0, 1)])
    assert log_loss(y, found, w) < 0.8 * log_loss(y, np.tile(base, (len(y), 1)), w)
    low, high = fresh[:, 0] < -1.5, fresh[:, 0] > 1.5
    assert (found[low].argmax(axis=1) == 0).mean() > 0.9
    assert (found[high].argmax(axis=1) == 2).mean() > 0.9


def test_equal_seeds_give_equal_bytes_for_any_number_of_threads(name):
    one = quick(name).fit(X, Y, W)
    two = quick(name, threads=2).fit(X.copy(order="F"), Y.astype(np.int64), W)
    assert one.to_files() == two.to_files()
    assert one.predict_proba(X).tobytes() == two.predict_proba(X).tobytes()
    stopped = [quick(name, threads=t).fit(X[HEAD], Y[HEAD], W[HEAD], evaluation=EVALUATION) for t in (1, 2)]
    assert stopped[0].to_files() == stopped[1].to_files()


@pytest.mark.parametrize("seeded", [name for name in MODELS if name not in UNSEEDED])
def test_another_seed_gives_another_model(seeded):
    pytest.importorskip(MODELS[seeded].library or "sklearn")
    found = [quick(seeded, seed=seed).fit(X, Y, W).predict_proba(X) for seed in (0, 2**31 - 1)]
    assert not np.array_equal(*found)


def test_rows_are_predicted_one_by_one_as_together(name):
    model = quick(name).fit(X, Y, W)
    together = model.predict_proba(X)
    assert model.predict_proba(X[:0]).shape == (0, 3)
    for row in (0, 17, 499):
        np.testing.assert_allclose(model.predict_proba(X[row : row + 1])[0], together[row], rtol=1e-12)
    np.testing.assert_array_equal(model.predict_proba(X.astype(np.float64)), together)


def test_saved_models_predict_to_the_bit(name):
    for evaluation in (None, EVALUATION):
        model = quick(name).fit(X[HEAD], Y[HEAD], W[HEAD], evaluation=evaluation)
        back = load_model(name, model.to_files(), threads=2)
        assert back.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()
        assert back.to_files() == model.to_files()
        assert back.get_params() == model.get_params()
        assert back.best_iteration_ == model.best_iteration_


FRESH = """
import pickle, sys
from foldsmith.models.catalogue import load_model
cases = pickle.load(open(sys.argv[1], "rb"))
X = cases.pop("X")
found = {name: load_model(name, files).predict_proba(X).tobytes() for name, files in cases.items()}
pickle.dump(found, open(sys.argv[1], "wb"))
"""


def test_saved_models_predict_to_the_bit_in_a_fresh_process(tmp_path):
    import importlib.util

    names = [n for n, cls in MODELS.items() if cls.library is None or importlib.util.find_spec(cls.library)]
    models = {name: quick(name).fit(X, Y, W) for name in names}
    path = tmp_path / "cases"
    path.write_bytes(pickle.dumps({"X": X, **{name: model.to_files() for name, model in models.items()}}))
    subprocess.run([sys.executable, "-c", FRESH, str(path)], check=True)
    found = pickle.loads(path.read_bytes())
    assert found == {name: model.predict_proba(X).tobytes() for name, model in models.items()}


def test_prepared_rows_are_fitted_as_if_anew(name):
    prepared = quick(name).prepare(X[HEAD], Y[HEAD], W[HEAD], EVALUATION)
    search = search_space(name)
    other = {key: search[key].search[0] for key in list(search)[:2]}
    for params in ({}, other, {}):
        again = quick(name, **params).fit_prepared(prepared)
        anew = quick(name, **params).fit(X[HEAD], Y[HEAD], W[HEAD], evaluation=EVALUATION)
        assert again.to_files() == anew.to_files()


def test_weights_matter_in_the_right_direction(name):
    heavy = np.where(Y == 1, 6.0, 1.0)
    plain = quick(name).fit(X, Y, np.ones(len(Y))).predict_proba(X)
    assert quick(name).fit(X, Y, heavy).predict_proba(X)[:, 2].mean() > plain[:, 2].mean() + 0.03


@pytest.mark.parametrize("exact", [name for name in UNSEEDED if name != "ridge"])
def test_a_row_of_weight_two_is_a_row_twice(exact):
    # Only where nothing is drawn and nothing counts rows can this be exact; ridge's calibration leaves out rows.
    weight = np.where(np.arange(len(Y)) % 3 == 0, 2.0, 1.0)
    twice = np.repeat(np.arange(len(Y)), weight.astype(int))
    once = quick(exact).fit(X, Y, weight).predict_proba(X)
    found = quick(exact).fit(X[twice], Y[twice], np.ones(len(twice))).predict_proba(X)
    np.testing.assert_allclose(found, once, atol=1e-9)


@pytest.mark.parametrize("forest", FAMILIES["trees"])
def test_the_forests_draw_does_not_depend_on_the_scale_of_the_weights(forest):
    files = [quick(forest).fit(X, Y, W * scale).to_files()["forest.bin"] for scale in (1.0, 4096.0)]
    assert files[0] == files[1]


@pytest.mark.parametrize("present", [(-1, 0), (-1, 1), (0, 1), (0,), (1,)])
def test_a_class_that_is_missing_gets_next_to_no_probability(name, present):
    rows = np.isin(Y, present)
    for evaluation in (None, EVALUATION):
        model = quick(name).fit(X[rows], Y[rows], W[rows], evaluation=evaluation)
        P = model.predict_proba(X)
        assert P.shape == (len(X), 3)
        assert np.isfinite(P).all()
        assert max(P[:, label + 1].max() for label in (-1, 0, 1) if label not in present) < 1e-5
        assert load_model(name, model.to_files()).predict_proba(X).tobytes() == P.tobytes()


def test_a_constant_feature_changes_nothing_but_the_width(name):
    wide = np.column_stack([X, np.full(len(X), 5123.25, dtype=np.float32)])
    P = quick(name).fit(wide, Y, W).predict_proba(wide)
    assert np.isfinite(P).all()
    assert name not in LEARNERS or (P.argmax(axis=1) - 1 == Y).mean() > 0.7


@pytest.mark.parametrize("stopping", STOPPING)
def test_early_stopping_only_chooses_the_number_of_rounds(stopping):
    pytest.importorskip(MODELS[stopping].library or "sklearn")
    settings, key = many(stopping), MODELS[stopping].rounds
    rng = np.random.default_rng(5)
    noise = (X[TAIL], rng.permutation(Y[TAIL]), W[TAIL])
    rounds = []
    for evaluation in (EVALUATION, noise):
        stopped = quick(stopping, **settings).fit(X[HEAD], Y[HEAD], W[HEAD], evaluation=evaluation)
        assert 1 <= stopped.best_iteration_ < 300
        rounds.append(stopped.best_iteration_)
        fixed = quick(stopping, **{**settings, key: stopped.best_iteration_})
        fixed.fit(X[HEAD], Y[HEAD], W[HEAD])
        assert fixed.best_iteration_ is None
        assert fixed.predict_proba(X).tobytes() == stopped.predict_proba(X).tobytes()
    assert rounds[1] < rounds[0]


@pytest.mark.parametrize("stopping", STOPPING)
def test_early_stopping_heeds_the_weights_of_its_rows(stopping):
    """Rows of next to no weight may say what they like."""
    pytest.importorskip(MODELS[stopping].library or "sklearn")
    x, y = np.concatenate([X[TAIL], X[TAIL]]), np.concatenate([Y[TAIL], -Y[TAIL]])
    w = np.concatenate([W[TAIL], np.full(150, 1e-9)])
    fits = [
        quick(stopping, **many(stopping)).fit(X[HEAD], Y[HEAD], W[HEAD], evaluation=rows).best_iteration_
        for rows in ((x, y, w), EVALUATION)
    ]
    assert fits[0] == fits[1]


@pytest.mark.parametrize("plain", [name for name in MODELS if name not in STOPPING])
def test_models_without_early_stopping_do_not_look_at_evaluation_rows(plain):
    with_rows = quick(plain).fit(X[HEAD], Y[HEAD], W[HEAD], evaluation=EVALUATION)
    assert with_rows.best_iteration_ is None
    assert with_rows.to_files() == quick(plain).fit(X[HEAD], Y[HEAD], W[HEAD]).to_files()


def bad_rows():
    holed, endless = X.copy(), X.copy()
    holed[7, 2], endless[7, 2] = np.nan, -np.inf
    yield "feature 2 of row 7 is nan", (holed, Y, W)
    yield "feature 2 of row 7 is -inf", (endless, Y, W)
    yield "shape", (X[:, 0], Y, W)
    yield "shape", (X[:, :0], Y, W)
    yield "no row", (X[:0], Y[:0], W[:0])
    yield "numbers", ([["a", "b"]], Y[:1], W[:1])
    yield "one label per row", (X, Y[1:], W)
    yield "-1, 0 and 1", (X, np.where(Y == 1, 2, Y), W)
    yield "-1, 0 and 1", (X, np.where(Y == 1, np.nan, Y), W)
    yield "one per row", (X, Y, W[1:])
    for value in (0.0, -1.0, np.nan, np.inf):
        yield "positive", (X, Y, np.where(np.arange(len(W)) == 3, value, W))


@pytest.mark.parametrize(("says", "rows"), list(bad_rows()))
def test_refuses_rows_that_break_their_contract(name, says, rows):
    with pytest.raises(DataError, match=says):
        quick(name).fit(*rows)
    if MODELS[name].early_stopping:
        with pytest.raises(DataError, match=says):
            quick(name).fit(X, Y, W, evaluation=rows)


def test_refuses_to_predict_other_features_or_before_fitting(name):
    model = quick(name)
    for call in (lambda: model.predict_proba(X), model.to_files):
        with pytest.raises(DataError, match="not been fitted"):
            call()
    model.fit(X, Y, W)
    for other in (X[:, 1:], np.column_stack([X, X]), np.where(X[3, 1] == X, np.nan, X), X[0]):
        with pytest.raises(DataError):
            model.predict_proba(other)


def test_refuses_settings_it_does_not_know(name):
    for given in ({"learning_rat": 0.1}, {"seed_": 1}):
        with pytest.raises(SettingError, match="has no parameter"):
            make(name, seed=1, **given)
    for key, entry in MODELS[name].parameters.items():
        for value in (entry.low - 1, entry.high * 2 + 1, float("nan"), "1", None, True):
            with pytest.raises(SettingError, match=key):
                make(name, seed=1, **{key: value})
    for seed in (-1, 2**31):
        with pytest.raises(SettingError, match="seed"):
            make(name, seed=seed)
    with pytest.raises(SettingError, match="threads"):
        make(name, seed=1, threads=0)


def test_get_params_makes_the_same_model_again(name):
    model = quick(name).fit(X, Y, W)
    assert make(name, **model.get_params()).fit(X, Y, W).to_files() == model.to_files()


def test_the_search_holds_the_defaults(name):
    for entry in search_space(name).values():
        low, high = entry.search
        assert entry.low <= low <= entry.default <= high <= entry.high


def test_unknown_models_are_named_with_the_nearest():
    with pytest.raises(SettingError, match="Did you mean xgboost"):
        make("xgbost", seed=1)


def test_every_flipped_bit_and_every_cut_is_noticed(name):
    files = quick(name).fit(X, Y, W).to_files()
    rng = random.Random(1)
    for _ in range(60):
        target = rng.choice(list(files))
        at = rng.randrange(len(files[target]))
        flipped = bytearray(files[target])
        flipped[at] ^= 1 << rng.randrange(8)
        for damaged in (bytes(flipped), files[target][:at], files[target] + b"\n", b""):
            with pytest.raises((DataError, IntegrityError)):
                load_model(name, {**files, target: damaged})


def test_missing_and_foreign_files_are_refused(name):
    files = quick(name).fit(X, Y, W).to_files()
    for target in files:
        with pytest.raises(DataError, match="missing"):
            load_model(name, {key: value for key, value in files.items() if key != target})
    for content in (b"[]", b"null", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"format": NaN}', b"1" * 5000):
        with pytest.raises((DataError, IntegrityError)):
            load_model(name, {**files, FACTS_FILE: content})
    other = "logistic" if name != "logistic" else "random_forest"
    with pytest.raises(DataError, match="not"):
        load_model(other, files)


STRANGE = (None, True, -1, 0, 10**12, 1.5, "x", [], [1], [[1.0]], {}, {"x": 1}, 1e308)


def test_facts_that_vouch_for_themselves_are_still_checked(name):
    """Someone who repairs the hashes can make another model, but nothing worse."""
    files = quick(name).fit(X, Y, W).to_files()
    facts = body(files)
    for key in facts:
        for value in STRANGE:
            try:
                model = load_model(name, pack(FACTS_FILE, {**facts, key: value}, others(files)))
            except (DataError, IntegrityError):
                continue
            assert model.predict_proba(X).shape == (len(X), 3), (key, value)
    for key in ("seed", "threads"):
        with pytest.raises(DataError):
            load_model(
                name, pack(FACTS_FILE, {**facts, "params": {**facts["params"], key: 1}}, others(files))
            )


class Bomb:
    def __reduce__(self):
        return Path.write_text, (Path(Bomb.target), "ran")


def test_a_pickle_in_place_of_a_model_is_refused_and_not_run(name, tmp_path):
    files = quick(name).fit(X, Y, W).to_files()
    Bomb.target = str(tmp_path / "ran")
    bombs = [pickle.dumps(Bomb(), protocol) for protocol in (0, 2, 5)]
    for bomb in [*bombs, b"tree\n", b"tree\nversion=v4\n", b"{}", b"\0" * 64, bytes(range(256))]:
        for target in others(files):
            with pytest.raises(DataError):
                load_model(name, pack(FACTS_FILE, body(files), {target: bomb}))
        with pytest.raises(FoldsmithError):
            load_model(name, {**files, FACTS_FILE: bomb})
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("forest", [*FAMILIES["trees"], "hist_gradient_boosting"])
def test_a_forest_of_any_bytes_is_refused_or_walked_to_its_end(forest):
    files = quick(forest).fit(X, Y, W).to_files()
    rng = random.Random(2)
    walked = 0
    for _ in range(300):
        content = bytearray(files["forest.bin"])
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        try:
            model = load_model(forest, pack(FACTS_FILE, body(files), {"forest.bin": bytes(content)}))
        except DataError:
            continue
        assert model.predict_proba(X[:50]).shape == (50, 3)
        walked += 1
    assert 0 < walked < 300


def test_a_lightgbm_text_of_any_bytes_is_refused_or_walked_to_its_end():
    """LightGBM's own parser aborts, crashes or never returns on about half of these."""
    files = quick("lightgbm", n_estimators=3).fit(X, Y, W).to_files()
    rng = random.Random(2)
    walked = 0
    for number in range(300):
        content = bytearray(files["booster.txt"])
        at = rng.randrange(len(content))
        if number % 3:
            content[at] ^= 1 << rng.randrange(7)
        else:
            del content[at:]
        try:
            model = load_model("lightgbm", pack(FACTS_FILE, body(files), {"booster.txt": bytes(content)}))
        except DataError:
            continue
        assert model.predict_proba(X[:50]).shape == (50, 3)
        walked += 1
    assert 0 < walked < 200


def test_quick_settings_cover_the_catalogue():
    assert set(QUICK) == set(MODELS)


def test_every_model_is_in_one_family():
    assert sorted(name for names in FAMILIES.values() for name in names) == sorted([*MODELS, *BY_NAME])
