"""The one overlap rule against loops over every pair, and vectors from the literature."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.oracles import splits as oracle
from tests.splits.labelled import anchors, closings

from foldsmith import intervals
from foldsmith.errors import DataError, SettingError

spans = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)), min_size=1, max_size=25).map(
    lambda pairs: sorted((start, start + length) for start, length in pairs)
)
MOMENT = datetime(2024, 3, 10, 7, 30, tzinfo=UTC)
MICROSECONDS = 1_710_055_800_000_000


def columns(pairs: list[tuple[int, int]]) -> tuple[Any, Any]:
    both = np.asarray(pairs, dtype=np.int64)
    return both[:, 0], both[:, 1]


@settings(deadline=None)
@given(spans, st.integers(0, 55), st.integers(0, 12))
def test_overlaps_by_hand(pairs: list[tuple[int, int]], start: int, length: int) -> None:
    t0, t1 = columns(pairs)
    found = intervals.overlaps(t0, t1, start, start + length)
    assert found.tolist() == [oracle.meet(pair, (start, start + length)) for pair in pairs]


@settings(deadline=None)
@given(spans, st.lists(st.integers(0, 60), max_size=60))
def test_concurrency_counts_overlaps(pairs: list[tuple[int, int]], at: list[int]) -> None:
    t0, t1 = columns(pairs)
    instants = np.asarray(at, dtype=np.int64)
    alive = [int(intervals.overlaps(t0, t1, s, s).sum()) for s in at]
    assert intervals.concurrency(t0, t1, instants).tolist() == alive


def test_intervals_are_closed() -> None:
    t0, t1 = np.array([0]), np.array([5])
    assert intervals.overlaps(t0, t1, 5, 9).all()
    assert not intervals.overlaps(t0, t1, 6, 9).any()


@pytest.mark.parametrize(
    ("start", "end", "kept"),
    [(1, 2, [3, 4, 5, 6, 7, 8, 9]), (8, 11, [0, 1, 2, 3, 4, 5]), (6, 8, [0, 1, 2, 3, 9])],
)
def test_ten_minutes(start: int, end: int, kept: list[int]) -> None:
    """Labels of two minutes beside a test span given in time, recomputed by hand."""
    t0 = np.arange(10)
    assert np.flatnonzero(~intervals.overlaps(t0, t0 + 2, start, end)).tolist() == kept


@settings(deadline=None)
@given(spans, spans, closings)
def test_overlap_counts_are_sums_over_pairs(
    pairs: list[tuple[int, int]], others: list[tuple[int, int]], closed: Any
) -> None:
    t0, t1 = columns(pairs)
    # In no order: only who looks a sorted label up needs one.
    start, end = columns(others[::-1])
    found = intervals.overlap_counts(t0, t1, start, end, closed)
    assert found.tolist() == [sum(oracle.meet(a, b, closed) for b in others) for a in pairs]
    for i, pair in enumerate(others[::-1]):
        one = intervals.overlaps(t0, t1, start[i], end[i], closed)
        assert one.tolist() == [oracle.meet(a, pair, closed) for a in pairs]


def test_half_open_labels_may_touch_and_never_vanish() -> None:
    t0, t1 = np.array([0, 5]), np.array([5, 5])
    assert intervals.overlaps(t0, t1, 5, 9, "left").tolist() == [False, True]
    assert intervals.overlaps(t0, t1, 5, 5, "left").tolist() == [False, True]
    with pytest.raises(SettingError, match="closed='right'"):
        intervals.overlaps(t0, t1, 5, 9, "right")  # type: ignore[arg-type]


@settings(deadline=None)
@given(
    spans,
    st.data(),
    st.integers(0, 6),
    st.integers(0, 6),
    st.one_of(st.none(), st.sets(st.integers(0, 60), max_size=40).map(sorted)),
    closings,
    anchors,
)
def test_purge_by_hand(
    pairs: list[tuple[int, int]],
    data: st.DataObject,
    embargo: int,
    margin: int,
    bars: list[int] | None,
    closed: Any,
    anchor: Any,
) -> None:
    t0, t1 = columns(pairs)
    test = sorted(data.draw(st.sets(st.integers(0, len(pairs) - 1), min_size=1)))
    blocks = intervals.contiguous_blocks(np.asarray(test, dtype=np.int64))
    assert [row for block in blocks for row in block] == test
    left = intervals.purge(
        intervals.Labels.of(t0, t1, closed),
        blocks,
        embargo=embargo,
        margin=margin,
        bars=None if bars is None else np.asarray(bars, dtype=np.int64),
        embargo_from=anchor,
    )
    kept = intervals.rows_of(left).tolist()
    settings = (embargo, margin, bars, closed, anchor)
    assert kept == oracle.training_rows(t0, t1, [b.tolist() for b in blocks], *settings)
    assert oracle.overlapping(t0, t1, kept, test, closed) == 0


def test_a_purge_against_nothing_keeps_all() -> None:
    labels = intervals.Labels.of(np.arange(5), np.arange(5))
    for blocks in ([], [np.empty(0, dtype=np.int64)], [slice(2, 2)]):
        assert intervals.purge(labels, blocks, embargo=2).tolist() == [[0, 5]]
    with pytest.raises(SettingError, match="embargo_from"):
        intervals.purge(labels, [slice(1, 2)], embargo=2, embargo_from="t0")


def test_spans_in_time_equal_spans_in_bars() -> None:
    bars = np.arange(1, 30) * 60_000_000
    for length in (0, 1, 7):
        span = timedelta(minutes=length)
        at = int(bars[12])
        assert intervals.span_after(at, span, None, "x") == intervals.span_after(at, length, bars, "x")
        assert intervals.span_before(at, span, None, "x") == intervals.span_before(at, length, bars, "x")
    # Over a closed night, bars are counted and not hours.
    night = np.r_[bars[:13], bars[13:] + 8 * 3_600_000_000]
    assert intervals.span_after(int(bars[12]), 2, night, "x") == night[14]
    assert intervals.span_before(int(night[13]), 2, night, "x") == night[11]


def test_a_span_longer_than_time_is_endless() -> None:
    for length in (timedelta.max, 10**30):
        assert intervals.span_after(0, length, None, "x") == np.iinfo(np.int64).max
        assert intervals.span_before(0, length, None, "x") == np.iinfo(np.int64).min


def test_a_span_past_the_bars_is_endless() -> None:
    bars = np.arange(5)
    assert intervals.span_after(3, 1, bars, "x") == 4
    assert intervals.span_after(3, 2, bars, "x") == np.iinfo(np.int64).max
    assert intervals.span_before(1, 1, bars, "x") == 0
    assert intervals.span_before(1, 2, bars, "x") == np.iinfo(np.int64).min


@pytest.mark.parametrize(
    "values",
    [
        [MOMENT],
        [MOMENT.astimezone(timezone(timedelta(hours=-5)))],
        [MOMENT.replace(tzinfo=None)],
        np.array(["2024-03-10T07:30"], dtype="datetime64[ns]"),
        np.array(["2024-03-10T07:30"], dtype="datetime64[s]"),
        pd.Series(pd.to_datetime(["2024-03-10 07:30"])),
        pd.Series(pd.to_datetime(["2024-03-10 03:30"]).tz_localize("America/New_York")),
        pd.DatetimeIndex(["2024-03-10 07:30"], tz="UTC"),
        pl.Series([MOMENT]),
        pl.Series([MOMENT]).dt.convert_time_zone("Asia/Tokyo"),
        np.array([MICROSECONDS], dtype=np.uint64),
        [MICROSECONDS],
    ],
)
def test_instants_of_any_kind(values: Any) -> None:
    found = intervals.as_instants(values)
    assert found.dtype == np.int64
    assert found.tolist() == [MICROSECONDS]


@pytest.mark.parametrize(
    "values",
    [
        [1.5],
        ["2024-03-10"],
        np.zeros((2, 2), dtype=np.int64),
        np.array(["NaT"], dtype="datetime64[us]"),
        pl.Series([MOMENT, None]),
        pl.Series([1, None]),
        [True],
    ],
)
def test_refused_instants(values: Any) -> None:
    with pytest.raises(DataError, match="t0"):
        intervals.as_instants(values, "t0")


@pytest.mark.parametrize("span", [timedelta(minutes=2), np.timedelta64(2, "m"), pd.Timedelta("2min")])
def test_spans(span: Any) -> None:
    assert intervals.as_span(span) == 120_000_000


@pytest.mark.parametrize("span", [3, 2.5, None, "1h"])
def test_refused_spans(span: Any) -> None:
    with pytest.raises(SettingError, match="embargo"):
        intervals.as_span(span, "embargo")
