"""Combinatorial paths: each base model fitted on every choice of test groups, joined to whole paths of predictions.

Beside the folds and by the same units, so that a split's fit is what a fold's is: the same settings, a seed of its own,
and a search of hyperparameters inside its own training rows. No fold, refit or ensemble is fitted on a path or chosen
by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from foldsmith.config import CrossValidateSettings
from foldsmith.dataset import Dataset
from foldsmith.splits import CombinatorialPurgedKFold
from foldsmith.stages.certificates import Pair, certified_folds
from foldsmith.stages.crossed import NO_OWN, Own, fold_key
from foldsmith.stages.executors import Executor
from foldsmith.stages.horizon import HorizonTable
from foldsmith.stages.out_of_fold import cost_of, fit_unit
from foldsmith.stages.trials import StudyLog, TrialRecorder
from foldsmith.stages.units import Result, Unit, UnitStore, run_units
from foldsmith.validation.cross_validate import Probabilities, Separation
from foldsmith.validation.path_groups import PathGroups

Say = Callable[[str], None]


@dataclass(frozen=True)
class PathPlan:
    """The training rows of one horizon, and their splits with the certificates of them."""

    training: Dataset
    split: CombinatorialPurgedKFold
    pairs: list[Pair]
    certificates: list[dict[str, Any]]


def path_split(data: Dataset, separation: Separation, groups: PathGroups) -> CombinatorialPurgedKFold:
    """The splitter of these rows."""
    options: dict[str, Any] = {"t0": data.t0, "t1": data.t1, **separation.options()}
    return CombinatorialPurgedKFold(groups.groups, groups.tested, **options)


def path_pairs(data: Dataset, separation: Separation, groups: PathGroups) -> list[Pair]:
    """Rows fitted on and scored in each split, purged and embargoed around every block of test groups."""
    return list(path_split(data, separation, groups).split(data.X))


def path_name(number: int) -> str:
    """What a split is called where a fold has a number: it enters seeds, the names of units, and the ledger."""
    return f"path_{number}"


def plan_paths(tables: Mapping[int, HorizonTable], groups: PathGroups) -> dict[int, PathPlan]:
    """Splits of each horizon's training rows; LeakError for one that leaks, before anything is fitted."""
    plans = {}
    for h, table in tables.items():
        training = table.data.take(table.segments.training)
        pairs = path_pairs(training, table.separation, groups)
        certificates = certified_folds(f"horizon {h}, path split", training, pairs, table.separation)
        plans[h] = PathPlan(training, path_split(training, table.separation, groups), pairs, certificates)
    return plans


def run_paths(
    tables: Mapping[int, HorizonTable],
    plans: Mapping[int, PathPlan],
    settings: CrossValidateSettings,
    store: UnitStore,
    *,
    executor: Executor,
    say: Say,
    recorder: TrialRecorder,
    own: Own = NO_OWN,
) -> dict[int, dict[str, Probabilities]]:
    """Fit every model on every split; by horizon and model the paths, float32 (n_paths, n, 3)."""
    units = [
        unit
        for h, plan in plans.items()
        for model in settings.models
        for unit in _units(tables[h], plan, model, settings, store, recorder, own)
    ]
    fitted = run_units(units, store, executor=executor, done=_progress(say, len(units)))
    return {
        h: {model: plan.split.recombine(_predictions(fitted, model, h, plan)) for model in settings.models}
        for h, plan in plans.items()
    }


def _units(
    table: HorizonTable,
    plan: PathPlan,
    model: str,
    settings: CrossValidateSettings,
    store: UnitStore,
    recorder: TrialRecorder,
    own: Own,
) -> list[Unit]:
    seen = settings.features.get(model)
    # One copy for all splits: workers are given it once.
    data = plan.training.select(seen)
    entering = recorder.of_paths().seeing(seen).of(own.get(model))
    units = []
    for number, (train, test) in enumerate(plan.pairs):
        key = fold_key(model, table.horizon, path_name(number))
        arguments = {
            "model": model,
            "horizon": table.horizon,
            "fold": path_name(number),
            "data": data,
            "train": train,
            "test": test,
            "validation": None,
            "fitting": table.fitting,
            "settings": settings.validation,
            "log": StudyLog(
                store.folder / f"{key}.trials", entering, model, table.horizon, path_name(number)
            ),
            "own": own.get(model),
        }
        units.append(Unit(key, fit_unit, arguments, cost_of(model, own, len(train))))
    return units


def _predictions(
    fitted: Mapping[str, Result], model: str, horizon: int, plan: PathPlan
) -> Sequence[Probabilities]:
    keys = [fold_key(model, horizon, path_name(number)) for number in range(len(plan.pairs))]
    return [fitted[key].arrays["probabilities"] for key in keys]


def _progress(say: Say, total: int) -> Callable[[str, dict[str, Any]], None]:
    """Says a line for each finished split."""
    count = 0

    def done(key: str, record: dict[str, Any]) -> None:
        nonlocal count
        count += 1
        model, _, rest = key.rpartition("_h")
        horizon, _, split = rest.partition("_fold_path_")
        tuned = f", {len(record['trials'])} trials" if record["trials"] else ""
        say(
            f"[{count}/{total}] {model} h{horizon} path split {split}: {record['n_train']:,} training rows{tuned}"
        )

    return done
