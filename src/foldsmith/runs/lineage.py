"""Where a run comes from: the chain of runs it was made from, back to the raw file, and what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foldsmith.errors import FoldsmithError
from foldsmith.runs.files import hash_raw
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.manifest import Manifest
from foldsmith.runs.registry import DAMAGED, FINISHED, KINDS, Entry, Origin, places, read_registry
from foldsmith.runs.source import package_versions, source_hash
from foldsmith.runs.store import Run, Workspace

SAME, OTHER, GONE, BROKEN = "unchanged", "another content now", "gone", "damaged"


@dataclass(frozen=True)
class Link:
    """One run, or the raw file, of a chain.

    named : its kind, id and content as those made from it name them. state : whether that is what is there now; note
    says what is there else, or in which run the same content stands. manifest : of a run that is there.
    """

    named: Origin
    state: str
    note: str = ""
    path: Path | None = None
    manifest: Manifest | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        found: dict[str, Any] = self.named._asdict()
        found |= {
            "state": self.state,
            "note": self.note,
            "path": None if self.path is None else str(self.path),
        }
        if self.manifest is not None:
            known = self.manifest
            found |= {
                "parameters": known.parameters,
                "seed": known.seed,
                "parents": [parent.model_dump() for parent in known.parents],
                "code": known.code.model_dump() | {"is_the_code_now": known.code.source == source_hash()},
                "packages": known.packages,
                "packages_now": changed_packages(known),
                "python": known.python,
                "platform": known.platform,
                "typed": known.command,
            }
        return found


def changed_packages(manifest: Manifest) -> dict[str, str | None]:
    """Packages of another version now than when the run was made: name to the version now, None for none."""
    now = package_versions()
    return {name: now.get(name) for name, then in manifest.packages.items() if now.get(name) != then}


def trace(workspace: Workspace, run: Run, also: Sequence[Path] = ()) -> list[Link]:
    """The chain of a run, itself first and raw files last; each run and file once.

    Manifests are compared with the ledger, raw files with their hashes; the files of runs are left to `verify`. The
    chain ends early at a run that is gone, damaged or another now: what that was made from is not known any more.
    """
    registry = read_registry(workspace, places(workspace, also))
    if registry.trouble is not None:
        raise registry.trouble
    first = Origin(run.manifest.kind, run.id, run.manifest.content)
    chain = [Link(first, SAME, path=run.path, manifest=run.manifest)]
    known = {first}
    raw: list[Link] = []
    for link in chain:  # grows while it is gone through: nearest first
        for parent in link.manifest.parents if link.manifest is not None else ():
            origin = Origin(parent.kind, parent.id, parent.content)
            if origin in known:
                continue
            known.add(origin)
            if origin.kind == "raw":
                raw.append(_raw_link(workspace, origin))
            else:
                chain.append(_run_link(workspace, registry.entries, origin))
    # A dataset is a parent of all that follows from it: after them all, it reads as the way back.
    chain[1:] = sorted(chain[1:], key=lambda link: KINDS.index(link.named.kind), reverse=True)
    return chain + raw


def _raw_link(workspace: Workspace, origin: Origin) -> Link:
    path = workspace.raw / Path(origin.id).name
    try:
        found = hash_raw(path)
    except FileNotFoundError:
        return Link(origin, GONE, f"{path} is not there")
    except (FoldsmithError, OSError) as error:
        return Link(origin, BROKEN, str(error), path)
    if found != origin.content:
        return Link(origin, OTHER, f"{path} was changed since: its hash is {found[:12]} now", path)
    return Link(origin, SAME, path=path)


def _run_link(workspace: Workspace, runs: Sequence[Entry], origin: Origin) -> Link:
    named = [run for run in runs if (run.kind, run.id) == (origin.kind, origin.id)]
    same = [run for run in runs if (run.kind, run.content) == (origin.kind, origin.content)]
    for run in [run for run in same if run.id == origin.id] + same:
        try:
            opened = workspace.open_run(run.path.parent, run.id)
        except FoldsmithError as error:
            return Link(origin, BROKEN, str(error), run.path)
        note = "" if run.id == origin.id else f"{origin.id} is gone or another now; {run.id} holds the same"
        return Link(origin, SAME, note, run.path, opened.manifest)
    for run in named:
        if run.state == FINISHED:
            return Link(origin, OTHER, f"{run.path} holds content {(run.content or '')[:12]} now", run.path)
        if run.state == DAMAGED:
            return Link(origin, BROKEN, run.note, run.path)
    for removed in reversed(Ledger(workspace.ledger).removed()):
        if (removed.run_id, removed.content) == (origin.id, origin.content):
            return Link(origin, GONE, f"it was removed by `runs clean` on {removed.at[:10]}")
    return Link(origin, GONE, "it is in no folder that was looked at")
