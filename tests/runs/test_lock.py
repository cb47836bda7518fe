from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from foldsmith.runs.lock import LOCK, Lock, is_held, owner

fork = multiprocessing.get_context("fork")


def test_one_holder_at_a_time_and_a_release_frees(tmp_path: Path) -> None:
    first = Lock.take(tmp_path)
    assert first is not None
    assert is_held(tmp_path)
    assert Lock.take(tmp_path, patience=0) is None
    assert owner(tmp_path) == f"process {os.getpid()} on {socket.gethostname()}"
    first.release()
    first.release()
    assert not is_held(tmp_path)
    second = Lock.take(tmp_path)
    assert second is not None
    second.release()


def test_a_killed_holder_holds_no_more(tmp_path: Path) -> None:
    ready = fork.Event()

    def hold() -> None:
        held = Lock.take(tmp_path)
        assert held is not None
        ready.set()
        time.sleep(60)

    process = fork.Process(target=hold)
    process.start()
    assert ready.wait(10)
    assert is_held(tmp_path)
    assert f"process {process.pid} " in owner(tmp_path)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert not is_held(tmp_path)
    taken = Lock.take(tmp_path)
    assert taken is not None
    taken.release()


def test_a_forked_worker_that_outlives_its_parent_keeps_the_run_claimed(tmp_path: Path) -> None:
    told, go_on = fork.Event(), fork.Event()

    def parent() -> None:
        assert Lock.take(tmp_path) is not None
        if os.fork() == 0:
            told.set()
            go_on.wait(30)
            os._exit(0)
        time.sleep(60)

    process = fork.Process(target=parent)
    process.start()
    assert told.wait(10)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert is_held(tmp_path)
    go_on.set()
    deadline = time.monotonic() + 10
    while is_held(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_held(tmp_path)


def test_those_who_only_look_do_not_keep_an_owner_out(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()
    stop = threading.Event()
    seen: list[bool] = []

    def look() -> None:
        while not stop.is_set():
            seen.append(is_held(tmp_path))

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    for _ in range(50):
        taken = Lock.take(tmp_path)
        assert taken is not None
        taken.release()
    stop.set()
    for looker in lookers:
        looker.join()
    assert seen


def test_a_folder_that_is_gone_or_was_moved_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Lock.take(tmp_path / "none") is None
    assert not is_held(tmp_path / "none")
    folder = tmp_path / "folder"
    folder.mkdir()
    held = Lock.take(folder)
    assert held is not None
    waiting: list[Lock | None] = []
    waiter = threading.Thread(target=lambda: waiting.append(Lock.take(folder, patience=5)))
    waiter.start()
    time.sleep(0.1)  # the waiter has opened the lock file by now
    shutil.move(folder, tmp_path / "moved")
    held.release()
    waiter.join()
    assert waiting == [None]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x", "host": "y"}', '{"host": "y"}', "\0"])
def test_an_owner_that_cannot_be_read_is_unknown(tmp_path: Path, text: str) -> None:
    (tmp_path / LOCK).write_text(text)
    assert owner(tmp_path) == "an unknown process"


def test_the_owner_of_another_host_is_named(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text(json.dumps({"pid": 12, "host": "elsewhere"}))
    assert owner(tmp_path) == "process 12 on elsewhere"
