"""The rules of cleaning from the commands: what is met is said, shown and stored, and each does as it is told."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from tests.workflow.conftest import Desk
from tests.workflow.test_flags import covers

from foldsmith.market.rules import RULES

RUN = ["pipeline", "run", "--symbols", "MES", "--horizons", 5, "--yes"]
ROW = 7000


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A simulated market with one bad print, and one bar without volume."""
    desk = Desk(tmp_path_factory.mktemp("spoilt"))
    desk.call("simulate", "--sessions", 30, "--seed", 7)
    path = desk.path / "data" / "raw" / "MES_1m.parquet"
    at = pl.int_range(pl.len())
    pl.read_parquet(path).with_columns(
        low=pl.when(at == ROW).then(2.0).otherwise("low"),
        volume=pl.when(at == ROW).then(1.0).when(at == 500).then(0.0).otherwise("volume"),
    ).write_parquet(path)
    return desk


def findings(desk: Desk, run_id: str) -> dict[str, dict[str, object]]:
    found = json.loads((desk.workspace.datasets / run_id / "findings.json").read_text())
    return found["cleaning"]  # type: ignore[no-any-return]


@covers("pipeline run", "--rules")
def test_run_says_stores_and_obeys(spoilt: Desk) -> None:
    made = spoilt.dataset()
    found = findings(spoilt, made.id)
    assert (found["bad_print"]["count"], found["bad_print"]["action"]) == (1, "drop")
    assert found["bad_print"]["examples"][0]["low"] == 2.0  # type: ignore[index]
    said = spoilt.call(*RUN).stdout
    assert "bad_print: 1 dropped, first at " in said
    assert "zero_volume: 1 counted, first at " in said
    kept = spoilt.dataset("--rules", "bad_print=count,zero_volume=drop")
    found = findings(spoilt, kept.id)
    assert (found["bad_print"]["action"], found["zero_volume"]["action"]) == ("count", "drop")
    bars = {
        run.id: pl.read_parquet(spoilt.workspace.datasets / run.id / "bars_1m.parquet")
        for run in (made, kept)
    }
    assert bars[made.id].height == bars[kept.id].height
    assert bars[made.id]["low"].min() > 1000  # type: ignore[operator]
    assert bars[kept.id]["low"].min() == 2.0
    assert "bad_print" not in findings(spoilt, spoilt.dataset("--rules", "bad_print=off").id)
    assert "--rules bad_print=count,zero_volume=drop" in spoilt.call("runs", "explain", kept.id).stdout
    assert "the same content" in spoilt.call("runs", "reproduce", kept.id).stdout
    assert "rule bad_print met 1 time" in spoilt.denied(*RUN, "--rules", "bad_print=refuse")
    assert "did you mean bad_print" in spoilt.denied(*RUN, "--rules", "bad_prnt=off")
    (spoilt.path / "presets.toml").write_text('[lax]\nrules = "bad_print=count"\n')
    assert "bad_print: 1 counted" in spoilt.call(*RUN, "--preset", "lax").stdout


@covers("pipeline validate", "--rules")
def test_validate_obeys_too(spoilt: Desk) -> None:
    assert "bad_print: 1 counted" in spoilt.call("pipeline", "validate", "--rules", "bad_print=count").stdout
    told = spoilt.call("pipeline", "validate", "--rules", "zero_volume=refuse", status=2).stderr
    assert "rule zero_volume met 1 time" in told


def test_the_rules_are_listed_and_documented(spoilt: Desk) -> None:
    listed = spoilt.call("pipeline", "rules").stdout.splitlines()
    assert [line.split()[:2] for line in listed] == [[name, rule.action] for name, rule in RULES.items()]
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    rows = [line.split("|")[1:4] for line in page.splitlines() if line.startswith("| `")]
    documented = {cells[0].strip(" `"): cells[1].strip() for cells in rows}
    for name, rule in RULES.items():
        assert documented[name] == rule.action


def test_a_model_cleans_new_bars_as_its_own(spoilt: Desk, tmp_path: Path) -> None:
    dataset = spoilt.dataset("--rules", "bad_print=count")
    model = spoilt.train("--model", "logistic", "--horizon", 5, "--dataset", dataset.id)
    raw = spoilt.path / "data" / "raw" / "MES_1m.parquet"
    spoilt.call("predict", "--run-id", model.id, "--bars", raw, "--output", tmp_path / "all.parquet")
    rows = pl.read_parquet(tmp_path / "all.parquet")
    spoilt.call("evaluate", "--run-id", model.id, "--split", "validation")
    folder = next((spoilt.workspace.runs / model.id / "evaluations").iterdir())
    scored = pl.read_parquet(folder / "predictions.parquet")
    both = scored.join(rows, on="datetime", suffix="_new")
    assert both.height == scored.height
    assert (both["prob_long"] == both["prob_long_new"]).all()
