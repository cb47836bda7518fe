"""`foldsmith audit null`, through the command."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from tests.stages.null_records import drawn
from tests.workflow.conftest import Desk
from tests.workflow.test_flags import covers

from foldsmith.stages import audit_null as stage
from foldsmith.stages.null_bars import Market

NULL = ["audit", "null"]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Market]:
    """The markets that were run, each drawn instead of worked through."""
    found: list[Market] = []

    def run(market: Market) -> dict[str, object]:
        found.append(market)
        return drawn(market)

    monkeypatch.setattr(stage, "run_market", run)
    return found


@covers("audit null", "--markets", "--edges", "--raw", "--seed", "--workers", "--keep", "--json", "--html")
def test_the_flags_of_audit_null(tiny: Desk, ran: list[Market], tmp_path: Path) -> None:
    words = [*NULL, "--markets", 40, "--edges", "0.04,0.2", "--workers", 1, "--keep", tmp_path / "kept.jsonl"]
    told = tiny.call(*words, "--json", tmp_path / "a.json", "--html", tmp_path / "a.html").stdout
    assert len(ran) == 40 + 2 * 20 + 2 * 20
    assert {market.edge for market in ran} == {0.0, 0.04, 0.2}
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["held"]
    assert {proof["group"] for proof in found["proofs"]} == {
        "null market",
        "planted in null markets",
        "power",
    }
    assert f"{len(found['proofs'])} held" in told
    assert "Power" in (tmp_path / "a.html").read_text()
    # Kept results are not made again, and those of another seed are not taken for these.
    ran.clear()
    assert "120 of 120 markets are kept" in tiny.call(*words).stdout
    assert ran == []
    assert "another program, seed" in tiny.call(*words, "--seed", 3, status=2).stderr
    raw = tmp_path / "MES_1m.parquet"
    desk = Desk(tmp_path)
    desk.call("simulate", "--sessions", 25)
    (tmp_path / "data" / "raw" / "MES_1m.parquet").rename(raw)
    told = desk.call(
        *NULL, "--markets", 20, "--raw", raw, "--seed", 3, "--workers", 1, "--edges", "0.2"
    ).stdout
    assert "25 whole days" in told
    assert "MES, mirrored days, stacking test, direction" in told
    assert {market.seed for market in ran} == {3}
    assert sum(market.bars is not None for market in ran) == 2 * 20


def test_a_pipeline_that_finds_nothing_fails(tiny: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "run_market", lambda market: drawn(market, 0.0))
    told = tiny.call(*NULL, "--markets", 20, "--edges", "0.2", "--workers", 1, status=2)
    assert "BROKEN  power: stacking test, direction" in told.stdout
    assert "proofs failed" in told.stderr


def test_what_cannot_be_used_is_refused(tiny: Desk, tmp_path: Path) -> None:
    assert "--markets 3 is out of range" in tiny.denied(*NULL, "--markets", 3)
    assert "no numbers" in tiny.denied(*NULL, "--edges", "much")
    assert "--edges holds -1" in tiny.denied(*NULL, "--edges=-1")
    assert "each once" in tiny.denied(*NULL, "--edges", "0.1,0.1")
    assert "is not there" in tiny.denied(*NULL, "--keep", "nowhere/kept.jsonl")
    assert "is no page" in tiny.denied(*NULL, "--html", "page.txt")
    nameless = tmp_path / "bars.parquet"
    pl.DataFrame({"a": [1]}).write_parquet(nameless)
    assert "which instrument" in tiny.denied(*NULL, "--raw", nameless)
