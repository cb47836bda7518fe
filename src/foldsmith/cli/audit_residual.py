"""`foldsmith audit residual`: what a longer embargo does to the score of a cheap model."""

from __future__ import annotations

from pathlib import Path

import click

from foldsmith.cli.command import (
    Command,
    check_outputs,
    chosen_dataset,
    open_workspace,
    say,
    workspace_option,
)


@click.command("residual", cls=Command)
@click.option(
    "--dataset", metavar="ID", help="Dataset whose training segment is taken.  [default: the newest]"
)
@click.option("--symbol", help="Symbol, where the workspace holds several.")
@click.option("--horizon", type=int, help="Horizon of the labels.  [default: the first of the dataset]")
@click.option("--model", default="logistic", show_default=True, help="A cheap model, or one of your own.")
@click.option("--n-splits", type=click.IntRange(2, 100), default=5, show_default=True, help="Folds.")
@click.option(
    "--seed", type=click.IntRange(0), default=42, show_default=True, help="Of the model and of drawn days."
)
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), help="Write the curve to this JSON file."
)
@click.option("--html", "page", type=click.Path(path_type=Path), help="Write the curve to this page.")
@workspace_option
def residual(
    dataset: str | None,
    symbol: str | None,
    horizon: int | None,
    model: str,
    n_splits: int,
    seed: int,
    json_file: Path | None,
    page: Path | None,
    workspace_dir: Path,
) -> None:
    """Show the out-of-fold score for embargoes of 0 to 8 horizons, and suggest one: a diagnosis, not a proof.

    Nothing is written into the workspace, and no trial is counted.
    """
    check_outputs(json_file, page)
    workspace = open_workspace(workspace_dir)
    from foldsmith.stages import audit_residual as stage
    from foldsmith.stages.horizon import load_recipe

    chosen = chosen_dataset(workspace, dataset, symbol)
    bars = horizon if horizon is not None else min(load_recipe(chosen).horizons)
    found = stage.residual_leak(workspace, chosen, bars, model, n_splits, seed, say)
    for line in stage.lines(found):
        say(line)
    for path in stage.write_residual(found, json_file, page):
        say(f"wrote {path}")
