"""Files written whole or not at all, read with suspicion, and disk trouble told in one sentence."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from foldsmith.errors import DataError, FoldsmithError, MissingError

MAX_JSON_BYTES = 64 * 1024 * 1024
"""A larger JSON file is refused: none that is written here comes near it."""

_DISK_TROUBLE = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space or raise it",
    errno.EROFS: "the disk is mounted read-only; choose another workspace or mount it for writing",
    errno.EACCES: "permission is denied; look at the folder's permissions or choose another workspace",
    errno.EPERM: "the operation is not permitted; make the folder writable or choose another workspace",
    errno.EIO: "the disk reports an error; check it before trusting what it holds",
    errno.ENOTDIR: "a file stands where a folder is needed; move it away",
    errno.EEXIST: "something that is no folder has that name already; move it away",
    errno.ELOOP: "a link stands where a file or folder is needed; move it away",
    errno.ENOLCK: "the disk cannot lock files; choose a workspace on a local disk",
    errno.EMFILE: "too many files are open; raise `ulimit -n`",
    errno.ENAMETOOLONG: "the path is too long; choose a shorter name or workspace",
}

_NUMPY_NO_ROOM = re.compile(r"Not enough free space to write \d+ bytes|\d+ requested and \d+ written")


def disk_trouble(error: BaseException) -> str | None:
    """What to do if `error` says that the disk could not take what was written, else None.

    Libraries that write files themselves hand on the system's words, or their own, without its number: those
    are known too.
    """
    if isinstance(error, FoldsmithError) or not isinstance(error, Exception):
        return None
    if isinstance(error, OSError) and error.errno is None and _NUMPY_NO_ROOM.match(str(error)):
        return _DISK_TROUBLE[errno.ENOSPC]
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO):
        words = (f"(os error {number})", os.strerror(number))
        if getattr(error, "errno", None) == number or any(word in str(error) for word in words):
            return _DISK_TROUBLE[number]
    return None


@contextmanager
def disk_errors_told(doing: str) -> Iterator[None]:
    """Turn a disk error inside into one FoldsmithError: "cannot `doing`: what it means; what to do"."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FoldsmithError) or error.errno not in _DISK_TROUBLE:
            raise
        raise FoldsmithError(f"cannot {doing}: {_DISK_TROUBLE[error.errno]}, then run again.") from error


def fsync_path(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that a reader, a crash or a full disk never shows in part: aside, synced, renamed into
    place."""
    # Two threads, or two hosts with the same process number, never write into each other's file.
    aside = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.writing")
    with disk_errors_told(f"write {path}"):
        try:
            with aside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        except BaseException:
            with suppress(OSError):  # the first error is the one to tell
                aside.unlink()
            raise


def canonical_json(content: Any) -> bytes:
    """The one spelling of `content`: sorted keys, two-space indent, floats that read back exactly, a final
    newline.

    Raises DataError for NaN, infinity and what JSON cannot say.
    """
    try:
        text = json.dumps(content, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
        return text.encode() + b"\n"
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(f"this cannot be stored as JSON: {error}.") from error


def write_json(path: Path, content: Any) -> None:
    """Write `content` to `path` in its canonical spelling, whole or not at all."""
    try:
        spelled = canonical_json(content)
    except DataError as error:
        raise DataError(f"{path.name}: {error}") from error
    write_whole(path, spelled)


def read_json(path: Path, limit: int = MAX_JSON_BYTES) -> Any:
    """Read a JSON file of at most `limit` bytes; MissingError or DataError in one sentence."""
    return parse_json(read_small(path, limit), str(path))


def read_small(path: Path, limit: int) -> bytes:
    """Bytes of an ordinary file of at most `limit` bytes; a link, pipe or device is refused unread."""
    try:
        handle = open_regular(path)
    except FileNotFoundError as error:
        raise MissingError(f"{path} is not there.") from error
    with os.fdopen(handle, "rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise DataError(f"{path} has more than {limit} bytes and was not written by Foldsmith; restore it.")
    return content


def open_regular(path: Path) -> int:
    """A descriptor of an ordinary file, not followed through a link and never waiting on a pipe, else
    DataError."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); it must be an ordinary file.") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise DataError(f"{path} is not an ordinary file; restore it or make the run again.")
    return handle


def parse_json(content: bytes, source: str) -> Any:
    """Parse JSON as it is written here: UTF-8, no repeated names, no NaN; DataError names `source`
    otherwise."""
    try:
        return json.loads(content.decode(), object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{source} is not the JSON that was written ({error}); is it cut short or edited?"
        ) from error


def hash_file(path: Path) -> str:
    """SHA-256 of an ordinary file in hex, read once and in pieces."""
    with os.fdopen(open_regular(path), "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_raw(path: Path) -> str:
    """SHA-256 of a file as of `hash_file`; of a folder, that of the names and hashes of the files in it.

    Links are followed: raw files are the user's own, and may lie on another disk.
    """
    if not path.is_dir():
        return hash_file(path.resolve())
    whole = hashlib.sha256()
    for item in sorted(path.iterdir()):
        if item.is_file() and not item.name.startswith("."):
            whole.update(f"{item.name}\0{hash_file(item.resolve())}\n".encode(errors="surrogateescape"))
    return whole.hexdigest()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(name for index, (name, _) in enumerate(pairs) if name in dict(pairs[:index]))
        raise ValueError(f"{twice!r} appears twice")
    return found


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no number")
