"""A tiny workspace, the phases of the workflow in it, and what must be true of it after any crash."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl
from tests.crash.zygote import Child, Ended, Zygote

from foldsmith.runs.claim import partial_folder
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.lock import is_held
from foldsmith.runs.rename import TURNS
from foldsmith.runs.store import Run, Workspace, open_run, partials, published

HORIZON = 5
MODEL_PLACE = "MODEL"
"""Stands in a phase's words for the id of the one trained model there is."""
_NUMBERS = count()
BASE = "base"
"""Name of the CV run that ensembles are trained from."""
FOLDS = ("--models", "lightgbm,logistic", "--horizons", HORIZON, "--n-splits", 2)
FRESH = ("--base-models", "lightgbm,logistic", "--n-splits", 2)
TUNED = ("--tune", "--n-trials", 3)
STACK = ("train", "--model", "stacking", "--horizon", HORIZON, "--meta-learner", "logistic")


@dataclass(frozen=True)
class Phase:
    """A command line, the workspace it starts from (see `Workspaces`), and the folder that its run appears in."""

    name: str
    start: str
    words: tuple[object, ...]
    folder: str


PHASES = {
    phase.name: phase
    for phase in (
        Phase(
            "pipeline",
            "raw",
            ("pipeline", "run", "--symbols", "MES", "--horizons", HORIZON, "--yes"),
            "data/datasets",
        ),
        Phase(
            "base",
            "dataset",
            ("train", "--model", "lightgbm", "--horizon", HORIZON, *TUNED, "--workers", 1),
            "experiments/runs",
        ),
        Phase("cv", "dataset", ("cv", *FOLDS, *TUNED, "--workers", 1), "data/stacking"),
        Phase("cv by two", "dataset", ("cv", *FOLDS, *TUNED, "--workers", 2), "data/stacking"),
        Phase("stored", "cv", (*STACK, "--stacking-data", BASE), "experiments/runs"),
        Phase("fresh", "dataset", (*STACK, *FRESH, *TUNED, "--workers", 1), "experiments/runs"),
        Phase(
            "evaluate",
            "model",
            ("evaluate", "--run-id", MODEL_PLACE, "--split", "test"),
            f"experiments/runs/{MODEL_PLACE}/evaluations",
        ),
    )
}


@dataclass(frozen=True)
class Fault:
    """What the disk does at a call; see faults.c."""

    kind: str = "none"
    at: int = 0
    lasting: bool = False

    def variables(self) -> dict[str, str]:
        """As faults.c takes it."""
        last = {"FAULTS_LAST": "1"} if self.lasting else {}
        return {"FAULTS_KIND": self.kind, "FAULTS_AT": str(self.at), **last}


@dataclass
class Desk:
    """A workspace and the commands run in it, each watched: what it changes outside is in its log."""

    path: Path
    zygote: Zygote
    notes: Path
    state: Path = field(init=False)
    log: Path = field(init=False)

    def start(self, *words: object, fault: Fault | None = None) -> Child:
        """Start `foldsmith WORDS` in the workspace, on a disk that may fail."""
        return self.zygote.start(self._named(words), cwd=self.path, **self.watched(fault))

    def run(self, *words: object, fault: Fault | None = None) -> Ended:
        """Run a command to its end."""
        return self.start(*words, fault=fault).wait()

    def done(self, *words: object) -> Ended:
        """Run a command that must succeed, and change nothing outside."""
        ended = self.run(*words)
        assert ended.status == 0, f"{words}: {ended.status}\n{ended.out}\n{ended.err}"
        self.check_outside()
        return ended

    def watched(self, fault: Fault | None = None) -> dict[str, str]:
        """Variables for a command whose changes are watched; `state` and `log` are then its own."""
        self.state = self.notes / f"{next(_NUMBERS)}.state"
        self.log = self.state.with_suffix(".log")
        self.state.write_bytes(bytes(4096))
        return {
            "FAULTS_ROOT": str(self.path),
            "FAULTS_STATE": str(self.state),
            "FAULTS_LOG": str(self.log),
            **(fault or Fault()).variables(),
        }

    def calls(self) -> list[str]:
        """The calls of the last command that changed the workspace: name and path, in order."""
        return [line[2:] for line in self._log() if line.startswith(".")]

    def struck(self) -> tuple[int, str]:
        """How often the fault of the last command struck, and the first call that it struck."""
        content = self.state.read_bytes()
        return int.from_bytes(content[8:16], "little"), content[16:].split(b"\0")[0].decode()

    def check_outside(self) -> None:
        """The last command changed nothing outside the workspace but what it keeps in the system's own places."""
        changed = outside(self.log, self.zygote)
        assert changed == [], changed

    def _log(self) -> list[str]:
        return self.log.read_text(errors="replace").splitlines() if self.log.exists() else []

    def _named(self, words: tuple[object, ...]) -> list[str]:
        return [self.model() if word == MODEL_PLACE else str(word) for word in words]

    def model(self) -> str:
        """Id of the one trained model."""
        (only,) = published(self.workspace.runs)
        return only

    @property
    def workspace(self) -> Workspace:
        """Where runs lie."""
        return Workspace(self.path)

    @property
    def ledger(self) -> Ledger:
        """The workspace's ledger."""
        return Ledger(self.workspace.ledger)

    def folder(self, phase: Phase) -> Path:
        """Where a phase's run appears."""
        text = phase.folder.replace(MODEL_PLACE, self.model() if MODEL_PLACE in phase.folder else "")
        return self.path / text

    def folders(self) -> list[Path]:
        """Every folder in which runs lie, evaluations included."""
        places = self.workspace
        models = [places.runs / name / "evaluations" for name in published(places.runs)]
        return [
            folder for folder in (places.datasets, places.stacking, places.runs, *models) if folder.is_dir()
        ]

    def runs(self) -> dict[str, Run]:
        """Every visible run, its manifest compared with the ledger and its files with their hashes."""
        found = {}
        for folder in self.folders():
            for name in published(folder):
                run = open_run(folder, name, self.workspace.ledger)
                run.verify()
                assert self.ledger.manifest_hashes(name), f"the ledger does not know {name}"
                found[name] = run
        return found

    def check(self) -> list[Path]:
        """No half-run is in sight, all that is in sight is whole and known; the working folders left behind."""
        self.runs()
        left = []
        for folder in self.folders():
            unfinished = partials(folder)
            known = {partial_folder(folder, name).name for name in unfinished}
            for entry in sorted(folder.iterdir()):
                if not entry.name.startswith("."):
                    assert entry.name in published(folder), f"{entry} is in sight and no run"
                elif entry.name in known:
                    assert not is_held(entry), f"{entry} is held by a process that is dead"
                    left.append(entry)
                else:
                    assert entry.name == TURNS or entry.suffix == ".abandoned", f"what is {entry}?"
        for entry in self.workspace.ledger.parent.glob("*"):
            known_name = entry.name == "runs" or "ledger.sqlite" in entry.name
            assert known_name, f"what is {entry}?"
        self.ledger.check()
        return left

    def trials(self) -> int:
        """How many trials of the workspace's datasets the ledger has."""
        runs = [open_run(self.workspace.datasets, name) for name in published(self.workspace.datasets)]
        return sum(self.ledger.trial_count(data) for data in {run.manifest.content for run in runs})

    def copy(self, path: Path) -> Desk:
        """The same files elsewhere."""
        shutil.copytree(self.path, path, symlinks=True)
        return Desk(path, self.zygote, self.notes)


def outside(log: Path, zygote: Zygote) -> list[str]:
    """Lines of a log about changes outside the workspace, those in places for passing things left out."""
    temporary = os.environ.get("TMPDIR", "/tmp")
    # Workers of joblib have their pipes, semaphores and shared memory there; Python and numba keep compiled code.
    passing = (
        f"{temporary}/joblib",
        f"{temporary}/loky",
        f"{temporary}/pymp",
        "/dev/shm/",
        str(zygote.output),
    )
    found = log.read_text(errors="replace").splitlines() if log.exists() else []
    return [
        line
        for line in found
        if line.startswith("!")
        and not line.split(" ", 2)[2].startswith(passing)
        and "/__pycache__" not in line
    ]


def finished_unit_trials(partial: Path) -> int:
    """Trials of the units that a working folder holds finished: folds and studies; a refit is no trial."""
    records = [
        json.loads(path.read_bytes())
        for path in partial.glob(".units/*/record.json")
        if not path.parent.name.startswith("_") and not path.parent.name.endswith("_refit")
    ]
    return sum(len(record["trials"]) or 1 for record in records)


@dataclass
class Workspaces:
    """Workspaces at the points where phases begin, each made once, and each phase run once in peace.

    raw : simulated bars; dataset : and the dataset; cv : and a CV run; model : and an ensemble.
    """

    folder: Path
    zygote: Zygote
    made: dict[str, Desk] = field(default_factory=dict)
    peaceful: dict[str, Peaceful] = field(default_factory=dict)

    def at(self, name: str) -> Desk:
        """The workspace of this name; copy it before you change it."""
        if name not in self.made:
            self.made[name] = self._make(name)
        return self.made[name]

    def fresh(self, name: str, path: Path) -> Desk:
        """A copy of the workspace of this name."""
        return self.at(name).copy(path)

    def in_peace(self, phase: Phase) -> Peaceful:
        """What a phase makes if nothing disturbs it."""
        if phase.name not in self.peaceful:
            desk = self.fresh(phase.start, self.folder / f"in peace {phase.name}")
            before, trials = set(desk.runs()), desk.trials()
            started = time.monotonic()
            desk.done(*phase.words)
            seconds = time.monotonic() - started
            (run,) = (run for name, run in desk.runs().items() if name not in before)
            assert desk.check() == []
            self.peaceful[phase.name] = Peaceful(
                run.manifest.content, seconds, desk.trials() - trials, desk.calls(), desk
            )
        return self.peaceful[phase.name]

    def _make(self, name: str) -> Desk:
        path = self.folder / name
        if name == "raw":
            path.mkdir()
            (self.folder / "notes").mkdir(exist_ok=True)
            desk = Desk(path, self.zygote, self.folder / "notes")
            desk.done("simulate", "--sessions", 8, "--edge", 0.05, "--seed", 7)
            _forget_simulation(desk.workspace.raw / "MES_1m.parquet")
        elif name == "dataset":
            desk = self.fresh("raw", path)
            desk.done(*PHASES["pipeline"].words)
        elif name == "cv":
            desk = self.fresh("dataset", path)
            desk.done("cv", *FOLDS, "--workers", 1, "--output-name", BASE)
        else:
            desk = self.fresh("cv", path)
            desk.done(*PHASES["stored"].words)
        assert desk.check() == []
        return desk


@dataclass(frozen=True)
class Peaceful:
    """An undisturbed run: its content hash, how long it took, its trials, its calls to the disk, and where it is."""

    content: str
    seconds: float
    trials: int
    calls: list[str]
    desk: Desk


def _forget_simulation(path: Path) -> None:
    """Make simulated bars look like a vendor's, or each evaluation simulates 600 days for its yardstick."""
    pl.read_parquet(path).write_parquet(path)


def one_sentence(ended: Ended) -> str:
    """The error of a command that failed as a command should; its one sentence."""
    assert ended.status > 0, f"ended with {ended.status}\n{ended.out}\n{ended.err}"
    assert "Traceback" not in ended.err, ended.err
    lines = ended.err.strip().splitlines()
    assert len(lines) == 1, ended.err
    assert lines[0].startswith("error: "), ended.err
    return lines[0].removeprefix("error: ")


def counted(record: Any, counts: Mapping[str, int]) -> None:
    """Hand counts to the summary at the end (pytest's `record_property`)."""
    for name, number in counts.items():
        record(f"crash {name}", number)
