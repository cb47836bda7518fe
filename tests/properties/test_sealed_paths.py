"""Splits of combinatorial paths: no training label meets a scored one, and none sees what is poisoned outside them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.properties.conftest import Made, quiet
from tests.properties.test_sealed_rows import HORIZON, poisoned, recorder

from foldsmith.config import CrossValidateSettings, ValidationSettings
from foldsmith.errors import LeakError
from foldsmith.runs.ledger import Ledger
from foldsmith.stages import paths as engine
from foldsmith.stages.audit_path_leaks import unpurged
from foldsmith.stages.audit_paths import prove_splits, split_predictions
from foldsmith.stages.crossed import events_table
from foldsmith.stages.executors import Executor
from foldsmith.stages.horizon import HorizonTable, load_horizons
from foldsmith.stages.path_data import StoredPaths
from foldsmith.stages.paths import path_pairs, plan_paths, run_paths
from foldsmith.stages.units import UnitStore
from foldsmith.validation.path_groups import PathGroups

GROUPS = PathGroups(4, 2)
SETTINGS = CrossValidateSettings(
    ("logistic",),
    (HORIZON,),
    ValidationSettings(tune=True, n_trials=2, sample_weight="uniqueness"),
    paths=(4, 2),
)
NEIGHBOURS, APART = 0, 1
"""Splits that test groups 0 and 1, and 0 and 2."""


@pytest.fixture(scope="module")
def table(small: Made) -> HorizonTable:
    """The first training rows of the small dataset, so that a fit takes part of a second."""
    whole = load_horizons(small.dataset, (HORIZON,), SETTINGS.validation)[HORIZON]
    return replace(whole, segments=replace(whole.segments, training=whole.segments.training[:1200]))


def made(table: HorizonTable, folder: Path, settings: CrossValidateSettings = SETTINGS) -> StoredPaths:
    """The paths that the engine makes of these rows."""
    folder.mkdir()
    plans = plan_paths({HORIZON: table}, GROUPS)
    found = run_paths(
        {HORIZON: table}, plans, settings, UnitStore(folder), executor=Executor(), say=quiet,
        recorder=recorder(folder),
    )  # fmt: skip
    return StoredPaths(GROUPS, events_table(plans[HORIZON].training), found[HORIZON]["logistic"])


@pytest.fixture(scope="module")
def clean(table: HorizonTable, tmp_path_factory: pytest.TempPathFactory) -> tuple[StoredPaths, Path]:
    folder = tmp_path_factory.mktemp("clean") / "run"
    return made(table, folder), folder


def test_no_training_label_meets_a_scored_one_counted_pair_by_pair(table: HorizonTable) -> None:
    data, separation = table.data.take(table.segments.training), table.separation
    begun = np.searchsorted(separation.bars, data.t0, side="right")
    for number in (2, 3, 5):
        pairs = path_pairs(data, separation, PathGroups(number + 1, 2))
        for train, test in pairs:
            meets = (data.t0[train][:, None] <= data.t1[test]) & (data.t0[test] <= data.t1[train][:, None])
            assert not meets.any()
            for block in np.split(test, np.flatnonzero(np.diff(test) != 1) + 1):
                after = train[data.t0[train] > data.t1[block].max()]
                over = np.searchsorted(separation.bars, data.t1[block].max(), side="right")
                assert (begun[after] - over > separation.embargo).all()
        scored = np.concatenate([test for _, test in pairs])
        assert (np.bincount(scored) == number).all()


@pytest.mark.parametrize("split", [NEIGHBOURS, APART])
def test_a_split_sees_its_training_rows_alone(
    table: HorizonTable, clean: tuple[StoredPaths, Path], tmp_path: Path, split: int
) -> None:
    """Labels of scored rows, and features and labels of purged and embargoed rows and of later segments, poisoned."""
    every = table.segments.training
    train, test = path_pairs(table.data.take(every), table.separation, GROUPS)[split]
    outside = np.setdiff1d(np.arange(len(every)), train)
    apart = np.setdiff1d(outside, test)
    assert len(apart) >= 9
    others = np.setdiff1d(np.arange(len(table.data)), every)
    bad = poisoned(table.data, np.r_[every[outside], others], np.r_[every[apart], others])
    found, before = made(replace(table, data=bad), tmp_path / "run"), clean[0]
    assert (
        split_predictions(found, GROUPS, split).tobytes()
        == split_predictions(before, GROUPS, split).tobytes()
    )
    # The other splits train on the poison, and show it.
    for other in set(range(GROUPS.n_splits)) - {split}:
        mine, theirs = (split_predictions(one, GROUPS, other) for one in (found, before))
        assert (mine != theirs).any()


def test_a_split_that_leaks_stops_the_run_and_is_seen_by_the_audit(table: HorizonTable) -> None:
    rows = table.data.take(table.segments.training)
    assert prove_splits("splits", rows, table.separation, GROUPS).held
    with unpurged():
        with pytest.raises(LeakError, match=r"path split 0: .* training rows overlap"):
            plan_paths({HORIZON: table}, GROUPS)
        proof = prove_splits("splits", rows, table.separation, GROUPS)
    assert not proof.held
    assert "fitted rows overlap what they are scored on" in proof.said


def test_the_predictions_of_a_split_are_found_in_the_paths_again(table: HorizonTable) -> None:
    data = table.data.take(table.segments.training)
    split = engine.path_split(data, table.separation, GROUPS)
    said = [
        np.stack([np.full(len(test), number), test, test], axis=1).astype(np.float32)
        for number, (_, test) in enumerate(split.split(data.X))
    ]
    stored = StoredPaths(GROUPS, events_table(data), split.recombine(said))
    for number, one in enumerate(said):
        assert np.array_equal(split_predictions(stored, GROUPS, number), one)


def test_every_search_of_a_path_is_kept_in_the_ledger_and_none_counts_as_a_trial(
    clean: tuple[StoredPaths, Path],
) -> None:
    with closing(sqlite3.connect(clean[1] / "ledger.sqlite")) as connection:
        rows = connection.execute("SELECT kind, json_extract(body, '$.fold') FROM entries").fetchall()
    searched = [fold for kind, fold in rows if kind == "path"]
    assert sorted(searched) == sorted(2 * [f"path_{number}" for number in range(GROUPS.n_splits)])
    assert Ledger(clean[1] / "ledger.sqlite").trial_count("data") == 0
