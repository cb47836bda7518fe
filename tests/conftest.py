"""How tests are spread over processes: files of tests/workflow share costly fixtures and stay together."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadgroup`, keep each file of tests/workflow in one process.

    The marks of pytest-xdist 3.8 are silently without effect under pytest 9.2, whose node ids cannot be written to.
    """
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid.split("::")[0] if nodeid.startswith("tests/workflow/") else nodeid

    return ByFile(config, log)
