"""A process that holds the heavy libraries and forks a child for each command, so that a command begins at once.

    python -m tests.crash.zygote FOLDER

reads one JSON request a line and answers with one. Nothing that starts threads is called before a fork: a child is
as good as a fresh interpreter that has done its imports. A child leads a process group of its own (its number is
the child's), has its output in files, and ends as any interpreter does, so that what is to be done at exit is done.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
SECONDS = 600.0
"""No command of these tests may take longer."""
LIBRARIES = (
    "catboost",
    "joblib.externals.loky",
    "lightgbm",
    "matplotlib.figure",
    "optuna.samplers",
    "pandas_market_calendars",
    "sklearn.linear_model",
    "xgboost",
)


@dataclass(frozen=True)
class Ended:
    """How a child ended: its exit status (minus the signal's number if it was killed), and what it printed."""

    status: int
    out: str
    err: str

    @property
    def killed(self) -> bool:
        """Whether SIGKILL ended it."""
        return self.status == -signal.SIGKILL

    def value(self, name: str) -> str:
        """What was printed after `name: `."""
        return next(line.split(": ", 1)[1] for line in self.out.splitlines() if line.startswith(f"{name}: "))


class Zygote:
    """The process, seen from the tests."""

    def __init__(self, output: Path, variables: Mapping[str, str]) -> None:
        self.output = output
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.zygote", str(output)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": import_path(), "COLUMNS": "200", **variables},
        )
        self.ask({"poll": 0})  # answered once it is ready

    def start(self, words: Sequence[object], *, cwd: Path, **variables: str) -> Child:
        """Start `foldsmith WORDS` in the folder `cwd`."""
        return self._start({"words": [str(word) for word in words]}, cwd, variables)

    def run(self, words: Sequence[object], *, cwd: Path, **variables: str) -> Ended:
        """Start a command and wait for its end."""
        return self.start(words, cwd=cwd, **variables).wait()

    def call(self, function: str, arguments: Mapping[str, Any], *, cwd: Path, **variables: str) -> Child:
        """Start `module:function` with JSON-able arguments by name."""
        return self._start({"function": function, "arguments": arguments}, cwd, variables)

    def _start(self, request: dict[str, Any], cwd: Path, variables: Mapping[str, str]) -> Child:
        answer = self.ask({**request, "cwd": str(cwd), "variables": dict(variables)})
        return Child(self, int(answer["pid"]), self.output)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request, one answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the process that forks the commands has died"
        found: dict[str, Any] = json.loads(answer)
        return found

    def close(self) -> None:
        """End it; what it still has running is killed."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)


@dataclass
class Child:
    """A command under way."""

    zygote: Zygote
    pid: int
    output: Path

    def kill(self, *, group: bool = True) -> None:
        """SIGKILL to the whole process group, or to the command's own process alone; fine if it has ended."""
        with suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.pid, signal.SIGKILL)

    def poll(self) -> int | None:
        """Its exit status, None while it runs."""
        status: int | None = self.zygote.ask({"poll": self.pid})["status"]
        return status

    def wait(self, seconds: float = SECONDS) -> Ended:
        """Wait for the end; one that takes too long is killed and fails the test."""
        until = time.monotonic() + seconds
        while (status := self.poll()) is None:
            if time.monotonic() > until:
                self.kill()
                raise AssertionError(f"hangs after {seconds:g} s: {self.printed('out')}{self.printed('err')}")
            time.sleep(0.003)
        return Ended(status, self.printed("out"), self.printed("err"))

    def printed(self, which: str) -> str:
        """What it printed so far."""
        path = self.output / f"{self.pid}.{which}"
        return path.read_text(errors="replace") if path.exists() else ""


def import_path() -> str:
    """PYTHONPATH for a process that imports `tests`."""
    return os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


def serve(output: str) -> Mapping[str, Any] | None:
    """Answer requests until there are no more; in a forked child, return the request that it was forked for."""
    _load()
    answers = os.fdopen(os.dup(1), "w")
    statuses: dict[int, int] = {}
    running: set[int] = set()
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        if "poll" in request:
            pid = request["poll"]
            if pid in running:
                done, status = os.waitpid(pid, os.WNOHANG)
                if done:
                    statuses[pid] = os.waitstatus_to_exitcode(status)
                    running.discard(pid)
            answer: dict[str, Any] = {"status": statuses.get(pid)}
        else:
            pid = os.fork()
            if pid == 0:
                answers.close()
                _become(request, output)
                return request
            os.setpgid(pid, pid)  # here too: whoever reads the answer can kill the group
            running.add(pid)
            statuses.pop(pid, None)
            answer = {"pid": pid}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    for pid in running:
        os.killpg(pid, signal.SIGKILL)
    return None


def _load() -> None:
    """Import all that commands import, and have numba read what it compiled and kept."""
    import foldsmith
    from foldsmith.evaluation.bootstrap import interval
    from foldsmith.runs.source import package_versions, source_hash

    for module in pkgutil.walk_packages(foldsmith.__path__, "foldsmith."):
        importlib.import_module(module.name)
    for name in LIBRARIES:
        with suppress(ImportError):  # an extra may be missing
            importlib.import_module(name)
    source_hash(), package_versions()  # remembered from here on, as is what follows
    P = np.full((8, 3), 1 / 3)
    interval(np.array([-1, 0, 1, 0, -1, 0, 1, 0]), P, np.arange(8), np.ones(8), P[0], seed=1)
    gc.collect()
    gc.freeze()  # or each child copies every page that the collector looks at


def _become(request: Mapping[str, Any], output: str) -> None:
    os.setpgid(0, 0)
    os.chdir(request["cwd"])
    for number, path in enumerate((os.devnull, f"{output}/{os.getpid()}.out", f"{output}/{os.getpid()}.err")):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(handle, number)
        os.close(handle)
    os.environ.update(request["variables"])


def main() -> None:
    """Serve; a child runs what it was asked for."""
    request = serve(sys.argv[1])
    if request is None:
        return
    if "function" in request:
        module, _, name = request["function"].partition(":")
        getattr(importlib.import_module(module), name)(**request["arguments"])
        return
    from foldsmith.cli.main import main as foldsmith

    sys.argv = ["foldsmith", *request["words"]]
    foldsmith()


def _end(status: int) -> None:
    """End as an interpreter does, but for taking its memory apart: a forked one would have to copy it first."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    try:
        main()
        _end(0)
    except SystemExit as end:
        _end(end.code if isinstance(end.code, int) else int(end.code is not None))
    except BaseException:  # noqa: BLE001 - as an interpreter does with what nobody caught
        traceback.print_exc()
        _end(1)
