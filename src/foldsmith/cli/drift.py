"""`foldsmith drift`: whether new bars look like those a model was trained on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foldsmith.cli.command import Command, format_option, open_workspace, say, workspace_option

if TYPE_CHECKING:
    from foldsmith.stages.drift import Drift

FAILED = 3
"""Exit status where drift is above --fail-above."""


@click.command(cls=Command)
@click.option("--run-id", required=True, help="Run id of a trained model.")
@click.option(
    "--bars",
    type=click.Path(path_type=Path),
    help="Bars as in data/raw: a file or a folder; those after the dataset's last count.  [default: the raw file]",
)
@format_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of a table.")
@click.option(
    "--fail-above",
    type=click.FloatRange(min=0, min_open=True),
    metavar="PSI",
    help="End with exit status 3 if a population stability index is above this, such as 0.25.",
)
@click.option(
    "--runs-dir", type=click.Path(path_type=Path), help="Where models lie.  [default: experiments/runs]"
)
@workspace_option
@click.pass_context
def drift(
    ctx: click.Context,
    run_id: str,
    bars: Path | None,
    file_format: str | None,
    as_json: bool,
    fail_above: float | None,
    runs_dir: Path | None,
    workspace_dir: Path,
) -> None:
    """Compare features and predictions of new bars with those that the model was trained on and validated with."""
    workspace = open_workspace(workspace_dir)
    from foldsmith.stages.drift import drift as find
    from foldsmith.stages.evaluate import open_model

    model = open_model(workspace, run_id, workspace.runs if runs_dir is None else runs_dir)
    found = find(workspace, model, bars, file_format)
    for line in [json.dumps(found.as_dict())] if as_json else _lines(found):
        say(line)
    if fail_above is not None and found.worst > fail_above:
        click.echo(f"error: the largest PSI, {found.worst:.3f}, is above {fail_above:g}.", err=True)
        ctx.exit(FAILED)


def _lines(found: Drift) -> Iterator[str]:
    yield (
        f"features: {found.new_rows:,} new rows against {found.training_rows:,} of training; "
        f"predictions: against {found.validation_rows:,} of validation"
    )
    yield f"  {'':<28} {'PSI':>7}  {'KS':>6}  {'p':>7}  {'rows that count':>17}  what it says"
    for entries in (found.predictions, found.features):
        for entry in sorted(entries, key=lambda entry: -entry["psi"]):
            yield _line(entry)
    yield "PSI below 0.1 is called stable, to 0.25 moving, above moved; p is of the rows that count as independent"


def _line(entry: dict[str, Any]) -> str:
    p = "none" if entry["p_value"] is None else f"{entry['p_value']:.4f}"
    counted = f"{entry['effective_train']:,.0f}/{entry['effective_other']:,.0f}"
    return f"  {entry['name']:<28} {entry['psi']:>7.3f}  {entry['ks']:>6.3f}  {p:>7}  {counted:>17}  {entry['verdict']}"
