"""The cross-validation flags, the same for `cv` and for `train` without stored predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from foldsmith.cli.command import given
from foldsmith.config import (
    CALIBRATIONS,
    CLASS_WEIGHTS,
    EXECUTORS,
    PREDICT_WITH,
    SELECTIONS,
    ValidationSettings,
    default_workers,
)
from foldsmith.errors import SettingError
from foldsmith.labels.scheme import WEIGHTS

if TYPE_CHECKING:
    from foldsmith.stages.executors import Executor

_DEFAULTS = ValidationSettings()

OPTIONS = (
    click.option("--symbol", help="Symbol of the dataset; needed where the workspace holds several."),
    click.option("--dataset", "dataset_id", help="Dataset run id.  [default: the newest of the symbol]"),
    click.option(
        "--features",
        metavar="SETS",
        help="Features to see: sets such as core,time, or by model: xgboost=core+time,logistic=price."
        "  [default: all of the dataset]",
    ),
    click.option("--n-splits", type=int, default=_DEFAULTS.n_splits, show_default=True, help="Purged folds."),
    click.option(
        "--purge-bars",
        type=int,
        default=_DEFAULTS.purge_bars,
        show_default=True,
        help="Bars added to the purge on both sides; the purge itself is always by label end.",
    ),
    click.option(
        "--embargo-bars",
        type=int,
        default=None,
        help="Bars after a test fold that do not train.  [default: the horizon's vertical barrier]",
    ),
    click.option(
        "--tune/--no-tune", default=False, help="Search hyperparameters inside each fold's training rows."
    ),
    click.option(
        "--n-trials", type=int, default=_DEFAULTS.n_trials, show_default=True, help="Trials of each search."
    ),
    click.option(
        "--tune-splits",
        type=int,
        default=_DEFAULTS.tune_splits,
        show_default=True,
        help="Purged folds of the training rows that a trial is scored on; 1 for their last fifth.",
    ),
    click.option(
        "--prune/--no-prune", default=False, help="Give up trials that fall behind between those folds."
    ),
    click.option(
        "--select",
        type=click.Choice(SELECTIONS),
        default=_DEFAULTS.select,
        show_default=True,
        help="Select features inside each fold: without twins, or by importance of clusters.",
    ),
    click.option(
        "--class-weight",
        type=click.Choice(CLASS_WEIGHTS),
        default=_DEFAULTS.class_weight,
        show_default=True,
        help="Weigh classes alike in fitting; probabilities are put right again.",
    ),
    click.option(
        "--calibrate",
        type=click.Choice(CALIBRATIONS),
        default=_DEFAULTS.calibrate,
        show_default=True,
        help="Calibrate each model, on rows that it was not fitted on.",
    ),
    click.option(
        "--predict-with",
        type=click.Choice(PREDICT_WITH),
        default=_DEFAULTS.predict_with,
        show_default=True,
        help="Base models for later rows: refitted on all training rows, or the mean of the folds' models.",
    ),
    click.option(
        "--sample-weight",
        type=click.Choice(WEIGHTS),
        default=_DEFAULTS.sample_weight,
        show_default=True,
        help="Weights of training rows, computed inside each fold.",
    ),
    click.option(
        "--time-decay",
        type=float,
        default=_DEFAULTS.time_decay,
        show_default=True,
        help="Weight of the oldest training row beside the newest; below 0, that share of the oldest is left out.",
    ),
    click.option(
        "--seed", type=int, default=_DEFAULTS.seed, show_default=True, help="All randomness comes from it."
    ),
    click.option(
        "--workers",
        type=int,
        default=None,
        help="Processes; of a single fit, threads.  [default: the cores of this machine]",
    ),
    click.option(
        "--executor",
        "executor_kind",
        type=click.Choice(EXECUTORS),
        default=EXECUTORS[0],
        show_default=True,
        help="Where fits run: processes here, or a Dask or Ray cluster.",
    ),
    click.option(
        "--cluster",
        metavar="ADDRESS",
        help="Of a running cluster that sees this folder under the same path.  [default: one here, of --workers]",
    ),
)

WHERE = ("workers", "executor_kind", "cluster")
"""Parameters that say where fits run, and so nothing about what they find."""
STORED = (
    "symbol",
    "dataset_id",
    "features",
    "n_splits",
    "purge_bars",
    "embargo_bars",
    "tune",
    "n_trials",
    "tune_splits",
    "prune",
    "select",
    "class_weight",
    "calibrate",
    "predict_with",
    "sample_weight",
    "time_decay",
    "seed",
    *WHERE,
)
"""Parameters that come from the CV run where stored predictions are used."""


def validation_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags to a command, in the order of `OPTIONS`."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def validation_settings(ctx: click.Context) -> ValidationSettings:
    """Settings from the flags; --n-trials without --tune is refused."""
    values = ctx.params
    for name, flag in (("n_trials", "--n-trials"), ("tune_splits", "--tune-splits"), ("prune", "--prune")):
        if given(ctx, name) and not values["tune"]:
            raise SettingError(f"{flag} does not apply without --tune; add --tune or leave it out.")
    names = ValidationSettings.__dataclass_fields__
    return ValidationSettings(**{name: values[name] for name in names})


def chosen_executor(flags: Mapping[str, Any]) -> Executor:
    """Where fits run, from the flags."""
    from foldsmith.stages.executors import Executor

    return Executor(flags["executor_kind"], worker_count(flags["workers"]), flags["cluster"])


def worker_count(workers: int | None) -> int:
    """The number of processes, by default one a core."""
    if workers is not None and workers < 1:
        raise SettingError(f"--workers {workers} is too small; the least is 1.")
    return default_workers() if workers is None else workers
