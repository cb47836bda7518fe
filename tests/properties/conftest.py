"""Datasets made by the stages themselves, small enough to be looked at row by row."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from foldsmith.config import PrepareSettings
from foldsmith.market.instruments import instrument
from foldsmith.market.simulate import Simulation
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.store import Run, Workspace
from foldsmith.stages.prepare import prepare
from foldsmith.stages.publish import Provenance
from foldsmith.stages.simulated import write_market

BARS = Path(__file__).resolve().parents[3] / "shared" / "data" / "bars"


def quiet(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Made:
    """A workspace and the dataset that was prepared in it."""

    workspace: Workspace
    dataset: Run

    @property
    def provenance(self) -> Provenance:
        return Provenance(("test",), Ledger(self.workspace.ledger))


def prepared(
    root: Path,
    symbol: str = "MES",
    horizons: tuple[int, ...] = (5, 10),
    timeframe: str = "5m",
    **labelling: Any,
) -> Made:
    """Prepare the raw bars that lie in the workspace `root`."""
    workspace = Workspace(root)
    made = prepare(
        workspace,
        PrepareSettings(symbol, timeframe, horizons=horizons, **labelling),
        instrument(symbol),
        Provenance(("test",), Ledger(workspace.ledger)),
        quiet,
    )
    return Made(workspace, made)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Thirty simulated sessions over a roll of contracts, horizons 5 and 10."""
    root = tmp_path_factory.mktemp("small")
    settings = Simulation("MES", 30, 5, 0.05, date(2024, 2, 12))
    write_market(Workspace(root), settings, instrument("MES"), quiet)
    return prepared(root)


@pytest.fixture
def real(tmp_path: Path) -> Callable[[str], Made]:
    """Prepare a file of real bars, horizons 5 and 20; skips the test, saying so, where they are absent."""

    def find(symbol: str) -> Made:
        path = BARS / f"{symbol}_1m.parquet"
        if not path.is_file():
            pytest.skip(f"real bars are not beside the checkout ({path.name})")
        (tmp_path / "data" / "raw").mkdir(parents=True)
        shutil.copyfile(path, tmp_path / "data" / "raw" / path.name)
        return prepared(tmp_path, symbol, (5, 20))

    return find
