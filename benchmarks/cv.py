"""Cross-validation of two models, three horizons and five folds, beside the way it is usually written.

    python benchmarks/cv.py [--rows 300000] [--features 120] [--repeats 3] [--ways "engine 2,loop 2"]

Rows are made in memory: noise with a weak signal, labels of 1 to `horizon` bars. `engine N` is the path of `run_cv.py`:
each fold a unit that is kept on disk when it is done, fitted by N processes with one thread each. `loop N` is what
scikit-learn's `cross_val_predict` does, with early stopping added: float64 frames, and for each fold a new estimator of
the library's own scikit-learn interface, in one process with N threads. Folds, rows, boosting settings, seeds and early
stopping are the same. Rounds are taken in turn after one on few rows that loads and compiles; medians are shown,
processor time counts the workers' too, and log loss is the mean over the horizons, out of fold.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import psutil

from foldsmith.config import TAIL_SHARE, ValidationSettings
from foldsmith.dataset import Dataset
from foldsmith.evaluation.metrics import score
from foldsmith.labels.weighting import Weighting
from foldsmith.models.catalogue import make
from foldsmith.runs.ledger import Ledger
from foldsmith.splits import PurgedKFold, purged_tail
from foldsmith.stages.crossed import fold_key
from foldsmith.stages.executors import Executor
from foldsmith.stages.out_of_fold import fit_unit
from foldsmith.stages.trials import StudyLog, TrialRecorder
from foldsmith.stages.units import Unit, UnitStore, run_units
from foldsmith.validation.cross_validate import Fitting, Separation, derived_seed

MODELS = ("lightgbm", "xgboost")
HORIZONS = (5, 10, 20)
FOLDS = 5
PATIENCE = 25
MINUTE = 60_000_000
Predictions = dict[tuple[str, int], Any]
"""Out-of-fold probabilities by model and horizon."""


@dataclass(frozen=True)
class Horizon:
    """Rows of one horizon, its purged folds, and how they are kept apart."""

    data: Dataset
    fitting: Fitting
    folds: list[tuple[Any, Any]]


def made(rows: int, features: int) -> dict[int, Horizon]:
    """The same features for each horizon, and labels that a few of them say a little about."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, features), dtype=np.float32)
    closes = (np.arange(rows + max(HORIZONS) + 1, dtype=np.int64) + 1) * MINUTE
    found = {}
    for horizon in HORIZONS:
        signal = 0.2 * X[:, 0] + 0.2 * X[:, 1] * X[:, 2] + 0.1 * np.sign(X[:, 3])
        lean = signal + rng.standard_normal(rows)
        y = (lean > 0.43).astype(np.int8) - (lean < -0.43).astype(np.int8)
        at = np.arange(rows)
        t1 = closes[at + rng.integers(1, horizon + 1, rows)]
        data = Dataset(X, y, np.ones(rows), closes[at], t1, tuple(f"x{i}" for i in range(features)))
        apart = Separation(horizon, 0, closes)
        split = PurgedKFold(FOLDS, t0=data.t0, t1=data.t1, **apart.options())
        found[horizon] = Horizon(
            data, Fitting(apart, Weighting("none", closes), TAIL_SHARE), list(split.split(X))
        )
    return found


def engine(horizons: Mapping[int, Horizon], workers: int) -> Predictions:
    """As phase 3 fits its folds."""
    settings = ValidationSettings(n_splits=FOLDS)
    with tempfile.TemporaryDirectory(prefix="foldsmith-cv-") as folder:
        store = UnitStore(Path(folder))
        recorder = TrialRecorder(Ledger(Path(folder) / "ledger.sqlite"), "benchmark", "rows")
        units = []
        for h, one in horizons.items():
            for model in MODELS:
                for fold, (train, test) in enumerate(one.folds):
                    key = fold_key(model, h, fold)
                    units.append(
                        Unit(
                            key,
                            fit_unit,
                            {
                                "model": model,
                                "horizon": h,
                                "fold": fold,
                                "data": one.data,
                                "train": train,
                                "test": test,
                                "validation": None,
                                "fitting": one.fitting,
                                "settings": settings,
                                "log": StudyLog(store.folder / f"{key}.trials", recorder, model, h, fold),
                            },
                        )
                    )
        fitted = run_units(units, store, executor=Executor(workers=workers), done=lambda *_: None)
    return {
        (model, h): joined(one, lambda k, m=model, h=h: fitted[fold_key(m, h, k)].arrays["probabilities"])
        for h, one in horizons.items()
        for model in MODELS
    }


def loop(horizons: Mapping[int, Horizon], threads: int) -> Predictions:
    """As it is usually written: float64 frames, everything made anew for each fit."""
    import pandas as pd

    found = {}
    for h, one in horizons.items():
        frame = pd.DataFrame(one.data.X.astype(np.float64), columns=list(one.data.names))
        y = one.data.y.astype(np.int64) + 1
        for model in MODELS:
            parts = []
            for fold, (train, test) in enumerate(one.folds):
                head, tail = purged_tail(
                    one.data.t0[train], one.data.t1[train], TAIL_SHARE, **one.fitting.separation.options()
                )
                on, stop = train[head], train[tail]
                seed = derived_seed(ValidationSettings().seed, model, h, fold)
                parts.append(
                    fitted_estimator(
                        model, seed, threads, (frame.iloc[on], y[on]), (frame.iloc[stop], y[stop])
                    ).predict_proba(frame.iloc[test])
                )
            found[model, h] = joined(one, lambda k, parts=parts: parts[k])
    return found


def fitted_estimator(model: str, seed: int, threads: int, on: tuple[Any, Any], stop: tuple[Any, Any]) -> Any:
    """The library's own estimator with the settings that the engine's model has, fitted with early stopping."""
    settings = {key: value for key, value in make(model, seed=seed).get_params().items() if key != "seed"}
    if model == "lightgbm":
        import lightgbm

        estimator = lightgbm.LGBMClassifier(
            **settings, subsample_freq=1, random_state=seed, n_jobs=threads, verbosity=-1,
            deterministic=True, force_row_wise=True,
        )  # fmt: skip
        callbacks = [lightgbm.early_stopping(PATIENCE, verbose=False)]
        return estimator.fit(*on, eval_set=[stop], callbacks=callbacks)
    import xgboost

    estimator = xgboost.XGBClassifier(
        **settings, random_state=seed, n_jobs=threads, tree_method="hist", eval_metric="mlogloss",
        early_stopping_rounds=PATIENCE,
    )  # fmt: skip
    return estimator.fit(*on, eval_set=[stop], verbose=False)


def joined(one: Horizon, part: Callable[[int], Any]) -> Any:
    """Predictions of every row from those of the folds."""
    whole = np.empty((len(one.data), 3), dtype=np.float32)
    for fold, (_, test) in enumerate(one.folds):
        whole[test] = part(fold)
    return whole


def processor() -> float:
    """Seconds of processor time of this process and its workers so far, also of workers that were replaced."""
    me = psutil.Process()
    times = [one.cpu_times() for one in (me, *me.children(recursive=True))]
    return sum(time.user + time.system for time in times) + times[0].children_user + times[0].children_system


def timed(call: Callable[[], Predictions]) -> tuple[float, float, Predictions]:
    """Wall and processor seconds of a call, and what it gave."""
    before, started = processor(), time.perf_counter()
    found = call()
    return time.perf_counter() - started, processor() - before, found


def mean_log_loss(horizons: Mapping[int, Horizon], found: Predictions, model: str) -> float:
    """Mean over the horizons of one model's log loss out of fold."""
    return float(np.mean([score(one.data.y, found[model, h])["log_loss"] for h, one in horizons.items()]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--features", type=int, default=120)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--ways", default="engine 1,loop 1,engine 2,loop 2")
    given = parser.parse_args()
    warnings.filterwarnings(
        "ignore", "The argument 'eval_set'"
    )  # its successor is newer than what is asked for
    kinds = {"engine": engine, "loop": loop}
    ways = [(name, *name.split()) for name in given.ways.split(",")]
    few, horizons = made(3_000, given.features), made(given.rows, given.features)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name, *_ in ways}
    gave: dict[str, Predictions] = {}
    for number in range(given.repeats + 1):
        for name, kind, count in ways:
            rows = horizons if number else few
            wall, cpu, gave[name] = timed(lambda k=kind, c=count, r=rows: kinds[k](r, int(c)))
            if number:
                taken[name].append((wall, cpu))
                print(f"  {name}, round {number}: {wall:.1f} s, processor {cpu:.1f} s", file=sys.stderr, flush=True)  # fmt: skip  # noqa: E501
    print(
        f"{given.rows:,} x {given.features}, {len(MODELS) * len(HORIZONS) * FOLDS} fits, medians of {given.repeats}"
    )
    print("| way | wall, s | processor, s | " + " | ".join(f"log loss, {model}" for model in MODELS)
          + " | largest difference of a probability |\n" + "|---" * (4 + len(MODELS)) + "|")  # fmt: skip
    first = gave[ways[0][0]]
    for name, rounds in taken.items():
        wall, cpu = (statistics.median(column) for column in zip(*rounds, strict=True))
        losses = " | ".join(f"{mean_log_loss(horizons, gave[name], model):.6f}" for model in MODELS)
        apart = ", ".join(
            f"{max(float(np.abs(first[model, h] - gave[name][model, h]).max()) for h in HORIZONS):.1e}"
            for model in MODELS
        )
        print(f"| {name} | {wall:.1f} | {cpu:.1f} | {losses} | {apart} |")


if __name__ == "__main__":
    main()
