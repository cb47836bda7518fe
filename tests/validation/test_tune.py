import dataclasses
import json
import math

import numpy as np
import pytest
from tests.validation.rows import apart, grid

from foldsmith.errors import DataError, SettingError
from foldsmith.models.catalogue import ROW_MODELS as MODELS
from foldsmith.models.catalogue import make, search_space
from foldsmith.models.parameters import searched, searched_defaults
from foldsmith.splits import PurgedKFold, purged_tail
from foldsmith.validation import tune as tune_module
from foldsmith.validation.tune import COMPLETE, FAILED, PRUNED, Part, Trial, tune, weighted_log_loss

DATA, BARS = grid(160)
HEAD, TAIL = purged_tail(DATA.t0, DATA.t1, 0.3, **apart(BARS).options())
PARTS = [Part(DATA.take(HEAD), DATA.take(TAIL), DATA.take(TAIL))]
FOLDS = [
    Part(DATA.take(train), DATA.take(test), DATA.take(test))
    for train, test in PurgedKFold(3, t0=DATA.t0, t1=DATA.t1, **apart(BARS).options()).split(DATA.X)
]
N = 14  # more than the sampler's ten random trials, so that the history matters


def study(model="logistic", n_trials=N, seed=1, keys=("logistic", 20, 0), **more):
    parts = more.pop("parts", PARTS)
    return tune(model, parts, seed=seed, n_trials=n_trials, keys=keys, **more)


@pytest.fixture(scope="module")
def whole():
    return study()


def test_trials_run_in_order_and_begin_with_the_defaults(whole):
    assert [trial.number for trial in whole.trials] == list(range(N))
    assert whole.trials[0].params == searched_defaults(MODELS["logistic"].parameters)
    assert all(searched(MODELS["logistic"].parameters, trial.params) for trial in whole.trials)
    assert len({trial.params["l2"] for trial in whole.trials}) == N


@pytest.mark.parametrize("cut", range(N + 1))
def test_a_study_resumed_anywhere_is_the_same_study(whole, cut):
    history = [Trial(**json.loads(json.dumps(dataclasses.asdict(trial)))) for trial in whole.trials[:cut]]
    run = []
    assert study(history=history, on_trial=run.append) == whole
    assert run == list(whole.trials[cut:])


def test_fewer_trials_are_the_beginning_of_more(whole):
    fewer = study(n_trials=6)
    assert fewer.trials == whole.trials[:6]
    assert study(n_trials=6, history=whole.trials) == fewer


def test_boosters_are_resumed_with_the_same_bits():
    settings = {"model": "lightgbm", "keys": ("lightgbm", 20, 1), "n_trials": 12}
    once = study(**settings)
    assert once.trials[0].best_iteration >= 1
    assert study(**settings, history=once.trials[:11]) == once
    assert study(**settings, threads=2) == once


def test_what_a_trial_draws_depends_on_seed_keys_number_and_history(whole):
    drawn = whole.trials[1].params
    assert study(n_trials=2, seed=2).trials[1].params != drawn
    assert study(n_trials=2, keys=("logistic", 20, 1)).trials[1].params != drawn
    other = [dataclasses.replace(trial, value=-trial.value) for trial in whole.trials[:-1]]
    assert study(history=other).trials[-1].params != whole.trials[-1].params


def test_studies_leave_no_trace_on_each_other_or_on_numpy(whole):
    np.random.seed(1)  # noqa: NPY002 - the state that must be left alone
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    study("random_forest", n_trials=2)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
    assert study() == whole


def test_values_are_log_losses_on_the_tail(whole):
    head, tail = DATA.take(HEAD), DATA.take(TAIL)
    for trial in whole.trials[:4]:
        model = make("logistic", seed=1, **trial.params).fit(head.X, head.y, head.weight)
        assert trial.value == weighted_log_loss(tail.y, model.predict_proba(tail.X), tail.weight)
    best = min(whole.trials, key=lambda trial: (trial.value, trial.number))
    assert (whole.best, whole.value) == (best.params, best.value)
    assert whole.value <= whole.trials[0].value


def test_boosters_stop_on_the_tail_and_keep_the_best_trials_rounds():
    found = study("xgboost", n_trials=3)
    head, tail = DATA.take(HEAD), DATA.take(TAIL)
    model = make("xgboost", seed=1, **found.best)
    model.fit(head.X, head.y, head.weight, evaluation=(tail.X, tail.y, tail.weight))
    assert model.best_iteration_ == found.best_iteration
    assert weighted_log_loss(tail.y, model.predict_proba(tail.X), tail.weight) == found.value


def failing(monkeypatch, numbers):
    """Trials of these numbers fail."""
    real, count = tune_module._Objective.__call__, iter(range(1000))

    def call(self, params, part):
        if next(count) in numbers:
            raise RuntimeError("out of luck")
        return real(self, params, part)

    monkeypatch.setattr(tune_module._Objective, "__call__", call)


def test_a_failed_trial_is_recorded_and_the_search_goes_on(monkeypatch):
    failing(monkeypatch, {0, 3})
    told = []
    found = study(on_trial=told.append)
    assert [trial.number for trial in found.trials if trial.state == FAILED] == [0, 3]
    assert (found.trials[3].value, found.trials[3].error) == (None, "RuntimeError: out of luck")
    assert [trial.state for trial in found.trials].count(COMPLETE) == N - 2
    assert told == list(found.trials)
    monkeypatch.undo()
    for cut in (4, 11):
        assert study(history=found.trials[:cut]).trials == found.trials


def test_all_trials_failing_is_an_error(monkeypatch):
    failing(monkeypatch, set(range(N)))
    with pytest.raises(DataError, match="all 3 trials of logistic failed; the first said: RuntimeError"):
        study(n_trials=3)


def test_an_interruption_is_no_failed_trial(monkeypatch):
    def stop(self, params, part):
        raise KeyboardInterrupt

    monkeypatch.setattr(tune_module._Objective, "__call__", stop)
    with pytest.raises(KeyboardInterrupt):
        study(n_trials=1)


def test_a_history_that_is_no_beginning_is_refused(whole):
    first, second = whole.trials[:2]
    running = dataclasses.replace(first, state="running")
    no_value = dataclasses.replace(first, value=None)
    for history in ([second], [first, first], [running], [no_value]):
        with pytest.raises(SettingError, match="of the history"):
            study(history=history)
    for params in ({"l2": 50.0}, {}, {"l2": 0.1, "other": 1}, {"l2": "0.1"}):
        with pytest.raises(SettingError, match="outside the search space"):
            study(history=[dataclasses.replace(first, params=params)])
    with pytest.raises(SettingError, match="at least 1"):
        study(n_trials=0)


@pytest.mark.parametrize("model", MODELS)
def test_every_model_can_be_tuned_within_its_space(model):
    pytest.importorskip(MODELS[model].library or "sklearn")
    found = study(model, n_trials=2)
    assert all(trial.state == COMPLETE for trial in found.trials), found.trials
    assert found.trials[0].params == searched_defaults(MODELS[model].parameters)
    assert set(found.best) == set(search_space(model))


def test_log_loss_by_hand():
    P = np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7], [0.0, 1.0, 0.0]])
    found = weighted_log_loss(np.array([-1, 1, -1]), P, np.array([1.0, 2.0, 0.5]))
    assert found == pytest.approx(-(math.log(0.5) + 2 * math.log(0.7) + 0.5 * math.log(1e-15)) / 3.5)


def test_a_trial_on_several_folds_has_their_mean(whole):
    found = study(parts=FOLDS, n_trials=4)
    for trial in found.trials:
        losses = []
        for part in FOLDS:
            model = make("logistic", seed=1, **trial.params).fit(part.on.X, part.on.y, part.on.weight)
            losses.append(
                weighted_log_loss(part.against.y, model.predict_proba(part.against.X), part.against.weight)
            )
        assert trial.steps == tuple(losses)
        assert trial.value == pytest.approx(sum(losses) / 3, rel=1e-15)
    assert all(trial.steps == () for trial in whole.trials)


def test_only_a_trial_whose_mean_is_worse_than_the_median_before_it_is_pruned():
    found = study("lightgbm", parts=FOLDS, n_trials=20, prune=True, keys=("lightgbm", 20, 0))
    states = [trial.state for trial in found.trials]
    assert states[:5] == [COMPLETE] * 5
    assert PRUNED in states
    for trial in found.trials[5:]:
        means = [np.mean(trial.steps[: i + 1]) for i in range(len(trial.steps))]
        behind = [
            min(means[: step + 1])
            > np.median(
                [np.mean(t.steps[: step + 1]) for t in found.trials[: trial.number] if t.state == COMPLETE]
            )
            for step in range(min(len(means), 2))
        ]
        if trial.state == PRUNED:
            assert trial.value is None
            assert len(trial.steps) < 3
            assert behind == [False] * (len(behind) - 1) + [True]
        else:
            assert not any(behind)
    best = min(
        (t for t in found.trials if t.state == COMPLETE), key=lambda trial: (trial.value, trial.number)
    )
    assert found.best == best.params


@pytest.mark.parametrize("cut", [1, 6, 11, 16, 19])
def test_a_pruned_study_resumed_anywhere_is_the_same_study(cut):
    settings = {"parts": FOLDS, "n_trials": 20, "prune": True}
    found = study(**settings)
    assert PRUNED in [trial.state for trial in found.trials]
    history = [Trial(**json.loads(json.dumps(dataclasses.asdict(trial)))) for trial in found.trials[:cut]]
    assert study(**settings, history=history) == found
