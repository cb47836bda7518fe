from __future__ import annotations

from pathlib import Path

import pytest

from foldsmith.runs.store import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace whose folder for models exists."""
    made = Workspace(tmp_path / "desk")
    made.runs.mkdir(parents=True)
    return made
