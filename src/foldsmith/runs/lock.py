"""The lock inside a run's working folder, which tells a live owner from a dead one.

The kernel drops a `flock` when its holder ends, however it ends; the text beside it (process, host) only
serves messages. A worker forked by the holder shares the lock: should it outlive its parent, the run stays
claimed until the worker ends too, and nobody resumes a folder that is still being written.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from contextlib import suppress
from pathlib import Path

from foldsmith.errors import FoldsmithError

LOCK = ".lock"
PATIENCE = 0.5
"""Seconds that a new owner waits for those who only look whether the lock is held."""


class Lock:
    """An exclusive lock held on `{folder}/.lock` until `release`."""

    def __init__(self, handle: int) -> None:
        self._handle: int | None = handle

    @classmethod
    def take(cls, folder: Path, patience: float = PATIENCE) -> Lock | None:
        """Lock `folder`, or None when another holds it or the folder was removed or published meanwhile."""
        try:
            handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except FileNotFoundError:
            return None
        try:
            if _flock(handle, fcntl.LOCK_EX, patience) and _is_still(handle, folder / LOCK):
                owner = json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode()
                os.ftruncate(handle, 0)
                os.pwrite(handle, owner, 0)
                return cls(handle)
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
        return None

    def release(self) -> None:
        """Give the lock up, for forked workers too; a second call does nothing."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            fcntl.flock(handle, fcntl.LOCK_UN)
            os.close(handle)


def is_held(folder: Path) -> bool:
    """Whether a live process holds the lock of `folder`; the answer may be old when it arrives."""
    try:
        handle = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # somebody else's, or no lock of ours: hands off
    try:
        # Shared, so that two who look do not see each other.
        return not _flock(handle, fcntl.LOCK_SH, 0.0)
    finally:
        os.close(handle)


def owner(folder: Path) -> str:
    """Who holds, or last held, the lock, in words for a message."""
    with suppress(OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        found = json.loads((folder / LOCK).read_bytes()[:1000])
        host = "".join(letter if letter.isprintable() else "?" for letter in str(found["host"])[:80])
        return f"process {int(found['pid'])} on {host}"
    return "an unknown process"


def _flock(handle: int, kind: int, patience: float) -> bool:
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.005)
        except OSError as error:
            raise FoldsmithError(
                f"the disk of the workspace cannot lock files ({error.strerror}), so two runs could not be "
                "kept apart; choose a workspace on a local disk."
            ) from error
        else:
            return True


def _is_still(handle: int, path: Path) -> bool:
    """Whether the locked file is the one now at `path`: its folder may have been moved while we waited."""
    try:
        there = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    held = os.fstat(handle)
    return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)
