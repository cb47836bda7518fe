"""Claim an id for a run, build the run in a hidden folder, publish it by one rename that replaces nothing.

The steps, and why in this order (`{id}` is the run, `.{id}.partial` its working folder):

1. `mkdir .{id}.partial`, which one process alone can win. Losers go on to the next id.
2. Lock `.{id}.partial/.lock`; the kernel frees the lock when its holder ends, so a dead owner is told from a
   live one.
3. Look whether `{id}` exists. A run gets its name only by renaming its working folder, and while ours stands
   nobody else can own one of that name: what is absent now stays absent. If it exists, remove ours and go on
   to the next id.
4. Build; then sync every file and folder, rename without replacing, sync the parent folder.

A reader sees `{id}` whole or not at all. A working folder is removed by first renaming it to
`.{id}.{n}.abandoned`, so that nobody finds it half removed; such a folder left by a kill is rubbish and may
be deleted.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from foldsmith.errors import FoldsmithError, MissingError, TakenError
from foldsmith.runs.files import disk_errors_told, disk_trouble, fsync_path
from foldsmith.runs.ids import SUFFIXES, check_name, is_name, new_run_id, next_run_id
from foldsmith.runs.lock import LOCK, Lock, is_held, owner
from foldsmith.runs.rename import rename_without_replacing

Clock = Callable[[], datetime]
Entropy = Callable[[], int]


def utc_now() -> datetime:
    """The present instant, in UTC."""
    return datetime.now(UTC)


def random_suffix() -> int:
    """Sixteen bits from the system."""
    return secrets.randbits(16)


def partial_folder(parent: Path, run_id: str) -> Path:
    """Where a run is built before it is published."""
    return parent / f".{run_id}.partial"


class Claim:
    """A run that belongs to this process until it is published, abandoned or released.

    id : the run's name; path : the hidden folder to build it in. As a context manager it ends with the block:
    a run not published is abandoned, or, if `resumable`, left for `reopen`. `kept`, set by who enters the run in
    the ledger, leaves it too: it goes with the entry that it is removed.
    """

    def __init__(self, parent: Path, run_id: str, lock: Lock, *, resumable: bool = False) -> None:
        self.parent = parent
        self.id = run_id
        self.path = partial_folder(parent, run_id)
        self.resumable = resumable
        self.kept = False
        self._lock: Lock | None = lock
        self._process = os.getpid()

    def publish(self) -> Path:
        """Make the run visible, whole and durable; returns its folder.

        Raises TakenError if a stranger has taken the name meanwhile (the working folder is kept), and
        FoldsmithError with one sentence for a disk that fails.
        """
        lock = self._held()
        final = self.parent / self.id
        with disk_errors_told(f"publish run {self.id} in {self.parent}"):
            _fsync_tree(self.path)
            try:
                rename_without_replacing(self.path, final)
            except FileExistsError as error:
                self.resumable = True  # the work is done: kept, whatever was asked for a run that fails
                raise TakenError(
                    f"{final} appeared while run {self.id} was being made; it was left as it is, and the run "
                    f"is kept in {self.path}. Move {self.id} away and rename {self.path.name} to {self.id}."
                ) from error
            self._lock = None
            lock.release()
            # The lock file travels with the rename, so that there is no moment at which the run looks
            # ownerless.
            with suppress(OSError):  # hidden and in no manifest: harmless where it stays
                (final / LOCK).unlink()
            fsync_path(self.parent)
        return final

    def abandon(self) -> None:
        """Remove the working folder and all that it holds."""
        lock = self._held()
        with disk_errors_told(f"remove {self.path}"):
            _remove(self.path)
        self._lock = None
        lock.release()

    def release(self) -> None:
        """Leave the working folder for `reopen`."""
        lock, self._lock = self._held(), None
        lock.release()

    def _held(self) -> Lock:
        if self._lock is None:
            raise RuntimeError(f"run {self.id} was already published, abandoned or released")
        return self._lock

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if os.getpid() != self._process:
            return  # a forked worker that comes out of the block: the run is its parent's
        if self._lock is not None:
            self._end()
        sentence = None if error is None else disk_trouble(error)
        if sentence is not None:
            raise FoldsmithError(
                f"run {self.id} stopped in {self.parent}: {sentence}, then {self._left()}."
            ) from error

    def _left(self) -> str:
        if self.resumable:
            return f"resume it with its id {self.id}"
        where = f"what is left of it is in {self.path} until: foldsmith runs clean --partial"
        return f"run again; {where if self.kept else 'nothing of it is left'}"

    def _end(self) -> None:
        if self.resumable or self.kept:
            self.release()
            return
        try:
            self.abandon()
        except (OSError, FoldsmithError):
            # Whatever stopped the run is the error to tell; the folder stays hidden and is listed as partial.
            if self._lock is not None:
                self.release()


def claim(
    parent: Path,
    *,
    prefix: str = "",
    name: str | None = None,
    resumable: bool = False,
    clock: Clock = utc_now,
    entropy: Entropy = random_suffix,
) -> Claim:
    """Claim a new run in the existing folder `parent`, under `name` if the user chose one.

    A made id is `prefix` and `new_run_id(clock(), entropy())`, both read once: while it is taken, its suffix
    is incremented. A chosen name is taken or refused.

    Raises SettingError for a name that cannot be used, TakenError for one in use (what it holds is
    untouched), FoldsmithError for a disk that fails.
    """
    if name is not None:
        return _claim_name(parent, check_name(prefix + name, "the name"), resumable)
    run_id = check_name(prefix + new_run_id(clock(), entropy()), "the run id")
    first = run_id
    for _ in range(SUFFIXES):
        lock = _try_claim(parent, run_id)
        if lock is not None:
            return Claim(parent, run_id, lock, resumable=resumable)
        run_id = next_run_id(run_id)
    raise TakenError(
        f"all {SUFFIXES} ids like {first} are taken in {parent}; the clock seems to stand still: check it "
        "and run again."
    )


def reopen(parent: Path, run_id: str) -> Claim:
    """Take over the working folder of a run whose owner is dead; the claim is resumable.

    Raises TakenError when the run is being made now or stands finished, MissingError (naming the runs that
    can be resumed) when there is nothing of that id.
    """
    check_name(run_id, "the run id")
    partial = partial_folder(parent, run_id)
    lock = None
    if partial.is_dir() and not partial.is_symlink():
        with disk_errors_told(f"resume run {run_id} in {parent}"):
            lock = Lock.take(partial)
    if lock is not None:
        return Claim(parent, run_id, lock, resumable=True)
    # Asked last: its owner may have published it while we waited for the lock.
    if os.path.lexists(parent / run_id):
        raise TakenError(f"run {run_id} in {parent} is finished; there is nothing to resume.")
    if partial.is_dir():
        raise TakenError(f"run {run_id} is being made by {owner(partial)}; wait for it to end.")
    waiting = [other for other in partials(parent) if not is_held(partial_folder(parent, other))]
    there = (
        f"those that can be resumed are {', '.join(waiting[:10])}"
        if waiting
        else "no run there can be resumed"
    )
    raise MissingError(f"no unfinished run {run_id} is in {parent}; {there}.")


def partials(parent: Path) -> list[str]:
    """Ids of the runs in `parent` that are being made or were left unfinished, newest first by id."""
    with disk_errors_told(f"list the runs in {parent}"):
        try:
            names = [entry.name for entry in os.scandir(parent) if entry.is_dir(follow_symlinks=False)]
        except (FileNotFoundError, NotADirectoryError):
            return []
    found = [name[1 : -len(".partial")] for name in names if name[0] == "." and name.endswith(".partial")]
    return sorted((run_id for run_id in found if is_name(run_id)), reverse=True)


def _claim_name(parent: Path, name: str, resumable: bool) -> Claim:
    # A published name is refused before anything is created, so that a refusal changes nothing at all.
    lock = None if os.path.lexists(parent / name) else _try_claim(parent, name)
    if lock is not None:
        return Claim(parent, name, lock, resumable=resumable)
    partial = partial_folder(parent, name)
    if os.path.lexists(parent / name):
        raise TakenError(f"{name} exists in {parent} and was left untouched; choose another name.")
    if not os.path.lexists(partial):
        raise TakenError(f"{name} was being made in {parent} until this moment and was given up; run again.")
    if is_held(partial):
        raise TakenError(
            f"{name} is being made in {parent} by {owner(partial)}; choose another name or wait."
        )
    raise TakenError(
        f"{name} was begun in {parent} and not finished ({owner(partial)} ended); resume it by that id, or "
        f"choose another name, or delete {partial}."
    )


def _try_claim(parent: Path, run_id: str) -> Lock | None:
    """The lock of a working folder won for `run_id`, or None where that id is taken."""
    partial = partial_folder(parent, run_id)
    with disk_errors_told(f"begin run {run_id} in {parent}"):
        try:
            partial.mkdir()
        except FileExistsError:
            return None
        except FileNotFoundError:
            raise MissingError(f"{parent} is not there; create it, or look at the path.") from None
        try:
            lock = Lock.take(partial)
        except BaseException:
            with suppress(OSError):  # the first error is the one to tell
                (partial / LOCK).unlink(missing_ok=True)
                partial.rmdir()
            raise
        if lock is None:  # `reopen` was quicker in the instant before the lock: the folder is its own now
            return None
        if os.path.lexists(parent / run_id):
            _remove(partial)
            lock.release()
            return None
    return lock


def _remove(partial: Path) -> None:
    """Delete a working folder that we hold, out of sight of those who look for it by name."""
    for number in range(SUFFIXES):
        aside = partial.with_name(f"{partial.name.removesuffix('.partial')}.{number}.abandoned")
        try:
            rename_without_replacing(partial, aside)
        except FileExistsError:
            continue
        except OSError:
            break  # a disk too full to rename on still deletes
        shutil.rmtree(aside)
        return
    shutil.rmtree(partial)


def _fsync_tree(folder: Path) -> None:
    """Sync all files below `folder`, then the folders from the deepest up."""
    for where, _, names in os.walk(folder, topdown=False):
        for name in names:
            if name != LOCK:
                fsync_path(Path(where, name))
        fsync_path(Path(where))
