"""No label of a training row meets a label it is scored against, in any split; counted by an oracle of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.properties import oracle
from tests.properties.conftest import Made, quiet

from foldsmith.config import TAIL_SHARE, CrossValidateSettings, ValidationSettings
from foldsmith.dataset import Dataset
from foldsmith.splits import PurgedKFold, purged_tail
from foldsmith.stages.cross_validate import cross_validate
from foldsmith.stages.ensemble_inputs import stored_inputs
from foldsmith.stages.executors import Executor
from foldsmith.stages.horizon import HorizonTable, load_horizons
from foldsmith.stages.join import events
from foldsmith.stages.out_of_fold import _folds
from foldsmith.validation.cross_validate import Separation
from foldsmith.validation.meta_level import out_of_fold

SETTINGS = (
    ValidationSettings(),
    ValidationSettings(n_splits=3, embargo_bars=0),
    ValidationSettings(n_splits=4, purge_bars=3, embargo_bars=25),
)


def splits(table: HorizonTable, settings: ValidationSettings) -> Iterator[tuple[str, Dataset, Any, Any]]:
    """Every pair of fitted and scored rows of a horizon: name, rows, fitted, scored."""
    segments = table.segments
    yield "training against validation", table.data, segments.training, segments.validation
    yield "training against test", table.data, segments.training, segments.test
    yield "validation against test", table.data, segments.validation, segments.test
    training = table.data.take(segments.training)
    for k, (train, test) in enumerate(_folds(training, table.separation, settings.n_splits)):
        yield f"fold {k}", training, train, test
        inner = training.take(train)
        head, tail = purged_tail(inner.t0, inner.t1, TAIL_SHARE, **table.separation.options())
        yield f"tail of fold {k}", inner, head, tail
    yield from (
        (f"meta fold {k}", training, *pair) for k, pair in enumerate(meta_folds(training, table, settings))
    )


class Witness:
    """An ensemble that remembers which rows it was shown; a row's number is its first probability."""

    def __init__(self, seen: list[Any]) -> None:
        self.seen = seen

    def fitting_rows(self, fold: Any) -> Any:
        return np.arange(len(fold))

    def fit(self, P: Any, y: Any, weight: Any, fold: Any) -> Witness:
        self.seen.append(P[:, 0].astype(np.int64))
        return self

    def predict_proba(self, P: Any) -> Any:
        self.seen.append(P[:, 0].astype(np.int64))
        return np.full((len(P), 3), 1 / 3)


def meta_folds(
    rows: Dataset, table: HorizonTable, settings: ValidationSettings, separation: Separation | None = None
) -> list[tuple[Any, Any]]:
    """Rows that the meta-learner is fitted on and scored on, as it is shown them."""
    seen: list[Any] = []
    P = np.zeros((len(rows), 3), dtype=np.float32)
    P[:, 0] = np.arange(len(rows))
    out_of_fold(
        lambda: Witness(seen),  # type: ignore[arg-type,return-value]
        P,
        rows,
        np.zeros(len(rows), dtype=np.int16),
        n_splits=settings.n_splits,
        separation=separation or table.separation,
    )
    return list(zip(seen[::2], seen[1::2], strict=True))


def check(table: HorizonTable, settings: ValidationSettings) -> int:
    """Zero overlaps and an embargo kept in every split; returns how many splits were looked at."""
    count = 0
    for name, rows, fitted, scored in splits(table, settings):
        assert len(np.intersect1d(fitted, scored)) == 0, name
        assert oracle.meeting(rows.t0, rows.t1, fitted, scored) == 0, name
        assert (
            oracle.in_embargo(
                rows.t0, rows.t1, fitted, scored, table.separation.bars, table.separation.embargo
            )
            == 0
        ), name
        # Kept apart by leaving out little: to train on next to nothing would pass as well.
        assert len(fitted) > 0.5 * (len(rows) - len(scored)) or "against" in name, name
        count += 1
    return count


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: f"{s.n_splits}_folds")
@pytest.mark.parametrize("horizon", [5, 10])
def test_no_label_meets_what_it_is_scored_against(
    small: Made, horizon: int, settings: ValidationSettings
) -> None:
    table = load_horizons(small.dataset, (horizon,), settings)[horizon]
    assert table.separation.embargo == (horizon if settings.embargo_bars is None else settings.embargo_bars)
    assert check(table, settings) == 3 + 3 * settings.n_splits


def test_the_oracle_agrees_with_looking_at_every_pair_and_finds_what_is_planted(small: Made) -> None:
    settings = ValidationSettings(n_splits=3, embargo_bars=0)
    table = load_horizons(small.dataset, (10,), settings)[10]
    rows = table.data.take(np.arange(900))
    separation = replace(table.separation, embargo=0)
    # Planted: a splitter told that every label ends when it begins, as if purging went by decision times alone.
    blind = PurgedKFold(3, t0=rows.t0, t1=rows.t0, **separation.options())
    for kind, pairs in (
        ("whole", list(PurgedKFold(3, t0=rows.t0, t1=rows.t1, **separation.options()).split(rows.X))),
        ("blind", list(blind.split(rows.X))),
    ):
        for train, test in pairs:
            found = oracle.meeting(rows.t0, rows.t1, train, test)
            assert found == oracle.meeting_pair_by_pair(rows.t0, rows.t1, train, test)
            assert (found > 0) == (kind == "blind")
    # Planted: no embargo.
    train, test = list(PurgedKFold(3, t0=rows.t0, t1=rows.t1, **separation.options()).split(rows.X))[1]
    assert oracle.in_embargo(rows.t0, rows.t1, train, test, separation.bars, 10) > 0
    assert oracle.in_embargo(rows.t0, rows.t1, train, test, separation.bars, 0) == 0


def test_a_stored_table_keeps_its_folds_apart_at_both_levels(small: Made) -> None:
    """From the files of a cross-validation run alone, as an ensemble is trained from them."""
    settings = ValidationSettings(n_splits=3)
    run = cross_validate(
        small.dataset,
        CrossValidateSettings(("logistic",), (10,), settings),
        small.provenance,
        quiet,
        folder=small.workspace.stacking,
        executor=Executor(),
    )
    inputs = stored_inputs(small.workspace, run, 10).inputs
    table = load_horizons(small.dataset, (10,), settings)[10]
    rows = events(inputs.oof)
    training = table.data.take(table.segments.training)
    np.testing.assert_array_equal(rows.t0, training.t0)
    np.testing.assert_array_equal(rows.t1, training.t1)
    fold = inputs.oof["fold"].to_numpy()
    for k, (train, test) in enumerate(_folds(training, table.separation, 3)):
        np.testing.assert_array_equal(np.flatnonzero(fold == k), test)
        assert oracle.meeting(rows.t0, rows.t1, train, test) == 0
    for train, test in meta_folds(rows, table, settings, inputs.separation):
        assert oracle.meeting(rows.t0, rows.t1, train, test) == 0
        assert oracle.in_embargo(rows.t0, rows.t1, train, test, inputs.separation.bars, 10) == 0
    assert oracle.meeting(rows.t0, rows.t1, np.arange(len(rows)), np.array([len(rows) // 2])) > 1


@pytest.mark.real
@pytest.mark.parametrize("symbol", ["MES", pytest.param("CL", marks=pytest.mark.proof)])
def test_real_bars(real: Callable[[str], Made], symbol: str) -> None:
    made = real(symbol)
    for settings in (SETTINGS[0], SETTINGS[2]):
        for table in load_horizons(made.dataset, (5, 20), settings).values():
            assert check(table, settings) == 3 + 3 * settings.n_splits
