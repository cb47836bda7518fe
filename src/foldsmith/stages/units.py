"""Units of work that are durable when done, run in any order by any number of processes.

A unit (one model, horizon and fold; or one refit) is a pure function of its arguments. Its result is a JSON record,
named arrays and named files of bytes; it is kept in a hidden folder of the run that is being built and read back
when the run is resumed. The order in which units finish leaves no trace.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FOLDER = ".units"


@dataclass(frozen=True)
class Result:
    """What a unit leaves: numbers and texts, arrays, and files."""

    record: dict[str, Any]
    arrays: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Unit:
    """A name that is unique in the run, and the call that makes the result (picklable for other processes)."""

    key: str
    call: Callable[..., Result]
    arguments: Mapping[str, Any]


class UnitStore:
    """Results of finished units in `{run}/.units`, each written aside and put in place by one rename."""

    def __init__(self, run: Path) -> None:
        self.folder = run / FOLDER
        self.folder.mkdir(exist_ok=True)

    def __contains__(self, key: str) -> bool:
        return (self.folder / key).is_dir()

    def save(self, key: str, result: Result) -> None:
        """Keep a result; after this returns it survives a kill."""
        aside = self.folder / f"_{key}"
        if aside.exists():
            shutil.rmtree(aside)
        aside.mkdir()
        _write(aside / "record.json", json.dumps(result.record, allow_nan=False).encode())
        for name, array in result.arrays.items():
            with (aside / f"{name}.npy").open("wb") as file:
                np.save(file, array, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
        for name, content in result.files.items():
            _write(aside / f"{name}.bytes", content)
        aside.rename(self.folder / key)

    def load(self, key: str) -> Result:
        """Read a finished unit back, with equal bytes."""
        folder = self.folder / key
        record = json.loads((folder / "record.json").read_bytes())
        arrays = {path.stem: np.load(path, allow_pickle=False) for path in sorted(folder.glob("*.npy"))}
        files = {
            path.name.removesuffix(".bytes"): path.read_bytes() for path in sorted(folder.glob("*.bytes"))
        }
        return Result(record, arrays, files)

    def remove(self) -> None:
        """Drop all results; called when what was made of them stands in the run."""
        shutil.rmtree(self.folder)


def run_units(
    units: Sequence[Unit],
    store: UnitStore,
    *,
    workers: int,
    done: Callable[[str, Result], None],
) -> dict[str, Result]:
    """Run the units that the store does not hold yet and return all results by key, in the order of `units`.

    `done` is called in this process for each unit that was run now, as it finishes.
    """
    waiting = [unit for unit in units if unit.key not in store]
    for key, result in _finished(waiting, min(workers, len(waiting))):
        # First told (its trials enter the ledger, where a repeat counts once), then kept: a kill between the two
        # runs the unit again, and nothing tried is ever left uncounted.
        done(key, result)
        store.save(key, result)
    return {unit.key: store.load(unit.key) for unit in units}


def _finished(units: Sequence[Unit], workers: int) -> Iterable[tuple[str, Result]]:
    if workers <= 1:
        return ((unit.key, unit.call(**unit.arguments)) for unit in units)
    from joblib import Parallel, delayed

    # Stopped by Ctrl-C, joblib warns about the tasks it dropped; that is what was asked for.
    warnings.filterwarnings("ignore", r"\d+ tasks ", UserWarning)
    # Large arrays reach the workers as read-only memory maps, so that k workers do not hold k copies.
    parallel = Parallel(n_jobs=workers, return_as="generator_unordered", batch_size=1, pre_dispatch="all")
    with _interrupts_kept_from_children():
        found: Iterable[tuple[str, Result]] = parallel(delayed(_call)(unit) for unit in units)
    return found


@contextmanager
def _interrupts_kept_from_children() -> Iterator[None]:
    """Processes started here never see Ctrl-C, which a terminal sends to all: this process alone ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _call(unit: Unit) -> tuple[str, Result]:
    return unit.key, unit.call(**unit.arguments)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
