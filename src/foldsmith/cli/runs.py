"""`foldsmith runs`: what there is, and whether it is still what it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from foldsmith.cli.command import Command, open_workspace, say, workspace_option
from foldsmith.errors import FoldsmithError, IntegrityError, MissingError

if TYPE_CHECKING:
    from foldsmith.runs.store import Run, Workspace


@click.group()
def runs() -> None:
    """List runs, show one, verify their hashes."""


@runs.command("list", cls=Command)
@workspace_option
def list_(workspace_dir: Path) -> None:
    """List finished datasets, CV runs and models, newest first."""
    for line in run_lines(open_workspace(workspace_dir)):
        say(line)


@runs.command(cls=Command)
@click.argument("run_id")
@workspace_option
def show(run_id: str, workspace_dir: Path) -> None:
    """Print a run's manifest."""
    from foldsmith.runs.files import canonical_json

    run = _find(open_workspace(workspace_dir), run_id)
    say(canonical_json(run.manifest.model_dump(mode="json")).decode().rstrip())


@runs.command(cls=Command)
@click.argument("run_id", required=False)
@workspace_option
def verify(run_id: str | None, workspace_dir: Path) -> None:
    """Compare every file of a run (of all runs) with its hash, and its manifest with the ledger."""
    workspace = open_workspace(workspace_dir)
    names = [run_id] if run_id else [name for folder in _folders(workspace) for name in _published(folder)]
    damaged = []
    for name in names:
        try:
            _find(workspace, name).verify()
            say(f"{name}: whole")
        except IntegrityError as error:
            damaged.append(name)
            say(f"{name}: {error}")
    if damaged:
        raise IntegrityError(f"{len(damaged)} of {len(names)} runs are damaged: {', '.join(damaged)}.")


def run_lines(workspace: Workspace) -> Iterator[str]:
    """One line a run: kind, id, symbol, what it holds."""
    from foldsmith.runs.store import open_run

    empty = True
    for folder in _folders(workspace):
        for name in _published(folder):
            empty = False
            try:
                manifest = open_run(folder, name).manifest
            except FoldsmithError as error:
                yield f"damaged  {name}  {error}"
                continue
            extra = manifest.extra
            parts = [
                f"{key} {_short(extra[key])}"
                for key in ("model", "models", "horizon", "horizons", "timeframe")
                if key in extra
            ]
            yield f"{manifest.kind:<8} {name}  {extra.get('symbol', ''):<5} {'  '.join(parts)}"
    if empty:
        yield "no run is there yet; begin with: ./pipeline run --symbols SYMBOL"


def status_lines(workspace: Workspace) -> Iterator[str]:
    """What the workspace holds, in a few lines."""
    from foldsmith.runs.ledger import Ledger
    from foldsmith.runs.store import partials
    from foldsmith.stages.prepare import raw_symbols

    yield f"raw bars: {', '.join(raw_symbols(workspace)) or 'none'} (in {workspace.raw})"
    for what, folder in zip(("datasets", "CV runs", "models"), _folders(workspace), strict=True):
        finished = _published(folder)
        newest = f", the newest {finished[0]}" if finished else ""
        yield f"{what}: {len(finished)}{newest}"
        for name in partials(folder):
            yield f"  unfinished: {name}"
    looks = Ledger(workspace.ledger).looks()
    yield f"looks at held-out rows: {len(looks)}, of them {sum(look.split == 'test' for look in looks)} at test rows"


def _folders(workspace: Workspace) -> tuple[Path, Path, Path]:
    return workspace.datasets, workspace.stacking, workspace.runs


def _published(folder: Path) -> list[str]:
    from foldsmith.runs.store import published

    return published(folder)


def _find(workspace: Workspace, run_id: str) -> Run:
    """A run by id, wherever in the workspace it lies."""
    for folder in _folders(workspace):
        if run_id in _published(folder):
            return workspace.open_run(folder, run_id)
    newest = [name for folder in _folders(workspace) for name in _published(folder)[:3]]
    raise MissingError(
        f"run {run_id!r:.80} is not in {workspace.root}; there are {', '.join(newest) or 'no runs'}."
    )


def _short(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
