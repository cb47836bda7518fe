"""Which runs a workspace holds: finished, damaged, being made or left unfinished.

To list thousands at once, a manifest is only parsed and its few shown fields looked at; it is compared with the
hash in the ledger, and the files of the run are left to `foldsmith.runs.verification`. What cannot be read is an
entry that says so, never an error.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from foldsmith.errors import FoldsmithError, MissingError, SettingError
from foldsmith.runs.files import disk_errors_told, read_json
from foldsmith.runs.ids import RUN_ID, check_name, is_name
from foldsmith.runs.ledger import Ledger, Published
from foldsmith.runs.lock import is_held, owner
from foldsmith.runs.manifest import FORMAT, MANIFEST, MAX_MANIFEST_BYTES, read
from foldsmith.runs.store import LISTED, Run, Workspace

KINDS = ("dataset", "cv", "model", "evaluation")
"""Kinds of runs, each made only from those before it."""
EVALUATIONS = "evaluations"
SETTINGS = ".settings.json"
"""What an unfinished CV run is made with, in its working folder."""

FINISHED, DAMAGED, MAKING, UNFINISHED = "finished", "damaged", "being made", "unfinished"
STATES = (FINISHED, DAMAGED, MAKING, UNFINISHED)

_TRAINER = re.compile(r"(?P<model>.+)_h(?P<horizon>[0-9]{1,6})_[0-9]{8}_", re.ASCII)


class Origin(NamedTuple):
    """What a run was made from, as its manifest names it."""

    kind: str
    id: str
    content: str


class Place(NamedTuple):
    """A folder that holds runs, and their kind; of a folder of the user's own the manifests tell it."""

    folder: Path
    kind: str = ""


@dataclass(frozen=True)
class Entry:
    """A run as it is listed. What is not known of it is None: of a damaged run most, of an unfinished one some.

    time : when it was begun, as its id says, else when it was published. of : the id of the model that an evaluation
    lies in. note : what is wrong with a damaged run, or who makes or made an unfinished one.
    """

    id: str
    kind: str
    state: str
    folder: str
    time: datetime | None
    symbol: str | None = None
    models: tuple[str, ...] | None = None
    horizons: tuple[int, ...] | None = None
    content: str | None = None
    parents: tuple[Origin, ...] | None = None
    of: str | None = None
    split: str | None = None
    tags: tuple[str, ...] = ()
    note: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def path(self) -> Path:
        """Its folder."""
        return Path(self.folder)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "id": self.id,
            "kind": self.kind,
            "state": self.state,
            "path": self.folder,
            "time": None if self.time is None else self.time.isoformat(timespec="microseconds"),
            "symbol": self.symbol,
            "models": None if self.models is None else list(self.models),
            "horizons": None if self.horizons is None else list(self.horizons),
            "content": self.content,
            "parents": None if self.parents is None else [parent._asdict() for parent in self.parents],
            "of": self.of,
            "split": self.split,
            "tags": list(self.tags),
            "note": self.note,
            "extra": dict(self.extra),
        }


@dataclass(frozen=True)
class Wanted:
    """Which runs to list. What is not known of a run never hides it: a damaged one is shown rather than missed."""

    symbol: str | None = None
    model: str | None = None
    horizon: int | None = None
    kind: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    tag: str | None = None

    def __call__(self, run: Entry) -> bool:
        """Whether a run is wanted; `since` is the first instant, `until` the first one too late."""
        return not (
            (self.symbol is not None and run.symbol not in (None, self.symbol))
            or (self.model is not None and run.models is not None and self.model not in run.models)
            or (self.horizon is not None and run.horizons is not None and self.horizon not in run.horizons)
            or (self.kind is not None and run.kind not in ("", self.kind))
            or (self.since is not None and run.time is not None and run.time < self.since)
            or (self.until is not None and run.time is not None and run.time >= self.until)
            or (self.tag is not None and self.tag not in run.tags)
        )


_NEVER = datetime.min.replace(tzinfo=UTC)
SORTS: dict[str, Callable[[Entry], Any] | None] = {
    "newest": None,
    "oldest": None,
    "id": lambda run: run.id,
    "kind": lambda run: KINDS.index(run.kind) if run.kind in KINDS else len(KINDS),
    "symbol": lambda run: run.symbol or "",
    "model": lambda run: run.models or (),
    "state": lambda run: STATES.index(run.state),
}
"""Orders of a listing; among equals, the newest first."""


def ordered(runs: Iterable[Entry], by: str = "newest") -> list[Entry]:
    """Runs in one of `SORTS`."""
    found = sorted(runs, key=lambda run: (run.time or _NEVER, run.id), reverse=by != "oldest")
    key = SORTS[by]
    return found if key is None else sorted(found, key=key)


@dataclass(frozen=True)
class Registry:
    """The runs found, newest first; `trouble` is why the ledger could not be asked, where it could not."""

    entries: list[Entry]
    trouble: FoldsmithError | None = None


def places(workspace: Workspace, also: Sequence[Path] = ()) -> list[Place]:
    """The workspace's folders of runs, others that the ledger has entries of, and those that the user names.

    Raises SettingError for one that is named and no folder; others that are gone are left out.
    """
    found = [
        Place(workspace.datasets, "dataset"),
        Place(workspace.stacking, "cv"),
        Place(workspace.runs, "model"),
    ]
    for folder in also:
        if not folder.is_dir():
            raise SettingError(f"--also {folder} is no folder; name one that holds runs, or leave it out.")
    entered: list[Path] = []
    with suppress(FoldsmithError):  # a ledger that cannot be asked is told by those who list
        entered = [workspace.root / run.folder for run in Ledger(workspace.ledger).published() if run.folder]
    for folder in dict.fromkeys([*also, *entered]):
        if folder.is_dir() and all(folder.resolve() != place.folder.resolve() for place in found):
            found.append(Place(folder))
    return found


def read_registry(workspace: Workspace, where: Sequence[Place]) -> Registry:
    """Find and read the runs in these places."""
    ledger, trouble = Ledger(workspace.ledger), None
    manifests: dict[str, set[str]] = {}
    tags: dict[str, tuple[str, ...]] = {}
    try:
        for published in ledger.published():
            manifests.setdefault(published.run_id, set()).add(published.manifest)
        tags = ledger.tags()
    except FoldsmithError as error:
        manifests, trouble = {}, error
    reader = _Reader(manifests, tags)
    found = [run for place in where for run in reader.scan(str(place.folder), place.kind)]
    return Registry(ordered(found), trouble)


def gone_runs(ledger: Ledger, runs: Iterable[Entry]) -> list[Published]:
    """Runs that were published, were not removed since, and are not among `runs`, oldest first.

    A run whose content is not known, being damaged or unfinished, is one of its id.
    """
    there = {(run.id, run.content) for run in runs}
    removed = {(entry.run_id, entry.content): entry.at for entry in ledger.removed()}
    last = {(entry.run_id, entry.content): entry for entry in ledger.published()}
    return [
        entry
        for (run_id, content), entry in last.items()
        if (run_id, content) not in there
        and (run_id, None) not in there
        and removed.get((run_id, content), "") < entry.at
    ]


def find_folder(workspace: Workspace, run_id: str, also: Sequence[Path] = ()) -> Path:
    """The folder of a finished run by id, wherever it lies and however damaged it is.

    `run_id` may be the folder as a listing shows it, should two runs have one id. Raises SettingError for no name and
    for several runs, MissingError (saying what became of it, where that is known) for none.
    """
    parent, _, name = run_id.rpartition("/")
    check_name(name, "the run id")
    found = [
        folder / name
        for folder in _folders(places(workspace, also))
        if (not parent or str(folder) == parent) and (folder / name / MANIFEST).exists()
    ]
    if not found:
        raise MissingError(_not_found(workspace, name, also))
    if len(found) > 1:
        raise SettingError(
            f"{len(found)} runs are called {name}: {', '.join(map(str, found))}; name the one you mean by its folder."
        )
    return found[0]


def find_run(workspace: Workspace, run_id: str, also: Sequence[Path] = ()) -> Run:
    """Open a finished run found by `find_folder`; its manifest is compared with the ledger."""
    folder = find_folder(workspace, run_id, also)
    return workspace.open_run(folder.parent, folder.name)


def _folders(where: Iterable[Place]) -> Iterator[Path]:
    """Every folder in which runs lie side by side: the places, and the evaluations of each model in them."""
    for place in where:
        yield place.folder
        if place.kind in ("", "model"):
            for name in _names(place.folder):
                if not name.startswith("."):
                    yield place.folder / name / EVALUATIONS


def _names(folder: Path) -> list[str]:
    with disk_errors_told(f"list the runs in {folder}"):
        try:
            return os.listdir(folder)
        except (FileNotFoundError, NotADirectoryError):
            return []


def _not_found(workspace: Workspace, name: str, also: Sequence[Path]) -> str:
    registry = read_registry(workspace, places(workspace, also))
    runs, what = registry.entries, f"run {name} is not in {workspace.root}"
    for run in runs:
        if run.id == name and run.state == DAMAGED:
            return f"run {name} in {run.path.parent} is damaged: {run.note}; restore it."
        if run.id == name and run.state != FINISHED:
            return f"run {name} in {run.path.parent} is not finished: {run.note}."
    if registry.trouble is None:
        ledger = Ledger(workspace.ledger)
        for entry in gone_runs(ledger, runs):
            if entry.run_id == name:
                return (
                    f"{what}: it was published on {entry.at[:10]} and is gone; restore its folder, or name the folder "
                    "it lies in with --also."
                )
        for removed in reversed(ledger.removed()):
            if removed.run_id == name:
                return f"{what}: it was removed on {removed.at[:10]}; make it again."
    newest = [run.id for run in runs if run.state == FINISHED][:LISTED]
    return f"{what}; there are {', '.join(newest) or 'no runs'}."


class _Reader:
    """Reads runs of a folder; `manifests` and `tags` are what the ledger knows by run id."""

    def __init__(self, manifests: Mapping[str, set[str]], tags: Mapping[str, tuple[str, ...]]) -> None:
        self.manifests = manifests
        self.tags = tags

    def scan(self, folder: str, kind: str, inside: Entry | None = None) -> Iterator[Entry]:
        """The runs in a folder, and the evaluations of each model among them."""
        with disk_errors_told(f"list the runs in {folder}"):
            try:
                found = list(os.scandir(folder))
            except (FileNotFoundError, NotADirectoryError):
                return
        for entry in found:
            name = entry.name
            if name[0] == ".":
                run_id = name[1 : -len(".partial")]
                if name.endswith(".partial") and is_name(run_id) and entry.is_dir(follow_symlinks=False):
                    yield self.unfinished(entry.path, run_id, kind, inside)
            elif is_name(name) and entry.is_dir():
                run = self.published(entry.path, name, kind, inside)
                if run is not None:
                    yield run
                if inside is None and kind in ("", "model"):
                    outer = run or Entry(name, "model", DAMAGED, entry.path, None)
                    yield from self.scan(f"{entry.path}/{EVALUATIONS}", "evaluation", outer)

    def published(self, folder: str, name: str, kind: str, inside: Entry | None) -> Entry | None:
        """A run that has its final name; None for a folder that is no run and never was one."""
        known = self.manifests.get(name)
        content = _quick_read(f"{folder}/{MANIFEST}")
        if content is None:
            if not known and not os.path.lexists(f"{folder}/{MANIFEST}"):
                return None
            return self._damaged(folder, name, kind, inside, _what_is_wrong(Path(folder)))
        try:
            run = self._read(json.loads(content), folder, name, inside)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return self._damaged(folder, name, kind, inside, _what_is_wrong(Path(folder)))
        if known and hashlib.sha256(content).hexdigest() not in known:
            return _as_damaged(run, f"its {MANIFEST} was changed since it was published")
        return run

    def unfinished(self, folder: str, run_id: str, kind: str, inside: Entry | None) -> Entry:
        """A run that is being made, or was left by an owner that ended."""
        path = Path(folder)
        try:
            alive = is_held(path)
        except FoldsmithError:
            alive = True  # a disk that cannot tell: hands off
        found: dict[str, Any] = {}
        trainer = _TRAINER.match(run_id)
        if inside is not None:
            found = {"models": inside.models, "horizons": inside.horizons, "symbol": inside.symbol}
        elif kind == "model" and trainer is not None:
            found = {"models": (trainer["model"],), "horizons": (int(trainer["horizon"]),)}
        with suppress(FoldsmithError, OSError, KeyError, TypeError, ValueError):
            kept = read_json(path / SETTINGS)
            origin = Origin("dataset", str(kept["dataset"]), str(kept["content"]))
            found = {
                "models": tuple(kept["models"]),
                "horizons": tuple(kept["horizons"]),
                "parents": (origin,),
            }
        return Entry(
            id=run_id,
            kind=kind,
            state=MAKING if alive else UNFINISHED,
            folder=folder,
            time=_time_in(run_id),
            of=None if inside is None else inside.id,
            tags=self.tags.get(run_id, ()),
            note=f"{owner(path)} makes it" if alive else f"{owner(path)} ended",
            **found,
        )

    def _read(self, found: Any, folder: str, name: str, inside: Entry | None) -> Entry:
        """The entry of a parsed manifest; ValueError, TypeError or KeyError where it is none."""
        extra, parameters = found["extra"], found["parameters"]
        if found["format"] != FORMAT or found["id"] != name or found["kind"] not in KINDS:
            raise ValueError
        models = [extra["model"]] if "model" in extra else extra.get("models", [])
        horizons = [extra["horizon"]] if "horizon" in extra else extra.get("horizons", [])
        symbol = extra.get("symbol")
        return Entry(
            id=name,
            kind=found["kind"],
            state=FINISHED,
            folder=folder,
            time=_time_in(name) or datetime.fromisoformat(found["created"]).astimezone(UTC),
            symbol=None if symbol is None else str(symbol),
            models=tuple(map(str, models)) if inside is None else inside.models,
            horizons=tuple(map(int, horizons)),
            content=str(found["content"]),
            parents=tuple(Origin(p["kind"], p["id"], p["content"]) for p in found["parents"]),
            of=None if inside is None else inside.id,
            split=parameters.get("split"),
            tags=self.tags.get(name, ()),
            extra=extra,
        )

    def _damaged(self, folder: str, name: str, kind: str, inside: Entry | None, why: str) -> Entry:
        of = None if inside is None else inside.id
        tags = self.tags.get(name, ())
        return Entry(name, kind, DAMAGED, folder, _time_in(name), of=of, tags=tags, note=why)


def _as_damaged(run: Entry, why: str) -> Entry:
    """A run whose manifest can be read and not believed: what it was made from and holds is not known."""
    return Entry(run.id, run.kind, DAMAGED, run.folder, run.time, of=run.of, tags=run.tags, note=why)


def _quick_read(path: str) -> bytes | None:
    """Bytes of an ordinary file that is no larger than a manifest may be; None for all else, to be looked into."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        known = os.fstat(handle)
        if not stat.S_ISREG(known.st_mode) or known.st_size > MAX_MANIFEST_BYTES:
            return None
        return os.read(handle, known.st_size)
    except OSError:
        return None
    finally:
        os.close(handle)


def _what_is_wrong(path: Path) -> str:
    """What the full check says of a manifest that could not be read in the quick way."""
    try:
        found = read(path)
    except (FoldsmithError, OSError) as error:
        return str(error)
    if found.id != path.name:
        return f"its folder holds run {found.id}; give the folder its name back."
    return f"its {MANIFEST} does not say what is listed of a run; make the run again."


def _time_in(run_id: str) -> datetime | None:
    """When a run was begun, as its id says; None for a name that the user chose."""
    made = RUN_ID.fullmatch(run_id)
    if made is None:
        return None
    text = made["time"]
    parts = (text[:4], text[4:6], text[6:8], text[9:11], text[11:13], text[13:15], text[16:])
    year, month, day, hour, minute, second, microsecond = map(int, parts)
    try:
        return datetime(year, month, day, hour, minute, second, microsecond, tzinfo=UTC)
    except ValueError:
        return None
