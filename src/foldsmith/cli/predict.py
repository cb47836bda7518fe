"""`foldsmith predict`: probabilities for any bars, from a model's run folder alone."""

from __future__ import annotations

from pathlib import Path

import click

from foldsmith.cli.command import Command, format_option, open_workspace, say, workspace_option
from foldsmith.errors import SettingError, TakenError

ENDINGS = (".parquet", ".csv")


@click.command(cls=Command)
@click.option("--run-id", required=True, help="Run id of a trained model.")
@click.option(
    "--bars", required=True, type=click.Path(path_type=Path), help="Bars as in data/raw: a file or a folder."
)
@format_option
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="File to write, .parquet or .csv.  [default: CSV on stdout]",
)
@click.option(
    "--runs-dir", type=click.Path(path_type=Path), help="Where models lie.  [default: experiments/runs]"
)
@workspace_option
def predict(
    run_id: str,
    bars: Path,
    file_format: str | None,
    output: Path | None,
    runs_dir: Path | None,
    workspace_dir: Path,
) -> None:
    """Predict bars from a trained model's run folder alone; one row for each bar with all features known."""
    if output is not None and output.suffix not in ENDINGS:
        raise SettingError(f"--output {output} has an unknown ending; there are {' and '.join(ENDINGS)}.")
    if output is not None and output.exists():
        raise TakenError(f"{output} exists and was left untouched; choose another --output.")
    workspace = open_workspace(workspace_dir)
    from foldsmith.runs.files import write_whole
    from foldsmith.stages.evaluate import open_model
    from foldsmith.stages.predict import as_csv, as_parquet, predict_bars

    model = open_model(workspace, run_id, workspace.runs if runs_dir is None else runs_dir)
    found = predict_bars(workspace, model, bars, file_format)
    if output is None:
        click.echo(as_csv(found), nl=False)
        return
    write_whole(output, as_csv(found).encode() if output.suffix == ".csv" else as_parquet(found))
    say(f"wrote {found.height:,} predictions to {output}")
