"""How tests are spread over processes: files of tests/workflow share costly fixtures and stay together."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

COMPILE = """
import sys
from foldsmith.features.catalogue import families, members
from foldsmith.features.compute import compute
from tests.features.conftest import make_bars
for family in families()[int(sys.argv[1])::2]:
    compute(make_bars(1, (60,), 50), 1, members(family))
"""
"""Compiles half of the kernels of features, or finds them compiled."""


def pytest_configure(config: pytest.Config) -> None:
    """Before several workers start, compile what each of them would compile for itself at the same time."""
    if hasattr(config, "workerinput") or not getattr(config.option, "numprocesses", None):
        return
    halves = [subprocess.Popen([sys.executable, "-c", COMPILE, half], cwd=config.rootpath) for half in "01"]
    for half in halves:
        if half.wait():
            raise pytest.UsageError("the kernels of features cannot be compiled; see the error above.")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The pages of docs first: each is a long test of its own, which at the end one process would do alone."""
    items.sort(key=lambda item: "/test_docs.py" not in item.nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadgroup`, keep each file of tests/workflow in one process, but for the pages of docs.

    Two of them share the costliest fixture, and stay together.

    The marks of pytest-xdist 3.8 are silently without effect under pytest 9.2, whose node ids cannot be written to.
    """
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            if file in ("tests/workflow/test_phases.py", "tests/workflow/test_evaluate.py"):
                return "made"
            shared = file.startswith("tests/workflow/") and not file.endswith("/test_docs.py")
            return file if shared else nodeid

    return ByFile(config, log)
