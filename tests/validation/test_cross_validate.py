from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.rows import QUICK
from tests.oracles import models as oracle
from tests.validation.rows import apart, grid, poisoned

from foldsmith import intervals
from foldsmith.ensembles.catalogue import make_ensemble
from foldsmith.ensembles.learner_catalogue import META_LEARNERS
from foldsmith.errors import DataError
from foldsmith.labels.weighting import Weighting
from foldsmith.models.calibrators import Temperature
from foldsmith.models.catalogue import ROW_MODELS as MODELS
from foldsmith.models.catalogue import make
from foldsmith.splits import PurgedKFold
from foldsmith.validation import cross_validate
from foldsmith.validation.cross_validate import (
    Fitting,
    Search,
    _FitOn,
    _parts,
    derived_seed,
    fit_fold,
    refit,
)
from foldsmith.validation.meta_level import MetaModel, fit_meta, out_of_fold

DATA, BARS = grid()
APART = apart(BARS)
SPLIT = PurgedKFold(4, t0=DATA.t0, t1=DATA.t1, **APART.options())
EVERYTHING = np.arange(len(DATA))
PLAIN = Fitting(APART, Weighting("none", BARS), 0.25)
FOLDS = list(SPLIT.split(DATA.X))


def fold(model, data=DATA, number=1, test=True, n_trials=0, n_splits=1, weighting=None, **more):
    train, rows = FOLDS[number]
    settings = {
        "fitting": Fitting(APART, weighting or Weighting("uniqueness", BARS), 0.25),
        "seed": 11,
        "keys": (model, 8, number),
        "params": None if n_trials else QUICK[model],
        "search": Search(n_trials, n_splits),
    }
    return fit_fold(model, data, train, rows if test else None, **{**settings, **more})


@pytest.mark.parametrize(
    ("n_trials", "n_splits"), [(0, 1), pytest.param(2, 1, marks=pytest.mark.proof), (2, 2)]
)
@pytest.mark.parametrize("model", MODELS)
def test_nothing_outside_the_training_rows_is_looked_at(model, n_trials, n_splits):
    """Test labels, and labels and features of purged and embargoed rows, are poisoned: not a bit changes."""
    pytest.importorskip(MODELS[model].library or "sklearn")
    train, test = FOLDS[1]
    outside = np.setdiff1d(np.arange(len(DATA)), train)
    assert len(outside) > len(test) + 8
    search = {"n_trials": n_trials, "n_splits": n_splits}
    clean = fold(model, **search)
    assert fold(model, poisoned(DATA, outside, keep_X=test), **search).probabilities.tobytes() == (
        clean.probabilities.tobytes()
    )
    # The poison does work: in the training rows it is felt.
    assert not np.array_equal(
        fold(model, poisoned(DATA, train[:20])).probabilities, fold(model).probabilities
    )


def test_times_of_other_rows_are_not_looked_at_either():
    outside = np.setdiff1d(np.arange(len(DATA)), FOLDS[1][0])
    t1 = DATA.t1.copy()
    t1[outside] = DATA.t0[outside]
    moved = replace(DATA, t1=t1, weight=np.where(np.isin(np.arange(len(DATA)), outside), 9.0, 1.0))
    assert fold("lightgbm", moved).probabilities.tobytes() == fold("lightgbm").probabilities.tobytes()


def test_the_tail_chooses_only_rounds_and_its_neighbours_teach_nothing(monkeypatch):
    """Boosters fit the purged head alone: rows between head and tail can be poisoned."""
    train, _ = FOLDS[0]
    rows = DATA.take(train)
    first = round(len(rows) * 0.75)
    head = oracle.may_train(rows.t0, rows.t1, range(first, len(rows)), BARS, 8, 0)
    between = np.setdiff1d(np.arange(first), head)
    assert len(between) > 0
    clean = fold("xgboost", number=0)
    assert fold("xgboost", poisoned(DATA, train[between]), number=0).probabilities.tobytes() == (
        clean.probabilities.tobytes()
    )
    seen = {}

    def spy(name, **params):
        made = make(name, **params)
        real = made.fit

        def fit(X, y, weight, **more):
            seen.update(X=X, weight=weight, evaluation=more.get("evaluation"))
            return real(X, y, weight, **more)

        made.fit = fit
        return made

    monkeypatch.setattr(cross_validate, "make", spy)
    fold("xgboost", number=0)
    np.testing.assert_array_equal(seen["X"], rows.X[head])
    np.testing.assert_array_equal(seen["evaluation"][0], rows.X[first:])
    # Weights come from the fold's training rows among themselves, and from no others.
    slow = np.array(oracle.uniqueness(rows.t0, rows.t1, BARS))
    np.testing.assert_allclose(seen["weight"], slow[head], rtol=1e-9)
    np.testing.assert_allclose(seen["evaluation"][2], slow[first:], rtol=1e-9)
    fold("random_forest", number=0)
    np.testing.assert_array_equal(seen["X"], rows.X)
    assert seen["evaluation"] is None


def test_a_fold_reports_its_yardstick_and_what_it_chose():
    train, test = FOLDS[2]
    found = fold("lightgbm", number=2)
    assert found.probabilities.shape == (len(test), 3)
    assert found.probabilities.dtype == np.float32
    assert found.n_train == len(train)
    weight = oracle.uniqueness(DATA.t0[train], DATA.t1[train], BARS)
    assert found.base_rate == pytest.approx(
        [np.sum(weight, where=DATA.y[train] == label) / np.sum(weight) for label in (-1, 0, 1)]
    )
    plain = fold("lightgbm", number=2, weighting=Weighting("none", BARS))
    assert plain.base_rate == tuple(np.mean(DATA.y[train] == label) for label in (-1, 0, 1))
    assert 1 <= found.best_iteration <= QUICK["lightgbm"]["n_estimators"]
    assert found.trials == ()
    twice = fold("lightgbm", number=2, threads=2)
    assert twice.probabilities.tobytes() == found.probabilities.tobytes()
    assert fold("lightgbm", test=False).probabilities.shape == (0, 3)


def test_a_tuned_fold_is_fitted_with_its_best_trial():
    found = fold("xgboost", n_trials=3)
    best = min(found.trials, key=lambda trial: (trial.value, trial.number))
    assert (found.params, found.best_iteration) == (best.params, best.best_iteration)
    again = fold("xgboost", params=found.params)
    assert again.probabilities.tobytes() == found.probabilities.tobytes()


def test_a_model_that_needs_no_tail_asks_for_none():
    data, bars = grid(12)
    rows = np.arange(10)
    settings = {
        "fitting": Fitting(apart(bars, embargo=50), Weighting("none", bars), 0.2),
        "seed": 1,
        "keys": (),
    }
    assert fit_fold("logistic", data, rows, rows, **settings).probabilities.shape == (10, 3)
    with pytest.raises(DataError, match="tail"):
        fit_fold(
            "xgboost",
            data,
            rows,
            rows,
            **{**settings, "fitting": replace(settings["fitting"], tail_share=0.01)},
        )


def whole(model, iterations, params=None, scheme="uniqueness"):
    given = {**QUICK[model], **(params or {})}
    given.pop("n_estimators", None)
    fitting = Fitting(APART, Weighting(scheme, BARS), 0.25)
    return refit(model, DATA, fitting=fitting, params=given, iterations=iterations, seed=5).classifier


@pytest.mark.parametrize(
    ("iterations", "rounds"), [([7], 7), ([3, 9, 4], 4), ([3, 4], 3), ([1, 1, 300], 1), ([None, 6], 6)]
)
@pytest.mark.parametrize("model", ["xgboost", "lightgbm"])
def test_a_refit_takes_the_median_iteration_and_stops_nowhere_early(model, iterations, rounds):
    found = whole(model, iterations)
    assert found.best_iteration_ is None
    assert found.params["n_estimators"] == rounds
    weight = Weighting("uniqueness", BARS).of(DATA.t0, DATA.t1)
    params = {**QUICK[model], "n_estimators": rounds}
    assert found.to_files() == make(model, seed=5, **params).fit(DATA.X, DATA.y, weight).to_files()


@pytest.mark.parametrize("model", ["random_forest", "logistic"])
def test_a_refit_of_other_models_takes_their_parameters(model):
    found = refit(model, DATA, fitting=PLAIN, params=QUICK[model], iterations=[None, None], seed=5)
    plain = make(model, seed=5, **QUICK[model]).fit(DATA.X, DATA.y, np.ones(len(DATA)))
    assert found.to_files() == plain.to_files()


def test_a_refit_takes_what_a_study_of_the_whole_segment_found():
    """Tuned, a median over folds of different learning rates means nothing: one study's rounds go with its rate."""
    everything = np.arange(len(DATA))
    study = fit_fold(
        "lightgbm",
        DATA,
        everything,
        None,
        fitting=PLAIN,
        seed=3,
        keys=(),
        search=Search(2),
    )
    found = refit(
        "lightgbm",
        DATA,
        fitting=PLAIN,
        params=study.params,
        iterations=[study.best_iteration],
        seed=5,
    ).classifier
    assert found.params == {**found.params, **study.params, "n_estimators": study.best_iteration}


def test_weights_are_ones_or_uniqueness_of_these_rows_alone():
    rows = DATA.take(np.arange(40, 90))
    np.testing.assert_array_equal(Weighting("none", BARS).of(rows.t0, rows.t1), 1)
    found = Weighting("uniqueness", BARS).of(rows.t0, rows.t1)
    assert found.mean() == pytest.approx(1)
    np.testing.assert_allclose(found, oracle.uniqueness(rows.t0, rows.t1, BARS), rtol=1e-9)


@pytest.mark.parametrize("decay", [1.0, 0.3, -0.4])
@pytest.mark.parametrize("scheme", ["return", "uniqueness-return", "uniqueness"])
def test_weights_by_return_and_age_see_the_training_rows_alone(monkeypatch, scheme, decay):
    """Returns of bars in no training label, and times of other rows, are poisoned: not a bit changes."""
    train, _ = FOLDS[1]
    returns = np.random.default_rng(3).normal(0, 0.001, len(BARS))
    held = intervals.concurrency(DATA.t0[train], DATA.t1[train], BARS) > 0
    assert not held.all()
    spoilt = np.where(held, returns, 9.0)
    seen = []

    def spy(name, **params):
        made = make(name, **params)
        real = made.fit
        made.fit = lambda X, y, weight, **more: seen.append((X, weight)) or real(X, y, weight, **more)
        return made

    monkeypatch.setattr(cross_validate, "make", spy)
    outside = np.setdiff1d(np.arange(len(DATA)), train)
    t1 = DATA.t1.copy()
    t1[outside] = DATA.t0[outside]
    found = [
        fold("logistic", data, weighting=Weighting(scheme, BARS, by_bar, decay)).probabilities.tobytes()
        for data, by_bar in ((DATA, returns), (DATA, spoilt), (replace(DATA, t1=t1), spoilt))
    ]
    assert found[0] == found[1] == found[2]
    assert fold("logistic", weighting=Weighting("none", BARS)).probabilities.tobytes() != found[0]
    # Rows of no weight are left out, the rest have a mean of 1.
    X, weight = seen[0]
    assert (weight > 0).all()
    assert weight.mean() == pytest.approx(1)
    left_out = len(train) - len(weight)
    assert (left_out > 0) == (decay < 0)
    np.testing.assert_array_equal(X, DATA.X[train][left_out:])


def test_a_folds_yardstick_is_weighted_as_its_scores_are():
    train, _ = FOLDS[2]
    returns = np.random.default_rng(3).normal(0, 0.001, len(BARS))
    found = fold("logistic", number=2, weighting=Weighting("return", BARS, returns, 0.5))
    weight = Weighting("return", BARS, returns).of(DATA.t0[train], DATA.t1[train])
    shares = [weight[DATA.y[train] == label].sum() / weight.sum() for label in (-1, 0, 1)]
    assert found.base_rate == pytest.approx(shares)
    assert found.base_rate != pytest.approx([np.mean(DATA.y[train] == label) for label in (-1, 0, 1)])


def test_seeds_come_from_their_parts_alone():
    assert derived_seed(1, "xgboost", 20, 0) == derived_seed(1, "xgboost", 20, 0)
    parts = [(1, "a", 20), (2, "a", 20), (1, "b", 20), (1, "a", 2, 0), (1, "a", "20", "")]
    assert len({derived_seed(*each) for each in parts}) == len(parts)
    assert all(0 <= derived_seed(n) < 2**31 for n in range(200))


def oof_table(n=120, seed=0):
    data, bars = grid(n, seed=seed)
    rng = np.random.default_rng(seed)
    P = rng.dirichlet([2, 2, 2], (n, 2)).astype(np.float32).reshape(n, 6)
    return data, bars, P, (np.arange(n) * 4 // n).astype(np.int16)


class Recorder:
    """An ensemble that remembers what it was fitted on and predicts nothing in particular."""

    def __init__(self, log, rows):
        self.log, self.rows = log, rows

    def fitting_rows(self, fold):
        return self.rows(fold)

    def fit(self, P, y, weight, fold):
        self.log.append(["fit", P, y, weight, fold])
        return self

    def predict_proba(self, P):
        self.log.append(["predict", P])
        return np.full((len(P), 3), 1 / 3)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 999),
    embargo=st.integers(0, 10),
    purge=st.integers(0, 3),
    n_splits=st.integers(2, 5),
    last_only=st.booleans(),
)
def test_the_meta_learner_is_kept_apart_from_what_it_is_scored_on(seed, embargo, purge, n_splits, last_only):
    data, bars, P, fold_of = oof_table(seed=seed)
    P[:, 0] = np.arange(len(P)) / 1000  # every row can be told apart
    log = []

    def rows(fold):
        return np.flatnonzero(fold == fold.max()) if last_only else np.arange(len(fold))

    try:
        made = out_of_fold(
            lambda: Recorder(log, rows),
            P,
            data,
            fold_of,
            n_splits=n_splits,
            separation=apart(bars, embargo, purge),
        )
    except ValueError:
        assert last_only  # a short fold may leave nothing to train on
        return
    scored, found = made.rows, made.probabilities
    used = rows(fold_of)
    np.testing.assert_array_equal(scored, used)
    assert found.shape == (len(used), 3)
    tests = np.array_split(np.arange(len(used)), n_splits)
    assert len(log) == 2 * n_splits
    inner = data.take(used)
    for test, fit, predict in zip(tests, log[::2], log[1::2], strict=True):
        train = oracle.may_train(inner.t0, inner.t1, test, bars, embargo, purge)
        np.testing.assert_array_equal(fit[1], P[used[train]])
        np.testing.assert_array_equal(fit[2], inner.y[train])
        np.testing.assert_array_equal(fit[4], fold_of[used[train]])
        np.testing.assert_array_equal(predict[1], P[used[test]])


LEARNER_OF = {"blending": "logistic", "voting": None, "meta_labelling": "logistic"}


@pytest.mark.parametrize("calibrate", ["none", "temperature", "logistic", "isotonic"])
@pytest.mark.parametrize("learner", [*META_LEARNERS, "blending", "voting", "meta_labelling"])
def test_labels_of_scored_rows_do_not_matter_to_their_score(learner, calibrate):
    """Nor to the calibrator that their score is of."""
    data, bars, P, fold_of = oof_table(400)
    if (learner, calibrate) == ("voting", "none"):
        return  # fits nothing
    kind = ("stacking", learner) if learner in META_LEARNERS else (learner, LEARNER_OF[learner])

    def run(table):
        build = lambda: make_ensemble(*kind, models=["a", "b"], seed=1)  # noqa: E731
        made = out_of_fold(build, P, table, fold_of, n_splits=3, separation=apart(bars), calibrate=calibrate)
        return made.rows, made.probabilities

    rows, clean = run(data)
    inner = data.take(rows)
    elsewhere = []
    for test in np.array_split(np.arange(len(rows)), 3):
        train = oracle.may_train(inner.t0, inner.t1, test, bars, 8, 0)
        outside = np.setdiff1d(np.arange(len(rows)), train)
        _, found = run(poisoned(data, rows[outside]))
        assert found[test].tobytes() == clean[test].tobytes()
        elsewhere.append(found.tobytes() != clean.tobytes())
    # A calibrated vote learns from the tails of the folds alone, which the poison of one may miss.
    assert any(elsewhere) if learner == "voting" else all(elsewhere)


def test_a_fold_is_calibrated_on_the_tail_of_its_own_training_rows():
    """By hand: the ensemble on all of the fold's training rows, the calibrator on their last fifth."""
    data, bars, P, fold_of = oof_table(400)
    build = lambda: make_ensemble("stacking", "greedy", models=["a", "b"], seed=1)  # noqa: E731
    options = {"n_splits": 3, "separation": apart(bars)}
    plain = out_of_fold(build, P, data, fold_of, **options)
    made = out_of_fold(build, P, data, fold_of, calibrate="temperature", **options)
    assert made.uncalibrated.tobytes() == plain.probabilities.tobytes()
    for test in np.array_split(np.arange(len(P)), 3):
        train = np.array(oracle.may_train(data.t0, data.t1, test, bars, 8, 0))
        inner = data.take(train)
        first = round(len(train) * 0.8)
        tail = np.arange(first, len(train))
        head = np.array(oracle.may_train(inner.t0, inner.t1, tail, bars, 8, 0))
        assert head.max() < first
        before = build().fit(P[train[head]], inner.y[head], inner.weight[head], fold_of[train[head]])
        q = before.predict_proba(P[train[tail]]).astype(np.float32)
        calibrator = Temperature().fit(q, inner.y[tail].astype(np.int64) + 1, inner.weight[tail])
        expected = calibrator.apply(plain.probabilities[test]).astype(np.float32)
        np.testing.assert_array_equal(made.probabilities[test], expected)
    model = fit_meta(build, P, data, fold_of, made, "temperature")
    final = Temperature().fit(plain.probabilities, data.y.astype(np.int64) + 1, data.weight)
    assert model.correction.calibrator.as_facts() == final.as_facts()
    assert MetaModel.from_files("stacking", model.to_files()).to_files() == model.to_files()
    assert model.to_files() != fit_meta(build, P, data, fold_of, plain).to_files()


def test_out_of_fold_voting_is_voting():
    data, bars, P, fold_of = oof_table()
    build = lambda: make_ensemble("voting", None, models=["a", "b"], seed=1)  # noqa: E731
    made = out_of_fold(build, P, data, fold_of, n_splits=4, separation=apart(bars))
    rows, found = made.rows, made.probabilities
    np.testing.assert_array_equal(rows, np.arange(len(P)))
    np.testing.assert_array_equal(found, build().predict_proba(P).astype(np.float32))


def test_folds_of_a_search_are_purged_and_stop_on_rows_of_their_own():
    """The rows that score a trial were neither fitted on nor stopped on, nor do their labels overlap such rows."""
    for stops in (False, True):
        fit = _FitOn("lightgbm" if stops else "logistic", {}, 1, 1, PLAIN)
        parts = _parts(DATA, None, EVERYTHING, EVERYTHING, 3, fit)
        assert sorted(np.concatenate([part.against.t0 for part in parts])) == sorted(DATA.t0)
        for part in parts:
            for rows in (part.on, part.stop):
                apart = (rows.t1 < part.against.t0[0]) | (rows.t0 > part.against.t1.max())
                assert apart.all()
            if stops:
                assert part.on.t1.max() < part.stop.t0[0]
            else:
                assert len(part.on) == len(part.stop)
