"""Units of work that are durable when done, run in any order by any number of processes.

A unit (one model, horizon and fold; or one refit) is a pure function of its arguments. Its result is a JSON record,
named arrays and named files of bytes; the process that made it keeps it in a hidden folder of the run that is being
built, from where it is read back, also when the run is resumed. The order in which units finish leaves no trace.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith.errors import DataError, FoldsmithError, IntegrityError, UnfinishedError
from foldsmith.runs.files import disk_trouble, fsync_path, hash_file, read_json, write_json
from foldsmith.runs.rename import rename_without_replacing
from foldsmith.stages.executors import Executor, WorkersLost

FOLDER = ".units"
HASHES = "hashes.json"
SHOWN = 5
"""How many failed units a message names."""


@dataclass(frozen=True)
class Result:
    """What a unit leaves: numbers and texts, arrays, and files."""

    record: dict[str, Any]
    arrays: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Unit:
    """A name that is unique in the run, and the call that makes the result (picklable for other processes).

    cost : about how long the call takes, in any measure that the units of a run share.
    """

    key: str
    call: Callable[..., Result]
    arguments: Mapping[str, Any]
    cost: float = 1.0


class UnitStore:
    """Results of finished units in `{run}/.units`, each written aside and put in place by one rename."""

    def __init__(self, run: Path) -> None:
        # Absolute: a worker that is used again keeps the working folder it began in.
        self.folder = (run / FOLDER).absolute()
        self.folder.mkdir(exist_ok=True)
        if self.folder.is_symlink():
            raise DataError(f"{self.folder} is a link, and a run stays inside its folder; delete {run}.")

    def __contains__(self, key: str) -> bool:
        return (self.folder / key).is_dir()

    def save(self, key: str, result: Result) -> None:
        """Keep a result; after this returns it survives a kill."""
        # Named by chance: a worker that outlived its parent for a moment may still be writing the same unit.
        aside = self.folder / f"_{key}.{secrets.token_hex(8)}"
        aside.mkdir()
        _write(aside / "record.json", json.dumps(result.record, allow_nan=False).encode())
        for name, array in result.arrays.items():
            with (aside / f"{name}.npy").open("wb") as file:
                np.save(file, array, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
        for name, content in result.files.items():
            _write(aside / f"{name}.bytes", content)
        write_json(aside / HASHES, {path.name: hash_file(path) for path in aside.iterdir()})
        fsync_path(aside)
        try:
            rename_without_replacing(aside, self.folder / key)
        except FileExistsError:
            shutil.rmtree(aside)  # made twice, with equal bytes
        fsync_path(self.folder)

    def load(self, key: str) -> Result:
        """Read a finished unit back, with equal bytes; IntegrityError where they are not those that were kept."""
        folder = self.folder / key
        try:
            names = self._checked(folder)
            return Result(
                json.loads((folder / "record.json").read_bytes()),
                {
                    name.removesuffix(".npy"): np.load(folder / name, allow_pickle=False)
                    for name in names
                    if name.endswith(".npy")
                },
                {
                    name.removesuffix(".bytes"): (folder / name).read_bytes()
                    for name in names
                    if name.endswith(".bytes")
                },
            )
        except (DataError, OSError, ValueError, AttributeError) as error:
            raise IntegrityError(
                f"{folder} is damaged ({error}); delete that folder and resume the run: it is made again."
            ) from error

    def drop_damaged(self, keys: Iterable[str]) -> None:
        """Remove those of these units whose bytes are not those that were kept: they are made again."""
        for key in keys:
            if key in self:
                try:
                    self._checked(self.folder / key)
                except (FoldsmithError, OSError, AttributeError):
                    shutil.rmtree(self.folder / key)

    @staticmethod
    def _checked(folder: Path) -> list[str]:
        hashes = read_json(folder / HASHES)
        found = {path.name for path in folder.iterdir()} - {HASHES}
        if set(hashes) != found or "record.json" not in found:
            raise DataError(f"it holds {len(found)} files and {len(hashes)} were kept")
        for name in sorted(hashes):
            if hash_file(folder / name) != hashes[name]:
                raise DataError(f"{name} was changed")
        return sorted(hashes)


def run_units(
    units: Sequence[Unit],
    store: UnitStore,
    *,
    executor: Executor,
    done: Callable[[str, dict[str, Any]], None],
) -> dict[str, Result]:
    """Run the units that the store does not hold yet and return all results by key, in the order of `units`.

    The longest begin first, so that at the end no process waits for another's long one.
    `done` is called in this process with the record of each unit that was run now, as it finishes. A unit that fails
    does not stop the others: UnfinishedError tells at the end which failed and why. A disk without room stops all.
    """
    store.drop_damaged(unit.key for unit in units)
    waiting = sorted((unit for unit in units if unit.key not in store), key=lambda unit: -unit.cost)
    failed = {}
    try:
        for key, reason in executor.each(partial(_call, store), waiting, store.folder):
            if reason is None:
                done(key, store.load(key).record)
            else:
                failed[key] = reason
    except WorkersLost as error:
        raise UnfinishedError(
            "a worker process was killed, most likely by the system for want of memory; use fewer --workers"
        ) from error
    if failed:
        told = "; ".join(f"{key} ({reason})" for key, reason in sorted(failed.items())[:SHOWN])
        more = f" and {len(failed) - SHOWN} more" if len(failed) > SHOWN else ""
        raise UnfinishedError(f"{len(failed)} of {len(units)} fits failed: {told}{more}")
    return {unit.key: store.load(unit.key) for unit in units}


def _call(store: UnitStore, unit: Unit) -> tuple[str, str | None]:
    """Make and keep a unit: its key, and why it failed (None if it did not)."""
    try:
        store.save(unit.key, unit.call(**unit.arguments))
    except FoldsmithError as error:
        return unit.key, str(error).rstrip(".")
    except Exception as error:  # libraries raise their own kinds; what failed is told, never hidden
        if disk_trouble(error) is not None:
            raise
        (store.folder / f"{unit.key}.error.txt").write_text(traceback.format_exc(), encoding="utf-8")
        return unit.key, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return unit.key, None


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
