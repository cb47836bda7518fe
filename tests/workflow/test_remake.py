"""`runs reproduce`, `pipeline rerun` and presets, as they are typed."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from tests.workflow.conftest import Desk, value
from tests.workflow.test_flags import covers

from foldsmith.runs.manifest import read
from foldsmith.stages import prepare as stage

pytestmark = pytest.mark.xdist_group("remake")


@covers("runs reproduce", "run_id", "--workspace", "--from-raw", "--workers", "--also")
def test_a_run_is_reproduced(tiny: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tiny.everything()
    there = ["--workspace", tiny.path]
    told = Desk(tmp_path).call("runs", "reproduce", "base", "--workers", 1, *there).stdout
    assert told.splitlines()[-1] == "cv base: the same content"
    assert tiny.everything() == before
    told = tiny.call("runs", "reproduce", "base", "--from-raw", "--workers", 2).stdout
    assert [line.endswith("the same content") for line in told.splitlines()[-2:]] == [True, True]
    tiny.cv("--models", "logistic", "--output-dir", "aside", "--output-name", "other")
    told = tiny.call("runs", "reproduce", "other", "--also", "aside", "--workers", 1).stdout
    assert told.splitlines()[-1] == "cv other: the same content"
    with monkeypatch.context() as patch:
        patch.setattr(stage, "NEUTRAL_SHARE", 0.5)
        done = tiny.call("runs", "reproduce", "base", "--from-raw", "--workers", 1, status=2)
    assert "what differs: " in done.stdout
    assert "labels_h5.parquet" in done.stdout
    assert done.stderr.startswith("error: 2 of 2 runs came out otherwise: the first, ")
    assert done.stderr.count("\n") == 1


@covers("pipeline rerun", "run_id", "--workspace", "--from", "--workers", "--also")
def test_a_chain_is_brought_up_to_date(tiny: Desk, tmp_path: Path) -> None:
    model = value(
        tiny.call("train", "--model", "voting", "--horizon", 5, "--stacking-data", "base").stdout, "Run ID"
    )
    told = (
        Desk(tmp_path)
        .call("pipeline", "rerun", model, "--from", "train", "--workers", 1, "--workspace", tiny.path)
        .stdout
    )
    assert told.splitlines()[-1].endswith(f"as {model} was made: the same content")
    raw = tiny.workspace.raw / "MES_1m.parquet"
    whole = raw.read_bytes()
    try:
        frame = pl.read_parquet(raw)
        frame.head(frame.height - 1500).write_parquet(raw, metadata=pl.read_parquet_metadata(raw))
        told = tiny.call(
            "pipeline", "rerun", model, "--from", "prepare", "--workers", 1, "--also", "."
        ).stdout
    finally:
        raw.write_bytes(whole)
    made = [line.split(",")[0].split() for line in told.splitlines()[-3:]]
    assert [kind for kind, _ in made] == ["dataset", "cv", "model"]
    known = read(tiny.workspace.runs / made[2][1])
    assert {parent.id for parent in known.parents} == {made[0][1], made[1][1]}
    assert known.parameters == read(tiny.workspace.runs / model).parameters


@covers("pipeline run", "--preset")
@covers("pipeline presets", "--workspace")
def test_presets_fill_in_flags_that_are_not_typed(tiny: Desk, tmp_path: Path) -> None:
    own = tiny.path / "presets.toml"
    own.write_text(
        '[mine]\nhorizons = [3, 7]\nval_ratio = 0.2\ntrain-ratio = 0.65\n[swing]\ntimeframe = "30m"\n'
    )
    try:
        told = Desk(tmp_path).call("pipeline", "presets", "--workspace", tiny.path).stdout
        assert "mine         --horizons 3,7 --val-ratio 0.2 --train-ratio 0.65  (presets.toml)" in told
        assert "swing        --timeframe 30m  (presets.toml)" in told
        assert "scalp " in told
        run = ["pipeline", "run", "--symbols", "MES", "--preset", "mine"]
        made = tiny.call(*run, "--horizons", 4).stdout
        known = read(tiny.path / value(made, "Dataset saved to")).parameters
        assert (known["horizons"], known["ratios"]) == ([4], [0.65, 0.2, 0.15])
        known = read(tiny.path / value(tiny.call(*run).stdout, "Dataset saved to")).parameters
        assert known["horizons"] == [3, 7]
        assert "there are default, scalp" in tiny.denied(
            "pipeline", "run", "--symbols", "MES", "--preset", "nope"
        )
        for text, words in (
            ("[mine]\nsymbols = 'CL'\n", "unknown flag 'symbols'"),
            ("mine = 3\n", "mine is no table"),
            ("[mine]\nhorizons = true\n", "is True; give text or a number"),
            ("[mine\n", "cannot be read as TOML"),
        ):
            own.write_text(text)
            assert words in tiny.denied("pipeline", "presets")
    finally:
        own.unlink()
