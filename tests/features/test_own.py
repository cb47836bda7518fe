"""A user's own feature is checked: what it gives is numbers, and none of them knows the future."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.features.conftest import make_bars

from foldsmith.errors import DataError
from foldsmith.features.own import Loaded, OwnFeature

BARS = make_bars(2, (130, 40, 90))
CLOSE = pl.col("close")
Function = Callable[[pl.DataFrame], Any]


def loaded(function: Function, warmup: int = 5) -> Loaded:
    return Loaded(OwnFeature("mine", "my.py", "f", warmup, "x"), function)


def of(expression: pl.Expr) -> Function:
    return lambda bars: bars.select(expression.cast(pl.Float64)).to_series()


GOOD = CLOSE / CLOSE.rolling_mean(5) - 1
CAUSAL = {
    "window": of(GOOD),
    "session so far": of(CLOSE.cum_max().over("session")),
    "from the first": of(CLOSE / CLOSE.first()),
    "recursive": of(CLOSE.ewm_mean(span=9)),
}


@pytest.mark.parametrize("name", CAUSAL)
def test_a_causal_feature_is_made_block_by_block(name: str) -> None:
    feature = loaded(CAUSAL[name])
    feature.probe(BARS)
    made = feature.compute(BARS)
    assert (made.name, made.dtype, len(made)) == ("mine", pl.Float32, BARS.height)
    for block in range(3):
        part = BARS.filter(pl.col("block") == block)
        values = made.filter(BARS["block"] == block)
        assert values.is_nan().to_list() == [row < 4 for row in range(part.height)]
        np.testing.assert_array_equal(values[4:], CAUSAL[name](part)[4:].cast(pl.Float32))


LEAKS = {
    "next bar": CLOSE.shift(-1).fill_null(0.0),
    "centred window": CLOSE.rolling_mean(5, center=True).fill_null(0.0),
    "mean of the block": CLOSE - CLOSE.mean(),
    "rank in the block": CLOSE.rank(),
    "high of the session": CLOSE / CLOSE.max().over("session"),
    "number of bars": pl.len() - pl.int_range(pl.len()),
    "filled backwards": pl.when(pl.int_range(pl.len()) % 7 == 0).then(CLOSE).backward_fill().fill_null(1.0),
    "a hundredth of the next volume": CLOSE + 0.01 * pl.col("volume").shift(-1).fill_null(0.0),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_feature_that_knows_the_future_is_refused_by_name(name: str) -> None:
    with pytest.raises(DataError, match=r"feature mine \(my.py, function f\) knows the future") as told:
        loaded(of(LEAKS[name])).probe(BARS)
    assert "2024-03-0" in str(told.value)


def test_the_first_bar_that_changed_is_named() -> None:
    """Cut after row 5, the warm-up: the bar five before the cut sees it, and that before does not."""
    with pytest.raises(DataError, match=r"bar of (.*) UTC changes when bars after (.*) do\.") as told:
        loaded(of(CLOSE.shift(-5).fill_null(0.0))).probe(BARS)
    times = BARS["datetime"].dt.strftime("%Y-%m-%d %H:%M")
    assert f"bar of {times[1]} UTC changes when bars after {times[5]} do" in str(told.value)


def test_one_that_is_not_the_same_twice_is_refused() -> None:
    numbers = count()
    with pytest.raises(DataError, match="other values each time"):
        loaded(lambda bars: pl.Series([float(next(numbers))] * bars.height)).probe(BARS)


BAD: dict[str, tuple[Function, str]] = {
    "too short": (lambda bars: bars["close"].head(3), "3 values for 130 bars"),
    "no series": (lambda bars: bars["close"].to_list(), "gives list"),
    "whole numbers": (lambda bars: bars["close"].cast(pl.Int64), "series of Int64"),
    "missing": (of(pl.when(pl.int_range(pl.len()) == 60).then(None).otherwise(CLOSE)), "is nan at bar 60"),
    "endless": (of(CLOSE / (pl.int_range(pl.len()) - 4)), "is inf at bar 4"),
    "too large": (of(CLOSE * 1e36), "32 bits"),
    "longer warm-up": (of(CLOSE.rolling_mean(6)), "is nan at bar 4"),
    "an error": (lambda bars: bars["nope"], "failed at line"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_result_that_is_none_is_refused_by_name(name: str) -> None:
    function, sentence = BAD[name]
    with pytest.raises(DataError, match=sentence) as told:
        loaded(function).compute(BARS)
    assert "feature mine" in str(told.value)


def test_a_function_cannot_change_the_bars_of_others() -> None:
    def spoil(bars: pl.DataFrame) -> pl.Series:
        bars.insert_column(0, pl.Series("more", [1.0] * bars.height))
        return bars["close"]

    before = BARS.clone()
    loaded(spoil).compute(BARS)
    assert BARS.equals(before)
