"""`audit residual`: models that read windows are given them, as in a run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.properties.conftest import prepared, quiet

from foldsmith.dataset import Dataset
from foldsmith.market.instruments import instrument
from foldsmith.market.simulate import Simulation
from foldsmith.runs.store import Workspace
from foldsmith.stages import audit_residual as stage
from foldsmith.stages.simulated import write_market


def test_a_model_of_windows_is_given_its_bars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    workspace = Workspace(tmp_path)
    write_market(workspace, Simulation("MES", 15, 4), instrument("MES"), quiet)
    dataset = prepared(tmp_path, horizons=(10,)).dataset
    said: list[str] = []

    def fit(_: Any, data: Dataset, train: Any, test: Any, **__: Any) -> Any:
        assert data.history is not None
        return SimpleNamespace(probabilities=np.full((len(test), 3), 1 / 3, dtype=np.float32))

    monkeypatch.setattr(stage, "fit_fold", fit)
    found = stage.residual_leak(workspace, dataset, 10, "gru", 2, 1, said.append)
    assert "no whole window of 32 bars" in said[0]
    assert found["suggested_embargo"] in (0, None)
