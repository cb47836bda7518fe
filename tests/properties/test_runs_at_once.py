"""Eight whole cross-validation runs at one instant in one workspace: none touches another, and none is lost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from tests.properties.conftest import Made, prepared, quiet

from foldsmith.market.instruments import instrument
from foldsmith.market.simulate import Simulation
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.store import Run, Workspace, published
from foldsmith.stages.simulated import write_market

pytestmark = [pytest.mark.proof, pytest.mark.xdist_group("at_once")]

ROOT = Path(__file__).parents[2]
COUNT = 8
FOLDS = 3
MODELS = ("lightgbm", "logistic")
# Each process gets ready, says so, and waits for the starting file: the runs begin within a hundredth of a second.
READY_AND_GO = """
import runpy, sys, time
from pathlib import Path
import foldsmith.cli.cv, foldsmith.stages.cross_validate, lightgbm, sklearn.linear_model
ready, go, script, *words = sys.argv[1:]
Path(ready).touch()
while not Path(go).exists():
    time.sleep(0.002)
sys.argv = [script, *words]
runpy.run_path(script, run_name="__main__")
"""


@dataclass(frozen=True)
class Ended:
    status: int
    out: str
    err: str

    @property
    def id(self) -> str:
        return next(line.split(": ")[1] for line in self.out.splitlines() if line.startswith("CV Run ID: "))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp("desk")
    write_market(Workspace(root), Simulation("MES", 14, 3, 0.05, date(2024, 1, 8)), instrument("MES"), quiet)
    return prepared(root)


def at_once(desk: Made, folder: Path, *more: str) -> list[Ended]:
    """Run `scripts/run_cv.py` eight times from one instant on, all with the same words."""
    words = [
        "--models", ",".join(MODELS), "--horizons", "10", "--n-splits", str(FOLDS), "--workers", "1",
        "--workspace", str(desk.workspace.root), *more,
    ]  # fmt: skip
    go = folder / "go"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", READY_AND_GO, folder / f"ready_{k}", go, ROOT / "scripts" / "run_cv.py", *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"},
        )
        for k in range(COUNT)
    ]  # fmt: skip
    deadline = time.monotonic() + 240
    while len(list(folder.glob("ready_*"))) < COUNT:
        assert time.monotonic() < deadline, "the processes did not get ready"
        assert all(process.poll() is None for process in started), [p.communicate() for p in started]
        time.sleep(0.02)
    go.touch()
    ended = []
    for process in started:
        out, err = process.communicate(timeout=240)
        assert "Traceback" not in err, err
        ended.append(Ended(process.returncode, out, err))
    return ended


def opened(desk: Made, name: str) -> Run:
    """A run, its manifest compared with the ledger and every file with its hash."""
    run = desk.workspace.open_run(desk.workspace.stacking, name)
    run.verify()
    return run


def leftovers(desk: Made) -> list[str]:
    return [path.name for path in desk.workspace.stacking.iterdir() if path.name.startswith(".")]


def test_eight_runs_at_once_are_whole_and_equal(desk: Made, tmp_path: Path) -> None:
    before = Ledger(desk.workspace.ledger).trial_count(desk.dataset.manifest.content)
    ended = at_once(desk, tmp_path)
    assert [each.status for each in ended] == [0] * COUNT, [each.err for each in ended]
    names = {each.id for each in ended}
    assert len(names) == COUNT
    assert names <= set(published(desk.workspace.stacking))
    runs = [opened(desk, name) for name in sorted(names)]
    assert len({run.manifest.content for run in runs}) == 1
    assert len({run.manifest.wall_seconds for run in runs}) == COUNT  # eight runs, not one under eight names
    ledger = Ledger(desk.workspace.ledger)
    ledger.check()
    # One trial a fit out of fold: eight runs x two models x three folds, none lost and none twice.
    counted = ledger.trial_count(desk.dataset.manifest.content) - before
    assert counted == COUNT * len(MODELS) * FOLDS
    assert all(len(ledger.manifest_hashes(name)) == 1 for name in names)
    assert leftovers(desk) == []


def test_of_eight_runs_of_one_name_one_is_made(desk: Made, tmp_path: Path) -> None:
    ledger = Ledger(desk.workspace.ledger)
    before = ledger.trial_count(desk.dataset.manifest.content)
    ended = at_once(desk, tmp_path, "--output-name", "ours")
    won = [each for each in ended if each.status == 0]
    lost = [each for each in ended if each.status != 0]
    assert len(won) == 1
    assert won[0].id == "ours"
    for each in lost:
        assert each.err.startswith("error: ")
        assert "ours" in each.err
        assert len(each.err.strip().splitlines()) == 1, each.err
        assert "CV Run ID" not in each.out
    opened(desk, "ours")
    assert ledger.trial_count(desk.dataset.manifest.content) - before == len(MODELS) * FOLDS
    assert leftovers(desk) == []
