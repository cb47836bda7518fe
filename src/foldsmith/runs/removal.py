"""Remove runs and what kills left behind, so that a kill at any moment loses nothing and hides nothing.

A run is removed in this order: it is locked and entered in the ledger as removed; its folder is renamed to
`.{id}.{n}.abandoned`, so that nobody finds it half removed; the rename is synced; what is in it is deleted, the lock
last. A kill in between leaves a whole run that the next `clean` takes up, or a folder that it clears away.

Nothing is removed that lies outside the workspace, that is a link, or that is in a folder of the user's own.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from foldsmith.errors import FoldsmithError
from foldsmith.runs.claim import reopen
from foldsmith.runs.files import disk_errors_told, fsync_path
from foldsmith.runs.ids import SUFFIXES
from foldsmith.runs.ledger import Ledger, Published
from foldsmith.runs.lock import LOCK, Lock, is_held
from foldsmith.runs.manifest import read_with_hash
from foldsmith.runs.registry import KINDS, UNFINISHED, Entry, Registry, gone_runs, places, read_registry
from foldsmith.runs.rename import rename_without_replacing
from foldsmith.runs.retention import kept_runs
from foldsmith.runs.store import Workspace

SETTLED_SECONDS = 3600.0
"""Age from which a file or folder that was set aside is no longer one that somebody is working on."""

_ABANDONED = re.compile(r"\..+\.[0-9]+\.abandoned")
_WRITING = re.compile(r"\..+\.(?P<process>[0-9]{1,9})\.[0-9a-f]{8}\.writing(-wal|-shm|-journal)?")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Policy:
    """What `clean` may remove.

    keep_last : finished runs but the last so many of each kind and symbol; None: no finished run.
    partial : unfinished runs whose owner is dead. gone : nothing on the disk, but runs that are gone from it are
    entered in the ledger as removed. also : folders of the user's own, whose runs are kept and all that they were
    made from.
    """

    keep_last: int | None = None
    partial: bool = False
    gone: bool = False
    also: tuple[Path, ...] = ()


class Rubbish(NamedTuple):
    """A file or folder that a killed process left."""

    path: Path
    bytes: int


@dataclass(frozen=True)
class CleanPlan:
    """What `clean` would do: runs to remove (those made from others first), rubbish, lost runs to enter as removed.

    kept : every other run and the reason. sizes : bytes of each run to remove, by folder.
    not_found : published runs that are in no folder looked at, so that what they were made from is not known.
    """

    policy: Policy
    runs: list[Entry]
    kept: list[tuple[Entry, str]]
    rubbish: list[Rubbish]
    gone: list[Published]
    not_found: list[Published]
    sizes: dict[Path, int]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "remove": [run.as_dict() | {"bytes": self.sizes[run.path]} for run in self.runs],
            "rubbish": [{"path": str(item.path), "bytes": item.bytes} for item in self.rubbish],
            "enter_as_removed": [entry._asdict() for entry in self.gone],
            "keep": [run.as_dict() | {"reason": reason} for run, reason in self.kept],
            "not_found": [entry._asdict() for entry in self.not_found],
        }

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.runs or self.rubbish or self.gone)

    @property
    def bytes(self) -> int:
        """Bytes that removing all frees; an evaluation counts with the model that goes with it."""
        outermost = [run for run in self.runs if run.of is None or run.path.parents[1] not in self.sizes]
        return sum(self.sizes[run.path] for run in outermost) + sum(item.bytes for item in self.rubbish)


def plan_clean(workspace: Workspace, policy: Policy, now: float | None = None) -> CleanPlan:
    """Look at the workspace and say what would be removed; nothing is changed.

    Raises FoldsmithError where the ledger cannot be asked: tags would be missed.
    """
    registry, kept = _kept(workspace, policy)
    runs = [run for run in registry.entries if run.path not in kept]
    runs.sort(key=lambda run: KINDS.index(run.kind), reverse=True)
    lost = gone_runs(Ledger(workspace.ledger), registry.entries)
    return CleanPlan(
        policy=policy,
        runs=runs,
        kept=[(run, kept[run.path]) for run in registry.entries if run.path in kept],
        rubbish=list(_rubbish(workspace, time.time() if now is None else now)),
        gone=lost if policy.gone else [],
        not_found=[] if policy.gone else lost,
        sizes={run.path: _size(run.path) for run in runs},
    )


def carry_out(workspace: Workspace, plan: CleanPlan, say: Say) -> int:
    """Remove what a plan says; returns how many of its runs were left because they have come into use since.

    The policy is asked again before each kind: somebody may have trained from a dataset while the plan was read.
    """
    for item in plan.rubbish:  # first: on a full disk this makes the room that entries in the ledger need
        with disk_errors_told(f"remove {item.path}"):
            _delete(item.path)
        say(f"removed {item.path}")
    ledger = Ledger(workspace.ledger)
    for entry in plan.gone:
        ledger.record_removed(entry.run_id, entry.kind, entry.content)
        say(f"entered as removed: {entry.kind} {entry.run_id}")
    left = 0
    for kind, runs in groupby(plan.runs, key=lambda run: run.kind):
        kept = _kept(workspace, plan.policy)[1]
        for run in runs:
            why = kept.get(run.path) or _remove(ledger, run)
            left += why is not None
            say(f"removed {kind} {run.path}" if why is None else f"left {run.path}: {why}")
    return left


def _kept(workspace: Workspace, policy: Policy) -> tuple[Registry, dict[Path, str]]:
    registry = read_registry(workspace, places(workspace, policy.also))
    if registry.trouble is not None:
        raise registry.trouble
    pinned = _Pinned(workspace)
    return registry, kept_runs(
        registry.entries, keep_last=policy.keep_last, partial=policy.partial, pinned=pinned
    )


class _Pinned:
    """Why a run must not be removed whatever the policy says: links, and folders that are not the workspace's own."""

    def __init__(self, workspace: Workspace) -> None:
        self.root = workspace.root.resolve()
        self.own = {place.folder for place in places(workspace)}
        self.inside: dict[Path, bool] = {}

    def __call__(self, run: Entry) -> str | None:
        outer = run.path if run.of is None else run.path.parents[1]
        if outer.parent not in self.own:
            return "in a folder of your own; remove it by hand if you mean to"
        if run.path.is_symlink() or outer.is_symlink():
            return "a link; remove it by hand if you mean to"
        if not self._is_inside(run.path.parent):
            return f"{run.path.parent} leads out of the workspace; remove it by hand if you mean to"
        return None

    def _is_inside(self, folder: Path) -> bool:
        if folder not in self.inside:
            self.inside[folder] = folder.resolve().is_relative_to(self.root)
        return self.inside[folder]


def _remove(ledger: Ledger, run: Entry) -> str | None:
    """Remove one run, or say why it was left."""
    with disk_errors_told(f"remove run {run.id}"):
        if run.state == UNFINISHED:
            return _remove_unfinished(ledger, run)
        lock = Lock.take(run.path)
        if lock is None:
            return "another process removes it" if run.path.is_dir() else None
        try:
            # Entered first: whatever is missing is known to have been removed.
            ledger.record_removed(run.id, run.kind, run.content or "")
            aside = _set_aside(run.path)
            fsync_path(aside.parent)
            _delete(aside)
        finally:
            lock.release()
    return None


def _remove_unfinished(ledger: Ledger, run: Entry) -> str | None:
    try:
        claimed = reopen(run.path.parent, run.id)
    except FoldsmithError as error:
        return str(error).rstrip(".")
    with claimed:
        # One killed just before its last rename was entered as published, though nobody ever saw it.
        found = None
        with suppress(FoldsmithError):
            found = read_with_hash(claimed.path)
        if found is not None and found[1] in ledger.manifest_hashes(run.id):
            ledger.record_removed(run.id, found[0].kind, found[0].content)
        claimed.abandon()
    return None


def _set_aside(folder: Path) -> Path:
    for number in range(SUFFIXES):
        aside = folder.with_name(f".{folder.name}.{number}.abandoned")
        with suppress(FileExistsError):
            rename_without_replacing(folder, aside)
            return aside
    raise FoldsmithError(
        f"{folder.parent} holds {SUFFIXES} folders that were set aside for {folder.name}; delete them and run again."
    )


def _delete(path: Path) -> None:
    """Delete a file or a folder, never what a link leads to; a folder's lock goes last, so that it shows whose it is.

    What another process deletes at the same time is passed over.
    """
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    with suppress(FileNotFoundError):
        for entry in list(os.scandir(path)):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            elif entry.name != LOCK:
                os.unlink(entry.path)
        (path / LOCK).unlink(missing_ok=True)
        path.rmdir()


def _rubbish(workspace: Workspace, now: float) -> Iterator[Rubbish]:
    """What killed processes left: folders set aside to be deleted, files that were being written."""
    root = workspace.root.resolve()
    starts = (workspace.ledger.parent, workspace.datasets, workspace.stacking)
    waiting = [str(folder) for folder in starts if folder.is_dir() and folder.resolve().is_relative_to(root)]
    while waiting:
        for entry in os.scandir(waiting.pop()):
            if not entry.name.startswith("."):
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
            elif _is_abandoned(entry, now) or _is_half_written(entry, now):
                yield Rubbish(Path(entry.path), _size(Path(entry.path)))


def _is_abandoned(entry: os.DirEntry[str], now: float) -> bool:
    """Whether a folder was set aside by an owner that is dead: its lock is free, or without one it has aged."""
    if _ABANDONED.fullmatch(entry.name) is None or not entry.is_dir(follow_symlinks=False):
        return False
    if os.path.lexists(os.path.join(entry.path, LOCK)):
        return not is_held(Path(entry.path))
    return _has_aged(entry, now)


def _is_half_written(entry: os.DirEntry[str], now: float) -> bool:
    """Whether a file was being written by a process that is gone, long enough ago for one on another host too."""
    match = _WRITING.fullmatch(entry.name)
    if match is None or not entry.is_file(follow_symlinks=False):
        return False
    return _has_aged(entry, now) and not _is_alive(int(match["process"]))


def _has_aged(entry: os.DirEntry[str], now: float) -> bool:
    try:
        return now - entry.stat(follow_symlinks=False).st_mtime > SETTLED_SECONDS
    except FileNotFoundError:
        return False


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; a link counts as itself."""
    files: Iterable[str] = [str(path)]
    if path.is_dir() and not path.is_symlink():
        files = [os.path.join(where, name) for where, _, names in os.walk(path) for name in names]
    total = 0
    for file in files:
        with suppress(FileNotFoundError):
            total += os.lstat(file).st_size
    return total
