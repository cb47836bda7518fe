"""`foldsmith train`: phases 2 and 4."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foldsmith.cli.command import (
    Command,
    chosen_dataset,
    given,
    open_workspace,
    provenance,
    refuse,
    say,
    workspace_option,
)
from foldsmith.cli.ensemble_options import (
    FLAGS,
    ensemble_flags,
    ensemble_options,
    level_lines,
    runs_named,
)
from foldsmith.cli.feature_choice import features_by_model
from foldsmith.cli.tracking import track, track_option
from foldsmith.cli.validation_options import (
    STORED,
    chosen_executor,
    validation_options,
    validation_settings,
    worker_count,
)
from foldsmith.config import (
    DEFAULT_MODELS,
    ENSEMBLE_META_LEARNER,
    CrossValidateSettings,
    parse_horizons,
    parse_words,
)
from foldsmith.errors import SettingError
from foldsmith.toml import parse_toml

if TYPE_CHECKING:
    from foldsmith.runs.store import Run, Workspace

ENSEMBLE_ONLY = ("base_models", "meta_learner", "stacking_data", "phase3_output", *FLAGS)


def read_config(ctx: click.Context, _: click.Parameter, path: Path | None) -> dict[str, Any]:
    """Make a TOML file's keys the flags' defaults; returns its [params] table, the model's hyperparameters."""
    if path is None:
        return {}
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"--config {path} cannot be read as TOML: {error}.") from None
    found = parse_toml(text, f"--config {path}")
    params = found.pop("params", {})
    if not isinstance(params, dict):
        raise SettingError(
            f"--config {path}: params is no table; write [params] and one hyperparameter a line."
        )
    names = {
        p.opts[0].removeprefix("--").replace("-", "_"): p for p in ctx.command.params if p.name != "config"
    }
    unknown = [key for key in found if key not in names]
    if unknown:
        raise SettingError(
            f"--config {path} has an unknown key {unknown[0]!r}; there are {', '.join(names)}, params."
        )
    ctx.default_map = {
        str(names[key].name): _as_typed(value, f"--config {path}: {key}") for key, value in found.items()
    }
    return params


def _as_typed(value: Any, where: str) -> str:
    """A TOML value as it would be typed after its flag, so that 20.5 is no whole number here either."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    if not isinstance(value, str | int | float):
        raise SettingError(f"{where} is {value!r}; give text, a number, true or false.")
    return str(value)


@click.command(cls=Command)
@click.option(
    "--config",
    is_eager=True,
    callback=read_config,
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file: flags by name (horizon = 20), and a table [params] of hyperparameters.",
)
@click.option(
    "--model",
    help="A base model or an ensemble (stacking, blending, voting, meta_labelling); see --list-models.",
)
@click.option("--horizon", type=int, help="Horizon in bars.")
@ensemble_flags
@click.option(
    "--phase3-output", type=click.Path(path_type=Path), help="Where CV runs lie.  [default: data/stacking]"
)
@click.option(
    "--meta-learner", help="logistic; but for meta_labelling greedy, ridge, lightgbm.  [default: logistic]"
)
@click.option(
    "--base-models",
    help="Base models or families of an ensemble without --stacking-data, by name, or all but the baselines."
    f"  [default: {','.join(DEFAULT_MODELS)}]",
)
@validation_options
@click.option(
    "--output-dir", type=click.Path(path_type=Path), help="Where models lie.  [default: experiments/runs]"
)
@click.option("--list-models", is_flag=True, help="List models, ensembles and meta-learners, and stop.")
@track_option
@workspace_option
@click.pass_context
def train(ctx: click.Context, /, workspace_dir: Path, config: dict[str, Any], **flags: Any) -> None:
    """Phases 2 and 4: train one base model, or an ensemble from stored or fresh out-of-fold predictions."""
    if flags["list_models"]:
        from foldsmith.cli.listing import model_lines

        for line in model_lines(open_workspace(workspace_dir)):
            say(line)
        return
    name, horizon = flags["model"], flags["horizon"]
    if name is None or horizon is None:
        raise SettingError(
            f"{'--model' if name is None else '--horizon'} is missing; see --help and --list-models."
        )
    workspace = open_workspace(workspace_dir)
    folder = workspace.runs if flags["output_dir"] is None else flags["output_dir"]
    run = _trained(ctx, workspace, name, horizon, config, folder, flags)
    _say_done(run, flags["output_dir"], workspace_dir)
    track(run, flags["track"], workspace)


def _trained(
    ctx: click.Context,
    workspace: Workspace,
    name: str,
    horizon: int,
    params: dict[str, Any],
    folder: Path,
    flags: dict[str, Any],
) -> Run:
    from foldsmith.ensembles.catalogue import ENSEMBLES
    from foldsmith.models.catalogue import MODELS
    from foldsmith.stages.models_file import own_lines

    own = own_lines(workspace, [name])
    if name in MODELS or name in own:
        return _base(ctx, workspace, name, horizon, params, folder, flags)
    if name not in ENSEMBLES:
        raise SettingError(f"unknown model {name!r}; there are {', '.join([*MODELS, *ENSEMBLES, *own])}.")
    if params:
        raise SettingError(f"[params] of --config does not apply: {name} is an ensemble. Leave it out.")
    meta_learner = _meta_learner(ctx, name, flags["meta_learner"])
    if flags["stacking_data"] is None:
        return _ensemble_from_fresh(ctx, workspace, name, horizon, meta_learner, folder, flags)
    refuse(ctx, [*STORED, "base_models"], "with --stacking-data it comes from the CV run")
    from foldsmith.stages.ensemble import train_stored

    first, *others = runs_named(flags["stacking_data"])
    return train_stored(
        workspace,
        first,
        horizon,
        name,
        meta_learner,
        provenance(workspace),
        say,
        phase3_folder=workspace.stacking if flags["phase3_output"] is None else flags["phase3_output"],
        folder=folder,
        also=others,
        options=ensemble_options(ctx, flags, horizon, 1 + len(others)),
    )


def _meta_learner(ctx: click.Context, name: str, chosen: str | None) -> str | None:
    from foldsmith.ensembles.catalogue import ensemble_class

    ensemble = ensemble_class(name)
    if not ensemble.needs_meta_learner:
        refuse(ctx, ["meta_learner"], f"{name} has no meta-learner")
        return None
    chosen = ENSEMBLE_META_LEARNER if chosen is None else chosen
    ensemble.learner_class(chosen)
    return chosen


def _base(
    ctx: click.Context,
    workspace: Workspace,
    name: str,
    horizon: int,
    params: dict[str, Any],
    folder: Path,
    flags: dict[str, Any],
) -> Run:
    from foldsmith.cli.models import chosen_models
    from foldsmith.models.catalogue import make
    from foldsmith.runs.store import horizons_of
    from foldsmith.stages.train import train_base

    refuse(
        ctx,
        [*ENSEMBLE_ONLY, "n_splits"],
        f"{name} is a base model, fitted once on the training segment",
    )
    refuse(ctx, ["embargo_bars"], f"{name} is a base model, scored on rows after all it is fitted on")
    refuse(ctx, ["predict_with"], f"{name} is a base model, and has no folds to take the mean of")
    refuse(ctx, ["executor_kind", "cluster"], f"{name} is a base model, and one fit runs here")
    settings = validation_settings(ctx)
    if params and settings.tune:
        raise SettingError(
            "--tune does not apply with [params] in --config: they are chosen already. Leave one out."
        )
    own = chosen_models(workspace, [name])[1]
    # A wrong hyperparameter is told before any work.
    make(own[name].load() if name in own else name, seed=settings.seed, **params)
    dataset = chosen_dataset(workspace, flags["dataset_id"], flags["symbol"])
    (horizon,) = parse_horizons(str(horizon), horizons_of(dataset))
    return train_base(
        dataset,
        name,
        horizon,
        settings,
        params,
        provenance(workspace),
        say,
        folder=folder,
        threads=worker_count(flags["workers"]),
        features=features_by_model(workspace, dataset, flags["features"], [name], own).get(name),
        own=own.get(name),
    )


def _ensemble_from_fresh(
    ctx: click.Context,
    workspace: Workspace,
    name: str,
    horizon: int,
    meta_learner: str | None,
    folder: Path,
    flags: dict[str, Any],
) -> Run:
    from foldsmith.cli.models import chosen_models
    from foldsmith.runs.store import horizons_of
    from foldsmith.stages.ensemble import train_fresh

    refuse(ctx, ["phase3_output"], "it says where --stacking-data is looked for, which is not given")
    settings = validation_settings(ctx)
    listed = flags["base_models"] if given(ctx, "base_models") else ",".join(DEFAULT_MODELS)
    models, own = chosen_models(workspace, parse_words(listed))
    dataset = chosen_dataset(workspace, flags["dataset_id"], flags["symbol"])
    horizons = parse_horizons(str(horizon), horizons_of(dataset))
    options = ensemble_options(ctx, flags, horizon, 1, horizons_of(dataset))
    features = features_by_model(workspace, dataset, flags["features"], models, own)
    return train_fresh(
        dataset,
        CrossValidateSettings(models, horizons, settings, features),
        name,
        meta_learner,
        provenance(workspace),
        say,
        folder=folder,
        executor=chosen_executor(flags),
        own=own,
        options=options,
    )


def _say_done(run: Run, output_dir: Path | None, workspace_dir: Path) -> None:
    from foldsmith.cli.listing import score_line
    from foldsmith.runs.store import read_json

    metrics = read_json(run.path / "metrics.json")
    if "meta_out_of_fold" in metrics:
        say(score_line("meta-level out of fold", metrics["meta_out_of_fold"]))
    say(score_line("validation", metrics["validation"]))
    for line in level_lines(metrics["levels"]) if "levels" in metrics else ():
        say(line)
    say(f"Run ID: {run.path.name}")
    say(f"Model saved to: {run.path}")
    command = ["python", "scripts/evaluate_model.py", "--run-id", run.path.name, "--split", "test"]
    if output_dir is not None:
        command += ["--runs-dir", str(output_dir)]
    if workspace_dir != Path():
        command += ["--workspace", str(workspace_dir)]
    say(f"Look at the test segment once you have decided: {shlex.join(command)}")
