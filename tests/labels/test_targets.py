"""Targets of a regression: by hand, between kinds of labels, and known at t1 and not before."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.labels.conftest import Market, market, markets
from tests.labels.test_barrier_tuning import walk
from tests.labels.test_triple_barrier import STILL, Row, labelled

from foldsmith.contracts import LABELS
from foldsmith.errors import DataError
from foldsmith.labels.targets import TARGETS, with_targets
from foldsmith.labels.trend_scanning import trend_labels, trend_values
from foldsmith.labels.window_end import fixed_horizon

UNIT = 100 * 0.01 * np.sqrt(3)
"""Of the labels of `labelled`: the entry is 100, sigma 0.01, the window 3 bars."""


def test_by_hand() -> None:
    """A barrier at its price, a gap at its open, a time-out at its close, an ambiguous label halfway."""
    cases: list[tuple[Row, int, float]] = [
        ((100.0, 101.75, 100.0, 100.0), 1, 101.75),
        ((95.0, 95.0, 94.0, 94.0), -1, 95.0),
        ((100.0, 101.0, 99.0, 100.5), 0, 100.0),
        ((100.0, 102.0, 98.0, 100.0), 0, (98.25 + 101.75) / 2),
    ]
    for bar, y, leaves in cases:
        row, _ = labelled([STILL, STILL, bar, STILL])
        assert (row["y"], row["target"]) == (y, pytest.approx((leaves - 100) / UNIT))
        assert row["log_return"] == pytest.approx(np.log(leaves / 100))
    row, _ = labelled([STILL, STILL, STILL, (100.0, 101.5, 100.0, 101.5)])
    assert (row["y"], row["target"]) == (0, pytest.approx(1.5 / UNIT))


def test_ambiguous_between_uneven_barriers_is_halfway() -> None:
    made = market([STILL, STILL, (100.0, 110.0, 90.0, 100.0), STILL])
    row = made.labels(np.full(4, 0.01), 3, up=2.0, down=1.0)[0].row(0, named=True)
    assert row["ambiguous"]
    assert row["log_return"] == pytest.approx(np.log((103.5 + 98.25) / 2 / 100))


@settings(max_examples=80, deadline=None)
@given(
    made=markets(least=10),
    max_bars=st.integers(3, 20),
    width=st.floats(0.1, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_sign_is_that_of_the_label_and_kinds_agree(
    made: Market, max_bars: int, width: float, seed: int
) -> None:
    sigma = np.random.default_rng(seed).exponential(0.002, made.bars.height) + 1e-6
    triple = made.labels(sigma, max_bars, width, width)[0]
    windows = made.windows(sigma, max_bars, width, width)
    fixed = windows.labels(max_bars, fixed_horizon(windows))[0]
    for frame in (triple, fixed):
        LABELS.check(frame)
        told = frame.filter(pl.col("y") != 0)
        assert (told["target"].sign() == told["y"]).all()
        # A barrier is never nearer than its width, and a label that reached it is as far.
        assert (told["target"].abs() >= width * (1 - 1e-6)).all()
        assert (frame["target"].sign() == frame["log_return"].sign()).all()
    # What no barrier ended is left at the same close by every kind.
    late = triple.filter((pl.col("y") == 0) & ~pl.col("ambiguous")).select("bar", *TARGETS)
    others = fixed, windows.labels(max_bars, trend_labels(trend_values(windows, 2), 1.0))[0]
    for other in others:
        assert late.equals(
            late.select("bar").join(other.select("bar", *TARGETS), on="bar", maintain_order="left")
        )


def kinds(made: Market, max_bars: int) -> dict[str, pl.DataFrame]:
    sigma = np.full(made.bars.height, 0.0005)
    windows = made.windows(sigma, max_bars)
    return {
        "triple": made.labels(sigma, max_bars)[0],
        "fixed": windows.labels(max_bars, fixed_horizon(windows))[0],
        "trend": windows.labels(max_bars, trend_labels(trend_values(windows, 2), 2.0))[0],
    }


@pytest.mark.parametrize("kind", ["triple", "fixed", "trend"])
@settings(max_examples=40, deadline=None)
@given(max_bars=st.integers(3, 30), seed=st.integers(0, 2**32 - 1))
def test_bars_after_t1_never_change_a_target_and_that_of_t1_can(kind: str, max_bars: int, seed: int) -> None:
    made = walk(120, seed=seed % 1000)
    cut = int(np.random.default_rng(seed).integers(60, 110))

    def spoilt(factor: float) -> pl.DataFrame:
        change: dict[str, Any] = {
            name: pl.when(pl.int_range(pl.len()) >= cut).then(pl.col(name) * factor).otherwise(pl.col(name))
            for name in ("open", "high", "low", "close")
        }
        bars, base = made.bars.with_columns(**change), made.base.with_columns(**change)
        return kinds(Market(bars, base, made.first, made.stop, made.tick), max_bars)[kind]

    end = made.bars["close_time"][cut - 1]
    before, after = kinds(made, max_bars)[kind], spoilt(3.0)
    over = before.filter(pl.col("label_end") <= end)
    assert over.height >= cut - max_bars
    assert over.select("bar", *TARGETS).equals(
        after.filter(pl.col("bar").is_in(over["bar"].implode())).select("bar", *TARGETS)
    )
    # The labels still open at the cut see what comes, and its direction.
    open_ = before.filter((pl.col("label_end") > end) & (pl.col("bar") < cut - 1))["bar"].implode()
    for factor, side in ((3.0, 1), (0.4, -1)):
        moved = spoilt(factor).filter(pl.col("bar").is_in(open_))
        assert (moved["target"] * side > 0).all()
        assert moved.height > 0 or kind == "triple"


def test_a_sigma_of_other_labels_is_refused() -> None:
    made = walk(60)
    labels = made.labels(np.full(60, 0.001), 5)[0].drop(*TARGETS)
    with pytest.raises(DataError, match="without volatility"):
        with_targets(labels, np.zeros(60), 5)
