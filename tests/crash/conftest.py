"""Fixtures of the crash tests, and the line of counts at the end."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.crash.desk import Workspaces
from tests.crash.zygote import Zygote

FAULTS = Path(__file__).with_name("faults.c")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line: how many kills, faults, flips, mutated files and so on the tests that passed went through."""
    counts: Counter[str] = Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            if report.when == "call":
                counts.update(
                    {
                        f"{name.removeprefix('crash ')}{'' if outcome == 'passed' else ' (in failed tests)'}": count
                        for name, count in report.user_properties
                        if name.startswith("crash ")
                    }
                )
    if counts:
        terminalreporter.write_line(
            "crash test: " + ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))
        )


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """faults.c, compiled. No skip where that cannot be: a crash test that did not run must not look like one that
    did."""
    if not sys.platform.startswith("linux"):
        pytest.fail("the crash tests watch and spoil calls by LD_PRELOAD, which needs Linux")
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.fail("the crash tests need a C compiler (cc, gcc or clang): install one, such as gcc")
    library = tmp_path_factory.mktemp("shim") / "faults.so"
    flags = ["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    done = subprocess.run(
        [compiler, *flags, "-o", str(library), str(FAULTS), "-ldl"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return library


@pytest.fixture(scope="session")
def zygote(shim: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """A process with the heavy libraries that starts commands, all watched by faults.c."""
    output = tmp_path_factory.mktemp("output")
    made = Zygote(output, {"LD_PRELOAD": str(shim), "JOBLIB_TEMP_FOLDER": str(output)})
    yield made
    made.close()


@pytest.fixture(scope="session")
def workspaces(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Workspaces:
    """Workspaces at the points where phases begin."""
    return Workspaces(tmp_path_factory.mktemp("desks"), zygote)
