"""`foldsmith runs reproduce` and `foldsmith pipeline rerun`: make runs again from what their manifests say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from foldsmith.cli.command import Command, open_workspace, provenance, say
from foldsmith.cli.runs import place_options
from foldsmith.cli.validation_options import worker_count
from foldsmith.errors import IntegrityError

if TYPE_CHECKING:
    from foldsmith.stages.remake import Remade

STAGES = {"prepare": "dataset", "cv": "cv", "train": "model", "evaluate": "evaluation"}
"""What `rerun --from` calls the stages, and the kind of run that each makes."""
SHOWN = 8

workers_option = click.option("--workers", type=int, help="Processes to use.  [default: all cores]")


@click.command(cls=Command)
@click.argument("run_id")
@click.option(
    "--from-raw", is_flag=True, help="Make all that it was made from again too, from the raw bars on."
)
@workers_option
@place_options
def reproduce(
    run_id: str, from_raw: bool, workers: int | None, workspace_dir: Path, also: Sequence[Path]
) -> None:
    """Make a run again beside the workspace, compare its content with what it was, and keep nothing of it.

    A look at held-out rows that is made again is counted again.
    """
    from foldsmith.cli.run_lines import SHORT
    from foldsmith.runs.registry import find_run
    from foldsmith.stages.remake import reproduce as remake

    workspace = open_workspace(workspace_dir)
    run = find_run(workspace, run_id, also)
    command = provenance(workspace).command
    made = remake(workspace, run, command, say, workers=worker_count(workers), from_raw=from_raw, also=also)
    for each in made:
        say(f"{each.before.kind} {each.before.id}: {_verdict(each)}")
    others = [each for each in made if not each.equal]
    if others:
        raise IntegrityError(
            f"{len(others)} of {len(made)} runs came out otherwise: the first, {others[0].before.id}, had content "
            f"{others[0].before.content[:SHORT]} and has {others[0].now.content[:SHORT]} now{_causes(others[0])}."
        )


@click.command(cls=Command)
@click.argument("run_id")
@click.option(
    "--from", "stage", type=click.Choice(list(STAGES)), required=True, help="The first stage to run again."
)
@workers_option
@place_options
def rerun(run_id: str, stage: str, workers: int | None, workspace_dir: Path, also: Sequence[Path]) -> None:
    """Make new runs with the settings of a run and of those it was made from, from a stage on, with bars as they are
    now."""
    from foldsmith.runs.registry import find_run
    from foldsmith.stages.remake import rerun as remake

    workspace = open_workspace(workspace_dir)
    run = find_run(workspace, run_id, also)
    made = remake(
        workspace, run, provenance(workspace), say,
        first=STAGES[stage], workers=worker_count(workers), also=also,
    )  # fmt: skip
    for each in made:
        say(f"{each.now.kind} {each.now.id}, as {each.before.id} was made: {_verdict(each)}")


def _verdict(made: Remade) -> str:
    if made.equal:
        return "the same content"
    files = made.differing()
    more = f" and {len(files) - SHOWN} more" if len(files) > SHOWN else ""
    return f"other content; what differs: {', '.join(files[:SHOWN])}{more}"


def _causes(made: Remade) -> str:
    """What is known to have changed since."""
    from foldsmith.runs.lineage import changed_packages

    known = []
    if made.before.code.source != made.now.code.source:
        known.append("the code was changed")
    known += [f"{name} is {now or 'gone'}" for name, now in changed_packages(made.before).items()]
    if made.before.platform != made.now.platform:
        known.append(f"the machine is {made.now.platform}, not {made.before.platform}")
    return f" (since then: {'; '.join(known)})" if known else ""
