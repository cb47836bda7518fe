"""The file of the ledger: its tables and guards, how it is made once, opened, checked, and missed when gone.

A ledger is made aside and put in place whole, with a small hidden mark beside it. Where the mark stands and
the ledger does not, the ledger was lost or deleted: that is told, and no new one is begun in its place.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from foldsmith.errors import DataError, FoldsmithError, IntegrityError
from foldsmith.runs.files import disk_errors_told, fsync_path, write_whole
from foldsmith.runs.rename import rename_without_replacing

FORMAT = 1
APPLICATION = 0x464F4C44  # "FOLD", in the header of every ledger
BUSY_SECONDS = 30.0

# These texts are compared with those in the file: whoever changes one raises FORMAT.
_COLUMNS = {
    "trials": "run_id TEXT NOT NULL, fingerprint TEXT NOT NULL, model TEXT NOT NULL, horizon INTEGER NOT "
    "NULL, fold TEXT NOT NULL, number INTEGER NOT NULL, params TEXT NOT NULL, value REAL, state TEXT NOT "
    "NULL, at TEXT NOT NULL",
    "looks": "run_id TEXT NOT NULL, content TEXT NOT NULL, fingerprint TEXT NOT NULL, split TEXT NOT NULL, "
    "horizon INTEGER NOT NULL, at TEXT NOT NULL",
    "published": "run_id TEXT NOT NULL, kind TEXT NOT NULL, content TEXT NOT NULL, manifest TEXT NOT NULL, "
    "at TEXT NOT NULL",
}
_INDEXED = {"trials": "fingerprint, horizon", "looks": "fingerprint, split", "published": "run_id"}
_STOP = "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"


def _statements() -> dict[str, str]:
    """Every table, index and guard by its name, in the words that SQLite keeps of it."""
    made: dict[str, str] = {}
    for table, columns in _COLUMNS.items():
        # INSERT OR REPLACE deletes without asking the DELETE guard.
        replaced = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE id = NEW.id)"  # noqa: S608 - our own names
        made |= {
            table: f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, {columns})",
            f"{table}_by": f"CREATE INDEX {table}_by ON {table} ({_INDEXED[table]})",
            f"{table}_unchanged": f"CREATE TRIGGER {table}_unchanged BEFORE UPDATE ON {table} {_STOP}",
            f"{table}_kept": f"CREATE TRIGGER {table}_kept BEFORE DELETE ON {table} {_STOP}",
            f"{table}_unreplaced": f"CREATE TRIGGER {table}_unreplaced BEFORE INSERT ON {table} {replaced} "
            + _STOP,
        }
    return made


SCHEMA = _statements()


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


def create(path: Path) -> None:
    """Make an empty ledger aside and put it in place whole, unless one is there; leave the mark beside it."""
    with disk_errors_told(f"begin the ledger {path}"):
        if not is_there(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _create(path)
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
    """Look at every page and row; IntegrityError where one is damaged or taken out from between others."""
    found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise damaged(path, " ".join(str(found).split()))
    for table in _COLUMNS:
        # Entries are numbered from 1 without a gap, as a refused or interrupted one takes no number.
        query = f"SELECT COUNT(*), COALESCE(MAX(id), 0), COALESCE(MIN(id), 1) FROM {table}"  # noqa: S608
        count, last, first = connection.execute(query).fetchone()
        if count != last or first != 1:
            raise damaged(path, f"of {last} entries in its {table}, {last - count} are gone")


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
    except sqlite3.DatabaseError as error:
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


def _create(path: Path) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.writing")
    header = [f"PRAGMA application_id = {APPLICATION}", f"PRAGMA user_version = {FORMAT}"]
    try:
        with told(path), closing(sqlite3.connect(aside, isolation_level=None)) as connection:
            connection.executescript(";".join(["BEGIN", *header, *SCHEMA.values(), "COMMIT;"]))
            connection.execute("PRAGMA journal_mode = WAL")
        with suppress(FileExistsError):  # whoever is second uses the first one's
            rename_without_replacing(aside, path)
            fsync_path(path.parent)
    finally:
        for ending in ("", "-wal", "-shm", "-journal"):
            with suppress(OSError):  # hidden rubbish; the first error is the one to tell
                aside.with_name(aside.name + ending).unlink()
