"""The ledger: every trial tried, every look at held-out data, every run published; it only grows.

One SQLite file in WAL mode, shared by any number of processes on one machine. Triggers refuse every change
and every deletion, so that a count in a report cannot be made smaller by this program. A connection lives for
one call: nothing is shared with forked workers.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from foldsmith.errors import DataError
from foldsmith.runs.ledger_file import check, connect, create, is_there, told

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

    Every method raises IntegrityError for a file that is damaged, no ledger, or gone since it was begun, and
    FoldsmithError where the disk or another process does not let it work. `now` gives the time of an entry,
    as text.
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
        """How many things were tried on a dataset.

        A trial that a resumed run made again, equal in every value, counts once; one that differs counts,
        also where a chosen name was used for another run.
        """
        with self._reading() as connection:
            if connection is None:
                return 0
            row = connection.execute(
                "SELECT COUNT(*) FROM (SELECT DISTINCT run_id, model, horizon, fold, number, params, value, "
                "state FROM trials WHERE fingerprint = ?1 AND (?2 IS NULL OR horizon = ?2))",
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

    def check(self) -> None:
        """Look at every page and every entry; IntegrityError where something is damaged or was taken out."""
        with self._reading() as connection:
            if connection is not None:
                check(connection, self.path)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that no other writer can enter; kept on the disk when the block ends."""
        create(self.path)
        with told(self.path), closing(connect(self.path)) as connection:
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
        if not is_there(self.path):
            yield None
            return
        with told(self.path), closing(connect(self.path, reading=True)) as connection:
            yield connection


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
