"""Tables joined on decision time against an oracle that goes row by row, and what must not leak between them."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldsmith.contracts import UTC_MICROSECONDS, probability_columns
from foldsmith.errors import DataError
from foldsmith.evaluation.gap import gap
from foldsmith.intervals import as_instants, span_after, span_before
from foldsmith.splits import PurgedKFold
from foldsmith.stages.join import (
    SPAN,
    OofTable,
    align,
    before,
    events,
    join_out_of_fold,
    spans,
    widened,
    widest,
)
from foldsmith.validation.cross_validate import Separation

MINUTE = 60_000_000


def stored(
    model: str, step: int, horizon: int, n_splits: int, seed: int, n: int, embargo: int, purge: int = 0
) -> OofTable:
    """A table of bars of `step` minutes: some are no event, and labels end at the close of one of `horizon` bars."""
    rng = np.random.default_rng(seed)
    bars = np.arange(1, n // step + horizon + 3, dtype=np.int64) * step * MINUTE
    at = np.flatnonzero(rng.random(n // step) < 0.9)
    t0, t1 = bars[at], bars[at + rng.integers(1, horizon + 1, len(at))]
    P = rng.dirichlet([1, 1, 1], len(at)).astype(np.float32)
    separation = Separation(embargo, purge, bars)
    fold = np.full(len(at), -1, dtype=np.int16)
    for k, (_, test) in enumerate(PurgedKFold(n_splits, t0=t0, t1=t1, **separation.options()).split(P)):
        fold[test] = k
    frame = pl.DataFrame(
        {
            "datetime": pl.Series(t0).cast(UTC_MICROSECONDS),
            "label_end": pl.Series(t1).cast(UTC_MICROSECONDS),
            "fold": fold,
            "y_true": rng.integers(-1, 2, len(at)).astype(np.int8),
            "sample_weight": np.ones(len(at)),
            **{name: P[:, i] for i, name in enumerate(probability_columns(model))},
        }
    )
    return OofTable(frame, n_splits, separation)


def trained_on(table: OofTable, fold: int) -> list[tuple[int, int]]:
    """Labels that a fold's base models were fitted on, by looking at every row and every bar."""
    frame, apart = table.frame, table.separation
    rows = list(
        zip(as_instants(frame["datetime"]), as_instants(frame["label_end"]), frame["fold"], strict=True)
    )
    first = min(a for a, _, f in rows if f == fold)
    last = max(b for _, b, f in rows if f == fold)
    low = span_before(int(first), apart.purge, apart.bars, "purge")
    high = span_after(int(last), apart.purge, apart.bars, "purge")
    until = span_after(int(last), apart.embargo, apart.bars, "embargo")
    return [
        (int(a), int(b))
        for a, b, f in rows
        if f != fold and not (a <= high and b >= low) and not last < a <= until
    ]


def by_hand(tables: list[OofTable], apart: Separation, max_age: int) -> dict[int, dict[str, Any]]:
    """The joined rows by decision time."""
    found = {}
    others = [
        (table, list(table.frame.iter_rows(named=True)), as_instants(table.frame["datetime"]),
         as_instants(table.frame["label_end"]), {})
        for table in tables[1:]
    ]  # fmt: skip
    t0, t1 = as_instants(tables[0].frame["datetime"]), as_instants(tables[0].frame["label_end"])
    for number, row in enumerate(tables[0].frame.iter_rows(named=True)):
        a, b = int(t0[number]), int(t1[number])
        low = span_before(a, apart.purge, apart.bars, "purge")
        high = span_after(b, max(apart.embargo, apart.purge), apart.bars, "embargo")
        made, begin, end, good = dict(row), a, b, True
        for table, rows, their_t0, their_t1, known in others:
            seen = [i for i in range(len(rows)) if a - max_age <= their_t0[i] <= a]
            if not seen:
                good = False
                break
            i = seen[-1]
            fold = rows[i]["fold"]
            if fold not in known:
                known[fold] = trained_on(table, fold)
            if any(x <= high and y >= low for x, y in known[fold]):
                good = False
                break
            begin, end = min(begin, int(their_t0[i])), max(end, int(their_t1[i]))
            made |= {k: v for k, v in rows[i].items() if "_prob_" in k}
        if good:
            found[a] = made | {"span": (begin, end)}
    return found


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 9999),
    step=st.sampled_from([1, 2, 3]),
    horizons=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    splits=st.tuples(st.integers(2, 4), st.integers(2, 4)),
    embargoes=st.tuples(st.integers(0, 6), st.integers(0, 6)),
    purge=st.integers(0, 2),
    age=st.integers(0, 4),
)
def test_against_a_slow_twin(
    seed: int,
    step: int,
    horizons: tuple[int, int],
    splits: tuple[int, int],
    embargoes: tuple[int, int],
    purge: int,
    age: int,
) -> None:
    first = stored("a", 1, horizons[0], splits[0], seed, 90, embargoes[0], purge)
    other = stored("b", step, horizons[1], splits[1], seed + 1, 90, embargoes[1])
    apart = widest([first.separation, other.separation])
    assert apart.embargo >= embargoes[0]
    assert apart.embargo >= embargoes[1] * step or embargoes[1] > 90 // step
    joined = join_out_of_fold([first, other], apart, age * MINUTE)
    expected = by_hand([first, other], apart, age * MINUTE)
    assert as_instants(joined.frame["datetime"]).tolist() == list(expected)
    for row, want in zip(joined.frame.iter_rows(named=True), expected.values(), strict=True):
        assert {k: row[k] for k in want if k not in ("fold", "span")} == {
            k: v for k, v in want.items() if k not in ("fold", "span")
        }
    held = spans(joined.frame)
    assert list(zip(held.t0.tolist(), held.t1.tolist(), strict=True)) == [
        w["span"] for w in expected.values()
    ]
    assert joined.frame.height + sum(joined.counts[0].values()) == first.frame.height


def test_no_base_model_was_fitted_on_a_label_inside_the_row_s_own() -> None:
    """Long labels joined by short ones: without the purge of the join, the short run trains inside the long labels."""
    first, other = (stored(m, 1, h, 4, 5, 400, h) for m, h in (("a", 20), ("b", 3)))
    apart = widest([first.separation, other.separation])
    joined = join_out_of_fold([first, other], apart, 0)
    assert joined.counts[0]["purged"] > 0

    def meeting(frame: pl.DataFrame) -> int:
        rows, theirs = events(frame), events(other.frame)
        at = align(rows.t0, theirs.t0, 0)
        fold = other.frame["fold"].to_numpy()[at]
        return sum(
            any(x <= b and y >= a for x, y in trained_on(other, int(f)))
            for a, b, f in zip(rows.t0, rows.t1, fold, strict=True)
        )

    assert meeting(joined.frame) == 0
    there = align(events(first.frame).t0, events(other.frame).t0, 0) >= 0
    assert meeting(first.frame.filter(pl.Series(there))) > 0


def test_meta_folds_are_purged_by_the_longest_label_and_the_earliest_decision() -> None:
    first, other = stored("a", 1, 3, 3, 1, 300, 3), stored("b", 5, 9, 3, 2, 300, 9)
    apart = widest([first.separation, other.separation])
    assert apart.embargo == 45
    frame = join_out_of_fold([first, other], apart, 10 * MINUTE).frame
    rows, own = spans(frame), events(frame)
    assert (rows.t0 < own.t0).any()
    assert (rows.t1 > own.t1).any()
    split = PurgedKFold(3, t0=rows.t0, t1=rows.t1, **apart.options())
    for train, test in split.split(rows.X):
        for t0, t1 in ((rows.t0, rows.t1), (own.t0, own.t1)):
            assert (t1[train][:, None] < t0[test]).__or__(t0[train][:, None] > t1[test]).all()
        later = rows.t0[train][rows.t0[train] > rows.t1[test].max()]
        assert len(later) == 0 or later.min() > rows.t1[test].max() + 45 * MINUTE


def test_labels_of_other_runs_are_not_looked_at() -> None:
    """Every label and weight of the other table changed: the joined table is the same to the bit."""
    first, other = stored("a", 1, 5, 3, 1, 200, 5), stored("b", 1, 5, 3, 2, 200, 5)
    apart = widest([first.separation, other.separation])
    joined = join_out_of_fold([first, other], apart, 0).frame
    frame = other.frame.with_columns(-pl.col("y_true"), pl.col("sample_weight") * 3)
    poisoned = OofTable(frame, other.n_splits, other.separation)
    assert join_out_of_fold([first, poisoned], apart, 0).frame.equals(joined)
    assert SPAN[0] in joined.columns


def test_blending_takes_rows_that_are_last_in_every_run() -> None:
    first, other = stored("a", 1, 3, 3, 1, 300, 3), stored("b", 1, 3, 5, 2, 300, 3)
    joined = join_out_of_fold([first, other], widest([first.separation, other.separation]), 0).frame
    last = joined.filter(pl.col("fold") == 2)["datetime"]
    theirs = other.frame.filter(pl.col("fold") == 4)["datetime"]
    assert len(last) > 0
    assert last.is_in(theirs.to_list()).all()
    assert last.min() == theirs.filter(theirs.is_in(first.frame["datetime"].to_list()))[0]


def test_folds_that_are_not_those_of_the_settings_are_refused() -> None:
    first, other = stored("a", 1, 3, 3, 1, 200, 3), stored("b", 1, 3, 3, 2, 200, 3)
    for wrong in (
        OofTable(other.frame, 4, other.separation),
        OofTable(other.frame.reverse(), 3, other.separation),
    ):
        with pytest.raises(DataError, match=r"folds|back in time"):
            join_out_of_fold([first, wrong], first.separation, 0)


@settings(deadline=None)
@given(seed=st.integers(0, 999), embargo=st.integers(0, 5), purge=st.integers(0, 5))
def test_widened_labels_are_those_of_the_spans(seed: int, embargo: int, purge: int) -> None:
    table = stored("a", 2, 4, 2, seed, 40, 0)
    rows, bars = events(table.frame), table.separation.bars[: 15 + seed % 12]
    begin, end = widened(rows, Separation(embargo, purge, bars))
    assert begin.tolist() == [span_before(int(t), purge, bars, "purge") for t in rows.t0]
    assert end.tolist() == [span_after(int(t), max(embargo, purge), bars, "embargo") for t in rows.t1]


def test_rows_that_reach_the_held_rows_are_left_out() -> None:
    table = stored("a", 1, 5, 2, 1, 100, 0)
    rows = events(table.frame)
    held = rows.take(np.flatnonzero(rows.t0 > 60 * MINUTE))
    kept = events(before(table.frame, held, Separation(0, 2, table.separation.bars)))
    until = held.t0[0] - 2 * MINUTE
    assert kept.t0.tolist() == rows.t0[rows.t1 < until].tolist()


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 999), days=st.integers(2, 30))
def test_a_gap_is_the_difference_of_means_and_its_interval_that_of_drawn_days(seed: int, days: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(1, 0.3, 6 * days), rng.normal(1.1, 0.3, 4 * days)
    v, w = rng.uniform(0.5, 2, len(a)), rng.uniform(0.5, 2, len(b))
    day, later = np.arange(len(a)) // 6, 100 + np.arange(len(b)) // 4
    found = gap(a, b, day, later, v, w, seed=seed)
    assert found["estimate"] == pytest.approx(np.average(a, weights=v) - np.average(b, weights=w))
    if days < 10:
        assert found["low"] is found["high"] is None
        return
    twin = np.random.default_rng(seed + 7)
    drawn = []
    for _ in range(1500):
        sides = []
        for x, u, d in ((a, v, day), (b, w, later)):
            every = np.unique(d)
            rows = np.concatenate([np.flatnonzero(d == one) for one in twin.choice(every, len(every))])
            sides.append(np.average(x[rows], weights=u[rows]))
        drawn.append(sides[0] - sides[1])
    low, high = np.quantile(drawn, [0.025, 0.975])
    width = high - low
    assert abs(found["low"] - low) < 0.2 * width
    assert abs(found["high"] - high) < 0.2 * width
