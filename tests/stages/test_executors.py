from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from foldsmith.errors import MissingError, MissingExtraError, SettingError
from foldsmith.stages import executors
from foldsmith.stages.executors import Executor, WorkersLost

CLUSTERS = [
    pytest.param(
        kind,
        marks=[pytest.mark.skipif(find_spec(library) is None, reason=f"{library} is not installed"), *long],
    )
    for kind, library, long in (("dask", "distributed", []), ("ray", "ray", [pytest.mark.proof]))
]


def add(item: tuple[int, int]) -> int:
    return sum(item)


def total_of(item: tuple[int, np.ndarray[Any, Any]]) -> tuple[int, float, bool]:
    number, values = item
    return number, float(values.sum()), values.flags.writeable


def die_once(item: tuple[int, Path]) -> int:
    """Kills its own process the first time that the item 1 comes to one."""
    number, folder = item
    if number == 1 and not (folder / "died").exists():
        (folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die(_: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def refuse(number: int) -> int:
    raise ValueError(f"{number} is refused")


def hang(folder: str) -> None:
    Path(folder, f"pid_{os.getpid()}").touch()
    time.sleep(120)


@pytest.mark.parametrize("kind", ["local", *CLUSTERS])
def test_each_gives_every_outcome(tmp_path: Path, kind: str) -> None:
    items = [(i, 10) for i in range(7)]
    assert sorted(Executor(kind, 2).each(add, items, tmp_path)) == list(range(10, 17))
    assert list(Executor(kind, 2).each(add, [], tmp_path)) == []
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", CLUSTERS)
def test_large_arrays_reach_workers_as_read_only_maps_written_once(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.arange(1 << 19, dtype=np.float64)
    written: list[Path] = []
    save = np.save
    monkeypatch.setattr(
        np, "save", lambda path, *args, **kwargs: (written.append(path), save(path, *args, **kwargs))
    )
    found = sorted(Executor(kind, 2).each(total_of, [(i, values) for i in range(4)], tmp_path))
    assert found == [(i, values.sum(), False) for i in range(4)]
    assert len(written) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", CLUSTERS)
def test_a_cluster_gives_the_call_of_a_killed_worker_to_another(tmp_path: Path, kind: str) -> None:
    items = [(i, tmp_path) for i in range(4)]
    assert sorted(Executor(kind, 2).each(die_once, items, tmp_path)) == [0, 1, 2, 3]
    assert (tmp_path / "died").exists()


def test_a_local_worker_that_was_killed_is_told(tmp_path: Path) -> None:
    with pytest.raises(WorkersLost):
        list(Executor(workers=2).each(die_once, [(i, tmp_path) for i in range(4)], tmp_path))


@pytest.mark.parametrize("kind", CLUSTERS)
def test_a_call_that_kills_every_worker_is_given_up(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "RETRIES", 1)
    with pytest.raises(WorkersLost):
        list(Executor(kind, 1).each(die, [1], tmp_path))


@pytest.mark.parametrize("kind", ["local", *CLUSTERS])
def test_an_error_of_a_call_comes_through(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ValueError, match="1 is refused"):
        list(Executor(kind, 2).each(refuse, [1, 1], tmp_path))


@pytest.mark.parametrize("kind", CLUSTERS)
def test_workers_end_soon_after_their_parent_was_killed(tmp_path: Path, kind: str) -> None:
    """Else they would go on writing into a run that another process resumes."""
    script = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[2]);"
        "from tests.stages.test_executors import hang; from foldsmith.stages.executors import Executor\n"
        "if __name__ == '__main__':\n"
        f"    list(Executor({kind!r}, 2).each(hang, [sys.argv[1]] * 2, pathlib.Path(sys.argv[1])))"
    )
    file = tmp_path / "script.py"
    file.write_text(script)
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen([sys.executable, str(file), str(tmp_path), root], env=environment)
    deadline = time.monotonic() + 60
    while len(started := list(tmp_path.glob("pid_*"))) < 2:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    workers = [
        psutil.Process(int(path.name[4:])) for path in started if psutil.pid_exists(int(path.name[4:]))
    ]
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (
            lambda: Executor("slurm"),
            SettingError,
            "--executor 'slurm' is unknown; there are local, dask, ray",
        ),
        (lambda: Executor(workers=0), SettingError, "--workers 0 is too small"),
        (lambda: Executor(cluster="tcp://127.0.0.1:1"), SettingError, "add --executor dask or ray"),
    ],
)
def test_what_cannot_run_is_refused(make: Callable[[], Executor], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        make()


def test_a_library_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r'pip install "foldsmith\[ray\]"'):
        Executor("ray")


@pytest.mark.parametrize("kind", CLUSTERS)
def test_a_cluster_that_does_not_answer_is_named(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "PATIENCE", 1)
    with pytest.raises(MissingError, match=rf"no {kind} cluster answers at '.*127.0.0.1:1'"):
        list(
            Executor(kind, 1, "tcp://127.0.0.1:1" if kind == "dask" else "127.0.0.1:1").each(
                add, [(1, 1)], tmp_path
            )
        )
