"""Many processes at once, by a clock and a random source that stand still; kills and full disks at every
step."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.runs.made_runs import (
    FROZEN_ID,
    Faults,
    disk_full,
    fill,
    frozen_claim,
    in_processes,
    killed,
    make_run,
)

from foldsmith.errors import FoldsmithError, TakenError
from foldsmith.runs import rename
from foldsmith.runs.claim import partials, reopen
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.manifest import read
from foldsmith.runs.source import package_versions, source_hash
from foldsmith.runs.store import Workspace, open_run, published

fork = multiprocessing.get_context("fork")
PROCESSES = 64


def check_whole(workspace: Workspace) -> list[str]:
    """Every visible run is whole and known to the ledger; their ids."""
    ids = published(workspace.runs)
    assert sorted(ids) == sorted(name for name in os.listdir(workspace.runs) if not name.startswith("."))
    for run_id in ids:
        run = open_run(workspace.runs, run_id, workspace.ledger)
        run.verify()
        assert run.manifest.files.keys() == {"metrics.json", "model/model.json"}
        assert Ledger(workspace.ledger).manifest_hashes(run_id)
    return ids


@pytest.mark.parametrize("way", ["kernel", pytest.param("in turn", marks=pytest.mark.proof)])
def test_64_processes_with_frozen_clock_and_random_source_make_64_whole_runs(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way == "in turn":
        monkeypatch.setattr(rename, "_native", lambda source, target: errno.EINVAL)

    def work(number: int) -> str:
        with frozen_claim(workspace.runs) as claimed:
            make_run(workspace, claimed, f"by {number}")
            return claimed.id

    ids = in_processes(PROCESSES, work)
    assert len(set(ids)) == PROCESSES
    assert sorted(check_whole(workspace)) == sorted(ids)
    texts = {(workspace.runs / run_id / "model" / "model.json").read_text() for run_id in ids}
    assert texts == {f"by {number}" for number in range(PROCESSES)}
    assert {name for name in os.listdir(workspace.runs) if name.startswith(".")} <= {rename.TURNS}
    low, high = int(FROZEN_ID[-4:], 16), {int(run_id[-4:], 16) for run_id in ids}
    # Counted up from the frozen suffix, past ffff to 0000; a loser's short-lived folder may have cost a
    # number.
    assert all((suffix - low) % 0x10000 < 4 * PROCESSES for suffix in high)


def test_runs_that_are_abandoned_beside_others_touch_none(workspace: Workspace) -> None:
    def work(number: int) -> str:
        for turn in range(6):
            with frozen_claim(workspace.runs) as claimed:
                fill(claimed.path, "half")
                if (number + turn) % 2:
                    make_run(workspace, claimed, f"by {number} in turn {turn}")
        return "done"

    in_processes(16, work)
    ids = check_whole(workspace)
    assert len(ids) == 16 * 3
    assert len({(workspace.runs / run_id / "metrics.json").read_text() for run_id in ids}) == 16 * 3
    assert [name for name in os.listdir(workspace.runs) if name.startswith(".")] == []


def test_of_64_processes_that_choose_one_name_one_gets_it(workspace: Workspace) -> None:
    def work(number: int) -> str:
        with frozen_claim(workspace.runs, name="mine") as claimed:
            make_run(workspace, claimed, f"by {number}")
        return str(number)

    found = in_processes(PROCESSES, work)
    (winner,) = (line for line in found if line != TakenError.__name__)
    assert check_whole(workspace) == ["mine"]
    assert (workspace.runs / "mine" / "model" / "model.json").read_text() == f"by {winner}"
    assert os.listdir(workspace.runs) == ["mine"]


def test_of_many_who_resume_one_run_one_gets_it(workspace: Workspace) -> None:
    frozen_claim(workspace.runs, name="mine").release()

    def work(number: int) -> str:
        with reopen(workspace.runs, "mine") as claimed:
            make_run(workspace, claimed, f"by {number}")
        return "made"

    found = in_processes(8, work)
    assert sorted(found) == ["TakenError"] * 7 + ["made"]
    assert check_whole(workspace) == ["mine"]


def steps_of_a_run(folder: Path) -> list[str]:
    """The names of the steps that change the disk while one run is made, none of them failing."""
    counted = Faults(10**9, disk_full)
    workspace = Workspace(folder / "counted")
    workspace.runs.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        counted.install(patch)
        with frozen_claim(workspace.runs) as claimed:
            make_run(workspace, claimed)
    return counted.steps


def test_a_kill_at_any_step_leaves_no_half_run_in_sight_and_the_next_run_is_made(tmp_path: Path) -> None:
    steps = steps_of_a_run(tmp_path)
    assert {"mkdir", "open", "pwrite", "fsync", "rename", "unlink"} <= set(steps)
    whole = partly = 0
    for at in range(len(steps)):
        workspace = Workspace(tmp_path / str(at))
        workspace.runs.mkdir(parents=True)

        def make_and_die(at: int = at, workspace: Workspace = workspace) -> None:
            with pytest.MonkeyPatch.context() as patch:
                Faults(at, killed).install(patch)
                with frozen_claim(workspace.runs, name="mine") as claimed:
                    make_run(workspace, claimed)

        process = fork.Process(target=make_and_die)
        process.start()
        process.join()
        assert process.exitcode == -9, (at, steps[at])
        left = check_whole(workspace)
        waiting = partials(workspace.runs)
        assert len(left) + len(waiting) <= 1
        whole, partly = whole + len(left), partly + len(waiting)
        if waiting:
            with reopen(workspace.runs, "mine") as claimed:
                make_run(workspace, claimed)
        elif not left:
            with frozen_claim(workspace.runs, name="mine") as claimed:
                make_run(workspace, claimed)
        assert check_whole(workspace) == ["mine"]
        assert (
            read(workspace.runs / "mine").content
            == read(tmp_path / "counted/experiments/runs" / FROZEN_ID).content
        )
    assert whole >= 1
    assert partly >= len(steps) - 5


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("resumable", [False, True], ids=["run", "resumable run"])
def test_a_full_disk_at_any_step_leaves_nothing_in_sight_and_one_sentence(
    tmp_path: Path, lasting: bool, resumable: bool
) -> None:
    steps = steps_of_a_run(tmp_path)
    for at in range(len(steps)):
        workspace = Workspace(tmp_path / f"at {at}")
        workspace.runs.mkdir(parents=True)
        with pytest.MonkeyPatch.context() as patch:
            faults = Faults(at, disk_full, lasting=lasting)
            faults.install(patch, spared=("unlink", "rmdir"))  # deleting works on a full disk
            try:
                with frozen_claim(workspace.runs, name="mine", resumable=resumable) as claimed:
                    make_run(workspace, claimed)
            except FoldsmithError as error:
                told = str(error)
                assert "the disk is full; free some space" in told
                assert "\n" not in told
            else:
                # No failure is passed over, but that of making a folder which is there already.
                assert at >= len(faults.steps) or faults.steps[at] == "mkdir", (at, faults.steps)
        visible = [name for name in os.listdir(workspace.runs) if not name.startswith(".")]
        if visible:  # the disk failed in the last step of all, when the whole run stood already
            assert check_whole(workspace) == ["mine"]
        hidden = [name for name in os.listdir(workspace.runs) if name.startswith(".")]
        assert hidden in ([], [".mine.partial"] if resumable else [])
        if hidden:
            make_run(workspace, reopen(workspace.runs, "mine"))
            assert check_whole(workspace) == ["mine"]


TINY = """
import sys
from pathlib import Path
from foldsmith.errors import FoldsmithError
from foldsmith.runs.store import Workspace, ensure_folder, published
from tests.runs.made_runs import frozen_claim, make_run

workspace = Workspace(Path(sys.argv[1]) / "desk")
how, ballast = sys.argv[2], int(sys.argv[3])
(Path(sys.argv[1]) / "ballast").write_bytes(b"x" * ballast)
try:
    ensure_folder(workspace.runs)
    with frozen_claim(workspace.runs, resumable=how == "resumable") as claimed:
        if how == "polars":
            import polars as pl

            pl.DataFrame({"a": range(500_000)}).write_parquet(claimed.path / "large.parquet")
        elif how == "numpy":
            import numpy as np

            with open(claimed.path / "large.npy", "wb") as file:
                np.save(file, np.zeros(100_000))
        elif how == "python":
            (claimed.path / "large").write_bytes(b"x" * 1_000_000)
        make_run(workspace, claimed)
    print("made")
except FoldsmithError as error:
    print("told", str(error).count(chr(10)), error.exit_code, error)
seen = [path.name for path in workspace.runs.iterdir()] if workspace.runs.exists() else []
print("left", seen == [] or (seen == [claimed.id] and published(workspace.runs) == seen), seen)
"""


def on_a_tiny_disk(folder: Path, *arguments: str) -> list[str]:
    """Run TINY on a file system of 128 KiB that exists for that process alone."""
    unshare = shutil.which("unshare")
    if not sys.platform.startswith("linux") or unshare is None:
        pytest.skip("a private file system needs Linux and `unshare`")
    script = f'mount -t tmpfs -o size=128k none "$1" || exit 77; exec "$0" -c "$2" "$1" {" ".join(arguments)}'
    command = [unshare, "-rm", "sh", "-c", script, sys.executable, str(folder), TINY]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no private file system can be mounted here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("how", ["polars", "numpy", "python"])
def test_a_real_full_disk_is_told_in_one_sentence_and_leaves_nothing(tmp_path: Path, how: str) -> None:
    told, left = on_a_tiny_disk(tmp_path, how, "0")
    assert told.startswith("told 0 2 run 20260131")
    assert "the disk is full; free some space, then run again" in told
    assert left == "left True []"


@pytest.mark.proof
def test_a_disk_that_fills_up_anywhere_leaves_a_whole_run_or_none(tmp_path: Path) -> None:
    """By 16 KiB less room each time, the ledger included, until a run no longer begins."""
    made = 0
    for pages in range(8, 33, 4):
        first, left = on_a_tiny_disk(tmp_path, "plain", str(pages * 4096))
        assert first == "made" or (first.startswith("told 0 2 ") and "disk is full" in first), first
        assert left.startswith("left True"), (pages, first, left)
        made += first == "made"
    assert 0 < made < 7


def test_a_run_of_many_kills_at_random_is_always_whole_or_unseen(workspace: Workspace) -> None:
    """SIGKILL from outside after random delays, while one process makes run after run."""
    draw = random.Random(7)
    source_hash(), package_versions()  # once here, or every child spends its short life on them

    def make_for_ever() -> None:
        while True:
            with frozen_claim(workspace.runs) as claimed:
                make_run(workspace, claimed, json.dumps(claimed.id))

    for _ in range(12):
        before = len(published(workspace.runs))
        process = fork.Process(target=make_for_ever)
        process.start()
        until = time.monotonic() + 30
        while len(published(workspace.runs)) == before and time.monotonic() < until:
            time.sleep(0.002)
        time.sleep(draw.uniform(0.0, 0.03))
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        check_whole(workspace)
    ids = check_whole(workspace)
    assert len(ids) >= 12
    for run_id in ids:
        assert (workspace.runs / run_id / "model" / "model.json").read_text() == json.dumps(run_id)
