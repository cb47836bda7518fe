"""SIGKILL at random moments of every phase: what is in sight is whole, what is not is told from it, and work goes on.

A kill hits the whole process group, as the end of a machine or a container does; some hit the command alone, so that
its workers outlive it for a while. Half of the moments are drawn from the whole length of a command, as it took in
peace; the others aim at its last moments, when the run is described, entered in the ledger and put in place.
"""

from __future__ import annotations

import random
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from tests.crash.desk import PHASES, Desk, Phase, Workspaces, counted, finished_unit_trials, one_sentence
from tests.crash.zygote import Child

from foldsmith.runs.claim import partials
from foldsmith.runs.manifest import MANIFEST
from foldsmith.runs.store import published

pytestmark = pytest.mark.crash

KILLS = {"pipeline": 40, "base": 40, "cv": 48, "cv by two": 24, "stored": 40, "fresh": 32, "evaluate": 32}
assert sum(KILLS.values()) >= 200
AIMED = 0.4
"""Share of kills that aim at the end of a command."""
LONE = 0.25
"""Share of kills of a command with workers that hit the command alone."""
RESUMES = 4
"""Kills of one CV run before it is left to end."""


def killed(child: Child, folder: Path, seconds: float, draw: random.Random) -> bool:
    """Kill a command at a random moment; whether it was under way."""
    if draw.random() < AIMED:
        before = set(published(folder))
        until = time.monotonic() + 4 * seconds + 1
        while not _nears_its_end(folder, before) and child.poll() is None and time.monotonic() < until:
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.04))
    else:
        time.sleep(draw.uniform(0, seconds))
    child.kill(group=draw.random() >= LONE)
    return child.wait().killed


def _nears_its_end(folder: Path, before: set[str]) -> bool:
    return any(folder.glob(f".*.partial/{MANIFEST}")) or not before.issuperset(published(folder))


def ended_for_good(child: Child) -> None:
    """Nothing of a command lives on: workers that have lost their parent are killed too."""
    child.kill()
    until = time.monotonic() + 10
    while _alive(child.pid):
        assert time.monotonic() < until, "a worker does not die"
        time.sleep(0.002)


def _alive(group: int) -> bool:
    """Whether a process of the group runs; one that waits to be buried does not."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = path.read_text().rpartition(") ")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(its_group) == group and state != "Z":
            return True
    return False


def told_right(desk: Desk, left: list[Path]) -> None:
    """`pipeline status` names what was left, and `runs verify` finds nothing damaged or lost."""
    told = desk.done("pipeline", "status").out
    for path in left:
        run_id = path.name.removeprefix(".").removesuffix(".partial")
        assert re.search(rf"unfinished: .*{re.escape(run_id)}", told), f"{path} is not told:\n{told}"
    desk.done("runs", "verify")


@pytest.mark.parametrize("name", [name for name in PHASES if not name.startswith("cv")])
def test_a_killed_phase_leaves_no_half_run_and_is_done_again(
    workspaces: Workspaces, tmp_path: Path, record_property: Any, name: str
) -> None:
    phase, draw = PHASES[name], random.Random(name)
    peace = workspaces.in_peace(phase)
    desk = workspaces.fresh(phase.start, tmp_path / "desk")
    raw = (desk.workspace.raw / "MES_1m.parquet").read_bytes()
    before, trials = desk.runs().keys(), desk.trials()
    folder = desk.folder(phase)
    kills = made = attempts = 0
    units = 0
    while kills < KILLS[name]:
        attempts += 1
        assert attempts < 4 * KILLS[name], "most kills come too late"
        child = desk.start(*phase.words)
        kills += killed(child, folder, peace.seconds, draw)
        ended_for_good(child)
        desk.check_outside()
        left = desk.check()
        told_right(desk, left)
        contents = [run.manifest.content for run_id, run in desk.runs().items() if run_id not in before]
        assert set(contents) <= {peace.content}
        made = len(contents)
        # Nothing that a unit kept was tried uncounted.
        units = sum(finished_unit_trials(path) for path in left)
        assert desk.trials() - trials >= made * peace.trials + units
    assert desk.check()
    desk.done("runs", "clean", "--partial", "--yes")
    assert desk.check() == []
    told_right(desk, [])
    desk.done(*phase.words)
    contents = [run.manifest.content for run_id, run in desk.runs().items() if run_id not in before]
    assert len(contents) == made + 1
    assert set(contents) == {peace.content}
    assert desk.workspace.raw.joinpath("MES_1m.parquet").read_bytes() == raw
    told_right(desk, desk.check())
    assert desk.trials() - trials >= len(contents) * peace.trials
    counted(record_property, {"kills": kills, "runs that a kill came too late for": attempts - kills})


@pytest.mark.parametrize("name", [name for name in PHASES if name.startswith("cv")])
def test_a_killed_cv_run_resumes_to_the_same_bytes_and_trials(
    workspaces: Workspaces, tmp_path: Path, record_property: Any, name: str
) -> None:
    phase, draw = PHASES[name], random.Random(name)
    peace = workspaces.in_peace(phase)
    desk = workspaces.fresh(phase.start, tmp_path / "desk")
    folder = desk.folder(phase)
    kills = resumed = 0
    number = 0
    while kills < KILLS[name]:
        number += 1
        assert number < 2 * KILLS[name], "most kills come too late"
        run_id = f"killed_{number}"
        before, of_this = desk.trials(), 0
        for turn in range(RESUMES):
            child = _begin(desk, phase, folder, run_id)
            of_this += killed(child, folder, peace.seconds / (1 + turn), draw)
            if (
                draw.random() < 0.5
            ):  # otherwise workers of the dead may still be at it when their run is resumed
                ended_for_good(child)
            desk.check_outside()
            left = desk.check()
            told_right(desk, left)
            if run_id in published(folder):
                break
            counted_trials = desk.trials() - before
            assert sum(finished_unit_trials(path) for path in left) <= counted_trials <= peace.trials
        if run_id not in published(folder):
            ended = _begin(desk, phase, folder, run_id).wait()
            assert ended.status == 0, ended.err
        kills, resumed = kills + of_this, resumed + (of_this > 0)
        run = desk.runs()[run_id]
        assert run.manifest.content == peace.content, f"{run_id} has other content than a run in peace"
        assert run.manifest.files == peace.desk.runs()[_only_cv(peace.desk)].manifest.files
        # Each trial counts, and once: those a kill hit between its entry and its result were made again, equal.
        assert desk.trials() - before == peace.trials
        assert desk.check() == []
        assert "nothing to resume" in one_sentence(desk.run("cv", "--resume", run_id))
    counted(record_property, {"kills": kills, "CV runs of equal bytes after kills": resumed})


def _only_cv(desk: Desk) -> str:
    (only,) = published(desk.workspace.stacking)
    return only


def _begin(desk: Desk, phase: Phase, folder: Path, run_id: str) -> Child:
    """Begin a CV run, or go on with it by what a user is told to do."""
    if run_id not in partials(folder):
        return desk.start(*phase.words, "--output-name", run_id)
    partial = folder / f".{run_id}.partial"
    if not (partial / ".settings.json").exists():
        # It was killed before it knew what it is: `--resume` says so, and to start anew.
        told = one_sentence(desk.run("cv", "--resume", run_id))
        assert "start a new one" in told, told
        assert str(partial.relative_to(desk.path)) in told, told
        shutil.rmtree(partial)
        return desk.start(*phase.words, "--output-name", run_id)
    workers = phase.words[list(phase.words).index("--workers") + 1]
    return desk.start("cv", "--resume", run_id, "--workers", workers)
