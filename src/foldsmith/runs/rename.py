"""A rename that replaces nothing.

POSIX `rename` onto an empty folder succeeds, and so does a check followed by a rename when two do it at once.
Linux has `renameat2(RENAME_NOREPLACE)` and macOS `renamex_np(RENAME_EXCL)`: one step in the kernel. Where
neither works (another system, or a filesystem that refuses the flag, as some network ones do), processes of
this program take turns by a lock file in the target's folder, look, and rename: exact among themselves, and
blind to a stranger who creates the target between the look and the rename.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1  # linux/fs.h
_RENAME_EXCL = 4  # sys/stdio.h
_UNSUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)
TURNS = ".publish.lock"


def rename_without_replacing(source: Path, target: Path) -> None:
    """Rename `source` to `target` in the same folder; FileExistsError, and nothing changed, if `target` is
    there."""
    number = _native(os.fsencode(source), os.fsencode(target))
    if number == 0:
        return
    if number not in _UNSUPPORTED:
        raise OSError(number, os.strerror(number), str(source), None, str(target))
    _in_turn(source, target)


def _native(source: bytes, target: bytes) -> int:
    """The kernel's own exclusive rename: 0, or the error's number; ENOSYS where there is none."""
    libc = _libc()
    if sys.platform.startswith("linux") and hasattr(libc, "renameat2"):
        failed = libc.renameat2(_AT_FDCWD, source, _AT_FDCWD, target, ctypes.c_uint(_RENAME_NOREPLACE))
    elif sys.platform == "darwin" and hasattr(libc, "renamex_np"):
        failed = libc.renamex_np(source, target, ctypes.c_uint(_RENAME_EXCL))
    else:
        return errno.ENOSYS
    return ctypes.get_errno() if failed else 0


@cache
def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _in_turn(source: Path, target: Path) -> None:
    handle = os.open(target.parent / TURNS, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(source), None, str(target))
        source.rename(target)
    finally:
        os.close(handle)
