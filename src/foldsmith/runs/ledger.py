"""The ledger: every trial tried, every look at held-out data, every run published or removed; it only grows.

One SQLite file in WAL mode, shared by any number of processes on one machine. Triggers refuse every change
and every deletion, so that a count in a report cannot be made smaller by this program; entries are chained by
hashes, so that one made smaller by another is found out. A connection lives for one call: nothing is shared
with forked workers.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from foldsmith.errors import DataError
from foldsmith.runs.ledger_file import (
    Entry,
    append,
    check,
    connect,
    create,
    damaged,
    is_there,
    last_entry,
    told,
)

Row = TypeVar("Row")
TRIAL, PATH = "trial", "path"
_TRIAL = ("run_id", "fingerprint", "model", "horizon", "fold", "number", "params", "value", "state")


class LookCount(NamedTuple):
    """How often held-out data was looked at, the look just made included.

    of_dataset : looks at this split of the dataset, by any run and horizon; of_run : looks by this run alone.
    """

    of_dataset: int
    of_run: int


class Look(NamedTuple):
    """One look at held-out data; `at` is the time in ISO form, UTC; `rule` how it was traded, if not by default."""

    run_id: str
    content: str
    fingerprint: str
    split: str
    horizon: int
    at: str
    rule: str = ""


class Published(NamedTuple):
    """A run that was published: `manifest` is the SHA-256 of its manifest.json; `at` as in Look.

    folder : where it was put, if not in one of the workspace's own folders; relative to the workspace if inside.
    """

    run_id: str
    kind: str
    content: str
    manifest: str
    at: str
    folder: str = ""


class Removed(NamedTuple):
    """A published run that `runs clean` removed."""

    run_id: str
    kind: str
    content: str
    at: str


class _Tag(NamedTuple):
    run_id: str
    tag: str
    present: bool
    at: str


class Anchor(NamedTuple):
    """The state of a ledger at a moment: its name, how many entries it had, and the hash of the last one."""

    ledger: str
    entries: int
    head: str


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

    def record_trials(self, rows: Iterable[Mapping[str, Any]], kind: str = TRIAL) -> None:
        """Enter trials, all or none; each row names run_id, fingerprint, model, horizon, fold, number, params
        (JSON-able), value (the score, None where there is none) and state; other keys are passed over.

        kind : PATH for fits of combinatorial paths, which are kept and counted nowhere: nothing is chosen by them."""
        entries = [_trial(row)._replace(kind=kind) for row in rows]
        if not entries:
            return
        with self._writing() as connection:
            append(connection, entries, self._now())

    def trial_count(self, fingerprint: str, horizon: int | None = None) -> int:
        """How many things were tried on a dataset.

        A trial that a resumed run made again, equal in every value, counts once; one that differs counts,
        also where a chosen name was used for another run.
        """
        query = (
            "SELECT COUNT(*) FROM (SELECT DISTINCT run_id, body FROM entries WHERE kind = 'trial' AND "
            "fingerprint = ?1 AND (?2 IS NULL OR json_extract(body, '$.horizon') = ?2))"
        )
        with self.reading() as connection:
            if connection is None:
                return 0
            return int(connection.execute(query, (fingerprint, horizon)).fetchone()[0])

    def record_look(
        self, *, run_id: str, content: str, fingerprint: str, split: str, horizon: int, rule: str = ""
    ) -> LookCount:
        """Enter a look at `split` of the dataset with this fingerprint by a run (its id and content hash).

        Entry and counts are one step: of n looks made at once, each gets another number from 1 to n.
        """
        body = _body(
            {"content": content, "split": split, "horizon": horizon} | ({"rule": rule} if rule else {})
        )
        query = (
            "SELECT COUNT(*), COALESCE(SUM(json_extract(body, '$.content') = ?1), 0) FROM entries "
            "WHERE kind = 'look' AND fingerprint = ?2 AND json_extract(body, '$.split') = ?3"
        )
        with self._writing() as connection:
            append(connection, [Entry("look", run_id, fingerprint, body)], self._now())
            row = connection.execute(query, (content, fingerprint, split)).fetchone()
            return LookCount(int(row[0]), int(row[1]))

    def looks(
        self, *, fingerprint: str | None = None, content: str | None = None, split: str | None = None
    ) -> list[Look]:
        """The looks made so far, in order, of one dataset, run content or split where given."""
        wanted = {"fingerprint": fingerprint, "content": content, "split": split}
        every = self.entries(Look, "look")
        return [look for look in every if all(v in (None, getattr(look, name)) for name, v in wanted.items())]

    def record_published(
        self, run_id: str, kind: str, content: str, manifest_sha256: str, folder: str = ""
    ) -> None:
        """Enter a run that is about to become visible, with the hash of its manifest.json; folder as in Published."""
        entry = {"kind": kind, "content": content, "manifest": manifest_sha256}
        self.enter("published", (run_id, entry | ({"folder": folder} if folder else {})))

    def published(self) -> list[Published]:
        """Every run that was ever published, oldest first; one killed just before its rename is among them."""
        return self.entries(Published, "published")

    def manifest_hashes(self, run_id: str) -> tuple[str, ...]:
        """Hashes of the manifests that runs of this id were published with, oldest first.

        More than one where a chosen name was used in several folders, or again after its run was deleted.
        """
        return tuple(str(entry.manifest) for entry in self.entries(Published, "published", run_id))

    def record_removed(self, run_id: str, kind: str, content: str) -> None:
        """Enter a run that is about to be removed for good."""
        self.enter("removed", (run_id, {"kind": kind, "content": content}))

    def removed(self) -> list[Removed]:
        """The runs that were removed, oldest first."""
        return self.entries(Removed, "removed")

    def record_tag(self, run_id: str, tag: str, present: bool) -> None:
        """Give a run a tag, or take it away."""
        self.enter("tag", (run_id, {"tag": tag, "present": present}))

    def tags(self) -> dict[str, tuple[str, ...]]:
        """The tags that runs have now, by run id, in alphabetical order."""
        has: dict[str, set[str]] = {}
        for entry in self.entries(_Tag, "tag"):
            of_run = has.setdefault(entry.run_id, set())
            (of_run.add if entry.present else of_run.discard)(entry.tag)
        return {run_id: tuple(sorted(tags)) for run_id, tags in has.items() if tags}

    def anchor(self) -> Anchor:
        """Where the ledger stands now, begun if need be: a manifest holds it, and nothing before can go unseen."""
        with self._writing() as connection:
            return Anchor(_name(connection, self.path), *last_entry(connection))

    def check_anchor(self, run_id: str, anchor: Anchor) -> None:
        """Raise IntegrityError if entries are gone or others since a run was published: it says what it saw last.

        A run that was entered in another ledger, such as one copied from elsewhere, says nothing of this one.
        """
        known = bool(self.manifest_hashes(run_id))
        with self.reading() as connection:
            if connection is None or anchor.ledger != _name(connection, self.path):
                return
            found = connection.execute("SELECT hash FROM entries WHERE id = ?", (anchor.entries,)).fetchone()
            if not known or found is None or found[0] != anchor.head:
                raise damaged(
                    self.path,
                    f"entries that were there when run {run_id} was published are gone or others",
                )

    def check(self) -> None:
        """Look at every page and every entry; IntegrityError where one was damaged, changed or taken out."""
        with self.reading() as connection:
            if connection is not None:
                check(connection, self.path)

    def enter(self, kind: str, *each: tuple[str, Mapping[str, Any]]) -> None:
        """Enter what is said of runs under a kind, all or none; each a run id and JSON-able values."""
        with self._writing() as connection:
            append(connection, [Entry(kind, run_id, "", _body(said)) for run_id, said in each], self._now())

    def entries(self, row: Callable[..., Row], kind: str, run_id: str | None = None) -> list[Row]:
        """The entries of a kind (and a run), oldest first, each as `row` makes it of its values."""
        query, values = "SELECT run_id, fingerprint, body, at FROM entries WHERE kind = ?", [kind]
        if run_id is not None:
            query, values = f"{query} AND run_id = ?", [kind, run_id]
        with self.reading() as connection:
            if connection is None:
                return []
            rows = connection.execute(f"{query} ORDER BY id", values).fetchall()
        try:
            return [
                row(
                    **{"run_id": run, **({"fingerprint": data} if data else {}), **json.loads(body), "at": at}
                )
                for run, data, body, at in rows
            ]
        except (ValueError, TypeError, RecursionError) as error:
            raise damaged(self.path, f"an entry of kind {kind} is none") from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that no other writer can enter; kept on the disk when the block ends."""
        create(self.path, self._now())
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
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """A connection to ask by, or None where nothing was recorded yet: reading creates nothing."""
        if not is_there(self.path):
            yield None
            return
        with told(self.path), closing(connect(self.path, reading=True)) as connection:
            yield connection


def _name(connection: sqlite3.Connection, path: Path) -> str:
    """What the first entry calls this ledger."""
    found = connection.execute("SELECT json_extract(body, '$.ledger') FROM entries WHERE id = 1").fetchone()
    if found is None or not isinstance(found[0], str):
        raise damaged(path, "its first entry is gone or changed")
    return found[0]


def _body(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _trial(row: Mapping[str, Any]) -> Entry:
    missing = [name for name in _TRIAL if name not in row]
    if missing:
        raise DataError(f"a trial for the ledger lacks {missing[0]!r}; it has {', '.join(map(str, row))}.")
    body: dict[str, Any] = {name: str(row[name]) for name in ("model", "fold", "state")}
    body |= {name: int(row[name]) for name in ("horizon", "number")}
    body |= {"value": None if row["value"] is None else float(row["value"]), "params": row["params"]}
    try:
        return Entry(TRIAL, str(row["run_id"]), str(row["fingerprint"]), _body(body))
    except (TypeError, ValueError) as error:
        raise DataError(f"trial {row['number']} cannot be stored ({error}).") from error
