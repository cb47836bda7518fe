"""`--track`, the same for `cv`, `train` and `evaluate`: a published run is logged to MLflow as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from foldsmith.cli.command import say

if TYPE_CHECKING:
    from foldsmith.runs.store import Run, Workspace


def _checked(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    """Refuse what cannot work before hours of work."""
    from foldsmith.stages.tracking import checked_tracker

    return None if text is None else checked_tracker(text)


track_option = click.option(
    "--track",
    metavar="mlflow[:URI]",
    callback=_checked,
    help="Log the finished run to MLflow too, by default in mlruns.db of the workspace (extra `tracking`).",
)


def track(run: Run, tracker: str | None, workspace: Workspace) -> None:
    """Log a published run, if a tracker was given; a failure is one sentence of warning, for the run is safe."""
    if tracker is None:
        return
    from foldsmith.stages.tracking import log_to_mlflow, record_of, tracking_uri

    try:
        uri = tracking_uri(tracker, workspace.root)
        log_to_mlflow(record_of(run), uri)
    except KeyboardInterrupt:
        _warn(run, "stopped by Ctrl-C")
    except Exception as error:  # noqa: BLE001 - whatever a tracker does, the run was published and stays
        _warn(run, f"{type(error).__name__}: {_first_line(error)}")
    else:
        say(f"Logged to MLflow: {uri}")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300].rstrip(".") if lines else "no reason given"


def _warn(run: Run, why: str) -> None:
    click.echo(
        f"warning: run {run.id} is published and complete, but was not logged to the tracker ({why}).",
        err=True,
    )
