"""The flags of `train` that only ensembles have, beside their meta-learner."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from foldsmith.cli.command import refuse
from foldsmith.config import CALIBRATIONS, parse_horizons, parse_words
from foldsmith.errors import SettingError

if TYPE_CHECKING:
    from foldsmith.stages.ensemble_options import EnsembleOptions

OPTIONS = (
    click.option(
        "--stacking-data",
        metavar="CV_RUN_ID[,...]",
        help="Train the ensemble from this CV run's predictions, joined by those of the other runs named.",
    ),
    click.option(
        "--with-horizons",
        metavar="BARS",
        help="Join the first run's predictions of other horizons, such as 5,10.",
    ),
    click.option(
        "--join",
        type=click.Choice(["exact", "backward"]),
        default="exact",
        show_default=True,
        help="Rows of other runs to see: of the same decision time, or the last known by then.",
    ),
    click.option(
        "--max-age-minutes", type=int, help="With --join backward, the age beyond which a row is too old."
    ),
    click.option(
        "--min-coverage",
        type=float,
        default=0.5,
        show_default=True,
        help="Least share of the first run's rows that all joined runs must have.",
    ),
    click.option(
        "--calibrate-ensemble",
        type=click.Choice(CALIBRATIONS),
        default="none",
        show_default=True,
        help="Calibrate the ensemble, on rows that its meta-learner was not fitted on.",
    ),
)
FLAGS = ("with_horizons", "join", "max_age_minutes", "min_coverage", "calibrate_ensemble")


def ensemble_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags to a command, in the order of `OPTIONS`."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def runs_named(text: str) -> tuple[str, ...]:
    """The CV runs of --stacking-data; SettingError for one named twice."""
    runs = tuple(parse_words(text))
    for number, run in enumerate(runs):
        if run in runs[:number]:
            raise SettingError(f"--stacking-data names {run} twice; name each CV run once.")
    return runs


def ensemble_options(
    ctx: click.Context, flags: Mapping[str, Any], horizon: int, runs: int, known: Sequence[int] | None = None
) -> EnsembleOptions:
    """Options from the flags; those of joining are refused where one run at one horizon is all there is."""
    from foldsmith.stages.ensemble_options import EnsembleOptions
    from foldsmith.stages.joined import check_horizons

    text = flags["with_horizons"]
    others = () if text is None else parse_horizons(text, known)
    if runs == 1 and not others:
        why = "one run at one horizon is joined with nothing; name runs with --stacking-data A,B"
        refuse(ctx, ["join", "max_age_minutes", "min_coverage"], why)
    options = EnsembleOptions(
        calibrate_ensemble=flags["calibrate_ensemble"],
        with_horizons=others,
        join=flags["join"],
        max_age_minutes=flags["max_age_minutes"],
        min_coverage=flags["min_coverage"],
    )
    check_horizons(horizon, options)
    return options


LEVELS = ("own_rows", "out_of_fold", "meta_out_of_fold", "validation")


def level_lines(levels: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Log loss of each model at each level, less the base rate's there, and what is lost between them."""
    yield "log loss (less the base rate's):"
    for name in sorted(levels, key=lambda name: "own_rows" in levels[name]):  # the ensemble comes last
        found = levels[name]
        shown = ", ".join(
            f"{level.replace('_', ' ')} {found[level]['log_loss']:.4f} "
            f"({found[level]['log_loss'] - found[level]['log_loss_base']:+.4f})"
            for level in LEVELS
            if level in found
        )
        apart = found["difference"]["log_loss"]
        between = "" if apart["low"] is None else f" [{apart['low']:+.4f}, {apart['high']:+.4f}]"
        yield f"  {name}: {shown}; out of fold less validation {apart['estimate']:+.4f}{between}"
