"""The ledger: every trial tried, every look at held-out data, every run published; it only grows.

One SQLite file in WAL mode, shared by any number of processes on one machine. Triggers refuse every change
and every deletion, so that a count in a report cannot be made smaller by this program. A connection lives for
one call: nothing is shared with forked workers.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from foldsmith.errors import DataError, FoldsmithError, IntegrityError
from foldsmith.runs.files import disk_errors_told, fsync_path
from foldsmith.runs.rename import rename_without_replacing

FORMAT = 1
APPLICATION = 0x464F4C44  # "FOLD", in the header of every ledger
BUSY_SECONDS = 30.0

_TABLES = {
    "trials": """run_id TEXT NOT NULL, fingerprint TEXT NOT NULL, model TEXT NOT NULL, horizon INTEGER NOT
    NULL,
        fold TEXT NOT NULL, number INTEGER NOT NULL, params TEXT NOT NULL, value REAL, state TEXT NOT NULL,
        at TEXT NOT NULL""",
    "looks": """run_id TEXT NOT NULL, content TEXT NOT NULL, fingerprint TEXT NOT NULL, split TEXT NOT NULL,
        horizon INTEGER NOT NULL, at TEXT NOT NULL""",
    "published": """run_id TEXT NOT NULL, kind TEXT NOT NULL, content TEXT NOT NULL, manifest TEXT NOT NULL,
        at TEXT NOT NULL""",
}
_INDEXES = {
    "trials": "fingerprint, horizon",
    "looks": "fingerprint, split",
    "published": "run_id",
}
_INSERT_TRIAL = """INSERT INTO trials
    (run_id, fingerprint, model, horizon, fold, number, params, value, state, at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_TRIAL = ("run_id", "fingerprint", "model", "horizon", "fold", "number", "params", "value", "state")


class LookCount(NamedTuple):
    """How often held-out data was looked at, the look just made included.

    of_dataset : looks at this split of the dataset, by any run and horizon; of_run : looks by this run alone.
    """

    of_dataset: int
    of_run: int


class Look(NamedTuple):
    """One look at held-out data; `at` is the time in ISO form, UTC."""

    run_id: str
    content: str
    fingerprint: str
    split: str
    horizon: int
    at: str


def _utc_text() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


class Ledger:
    """The ledger at `path`, made with its folder when something is first recorded.

    Every method raises IntegrityError for a file that is damaged or no ledger, and FoldsmithError where the
    disk or another process does not let it work. `now` gives the time of an entry, as text.
    """

    def __init__(self, path: Path, now: Callable[[], str] = _utc_text) -> None:
        self.path = path
        self._now = now

    def record_trials(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Enter trials, all or none; each row names run_id, fingerprint, model, horizon, fold, number, params
        (JSON-able), value (the score, None where there is none) and state; other keys are passed over."""
        entries = [_trial_entry(row, self._now()) for row in rows]
        if not entries:
            return
        with self._writing() as connection:
            connection.executemany(_INSERT_TRIAL, entries)

    def trial_count(self, fingerprint: str, horizon: int | None = None) -> int:
        """How many things were tried on a dataset: a trial that a resumed run made again counts once."""
        with self._reading() as connection:
            if connection is None:
                return 0
            row = connection.execute(
                "SELECT COUNT(*) FROM (SELECT DISTINCT run_id, model, horizon, fold, number FROM trials "
                "WHERE fingerprint = ? AND (?2 IS NULL OR horizon = ?2))",
                (fingerprint, horizon),
            ).fetchone()
            return int(row[0])

    def record_look(
        self, *, run_id: str, content: str, fingerprint: str, split: str, horizon: int
    ) -> LookCount:
        """Enter a look at `split` of the dataset with this fingerprint by a run (its id and content hash).

        Entry and counts are one step: of n looks made at once, each gets another number from 1 to n.
        """
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO looks (run_id, content, fingerprint, split, horizon, at) VALUES (?, ?, ?, ?, "
                "?, ?)",
                (run_id, content, fingerprint, split, horizon, self._now()),
            )
            row = connection.execute(
                "SELECT COUNT(*), COALESCE(SUM(content = ?), 0) FROM looks WHERE fingerprint = ? AND split "
                "= ?",
                (content, fingerprint, split),
            ).fetchone()
            return LookCount(int(row[0]), int(row[1]))

    def looks(
        self, *, fingerprint: str | None = None, content: str | None = None, split: str | None = None
    ) -> list[Look]:
        """The looks made so far, in order, of one dataset, run content or split where given."""
        with self._reading() as connection:
            if connection is None:
                return []
            rows = connection.execute(
                "SELECT run_id, content, fingerprint, split, horizon, at FROM looks WHERE (?1 IS NULL OR "
                "fingerprint = ?1) AND (?2 IS NULL OR content = ?2) AND (?3 IS NULL OR split = ?3) ORDER BY "
                "id",
                (fingerprint, content, split),
            ).fetchall()
            return [Look(*row) for row in rows]

    def record_published(self, run_id: str, kind: str, content: str, manifest_sha256: str) -> None:
        """Enter a run that is about to become visible, with the hash of its manifest.json."""
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO published (run_id, kind, content, manifest, at) VALUES (?, ?, ?, ?, ?)",
                (run_id, kind, content, manifest_sha256, self._now()),
            )

    def manifest_hashes(self, run_id: str) -> tuple[str, ...]:
        """Hashes of the manifests that runs of this id were published with, oldest first.

        More than one where a chosen name was used in several folders, or again after its run was deleted.
        """
        with self._reading() as connection:
            if connection is None:
                return ()
            rows = connection.execute(
                "SELECT manifest FROM published WHERE run_id = ? ORDER BY id", (run_id,)
            )
            return tuple(str(row[0]) for row in rows)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that no other writer can enter; kept on the disk when the block ends."""
        if not self.path.exists():
            _create(self.path)
        with _told(self.path), closing(_connect(self.path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # the first error is the one to tell
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """A connection to ask by, or None where nothing was recorded yet: reading creates nothing."""
        if not self.path.exists():
            yield None
            return
        with _told(self.path), closing(_connect(self.path)) as connection:
            yield connection


@contextmanager
def _told(path: Path) -> Iterator[None]:
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
            raise _damaged(path, text) from error
        raise FoldsmithError(f"the ledger {path} cannot be used: {why}, then run again.") from error
    except sqlite3.DatabaseError as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, why: str) -> IntegrityError:
    return IntegrityError(
        f"the ledger {path} is damaged or was changed ({why}). Restore it from a copy; without one, move it "
        "away and a "
        "new one is begun, in which earlier trials and looks are not counted."
    )


def _connect(path: Path) -> sqlite3.Connection:
    # mode=rw: a ledger that vanished is not silently begun again.
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        connection.execute(
            "PRAGMA synchronous = FULL"
        )  # in WAL mode NORMAL may lose the last entries with the power
        connection.execute("PRAGMA trusted_schema = OFF")
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        written = connection.execute("PRAGMA user_version").fetchone()[0]
        if application != APPLICATION:
            raise _damaged(path, "it is empty or no ledger")
        if written != FORMAT:
            raise DataError(
                f"the ledger {path} has format {written} and this version reads {FORMAT}; use the version of "
                "Foldsmith that wrote it."
            )
        _check_triggers(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_triggers(connection: sqlite3.Connection, path: Path) -> None:
    found = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")}
    missing = sorted(name for table in _TABLES for name in _trigger_names(table) if name not in found)
    if missing:
        raise _damaged(path, f"its guard {missing[0]} is gone")


def _trigger_names(table: str) -> tuple[str, str, str]:
    return f"{table}_unchanged", f"{table}_kept", f"{table}_unreplaced"


def _schema() -> str:
    statements = [f"PRAGMA application_id = {APPLICATION};", f"PRAGMA user_version = {FORMAT};"]
    for table, columns in _TABLES.items():
        unchanged, kept, unreplaced = _trigger_names(table)
        stop = "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;"
        statements += [
            f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, {columns});",
            f"CREATE INDEX {table}_by ON {table} ({_INDEXES[table]});",
            f"CREATE TRIGGER {unchanged} BEFORE UPDATE ON {table} {stop}",
            f"CREATE TRIGGER {kept} BEFORE DELETE ON {table} {stop}",
            # INSERT OR REPLACE deletes without asking the DELETE trigger.
            f"CREATE TRIGGER {unreplaced} BEFORE INSERT ON {table} WHEN EXISTS "  # noqa: S608 - our own names
            f"(SELECT 1 FROM {table} WHERE id = NEW.id) {stop}",
        ]
    return "BEGIN;" + "".join(statements) + "COMMIT;"


def _create(path: Path) -> None:
    """Make an empty ledger aside and put it in place whole; whoever is second uses the first one's."""
    log = path.with_name(path.name + "-wal")
    if log.exists() and not path.exists():
        raise FoldsmithError(
            f"the ledger {path} is gone but its log {log.name} is there; restore the ledger, or move the "
            "log away to "
            "begin a new one, in which earlier trials and looks are not counted."
        )
    aside = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.writing")
    with disk_errors_told(f"begin the ledger {path}"), _told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(sqlite3.connect(aside, isolation_level=None)) as connection:
                connection.executescript(_schema())
                connection.execute("PRAGMA journal_mode = WAL")
            with suppress(FileExistsError):
                rename_without_replacing(aside, path)
                fsync_path(path.parent)
        finally:
            for ending in ("", "-wal", "-shm", "-journal"):
                aside.with_name(aside.name + ending).unlink(missing_ok=True)


def _trial_entry(row: Mapping[str, Any], at: str) -> tuple[Any, ...]:
    missing = [name for name in _TRIAL if name not in row]
    if missing:
        raise DataError(f"a trial for the ledger lacks {missing[0]!r}; it has {', '.join(map(str, row))}.")
    try:
        params = json.dumps(row["params"], sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DataError(f"params of trial {row['number']} cannot be stored ({error}).") from error
    value = None if row["value"] is None else float(row["value"])
    return (
        *(str(row[name]) for name in ("run_id", "fingerprint", "model")),
        int(row["horizon"]),
        str(row["fold"]),
        int(row["number"]),
        params,
        value,
        str(row["state"]),
        at,
    )
