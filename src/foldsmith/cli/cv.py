"""`foldsmith cv`: phase 3."""

from __future__ import annotations

import shlex
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foldsmith.cli.command import (
    Command,
    chosen_dataset,
    open_workspace,
    provenance,
    refuse,
    say,
    workspace_option,
)
from foldsmith.cli.feature_choice import features_by_model
from foldsmith.cli.tracking import track, track_option
from foldsmith.cli.validation_options import (
    STORED,
    WHERE,
    chosen_executor,
    validation_options,
    validation_settings,
)
from foldsmith.config import DEFAULT_MODELS, CrossValidateSettings, parse_horizons, parse_words
from foldsmith.errors import SettingError, UnfinishedError
from foldsmith.validation.path_groups import PathGroups

if TYPE_CHECKING:
    from foldsmith.runs.store import Run, Workspace
    from foldsmith.stages.crossed import Own


@click.command(cls=Command)
@click.option(
    "--models",
    default=",".join(DEFAULT_MODELS),
    show_default=True,
    help="Base models or families by name (see --list-models), or all but the baselines.",
)
@click.option("--horizons", default="all", show_default=True, help="Horizons in bars, such as 5,20, or all.")
@validation_options
@click.option(
    "--paths",
    metavar="N,K",
    help="Fit models on every choice of K test groups of N too: whole paths of predictions, such as 6,2.",
)
@click.option(
    "--output-dir", type=click.Path(path_type=Path), help="Where CV runs lie.  [default: data/stacking]"
)
@click.option("--output-name", help="Name of the CV run; refused if it is taken.  [default: a new id]")
@click.option(
    "--resume", metavar="ID", help="Go on with a CV run that was stopped, with the settings it has."
)
@click.option("--dry-run", is_flag=True, help="Only say how many fits, how much memory and time.")
@click.option("--list-cv-runs", is_flag=True, help="List CV runs (of --symbol, in --output-dir), and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print that list as JSON.")
@click.option("--list-models", is_flag=True, help="List models with family and search space, and stop.")
@track_option
@workspace_option
@click.pass_context
def cv(ctx: click.Context, /, workspace_dir: Path, output_dir: Path | None, **flags: Any) -> None:
    """Phase 3: cross-validate models, store out-of-fold predictions and refitted base models."""
    if flags["list_models"]:
        from foldsmith.cli.listing import model_lines

        others = [str(p.name) for p in ctx.command.params if p.name not in ("list_models", "workspace_dir")]
        refuse(ctx, others, "--list-models only lists")
        for line in model_lines(open_workspace(workspace_dir)):
            say(line)
        return
    workspace = open_workspace(workspace_dir)
    folder = workspace.stacking if output_dir is None else output_dir
    if flags["list_cv_runs"]:
        _list(ctx, workspace, folder, flags)
        return
    refuse(ctx, ["as_json"], "it is a form of --list-cv-runs, which is not given")
    executor = chosen_executor(flags)
    if flags["resume"] is not None:
        refuse(
            ctx,
            [
                "models",
                "horizons",
                "paths",
                *(name for name in STORED if name not in WHERE),
                "output_name",
                "dry_run",
            ],
            "a resumed run has the settings it was begun with",
        )
        dataset, settings, own = _resumed(workspace, folder, flags["resume"])
    else:
        dataset, settings, own = _fresh(ctx, workspace, flags)
    if flags["dry_run"]:
        refuse(ctx, ["output_name", "track"], "a dry run writes nothing")
        _say_plan(dataset, settings, executor.workers, own)
        return
    from foldsmith.stages.cross_validate import cross_validate

    try:
        run = cross_validate(
            dataset,
            settings,
            provenance(workspace),
            say,
            folder=folder,
            name=flags["output_name"],
            resume=flags["resume"],
            executor=executor,
            own=own,
        )
    except UnfinishedError as error:
        # Its last words are the command that goes on, to which folders of one's own and a tracker belong.
        places = {
            "--track": flags["track"],
            "--output-dir": output_dir,
            "--workspace": None if workspace_dir == Path() else workspace_dir,
        }
        words = [word for flag, path in places.items() if path is not None for word in (flag, str(path))]
        raise type(error)(" ".join([str(error), *map(shlex.quote, words)])) from None
    _say_done(run, settings, output_dir, workspace_dir)
    track(run, flags["track"], workspace)


def _list(ctx: click.Context, workspace: Workspace, folder: Path, flags: dict[str, Any]) -> None:
    from foldsmith.cli.runs import print_runs
    from foldsmith.runs.registry import Place, Wanted, read_registry

    used = ("list_cv_runs", "symbol", "output_dir", "as_json", "workspace_dir")
    others = [str(p.name) for p in ctx.command.params if p.name not in used]
    refuse(ctx, others, "--list-cv-runs only lists; more ways to choose has `foldsmith runs list --kind cv`")
    registry = read_registry(workspace, [Place(folder, "cv")])
    print_runs(registry, Wanted(kind="cv", symbol=flags["symbol"]), "newest", flags["as_json"])


def _fresh(
    ctx: click.Context, workspace: Workspace, flags: dict[str, Any]
) -> tuple[Run, CrossValidateSettings, Own]:
    from foldsmith.cli.models import chosen_models
    from foldsmith.runs.store import horizons_of

    validation = validation_settings(ctx)
    paths = None if flags["paths"] is None else astuple(PathGroups.parse(flags["paths"]))
    # An extra that is missing, and a model that breaks its contract, are told now, not after hours.
    models, own = chosen_models(workspace, parse_words(flags["models"]))
    dataset = chosen_dataset(workspace, flags["dataset_id"], flags["symbol"])
    horizons = parse_horizons(flags["horizons"], horizons_of(dataset))
    features = features_by_model(workspace, dataset, flags["features"], models, own)
    return dataset, CrossValidateSettings(models, horizons, validation, features, paths), own


def _resumed(workspace: Workspace, folder: Path, run_id: str) -> tuple[Run, CrossValidateSettings, Own]:
    from foldsmith.stages.cross_validate import kept_settings
    from foldsmith.stages.models_file import load_as_recorded

    dataset_id, content, settings, records = kept_settings(folder, run_id)
    dataset = workspace.open_run(workspace.datasets, dataset_id)
    if dataset.manifest.content != content:
        raise SettingError(
            f"run {run_id} was begun on dataset {dataset_id} with content {content[:12]}; the dataset there now has "
            f"{dataset.manifest.content[:12]}. Start a new run."
        )
    return dataset, settings, load_as_recorded(workspace, records)


def _say_plan(dataset: Run, settings: CrossValidateSettings, workers: int, own: Own) -> None:
    from foldsmith.stages.plan import plan_cv

    plan = plan_cv(dataset, settings, workers, own)
    say(f"fits: {plan.fits:,} ({plan.described})")
    say(f"memory: about {plan.memory_bytes / 2**20:,.0f} MiB with {workers} workers")
    say(f"time: about {plan.seconds / 60:,.1f} min, from one timed fit of each model; nothing was written")


def _say_done(
    run: Run, settings: CrossValidateSettings, output_dir: Path | None, workspace_dir: Path
) -> None:
    from foldsmith.cli.listing import path_lines, score_line
    from foldsmith.runs.store import read_json

    for horizon, found in read_json(run.path / "cv_results.json")["horizons"].items():
        for model, scores in found["models"].items():
            say(score_line(f"{model} h{horizon} out of fold", scores["oof"]))
            say(score_line(f"{model} h{horizon} validation", scores["validation"]))
        for line in path_lines(found.get("paths", {}), f" h{horizon}"):
            say(line)
    say(f"CV Run ID: {run.path.name}")
    say(f"Results saved to: {run.path / 'cv_results.json'}")
    say(f"Stacking datasets saved to: {run.path / 'stacking'}")
    say("Train an ensemble from them:")
    for horizon in settings.horizons:
        command = ["python", "scripts/train_model.py", "--model", "stacking", "--horizon", str(horizon)]
        command += ["--stacking-data", run.path.name, "--meta-learner", "logistic"]
        if output_dir is not None:
            command += ["--phase3-output", str(output_dir)]
        if workspace_dir != Path():
            command += ["--workspace", str(workspace_dir)]
        say(f"  {shlex.join(command)}")
