"""An audit of what does not leak raises no alarm: on many simulated markets, and on extracts of real bars."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from tests.workflow.conftest import Desk

from foldsmith.stages import audit_chain

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "bars"
OWN = (
    '[FILUSDT]\ncalendar = "24x7"\ntick_size = 0.001\ntick_value = 0.001\n'
    '[SPY]\ncalendar = "US_EQUITY"\ntick_size = 0.01\ntick_value = 0.01\n'
)
MINUTES = 20_000
ALARMS = ("BROKEN", "BLIND", "COULD NOT RUN")


@pytest.fixture
def few_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of the cuts, for many markets; with fewer still none may come right after a label, and a proof is blind."""
    chosen = audit_chain.chosen_cuts
    monkeypatch.setattr(audit_chain, "chosen_cuts", lambda source, quick: chosen(source, quick)[1::4])


def audited(desk: Desk, symbol: str, *models: str) -> list[str]:
    """What an audit of a new dataset and CV run says, line by line."""
    desk.call("pipeline", "run", "--symbols", symbol, "--horizons", 8, "--yes")
    desk.cv("--models", ",".join(models), "--seed", 3, horizons="8")
    return desk.call("audit", "--quick").stdout.splitlines()


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(100, 122))
def test_no_alarm_on_a_simulated_market(seed: int, tmp_path: Path, few_cuts: None) -> None:
    desk = Desk(tmp_path)
    desk.call("simulate", "--sessions", 10 + seed % 4, "--edge", 0.02 * (seed % 3), "--seed", seed)
    told = audited(desk, "MES", ("logistic", "ridge", "lightgbm")[seed % 3])
    assert not [line for line in told if line.startswith(ALARMS)]
    assert sum(line.startswith("  ok") for line in told) >= 14


@pytest.mark.proof
@pytest.mark.real
@pytest.mark.parametrize(
    ("symbol", "start"),
    [("MES", 60_000), ("NQ", 90_000), ("CL", 800_000), ("SPY", 40_000), ("FILUSDT", 300_000)],
)
def test_no_alarm_on_real_bars(symbol: str, start: int, tmp_path: Path) -> None:
    path = REAL / f"{symbol}_1m.parquet"
    if not path.is_file():
        pytest.skip(f"{path.name} is not beside the checkout")
    raw = tmp_path / "data" / "raw"
    raw.mkdir(parents=True)
    pl.read_parquet(path).slice(start, MINUTES).write_parquet(raw / path.name)
    (tmp_path / "instruments.toml").write_text(OWN)
    told = audited(Desk(tmp_path), symbol, "logistic", "lightgbm")
    assert not [line for line in told if line.startswith(ALARMS)]
    assert sum(line.startswith("  ok") for line in told) >= 17
