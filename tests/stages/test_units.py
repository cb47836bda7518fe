from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from foldsmith.errors import DataError, IntegrityError, UnfinishedError
from foldsmith.stages.executors import Executor
from foldsmith.stages.units import Result, Unit, UnitStore, run_units


def make(*, number: int) -> Result:
    """A unit's work: pure, and different for each number."""
    return Result(
        {"number": number}, {"values": np.arange(number, dtype=np.float32)}, {"model.bin": bytes([number])}
    )


def fail(**_: int) -> Result:
    raise ValueError("this unit cannot be made")


def units(count: int) -> list[Unit]:
    return [Unit(f"unit_{i}", make, {"number": i}) for i in range(count)]


def same(a: Result, b: Result) -> bool:
    arrays = all(np.array_equal(a.arrays[name], b.arrays[name]) for name in a.arrays)
    return a.record == b.record and a.files == b.files and set(a.arrays) == set(b.arrays) and arrays


@pytest.mark.parametrize("workers", [1, 2])
def test_results_are_those_of_the_calls_in_the_order_of_the_units(tmp_path: Path, workers: int) -> None:
    told: list[str] = []
    found = run_units(
        units(5),
        UnitStore(tmp_path),
        executor=Executor(workers=workers),
        done=lambda key, _: told.append(key),
    )
    assert list(found) == [f"unit_{i}" for i in range(5)]
    assert sorted(told) == list(found)
    assert all(same(found[f"unit_{i}"], make(number=i)) for i in range(5))


def test_the_longest_begin_first_and_leave_no_trace(tmp_path: Path) -> None:
    began: list[str] = []
    costs = {"2": 1.0, "0": 3.0, "1": 2.0, "3": 3.0}
    mixed = [Unit(f"u{key}", make, {"number": int(key)}, cost) for key, cost in costs.items()]
    found = run_units(mixed, UnitStore(tmp_path), executor=Executor(), done=lambda key, _: began.append(key))
    assert began == ["u0", "u3", "u1", "u2"]
    assert list(found) == ["u2", "u0", "u1", "u3"]


def test_what_is_kept_is_not_run_again(tmp_path: Path) -> None:
    store = UnitStore(tmp_path)
    run_units(units(3), store, executor=Executor(), done=lambda *_: None)
    told: list[str] = []
    again = [Unit(f"unit_{i}", fail, {"number": i}) for i in range(3)] + units(5)[3:]
    found = run_units(again, UnitStore(tmp_path), executor=Executor(), done=lambda key, _: told.append(key))
    assert told == ["unit_3", "unit_4"]
    assert same(found["unit_1"], make(number=1))


def test_a_unit_half_written_by_a_kill_is_run_again(tmp_path: Path) -> None:
    store = UnitStore(tmp_path)
    half = store.folder / "_unit_0"
    half.mkdir()
    (half / "record.json").write_text("{")
    assert "unit_0" not in store
    found = run_units(units(1), store, executor=Executor(), done=lambda *_: None)
    assert same(found["unit_0"], make(number=0))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_unit_that_fails_stops_no_other_and_is_told_at_the_end(tmp_path: Path, workers: int) -> None:
    store = UnitStore(tmp_path)
    bad = [Unit(f"bad_{i}", fail, {"number": i}) for i in range(7)]
    with pytest.raises(UnfinishedError, match=r"7 of 9 fits failed: bad_0 \(ValueError: this unit") as caught:
        run_units([*bad, *units(2)], store, executor=Executor(workers=workers), done=lambda *_: None)
    assert "and 2 more" in str(caught.value)
    assert "unit_0" in store
    assert "unit_1" in store
    assert "bad_0" not in store
    assert "this unit cannot be made" in (store.folder / "bad_0.error.txt").read_text()
    mended = [Unit(f"bad_{i}", make, {"number": i}) for i in range(7)]
    again = [*mended, Unit("unit_0", fail, {}), Unit("unit_1", fail, {})]
    assert list(run_units(again, store, executor=Executor(), done=lambda *_: None)) == [
        each.key for each in again
    ]


def test_a_disk_without_room_stops_all(tmp_path: Path) -> None:
    store = UnitStore(tmp_path)
    full = [Unit(f"full_{i}", fill_the_disk, {}) for i in range(2)]
    with pytest.raises(OSError, match="No space left"):
        run_units([*full, *units(1)], store, executor=Executor(), done=lambda *_: None)
    assert "unit_0" not in store


def test_a_worker_that_is_killed_is_told(tmp_path: Path) -> None:
    store = UnitStore(tmp_path)
    with pytest.raises(UnfinishedError, match=r"a worker process was killed, .* fewer --workers"):
        run_units(
            [*units(2), *(Unit(f"die_{i}", die, {}) for i in range(2))],
            store,
            executor=Executor(workers=2),
            done=lambda *_: None,
        )


@pytest.mark.parametrize("name", ["record.json", "values.npy", "model.bin.bytes", "hashes.json"])
@pytest.mark.parametrize("harm", ["flipped", "cut", "gone", "more"])
def test_a_unit_that_was_damaged_is_never_used(tmp_path: Path, name: str, harm: str) -> None:
    store = UnitStore(tmp_path)
    run_units(units(3), store, executor=Executor(), done=lambda *_: None)
    path = store.folder / "unit_2" / name
    content = bytearray(path.read_bytes())
    if harm == "flipped":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif harm == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif harm == "gone":
        path.unlink()
    else:
        path.with_name("more.npy").write_bytes(content)
    with pytest.raises(IntegrityError, match=r"unit_2 is damaged .* delete that folder and resume"):
        store.load("unit_2")
    told: list[str] = []
    found = run_units(units(3), store, executor=Executor(), done=lambda key, _: told.append(key))
    assert told == ["unit_2"]
    assert same(found["unit_2"], make(number=2))


def test_units_do_not_leave_the_run_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".units").symlink_to(outside)
    with pytest.raises(DataError, match="is a link, and a run stays inside its folder"):
        UnitStore(tmp_path / "run")
    assert not list(outside.iterdir())


def test_a_unit_made_twice_at_once_is_kept_once(tmp_path: Path) -> None:
    store = UnitStore(tmp_path)
    store.save("unit_3", make(number=3))
    store.save("unit_3", make(number=3))
    assert same(store.load("unit_3"), make(number=3))
    assert [path.name for path in store.folder.iterdir()] == ["unit_3"]


def test_a_worker_ends_soon_after_its_parent_was_killed(tmp_path: Path) -> None:
    """Else it would go on writing into a run that another process resumes."""
    script = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[2]);"
        "from tests.stages.test_units import hang; from foldsmith.stages.units import *;"
        "run_units([Unit(f'u{i}', hang, {'folder': sys.argv[1]}) for i in range(2)],"
        " UnitStore(pathlib.Path(sys.argv[1])), executor=Executor(workers=2), done=print)"
    )
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path), root])
    deadline = time.monotonic() + 60
    while len(started := list(tmp_path.glob("pid_*"))) < 2:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    workers = [
        psutil.Process(int(path.name[4:])) for path in started if psutil.pid_exists(int(path.name[4:]))
    ]
    _, alive = psutil.wait_procs(workers, timeout=3)
    assert not alive


def fill_the_disk() -> Result:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def die() -> Result:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def hang(*, folder: str) -> Result:
    Path(folder, f"pid_{os.getpid()}").touch()
    time.sleep(120)
    raise AssertionError
