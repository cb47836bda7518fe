"""Whether a run is still what it was: its manifest, every file, and files that were added."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from foldsmith.errors import FoldsmithError, IntegrityError
from foldsmith.runs.files import disk_errors_told
from foldsmith.runs.ids import is_name
from foldsmith.runs.manifest import MANIFEST, Manifest, counts_as_content
from foldsmith.runs.registry import EVALUATIONS
from foldsmith.runs.store import open_run


def problems_of_run(folder: Path, ledger: Path | None) -> list[str]:
    """Everything that is wrong with the run in `folder`, a sentence each; empty for one that is whole.

    Without `ledger` (one that is damaged itself), the manifest is compared with nothing.
    """
    try:
        run = open_run(folder.parent, folder.name, ledger)
    except FoldsmithError as error:
        return [str(error)]
    found = []
    with disk_errors_told(f"verify run {run.id}"):
        for path in run.manifest.files:
            try:
                run.verify([path])
            except IntegrityError as error:
                found.append(str(error))
        found += [
            f"{path} was added to run {run.id}: it is no file that the run was published with. Move it away."
            for path in added_files(folder, run.manifest)
        ]
    return found


def added_files(folder: Path, manifest: Manifest) -> list[str]:
    """Files of a run's folder that its manifest does not list, in order.

    Hidden ones, logs and reports may be added to a run; the evaluations of a model are runs of their own.
    """
    return sorted(
        path
        for path in _files(folder, "")
        if path not in manifest.files
        and (counts_as_content(path) or path.startswith(f"{EVALUATIONS}/"))
        and path != MANIFEST
    )


def _files(folder: Path, prefix: str) -> Iterator[str]:
    """Files and links below a folder by relative path; hidden ones and published evaluations left out."""
    for entry in os.scandir(folder):
        path = f"{prefix}{entry.name}"
        if entry.name.startswith("."):
            continue
        if not entry.is_dir(follow_symlinks=False):
            yield path
        elif not (
            prefix == f"{EVALUATIONS}/" and is_name(entry.name) and Path(entry.path, MANIFEST).exists()
        ):
            yield from _files(Path(entry.path), f"{path}/")
