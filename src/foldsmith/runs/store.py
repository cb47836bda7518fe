"""Where runs lie in a workspace, and how they are found and opened.

    data/raw/   data/datasets/{id}/   data/stacking/{id}/   experiments/runs/{id}/   experiments/ledger.sqlite

Only these fixed folders are ever made with "it may exist already"; a run's own folder is claimed (see
`foldsmith.runs.claim`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

from foldsmith.errors import DataError, FoldsmithError, IntegrityError, MissingError, SettingError
from foldsmith.runs.claim import partials
from foldsmith.runs.files import disk_errors_told, read_json, write_json
from foldsmith.runs.ids import RUN_ID, check_name, is_name
from foldsmith.runs.ledger import Anchor, Ledger
from foldsmith.runs.manifest import MANIFEST, Manifest, read, read_with_hash, verify

LISTED = 10
"""How many of the newest runs a message names."""


@dataclass(frozen=True)
class Run:
    """A published run: its folder, and its manifest as it was checked when the run was opened."""

    path: Path
    manifest: Manifest

    @property
    def id(self) -> str:
        """The run's name."""
        return self.manifest.id

    def verify(self, paths: Iterable[str] | None = None) -> None:
        """Compare files (relative paths with `/`; all when None) with their hashes; IntegrityError names the
        first."""
        verify(self.path, paths, manifest=self.manifest)


@dataclass(frozen=True)
class Workspace:
    """A workspace folder and the fixed places in it."""

    root: Path

    @property
    def raw(self) -> Path:
        """Input bars; never written."""
        return self.root / "data" / "raw"

    @property
    def datasets(self) -> Path:
        """Runs of phase 1."""
        return self.root / "data" / "datasets"

    @property
    def stacking(self) -> Path:
        """Runs of cross-validation."""
        return self.root / "data" / "stacking"

    @property
    def runs(self) -> Path:
        """Trained models."""
        return self.root / "experiments" / "runs"

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.root / "experiments" / "ledger.sqlite"

    def open_run(self, parent: Path, run_id: str) -> Run:
        """Open a run of `parent`, its manifest compared with this workspace's ledger."""
        return open_run(parent, run_id, self.ledger)


def ensure_folder(folder: Path) -> Path:
    """Make one of the fixed folders that hold runs, unless it is there; returns it."""
    with disk_errors_told(f"make the folder {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def published(parent: Path) -> list[str]:
    """Ids of the finished runs in `parent`, newest first; empty where there is no such folder.

    A run is a folder, or a link to one, with a name that a run can have and a manifest.json in it. The time
    is the one in the id; for a name the user chose, the one in its manifest (unreadable ones are last).
    """
    with disk_errors_told(f"list the runs in {parent}"):
        try:
            names = [entry.name for entry in os.scandir(parent) if is_name(entry.name)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        dated = [(_begun(parent, name), name) for name in names if (parent / name / MANIFEST).is_file()]
    return [name for _, name in sorted(dated, reverse=True)]


def open_run(parent: Path, run_id: str, ledger: Path | None = None) -> Run:
    """Read and check the manifest of a published run; files are compared when `Run.verify` is asked to.

    Raises SettingError for an id that is no name, MissingError (naming the newest runs there) where there is
    none, IntegrityError where the manifest is not the one that `ledger` knows for this id; a run it does not
    know, such as one copied from another workspace, is taken as it is.
    """
    check_name(run_id, "the run id")
    folder = parent / run_id
    with disk_errors_told(f"open run {run_id} in {parent}"):
        if not (folder / MANIFEST).exists():
            raise MissingError(_not_there(parent, run_id))
    manifest, found = read_with_hash(folder)
    if manifest.id != run_id:
        raise IntegrityError(f"{folder} holds run {manifest.id}; give the folder its name back.")
    if ledger is not None:
        _compare_with_ledger(Ledger(ledger), folder, manifest, found)
    return Run(folder, manifest)


def _compare_with_ledger(ledger: Ledger, folder: Path, manifest: Manifest, found: str) -> None:
    known = ledger.manifest_hashes(manifest.id)
    if known and found not in known:
        raise IntegrityError(
            f"{folder / MANIFEST} was changed: its hash is {found[:12]} and the ledger says "
            f"{known[-1][:12]}. Restore it or make the run again."
        )
    if manifest.ledger is not None:
        ledger.check_anchor(manifest.id, Anchor(**manifest.ledger.model_dump()))


def newest_dataset(workspace: Workspace, symbol: str | None = None) -> Run:
    """The newest dataset of `symbol`; without one, of the only symbol that the workspace holds.

    Raises MissingError where there is none, SettingError where a symbol must be named.
    """
    newest: dict[str, str] = {}
    for run_id in published(workspace.datasets):
        found = str(read(workspace.datasets / run_id).extra.get("symbol", ""))
        newest.setdefault(found, run_id)
        if found == symbol:
            break
    if symbol is None and len(newest) > 1:
        raise SettingError(
            f"the workspace holds datasets of {', '.join(sorted(newest))}; say which with --symbol."
        )
    chosen = next(iter(newest), None) if symbol is None else symbol
    if chosen is None or chosen not in newest:
        there = f"there are datasets of {', '.join(sorted(newest))}" if newest else "there is no dataset yet"
        raise MissingError(
            f"no dataset{f' of {symbol}' if symbol else ''} in {workspace.datasets}; {there}. Make one with: "
            f"./pipeline run --symbols {symbol or 'SYMBOL'}"
        )
    return workspace.open_run(workspace.datasets, newest[chosen])


def horizons_of(dataset: Run) -> tuple[int, ...]:
    """The horizons that a dataset has labels for; DataError where its manifest does not say them."""
    found = dataset.manifest.extra.get("horizons")
    if not isinstance(found, list) or not found or not all(type(horizon) is int for horizon in found):
        raise DataError(f"dataset {dataset.id} does not say its horizons ({found!r:.60}); make it again.")
    return tuple(found)


def _begun(parent: Path, name: str) -> str:
    made = RUN_ID.fullmatch(name)
    if made is not None:
        return made["time"]
    try:
        return f"{read(parent / name).created.astimezone(UTC):%Y%m%d_%H%M%S_%f}"
    except FoldsmithError:
        return ""


def _not_there(parent: Path, run_id: str) -> str:
    there = published(parent)
    if run_id in partials(parent):
        state = "is not finished: it is being made, or was stopped and can be resumed"
    elif (parent / run_id).is_dir():
        state = f"has no {MANIFEST}, so it is no run"
    elif (parent / run_id).is_symlink():
        state = "is a link that leads to no folder; restore what it leads to"
    else:
        state = "is not there"
    listed = f"the newest runs there are {', '.join(there[:LISTED])}" if there else "no run is there"
    more = f" and {len(there) - LISTED} older" if len(there) > LISTED else ""
    return f"run {run_id} {state} in {parent}; {listed}{more}."


__all__ = [
    "Run",
    "Workspace",
    "ensure_folder",
    "horizons_of",
    "newest_dataset",
    "open_run",
    "partials",
    "published",
    "read_json",
    "write_json",
]
