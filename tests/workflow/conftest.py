from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from foldsmith.cli.main import main
from foldsmith.report import figures
from foldsmith.runs.manifest import Manifest, read
from foldsmith.runs.store import Workspace

ROOT = Path(__file__).parents[2]
SCRIPTS = {"cv": "run_cv.py", "train": "train_model.py", "evaluate": "evaluate_model.py"}


@dataclass(frozen=True)
class Desk:
    """A workspace, and the project's own command lines run in it as a user would."""

    path: Path

    def run(
        self, *words: object, status: int | None = 0, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `./pipeline ...`, a script (cv, train, evaluate) or `foldsmith ...`, and check its exit status."""
        done = subprocess.run(
            self.command(*words),
            cwd=self.path,
            capture_output=True,
            text=True,
            timeout=300,
            env=os.environ | {"COLUMNS": "200"} | variables,
            check=False,
        )
        assert status is None or done.returncode == status, (
            f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def command(self, *words: object) -> list[str]:
        first, *rest = map(str, words)
        if first == "pipeline":
            return [sys.executable, str(ROOT / "pipeline"), *rest]
        if first in SCRIPTS:
            return [sys.executable, str(ROOT / "scripts" / SCRIPTS[first]), *rest]
        return [str(Path(sys.executable).parent / "foldsmith"), first, *rest]

    def refused(self, *words: object) -> str:
        """Run a command that must fail; its one sentence on stderr."""
        before = self.everything()
        done = self.run(*words, status=None)
        assert done.returncode not in (0, 1, -9), done.stdout + done.stderr
        assert done.stderr.strip(), done.stdout
        assert self.everything() == before, "a refused command left something"
        return done.stderr

    def call(self, *words: object, status: int = 0) -> Result:
        """Run `foldsmith ...` in this process, in the workspace, and check its exit status."""
        with contextlib.chdir(self.path):
            done = CliRunner().invoke(main, list(map(str, words)))
        unforeseen = done.exception is not None and not isinstance(done.exception, SystemExit)
        assert done.exit_code == status, f"{words}: {done.exit_code}\n{done.output}"
        assert not unforeseen, f"{words}: {done.exception!r}"
        return done

    def denied(self, *words: object) -> str:
        """Run a command in this process that must fail and leave nothing; its one sentence, `error: ` aside."""
        before = self.everything()
        told = self.call(*words, status=2).stderr
        assert self.everything() == before, "a refused command left something"
        assert told.startswith("error: "), told
        assert told.count("\n") == 1, told
        return told.removeprefix("error: ").strip()

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.path)

    def dataset(self, *words: object) -> Manifest:
        """The manifest of a new dataset made with these flags of `pipeline run`."""
        made = self.call("pipeline", "run", "--symbols", "MES", "--horizons", 5, "--yes", *words)
        return read(self.path / value(made.stdout, "Dataset saved to"))

    def cv(self, *words: object, horizons: str = "5") -> Manifest:
        """The manifest of a new, small CV run made with these flags."""
        made = self.call("cv", "--horizons", horizons, "--n-splits", 2, "--workers", 1, *words)
        return read((self.path / value(made.stdout, "Results saved to")).parent)

    def train(self, *words: object) -> Manifest:
        """The manifest of a new model made with these flags."""
        made = self.call("train", *words)
        return read(self.path / value(made.stdout, "Model saved to"))

    def everything(self) -> dict[str, int]:
        """Every path below the workspace and its size, the ledger's working files aside."""
        return {
            str(path.relative_to(self.path)): path.stat().st_size if path.is_file() else -1
            for path in sorted(self.path.rglob("*"))
            if "ledger.sqlite-" not in path.name
        }


def first_of(values: Iterable[Any]) -> list[Any]:
    """Cases of a test: the first, and among the proofs the others, which go the same way."""
    first, *others = values
    return [first, *(pytest.param(each, marks=pytest.mark.proof) for each in others)]


def value(text: str, name: str) -> str:
    """What a command printed after `name: `."""
    return next(line.split(": ", 1)[1] for line in text.splitlines() if line.startswith(f"{name}: "))


@pytest.fixture(scope="module", autouse=True)
def _stills_left_out() -> Iterator[None]:
    """Drawing a report's stills takes half the time of `evaluate`; tests/report and the README's commands draw them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "_svg", lambda _, __, title: f"<svg><title>{title}</title></svg>")
        yield


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A workspace with 20 simulated sessions of MES, their dataset (horizons 5 and 10) and the CV run `base`."""
    desk = Desk(tmp_path_factory.mktemp("tiny"))
    desk.call("simulate", "--sessions", 20, "--edge", 0.05, "--seed", 7)
    desk.call("pipeline", "run", "--symbols", "MES", "--horizons", "5,10")
    desk.cv("--models", "logistic,lightgbm", "--output-name", "base")
    return desk


@dataclass(frozen=True)
class Made:
    """Ids of what the five phases made, and what they printed."""

    desk: Desk
    dataset: str
    base: str
    cv: str
    stacked: str
    evaluation: Path
    printed: dict[str, str]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The whole workflow, once, on a small simulated market with a planted edge."""
    desk = Desk(tmp_path_factory.mktemp("desk"))
    printed = {}
    desk.call("simulate", "--symbol", "MES", "--sessions", 45, "--edge", 0.05, "--seed", 7)
    printed["pipeline"] = desk.call("pipeline", "run", "--symbols", "MES", "--horizons", "5,10").stdout
    printed["base"] = desk.call("train", "--model", "xgboost", "--horizon", 10).stdout
    printed["cv"] = desk.call(
        "cv",
        "--models",
        "lightgbm,logistic",
        "--horizons",
        "10,5",
        "--n-splits",
        3,
        "--tune",
        "--n-trials",
        2,
    ).stdout
    cv = value(printed["cv"], "CV Run ID")
    printed["stacked"] = desk.call(
        "train", "--model", "stacking", "--horizon", 10, "--stacking-data", cv, "--meta-learner", "logistic"
    ).stdout
    stacked = value(printed["stacked"], "Run ID")
    printed["evaluate"] = desk.call("evaluate", "--run-id", stacked, "--split", "test").stdout
    return Made(
        desk=desk,
        dataset=value(printed["pipeline"], "Dataset ID"),
        base=value(printed["base"], "Run ID"),
        cv=cv,
        stacked=stacked,
        evaluation=Path(value(printed["evaluate"], "Evaluation saved to")),
        printed=printed,
    )
