"""Runs made for tests, and disks that fail at a chosen step."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from foldsmith.errors import FoldsmithError
from foldsmith.runs import rename
from foldsmith.runs.claim import Claim, claim
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.manifest import Manifest, build, write
from foldsmith.runs.source import package_versions, source_hash
from foldsmith.runs.store import Workspace

FROZEN = datetime(2026, 1, 31, 14, 5, 9, 42, tzinfo=UTC)
FROZEN_ID = "20260131_140509_000042_fff0"


def frozen_claim(parent: Path, **options: Any) -> Claim:
    """A claim by a clock and a random source that stand still, so that every first id is the same."""
    return claim(parent, clock=lambda: FROZEN, entropy=lambda: 0xFFF0, **options)


def fill(folder: Path, text: str = "content") -> None:
    """The files of a small run."""
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / "model.json").write_text(text)
    (folder / "metrics.json").write_text(text * 100)


def describe(folder: Path, run_id: str, **options: Any) -> Manifest:
    """A manifest of a folder with plain values in it."""
    given: dict[str, Any] = {
        "kind": "model",
        "created": FROZEN,
        "command": ["train"],
        "parameters": {"horizon": 20},
    }
    return build(folder, id=run_id, **{**given, **options})


def make_run(workspace: Workspace, claimed: Claim, text: str = "content", **options: Any) -> Path:
    """Fill, describe, enter and publish, in the order that stages do."""
    fill(claimed.path, text)
    manifest = describe(claimed.path, claimed.id, **options)
    digest = write(claimed.path, manifest)
    Ledger(workspace.ledger).record_published(claimed.id, manifest.kind, manifest.content, digest)
    return claimed.publish()


def in_processes(count: int, work: Callable[[int], str], seconds: float = 60.0) -> list[str]:
    """Run `work(number)` in `count` forked processes that start together.

    Returns what each returned, or the name of the FoldsmithError it ended with. A process that ends in
    another way, or not in time, fails the test; none is waited for without end.
    """
    source_hash(), package_versions()  # made once here, not in every child
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(count)

    def one(number: int, folder: str) -> None:
        barrier.wait(seconds)
        try:
            found = work(number)
        except FoldsmithError as error:
            found = type(error).__name__
        Path(folder, str(number)).write_text(found)

    with tempfile.TemporaryDirectory() as folder:
        processes = [fork.Process(target=one, args=(number, folder)) for number in range(count)]
        for process in processes:
            process.start()
        until = time.monotonic() + seconds
        for process in processes:
            process.join(max(0.0, until - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()
        assert [process.exitcode for process in processes] == [0] * count
        return [Path(folder, str(number)).read_text() for number in range(count)]


class Faults:
    """Counts the steps that change the disk, and makes one (or all from one on) fail, or kills the process
    there.

    Steps are mkdir, opening for writing, pwrite, fsync, unlink, rmdir and the exclusive rename. `at` is the
    number of the step that is hit, before it happens.
    """

    def __init__(self, at: int, strike: Callable[[], None], *, lasting: bool = False) -> None:
        self.at, self.strike, self.lasting = at, strike, lasting
        self.steps: list[str] = []

    def step(self, name: str) -> None:
        self.steps.append(name)
        number = len(self.steps) - 1
        if number == self.at or (self.lasting and number > self.at):
            self.strike()

    def install(self, patch: pytest.MonkeyPatch, spared: tuple[str, ...] = ()) -> None:
        for name in ("mkdir", "pwrite", "fsync", "unlink", "rmdir"):
            if name not in spared:
                patch.setattr(os, name, self._wrapped(name, getattr(os, name)))
        plain_open = os.open

        def open_(path: Any, flags: int, *rest: Any, **options: Any) -> int:
            if flags & os.O_CREAT:
                self.step("open")
            return plain_open(path, flags, *rest, **options)

        patch.setattr(os, "open", open_)
        native = rename._native

        def rename_(source: bytes, target: bytes) -> int:
            try:
                self.step("rename")
            except OSError as error:
                return error.errno or errno.EIO
            return native(source, target)

        patch.setattr(rename, "_native", rename_)

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.step(name)
            return real(*arguments, **options)

        return call


def disk_full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
