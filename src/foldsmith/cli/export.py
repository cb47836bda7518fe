"""`foldsmith export`: a trained model as an ONNX file."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from foldsmith.cli.command import Command, open_workspace, say, workspace_option
from foldsmith.errors import MissingExtraError

NEEDED = ("onnx", "onnxruntime")


@click.command(cls=Command)
@click.option("--run-id", required=True, help="Run id of a trained model.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="File to write, ending with .onnx; one that exists is left untouched.",
)
@click.option(
    "--runs-dir", type=click.Path(path_type=Path), help="Where models lie.  [default: experiments/runs]"
)
@workspace_option
def export(run_id: str, output: Path, runs_dir: Path | None, workspace_dir: Path) -> None:
    """Write a model as one ONNX graph, after comparing it with the model on rows of its dataset."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f'export needs {missing[0]}, which is not installed: pip install "foldsmith[onnx]"'
        )
    workspace = open_workspace(workspace_dir)
    from foldsmith.stages.evaluate import open_model
    from foldsmith.stages.export import check_output, export_onnx

    check_output(output)
    model = open_model(workspace, run_id, workspace.runs if runs_dir is None else runs_dir)
    made = export_onnx(workspace, model, output)
    say(f"graph and model differ by at most {made.difference:.1e} in {made.rows:,} rows")
    say(f"wrote {made.size:,} bytes, {made.features} features in, to {output}")
