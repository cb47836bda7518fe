"""The file of the ledger: its table and guards, how it is made once, opened, checked, and missed when gone.

Each entry holds the hash of all entries up to it, so that one that was edited, taken out or put in is evident.
What is cut off at the end is evident from runs published later: a manifest names the last entry of its moment.

A ledger is made aside and put in place whole, with a small hidden mark beside it. Where the mark stands and
the ledger does not, the ledger was lost or deleted: that is told, and no new one is begun in its place.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from foldsmith.errors import DataError, FoldsmithError, IntegrityError
from foldsmith.runs.files import disk_errors_told, fsync_path, write_whole
from foldsmith.runs.rename import rename_without_replacing

FORMAT = 2
APPLICATION = 0x464F4C44  # "FOLD", in the header of every ledger
BUSY_SECONDS = 30.0
BEGUN = "begun"
"""Kind of the first entry, which names the ledger."""
NOTHING = "0" * 64
"""What stands for the hash before the first entry."""

_STOP = "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
_IS_THERE = "EXISTS (SELECT 1 FROM entries WHERE id = NEW.id)"

# These texts are compared with those in the file: whoever changes one raises FORMAT.
SCHEMA = {
    "entries": "CREATE TABLE entries (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, run_id TEXT NOT NULL, "
    "fingerprint TEXT NOT NULL, body TEXT NOT NULL, at TEXT NOT NULL, hash TEXT NOT NULL)",
    "entries_of_data": "CREATE INDEX entries_of_data ON entries (kind, fingerprint)",
    "entries_of_run": "CREATE INDEX entries_of_run ON entries (kind, run_id)",
    "entries_unchanged": f"CREATE TRIGGER entries_unchanged BEFORE UPDATE ON entries {_STOP}",
    "entries_kept": f"CREATE TRIGGER entries_kept BEFORE DELETE ON entries {_STOP}",
    # INSERT OR REPLACE deletes without asking the guard above.
    "entries_unreplaced": f"CREATE TRIGGER entries_unreplaced BEFORE INSERT ON entries WHEN {_IS_THERE} {_STOP}",
}


class Entry(NamedTuple):
    """What is entered: its kind, the run and the dataset it is about (empty where none), the rest as canonical
    JSON."""

    kind: str
    run_id: str
    fingerprint: str
    body: str


def entry_hash(before: str, entry: Entry, at: str) -> str:
    """SHA-256 over the hash of the entry before, this one and its time (as JSON, so that none runs into another)."""
    return hashlib.sha256(json.dumps([before, *entry, at]).encode()).hexdigest()


def append(connection: sqlite3.Connection, entries: Iterable[Entry], at: str) -> None:
    """Chain entries to the last one; inside a transaction that no other writer can enter."""
    last, before = last_entry(connection)
    rows = []
    for number, entry in enumerate(entries, start=last + 1):
        before = entry_hash(before, entry, at)
        rows.append((number, *entry, at, before))
    connection.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


def last_entry(connection: sqlite3.Connection) -> tuple[int, str]:
    """Number and hash of the last entry; (0, NOTHING) where there is none."""
    found = connection.execute("SELECT id, hash FROM entries ORDER BY id DESC LIMIT 1").fetchone()
    return (0, NOTHING) if found is None else (int(found[0]), str(found[1]))


def is_there(path: Path) -> bool:
    """Whether there is a ledger at `path`; FoldsmithError where there was one and it is gone."""
    with disk_errors_told(f"look for the ledger {path}"):
        if os.path.lexists(path):
            return True
        traces = [trace for trace in (_mark(path), _log(path)) if trace.exists()]
        # Looked for again: another process may have begun it since.
        if traces and not os.path.lexists(path):
            raise IntegrityError(
                f"the ledger {path} is gone (it was there, as {', '.join(trace.name for trace in traces)} "
                f"beside it shows). Restore it from a copy; without one, {_anew(path, 'delete')}."
            )
        return os.path.lexists(path)


def create(path: Path, at: str) -> None:
    """Make an empty ledger aside and put it in place whole, unless one is there; leave the mark beside it."""
    with disk_errors_told(f"begin the ledger {path}"):
        if not is_there(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _create(path, at)
        if not _mark(path).exists():
            write_whole(_mark(path), b"The ledger beside this file was begun. If it is gone, restore it.\n")


def connect(path: Path, *, reading: bool = False) -> sqlite3.Connection:
    """A connection of its own to a ledger that was found to be one, its guards in place."""
    if not path.is_file():
        raise damaged(path, "it is no ordinary file")
    # mode=rw: a ledger that vanished is not silently begun again.
    uri = f"{path.absolute().as_uri()}?{'immutable=1' if reading and _is_frozen(path) else 'mode=rw'}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        # In WAL mode NORMAL may lose the last entries with the power.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA trusted_schema = OFF")
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        written = connection.execute("PRAGMA user_version").fetchone()[0]
        if application != APPLICATION:
            raise damaged(path, "it is empty or no ledger")
        if written != FORMAT:
            raise DataError(
                f"the ledger {path} has format {written} and this version reads {FORMAT}; use the version of "
                "Foldsmith that wrote it."
            )
        _check_schema(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Look at every page and follow the chain of hashes; IntegrityError where an entry was changed or taken out."""
    found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise damaged(path, " ".join(str(found).split()))
    before, count = NOTHING, 0
    for count, row in enumerate(connection.execute("SELECT * FROM entries ORDER BY id"), 1):
        number, *words, at, found = row
        if number != count:
            raise damaged(path, f"entry {count} is gone")
        # One flipped bit makes bytes of a text, which no hash is made of.
        if not all(isinstance(word, str) for word in (*words, at)):
            raise damaged(path, f"entry {count} is no text")
        before = entry_hash(before, Entry(*words), at)
        if found != before:
            raise damaged(path, f"entry {count}, a {words[0]!s:.20}, or one before it was changed")
    if count == 0:
        raise damaged(path, "its first entry is gone")


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what SQLite raises inside into one sentence."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "locked" in text or "busy" in text:
            why = f"another process has held it for {BUSY_SECONDS:g} s; wait for that process or stop it"
        elif "full" in text or "disk I/O" in text:
            why = f"the disk is full or failing ({text}); free some space"
        elif "readonly" in text or "unable to open" in text:
            why = f"it cannot be opened for writing ({text}); check the permissions of {path.parent}"
        else:
            raise damaged(path, text) from error
        raise FoldsmithError(f"the ledger {path} cannot be used: {why}, then run again.") from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise damaged(path, str(error)) from error


def damaged(path: Path, why: str) -> IntegrityError:
    """The error for a ledger that cannot be believed."""
    return IntegrityError(
        f"the ledger {path} is damaged or was changed ({why}). Restore it from a copy; without one, "
        f"{_anew(path, 'move away')}."
    )


def _anew(path: Path, how: str) -> str:
    every = [file for file in (path, _log(path), _mark(path)) if os.path.lexists(file)]
    return (
        f"{how} {' and '.join(map(str, every))} to begin a new one, in which earlier trials and looks are "
        "not counted"
    )


def _mark(path: Path) -> Path:
    return path.with_name(f".{path.name}.begun")


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _is_frozen(path: Path) -> bool:
    """Whether nobody can write here, such as in an archive mounted read-only: SQLite then needs no locks."""
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY) and not _log(path).exists()


def _check_schema(connection: sqlite3.Connection, path: Path) -> None:
    """Compare tables, indexes and guards word for word; a guard more could drop entries unseen."""
    found = {
        str(name): (kind, sql)
        for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_master")
    }
    for name, statement in SCHEMA.items():
        if name not in found:
            raise damaged(path, f"its {_word(statement)} {name} is gone")
        if found[name][1] != statement:
            raise damaged(path, f"its {_word(statement)} {name} is not the one it was made with")
    strange = sorted(name for name, (kind, _) in found.items() if kind == "trigger" and name not in SCHEMA)
    if strange:
        raise damaged(path, f"somebody added the trigger {strange[0]:.60}")


def _word(statement: str) -> str:
    return statement.split()[1].lower().replace("trigger", "guard")


def _create(path: Path, at: str) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.writing")
    header = [f"PRAGMA application_id = {APPLICATION}", f"PRAGMA user_version = {FORMAT}"]
    try:
        with told(path), closing(sqlite3.connect(aside, isolation_level=None)) as connection:
            connection.executescript(";".join(["BEGIN", *header, *SCHEMA.values(), "COMMIT;"]))
            # Two ledgers are never alike: a run can tell the one it was entered in from any other.
            append(connection, [Entry(BEGUN, "", "", json.dumps({"ledger": secrets.token_hex(16)}))], at)
            connection.execute("PRAGMA journal_mode = WAL")
        with suppress(FileExistsError):  # whoever is second uses the first one's
            rename_without_replacing(aside, path)
            fsync_path(path.parent)
    finally:
        for ending in ("", "-wal", "-shm", "-journal"):
            with suppress(OSError):  # hidden rubbish; the first error is the one to tell
                aside.with_name(aside.name + ending).unlink()
