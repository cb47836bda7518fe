"""Hyperparameter search whose trials can be cut off anywhere and resumed with the same bits.

Trials run in order. Trial 0 is the model's defaults, so the search cannot end worse than they are. Trial n >
0 draws from a fresh TPE sampler seeded by SHA-256(seed, keys, n), with the history of trials 0 to n-1: what
it draws is a function of that history alone, whoever ran it and when. So is whether it is pruned: a trial
whose best running mean over the parts is worse than the median of the earlier trials' at the same part goes
no further (the median rule of Optuna, after five whole trials).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import Dataset
from foldsmith.errors import DataError, SettingError
from foldsmith.models.base import Classifier, Prepared
from foldsmith.models.catalogue import Model, make, model_class
from foldsmith.models.parameters import searched, searched_defaults
from foldsmith.models.windows import shown

COMPLETE, PRUNED, FAILED = "complete", "pruned", "failed"


@dataclass(frozen=True)
class Part:
    """Rows to fit on and rows to score, kept apart before.

    `stop` are those that boosters stop on; `correct` undoes what was done to the weights of classes.
    """

    on: Dataset
    against: Dataset
    stop: Dataset
    correct: Callable[[npt.NDArray[Any]], npt.NDArray[Any]] = np.asarray


@dataclass(frozen=True)
class Trial:
    """One thing tried: the searched parameters, and the mean over parts of the weighted log loss (None if it did not
    come to its end).

    best_iteration : rounds that early stopping kept, the median over parts (rounded down), None where there is none;
        error : why it failed, else None; steps : the log loss on each part that was scored, none where there is one.
    """

    number: int
    params: dict[str, Any]
    value: float | None
    state: str
    best_iteration: int | None = None
    error: str | None = None
    steps: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        # Also read back from JSON, which has lists.
        object.__setattr__(self, "steps", tuple(self.steps))


@dataclass(frozen=True)
class Study:
    """The trials in order, and the best of them: the lowest value, the earliest on a tie."""

    best: dict[str, Any]
    best_iteration: int | None
    value: float
    trials: tuple[Trial, ...]


def tune(
    model: Model,
    parts: Sequence[Part],
    *,
    seed: int,
    n_trials: int,
    threads: int = 1,
    keys: Sequence[Any] = (),
    prune: bool = False,
    on_trial: Callable[[Trial], None] | None = None,
    history: Sequence[Trial] = (),
) -> Study:
    """Search the model's hyperparameters: the lowest mean over `parts` of the weighted log loss.

    Parameters
    ----------
    keys : what the study is of (model, horizon, fold); enters the seed of every trial.
    prune : give up trials that fall behind, part by part; nothing can be pruned where there is one part.
    on_trial : called after each trial that is run now, not for those of `history`.
    history : trials of the same study that were run before; they are taken as they are and count towards
        n_trials.

    A trial that fails is recorded and the search goes on.
    Raises SettingError for n_trials < 1 or a history that is not the beginning of a study, DataError if every
    trial failed.
    """
    if n_trials < 1:
        raise SettingError(f"n_trials={n_trials} tries nothing; at least 1 is needed.")
    _check_history(history)
    trials = list(history[:n_trials])
    with _quiet_optuna() as optuna:
        pruner = optuna.pruners.MedianPruner() if prune else optuna.pruners.NopPruner()
        study = optuna.create_study(sampler=_sampler(optuna, seed, keys, 0), pruner=pruner)
        for trial in trials:
            _replay(optuna, study, model, trial)
        objective = _Objective(model, parts, seed, threads) if len(trials) < n_trials else None
        while objective is not None and len(trials) < n_trials:
            trial = _next(optuna, study, objective, seed, keys, len(trials))
            trials.append(trial)
            if on_trial is not None:
                on_trial(trial)
    return _best(model, trials)


def weighted_log_loss(y: npt.NDArray[Any], P: npt.NDArray[Any], weight: npt.NDArray[Any]) -> float:
    """Mean of -log P[true class] under the weights; probabilities count as no less than 1e-15.

    >>> P = np.array([[0.5, 0.5, 0], [0.25, 0.5, 0.25]])
    >>> weighted_log_loss(np.array([-1, 1]), P, np.array([1.0, 1.0]))
    1.0397207708399179
    """
    true = np.maximum(P[np.arange(len(P)), np.asarray(y, dtype=np.int64) + 1], 1e-15)
    return float(-np.sum(weight * np.log(true)) / np.sum(weight))


class _Objective:
    """Fits and scores; rows are checked and binned once for all trials."""

    def __init__(self, model: Model, parts: Sequence[Part], seed: int, threads: int) -> None:
        self.model, self.seed, self.threads = model, seed, threads
        self.parts = parts
        self._prepared: dict[int, Prepared] = {}

    def __call__(self, params: Mapping[str, Any], number: int) -> tuple[float, int | None]:
        """Log loss on part `number`, and the rounds that early stopping kept."""
        part = self.parts[number]
        classifier: Classifier = make(self.model, seed=self.seed, threads=self.threads, **params)
        window = classifier.window
        if number not in self._prepared:
            on, stop = part.on, part.stop
            evaluation = (shown(window, stop), stop.y, stop.weight)
            self._prepared[number] = classifier.prepare(shown(window, on), on.y, on.weight, evaluation)
        classifier.fit_prepared(self._prepared[number])
        against = part.against
        P = classifier.predict_proba(shown(window, against))
        value = weighted_log_loss(against.y, part.correct(P), against.weight)
        if not math.isfinite(value):
            raise DataError(f"the log loss on the scored rows is {value}")
        return value, classifier.best_iteration_


def _next(
    optuna: Any, study: Any, objective: _Objective, seed: int, keys: Sequence[Any], number: int
) -> Trial:
    """Run one trial and enter it in the study."""
    cls = model_class(objective.model)
    study.sampler = _sampler(optuna, seed, keys, number)
    if number == 0:
        study.enqueue_trial(searched_defaults(cls.parameters))
    asked = study.ask()
    params = cls.suggest(asked)
    steps: list[float] = []
    rounds: list[int] = []
    try:
        for part in range(len(objective.parts)):
            value, kept = objective(params, part)
            steps.append(value)
            rounds += [] if kept is None else [kept]
            if len(steps) < len(objective.parts):
                asked.report(fmean(steps), len(steps))
                if asked.should_prune():
                    study.tell(asked, state=optuna.trial.TrialState.PRUNED)
                    return Trial(number, params, None, PRUNED, steps=tuple(steps))
    except Exception as error:  # noqa: BLE001 - libraries raise their own kinds; what failed is recorded, never hidden
        study.tell(asked, state=optuna.trial.TrialState.FAIL)
        return Trial(
            number, params, None, FAILED, error=f"{type(error).__name__}: {error}"[:500], steps=tuple(steps)
        )
    value = fmean(steps)
    study.tell(asked, value)
    best_iteration = int(median(rounds)) if rounds else None
    return Trial(
        number, params, value, COMPLETE, best_iteration, steps=tuple(steps) if len(steps) > 1 else ()
    )


def _replay(optuna: Any, study: Any, model: Model, trial: Trial) -> None:
    """Enter a trial of the past as if it had been run now."""
    if not searched(model_class(model).parameters, trial.params):
        raise SettingError(
            f"trial {trial.number} of the history has parameters {trial.params}, which are outside the "
            f"search space of {model_class(model).name}; it was made by another version: start the study anew."
        )
    study.enqueue_trial(dict(trial.params))
    asked = study.ask()
    model_class(model).suggest(asked)
    for done in range(1, len(trial.steps) + (trial.state != COMPLETE)):
        asked.report(fmean(trial.steps[:done]), done)
    if trial.state == COMPLETE:
        study.tell(asked, trial.value)
    else:
        states = optuna.trial.TrialState
        study.tell(asked, state=states.PRUNED if trial.state == PRUNED else states.FAIL)


def _check_history(history: Sequence[Trial]) -> None:
    for number, trial in enumerate(history):
        whole = (
            trial.state == FAILED
            or (trial.state == PRUNED and len(trial.steps) > 0)
            or (trial.state == COMPLETE and trial.value is not None)
        )
        if trial.number != number or not whole:
            raise SettingError(
                f"trial {trial.number} ({trial.state}) stands at place {number} of the history; finished "
                "trials 0, 1, 2 and so on are needed."
            )


def _best(model: Model, trials: Sequence[Trial]) -> Study:
    done = [(trial.value, trial.number) for trial in trials if trial.value is not None]
    if not done:
        raise DataError(
            f"all {len(trials)} trials of {model_class(model).name} failed; the first said: {trials[0].error}"
        )
    value, number = min(done)
    best = trials[number]
    return Study(dict(best.params), best.best_iteration, value, tuple(trials))


def _sampler(optuna: Any, seed: int, keys: Sequence[Any], number: int) -> Any:
    digest = hashlib.sha256("\x1f".join(map(str, (seed, *keys, number))).encode()).digest()
    return optuna.samplers.TPESampler(seed=int.from_bytes(digest[:4], "big"))


@contextmanager
def _quiet_optuna() -> Iterator[Any]:
    """Optuna without its line per trial; its own setting is put back."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield optuna
    finally:
        optuna.logging.set_verbosity(before)
