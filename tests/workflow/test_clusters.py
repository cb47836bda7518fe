"""A CV run on a cluster of two processes, one of them killed midway, has the bytes of one made here."""

from __future__ import annotations

import subprocess
import time
from importlib.util import find_spec

import psutil
import pytest
from tests.workflow.conftest import Desk

from foldsmith.runs.manifest import read

pytestmark = pytest.mark.proof

SETTINGS = ["--models", "lightgbm", "--horizons", 10, "--n-splits", 2, "--tune", "--n-trials", 4]
WORDS = {"dask": "spawn_main", "ray": "ray::"}
"""In the command line of a process that makes calls."""


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            "dask", marks=pytest.mark.skipif(find_spec("distributed") is None, reason="no distributed")
        ),
        pytest.param(
            "ray", marks=pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")
        ),
    ],
)
def test_a_cluster_that_loses_a_worker_makes_the_same_bytes(tiny: Desk, kind: str) -> None:
    here = f"here_{kind}"
    tiny.run("cv", *SETTINGS, "--output-name", here)
    started = subprocess.Popen(
        tiny.command("cv", *SETTINGS, "--executor", kind, "--workers", 2, "--output-name", kind),
        cwd=tiny.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert started.stdout is not None
    killed = None
    lines = []
    for line in started.stdout:
        lines.append(line)
        if killed is None and line.startswith("[1/"):
            killed = kill_a_worker(psutil.Process(started.pid), WORDS[kind])
    assert started.wait() == 0, "".join(lines) + (started.stderr.read() if started.stderr else "")
    assert killed is not None
    folder = tiny.path / "data" / "stacking"
    assert read(folder / kind).files == read(folder / here).files
    assert read(folder / kind).content == read(folder / here).content


def kill_a_worker(main: psutil.Process, word: str) -> int:
    """Kill -9 the worker that has computed longest: its number."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        workers = [each for each in main.children(recursive=True) if word in " ".join(each.cmdline())]
        if workers:
            chosen = max(workers, key=lambda each: each.cpu_times().user)
            chosen.kill()
            return chosen.pid
        time.sleep(0.05)
    raise AssertionError([each.cmdline() for each in main.children(recursive=True)])
