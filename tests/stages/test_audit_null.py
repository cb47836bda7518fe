"""`audit null`: what the statements make of sound and of broken pipelines, and that a kill loses no market."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.properties.conftest import prepared, quiet
from tests.stages.null_records import drawn

from foldsmith.audit.proof import BLIND, BROKEN, NOT_RUN, Proof
from foldsmith.errors import DataError, SettingError, StoppedError
from foldsmith.intervals import as_instants
from foldsmith.market.instruments import instrument
from foldsmith.market.simulate import Simulation
from foldsmith.runs.store import Workspace
from foldsmith.splits import cut_instants
from foldsmith.stages import audit_null as stage
from foldsmith.stages import null_markets
from foldsmith.stages.audit_null import NullSettings, audit_null
from foldsmith.stages.executors import Executor
from foldsmith.stages.null_bars import EDGE, HINT, RATIOS, SHUFFLED, SIMULATED, Market, shifted
from foldsmith.stages.null_markets import run_market
from foldsmith.stages.simulated import write_market

SETTINGS = NullSettings(markets=60, edges=(0.04, 0.2))
Run = Callable[[Market], dict[str, Any]]


def judged(
    monkeypatch: pytest.MonkeyPatch, run: Run, kept: Path | None = None, settings: NullSettings = SETTINGS
) -> list[Proof]:
    monkeypatch.setattr(stage, "run_market", run)
    return audit_null(settings, executor=Executor(), kept=kept, say=quiet)


def failed(proofs: list[Proof]) -> set[tuple[str, str]]:
    return {(proof.group, proof.outcome) for proof in proofs if not proof.held}


def test_a_sound_pipeline_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    proofs = judged(monkeypatch, drawn)
    assert failed(proofs) == set()
    (power, *_) = [proof for proof in proofs if proof.name == "stacking test, direction, edge 0.2"]
    assert "80% power from" in power.said
    assert "of the reachable log loss" in power.said
    assert "1%" in proofs[0].said, "the level of all statements together is said"


def test_a_pipeline_that_leaks_in_markets_without_edge_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    run = lambda market: drawn(market, 0.8 if market.kind == SIMULATED else None)  # noqa: E731
    assert ("null market", BROKEN) in failed(judged(monkeypatch, run))


def test_constant_predictions_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """They find no edge where none is, but neither where one is, and their p-values are no chance's."""

    def run(market: Market) -> dict[str, Any]:
        record = drawn(market)
        for place in record["places"].values():
            place["direction"], place["trades"] = {"n": 100, "z": 0.0, "p": 1.0}, None
            if "mean_z" in place:
                place["mean_z"] = {"direction": 0.0, "trades": None}
        return record

    found = failed(judged(monkeypatch, run))
    assert {("null market", BROKEN), ("null market", NOT_RUN), ("power", BROKEN)} <= found


def test_permuted_predictions_fail_the_proof_of_power(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = judged(monkeypatch, lambda market: drawn(market, 0.0 if market.kind == EDGE else None))
    assert failed(broken) == {("power", BROKEN)}
    blind = judged(monkeypatch, lambda market: drawn(market, permuted_too=True))
    assert failed(blind) == {("power", BLIND)}


@pytest.mark.parametrize("leak", [HINT, SHUFFLED])
def test_a_leak_that_goes_unseen_makes_the_proof_blind(monkeypatch: pytest.MonkeyPatch, leak: str) -> None:
    proofs = judged(monkeypatch, lambda market: drawn(market, 0.0 if market.kind == leak else None))
    assert [(p.name, p.outcome) for p in proofs if not p.held] == [(leak, BLIND)]


def test_a_killed_run_goes_on_and_ends_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = judged(monkeypatch, drawn)
    kept, ran = tmp_path / "kept.jsonl", []

    def stopping(market: Market) -> dict[str, Any]:
        if len(ran) == 30:
            raise KeyboardInterrupt
        ran.append(market.key)
        return drawn(market)

    with pytest.raises(StoppedError, match="--keep"):
        judged(monkeypatch, stopping, kept)
    # The kill cut a line short.
    kept.write_bytes(kept.read_bytes()[:-20])

    def counted(market: Market) -> dict[str, Any]:
        ran.append(market.key)
        return drawn(market)

    again = judged(monkeypatch, counted, kept)
    assert again == whole
    assert len(ran) == len(set(ran)) + 1 == len(kept.read_text().splitlines()) + 1
    ran.clear()
    assert judged(monkeypatch, counted, kept) == whole
    assert ran == []
    with pytest.raises(SettingError, match="another program, seed"):
        judged(monkeypatch, counted, kept, NullSettings(markets=60, edges=(0.04, 0.2), seed=2))
    kept.write_text("{}\n")
    with pytest.raises(DataError, match="line 1"):
        judged(monkeypatch, counted, kept)


def test_a_file_of_something_else_is_refused_and_kept(tmp_path: Path) -> None:
    kept = tmp_path / "mine.json"
    for content in (b'{"precious": 1}', b"no line end", b'{"of": "x"}\n'):
        kept.write_bytes(content)
        with pytest.raises(DataError, match="name another file"):
            stage._read(kept, "x")
        assert kept.read_bytes() == content
    for content in (b"{", b'{"of": "x", "mark'):
        kept.write_bytes(content)
        assert stage._read(kept, "x") == {}
        assert kept.read_bytes() == b""


def test_a_damaged_record_is_told(tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    stage._append(kept, "x", "MES/simulated/0/0", drawn(Market(SIMULATED, 0, 1)))
    assert list(stage._read(kept, "x")) == ["MES/simulated/0/0"]
    kept.write_text(kept.read_text().replace('"places"', '"plates"'))
    with pytest.raises(DataError, match="was changed after"):
        stage._read(kept, "x")


def test_two_markets_never_have_one_name() -> None:
    with pytest.raises(SettingError, match="2 files of MES"):
        NullSettings(raw=(Path("a/MES_1m.parquet"), Path("b/MES_1m.csv")))
    with pytest.raises(SettingError, match="each once"):
        NullSettings(edges=(0.1234567, 0.12345671))


@pytest.mark.proof
def test_a_market_is_the_same_again_and_is_looked_at_everywhere() -> None:
    market = Market(EDGE, 1, 5, 0.3)
    record = run_market(market)
    assert json.dumps(record) == json.dumps(run_market(market))
    assert set(record["places"]) == {
        "lightgbm oof", "logistic oof", "voting oof", "stacking validation", "stacking test", "voting validation",
        "voting test",
    }  # fmt: skip
    bases = {"lightgbm oof", "logistic oof"}
    assert set(record["coin"]) == set(record["permuted"]) == set(record["places"]) - bases
    assert record["places"]["stacking test"]["direction"]["p"] < 1e-4
    assert record["permuted"]["stacking test"]["direction"]["p"] > 1e-4
    # The report's page and what else was left out are put back.
    assert null_markets.page.render.__name__ == "render"


def test_shifted_labels_keep_their_lengths_and_their_segments(tmp_path: Path) -> None:
    write_market(Workspace(tmp_path), Simulation("MES", 15, 4), instrument("MES"), quiet)
    dataset = prepared(tmp_path, horizons=(10,)).dataset
    labels = pl.read_parquet(dataset.path / "labels_h10.parquet")
    bars = pl.read_parquet(dataset.path / "bars.parquet")

    class Bars:
        closes = as_instants(bars["close_time"])

    moved = shifted(labels, Bars, 3)  # type: ignore[arg-type]
    assert moved.columns == labels.columns
    assert moved.select("datetime", "bar").equals(labels.select("datetime", "bar"))
    cuts = np.asarray(cut_instants(Bars.closes, RATIOS))
    segment = np.searchsorted(cuts, as_instants(labels["datetime"]), side="left")
    ends = [
        np.searchsorted(Bars.closes, as_instants(each["label_end"])) - each["bar"].to_numpy()
        for each in (labels, moved)
    ]
    for each in range(3):
        rows = segment == each
        before, after = (
            list(zip(end[rows], table["y"].to_numpy()[rows], table["entry"].to_numpy()[rows], strict=True))
            for end, table in zip(ends, (labels, moved), strict=True)
        )
        shift = next(
            s for s in range(len(before)) if before[-s:] + before[:-s] == after or s == len(before) - 1
        )
        assert len(before) // 4 <= shift <= len(before) - len(before) // 4


@pytest.mark.proof
def test_small_markets_hold_and_leaks_in_them_are_seen() -> None:
    """The real thing, as small as it can be: no edge where none is, the edge and both leaks where they are."""
    said: list[str] = []
    proofs = audit_null(NullSettings(20, (0.25,)), executor=Executor(workers=2), kept=None, say=said.append)
    assert [(proof.name, proof.said) for proof in proofs if not proof.held] == []
    assert said[-1].startswith("[80/80]")
    assert {proof.name for proof in proofs} >= {HINT, SHUFFLED}
