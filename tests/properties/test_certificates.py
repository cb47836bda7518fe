"""Runs keep certificates of the splits they used, as an oracle counts them; a split that leaks publishes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.properties import oracle
from tests.properties.conftest import Made, quiet

from foldsmith.config import CrossValidateSettings, ValidationSettings
from foldsmith.errors import LeakError
from foldsmith.runs.store import Run, read_json
from foldsmith.splits import PurgedKFold, Segments
from foldsmith.stages import certificates, ensemble, horizon, out_of_fold, train
from foldsmith.stages.cross_validate import cross_validate
from foldsmith.stages.ensemble_inputs import stored_inputs
from foldsmith.stages.executors import Executor
from foldsmith.stages.horizon import load_horizons
from foldsmith.validation import meta_level

SETTINGS = ValidationSettings(n_splits=3, purge_bars=2)


def crossed(made: Made) -> Run:
    return cross_validate(
        made.dataset,
        CrossValidateSettings(("logistic",), (10,), SETTINGS),
        made.provenance,
        quiet,
        folder=made.workspace.stacking,
        executor=Executor(),
    )


def trained(made: Made) -> Run:
    return train.train_base(
        made.dataset,
        "logistic",
        10,
        SETTINGS,
        {},
        made.provenance,
        quiet,
        folder=made.workspace.runs,
        threads=1,
    )


class Blind(PurgedKFold):
    """Planted: a splitter that takes every label to end when it begins."""

    def __init__(self, *words: Any, t0: Any, t1: Any, **options: Any) -> None:
        super().__init__(*words, t0=t0, t1=t0, **options)


def test_what_runs_keep_is_what_the_oracle_counts(small: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    table = load_horizons(small.dataset, (10,), SETTINGS)[10]
    rows, segments = table.data.take(table.segments.training), table.segments.named()
    run = crossed(small)
    kept = read_json(run.path / "cv_results.json")["horizons"]["10"]["certificates"]
    pairs = out_of_fold._folds(rows, table.separation, 3)
    for one, (fitted, scored) in zip(kept["folds"], pairs, strict=True):
        check(one, rows, fitted, scored, table.separation)
        assert one["n_train"] + one["n_test"] + one["purged"] + one["embargoed"] == len(rows)
        assert one["purged"] > 0
    assert set(kept["segments"]) == {"training_validation", "training_test", "validation_test"}
    for name, one in kept["segments"].items():
        fitted, scored = (segments[side] for side in name.split("_"))
        check(one, table.data, fitted, scored, table.separation)
    alone = read_json(trained(small).path / "metrics.json")["certificates"]
    assert alone == {"segments": kept["segments"]}
    inputs = stored_inputs(small.workspace, run, 10).inputs
    for name in ("stacking", "blending"):
        made = ensemble.fit_ensemble(inputs, name, "logistic").metrics["certificates"]
        assert len(made["meta_folds"]) == 3
        assert all(
            one["overlaps"] == one["breaches"] == 0 and one["n_train"] > 0 for one in made["meta_folds"]
        )
        apart = {
            key: kept["segments"]["training_validation"][key] for key in ("n_train", "n_test", "gap_before")
        }
        assert {key: made["training_validation"][key] for key in apart} == apart
    monkeypatch.setattr(meta_level, "PurgedKFold", Blind)
    with pytest.raises(LeakError, match="stacking, meta-level fold 0"):
        ensemble.fit_ensemble(inputs, "stacking", "logistic")


def check(one: dict[str, Any], rows: Any, fitted: Any, scored: Any, separation: Any) -> None:
    assert one["overlaps"] == oracle.meeting(rows.t0, rows.t1, fitted, scored) == 0
    assert one["breaches"] == oracle.in_embargo(rows.t0, rows.t1, fitted, scored, separation.bars, 10) == 0
    assert (one["n_train"], one["n_test"]) == (len(fitted), len(scored))
    assert (one["embargo"], one["purge"], one["closed"]) == ("10", "2", "both")
    before = fitted[fitted < scored[0]]
    if len(before):
        assert one["bars_before"] > 2
        assert one["gap_before"] >= rows.t0[scored[0]] - rows.t1[before].max() or len(before) < len(fitted)


@pytest.mark.parametrize("planted", ["folds", "segments"])
def test_a_split_that_leaks_stops_the_run_before_anything_is_published(
    small: Made, monkeypatch: pytest.MonkeyPatch, planted: str
) -> None:
    fitted: list[Any] = []
    monkeypatch.setattr(out_of_fold, "run_units", lambda *words, **options: fitted.append(words))
    if planted == "folds":
        monkeypatch.setattr(out_of_fold, "PurgedKFold", Blind)
    else:
        monkeypatch.setattr(horizon, "holdout", unpurged)
    folders = small.workspace.stacking, small.workspace.runs
    before = [published(folder) for folder in folders]
    with pytest.raises(LeakError, match=r"horizon 10, fold 0" if planted == "folds" else "segment cut"):
        crossed(small)
    if planted == "segments":
        with pytest.raises(LeakError, match="segment cut"):
            trained(small)
    assert fitted == []
    assert [published(folder) for folder in folders] == before


def published(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*") if not path.name.startswith(".")}


def unpurged(t0: Any, t1: Any, cuts: tuple[int, int], **options: Any) -> Segments:
    """Planted: segments cut by decision time alone."""
    rows = np.arange(len(t0))
    return Segments(rows[t0 <= cuts[0]], rows[(t0 > cuts[0]) & (t0 <= cuts[1])], rows[t0 > cuts[1]])


def test_rows_of_two_tables_that_meet_are_told(small: Made) -> None:
    table = load_horizons(small.dataset, (10,), SETTINGS)[10]
    rows = table.data.take(np.arange(400))
    with pytest.raises(LeakError, match="here 0"):
        certificates.certified_apart(
            "here", rows.take(np.arange(200)), rows.take(np.arange(200, 400)), table.separation
        )
