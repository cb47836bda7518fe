"""What holds of every feature: nothing from the future, nothing over the edge of a block, always a number."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.features.conftest import make_bars

from foldsmith.features import FEATURES, compute

ACROSS = ("seasonal", "time")
WITHIN = [name for name, feature in FEATURES.items() if feature.family not in ACROSS]
# Their warm-up counts bars; that of `timeframe` counts longer ones.
COUNTED = [name for name in WITHIN if FEATURES[name].memory != "timeframe"]
WINDOWED = [name for name in WITHIN if FEATURES[name].memory == "window"]
# Where what has no value is a part of the equation.
NOT_ITS_OWN = {"ultimate_oscillator": 50, "fisher_10": 0}
# The oldest bar moves a rank by a 456th: too little to be sure of another third. A test of its own ties it to the rank.
THIRDS = "volatility_state_456"
PRICES = ("open", "high", "low", "close")
# Families whose degenerate values all begin with the number that motionless prices give.
STATED = (
    "price", "momentum", "volatility", "trend", "oscillator", "variation", "timeframe", "microstructure", "memory",
    "wavelet", "regime",
)  # fmt: skip


def values(frame: pl.DataFrame, names: list[str]) -> np.ndarray:
    """Bits of the values, so that NaN equals NaN and nothing else passes for equal."""
    return frame.select(names).to_numpy().astype(np.float32, order="C").view(np.uint32)


def spoil(bars: pl.DataFrame, rows: np.ndarray, level: float = 1e6) -> pl.DataFrame:
    """Those rows with wild prices and volumes."""
    wild = pl.Series(rows)
    price = pl.Series(np.random.default_rng(1).uniform(level / 1e3, level, bars.height))
    return bars.with_columns(
        pl.when(wild).then(price * factor).otherwise(pl.col(name)).alias(name)
        for name, factor in (("open", 1.5), ("high", 3.0), ("low", 0.5), ("close", 2.0), ("volume", 7.0))
    )


def test_columns_are_those_of_the_catalogue(bars: pl.DataFrame) -> None:
    made = compute(bars)
    assert made.columns == ["datetime", *FEATURES]
    assert len(FEATURES) == 183
    assert set(made.dtypes[1:]) == {pl.Float32}
    assert made["datetime"].equals(bars["datetime"])
    assert made.null_count().sum_horizontal()[0] == 0


def test_no_bars_give_no_rows(bars: pl.DataFrame) -> None:
    assert compute(bars.head(0)).columns == ["datetime", *FEATURES]
    assert compute(bars.head(0)).height == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 258))
def test_nothing_comes_from_the_future(seed: int, cut: int) -> None:
    bars = make_bars(seed)
    names = list(FEATURES)
    before = values(compute(bars), names)[: cut + 1]
    spoiled = spoil(bars, np.arange(bars.height) > cut)
    np.testing.assert_array_equal(values(compute(spoiled), names)[: cut + 1], before)
    np.testing.assert_array_equal(values(compute(bars.head(cut + 1)), names), before)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000), st.integers(60, 560))
def test_a_window_reaches_no_further_back_than_it_says(seed: int, row: int) -> None:
    bars = make_bars(seed, (561,))
    before = compute(bars)
    for warmup in sorted({FEATURES[name].warmup for name in WINDOWED}):
        names = [name for name in WINDOWED if FEATURES[name].warmup == warmup]
        after = compute(spoil(bars, np.arange(bars.height) <= row - warmup))
        np.testing.assert_array_equal(
            values(after, names)[row:], values(before, names)[row:], err_msg=f"{names}"
        )


@pytest.mark.parametrize("name", [name for name in WINDOWED if name != THIRDS])
def test_a_window_reaches_as_far_back_as_it_says(name: str) -> None:
    bars = make_bars(2, (541,))
    before = values(compute(bars), [name])

    def felt(row: int, level: float) -> bool:
        only_oldest = np.arange(bars.height) == row - FEATURES[name].warmup + 1
        return bool(values(compute(spoil(bars, only_oldest, level)), [name])[row] != before[row])

    # Maxima feel a price that is too high, minima one that is too low; a rank only what comes to its other side, and
    # no flow the price of a bar without volume.
    assert any(felt(row, level) for row in range(520, 541, 4) for level in (1e6, 1e3, 1))


def test_thirds_are_those_of_the_rank() -> None:
    made = compute(make_bars(3, (1500,)))[479:]
    rank, state = (made[name].to_numpy() for name in ("volatility_rank_456", THIRDS))
    np.testing.assert_array_equal(state, 0.0 + (rank > np.float32(1 / 3)) + (rank > np.float32(2 / 3)))
    assert set(state) == {0, 1, 2}


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.lists(st.integers(1, 100), min_size=2, max_size=4))
def test_a_block_knows_nothing_of_the_others(seed: int, blocks: list[int]) -> None:
    bars = make_bars(seed, tuple(blocks))
    made = compute(bars)
    for block in bars["block"].unique():
        alone = compute(bars.filter(pl.col("block") == block))
        together = made.filter(bars["block"] == block)
        np.testing.assert_array_equal(values(alone, WITHIN), values(together, WITHIN))


def test_warm_up_is_as_long_as_stated(bars: pl.DataFrame) -> None:
    made = compute(bars)
    for block in bars["block"].unique():
        part = made.filter(bars["block"] == block)
        for name in COUNTED:
            missing = part[name].is_nan().to_numpy()
            warm = np.arange(len(missing)) >= FEATURES[name].warmup - 1
            np.testing.assert_array_equal(missing, ~warm, err_msg=name)
    # Each row of a block that comes before is lost to every model.
    assert max(FEATURES[name].warmup for name in COUNTED) <= 480


def test_time_of_day_warms_up_with_its_first_session(bars: pl.DataFrame) -> None:
    made = compute(bars)
    assert made["volume_seasonal"].is_nan().to_list() == [row < 70 for row in range(bars.height)]
    for width in (6, 12, 24):
        known = made[f"volume_seasonal_{width}"].is_finite()
        assert known.to_list() == [row >= 70 + width // 2 - 1 for row in range(bars.height)]


@pytest.mark.parametrize("volume", [0.0, 5.0])
def test_motionless_prices_give_the_stated_values(volume: float) -> None:
    bars = make_bars(0, (500,)).with_columns(
        *(pl.lit(4321.07).alias(name) for name in PRICES), pl.lit(volume).alias("volume")
    )
    row = compute(bars).tail(1)
    assert row.select(pl.all().exclude("datetime").is_finite().all()).row(0) == (True,) * len(FEATURES)
    for name, feature in FEATURES.items():
        stated = (*STATED, "flow") if volume == 0 else STATED
        if feature.family in stated and feature.degenerate:
            number = NOT_ITS_OWN[name] if name in NOT_ITS_OWN else float(feature.degenerate.split()[0])
            assert row[name][0] == np.float32(number), name
    moved = [name for name in WITHIN if FEATURES[name].degenerate == "" and abs(row[name][0]) > 1e-6]
    assert moved == []


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([1e-3, 1.0, 1e5]), st.integers(60, 150))
def test_always_a_number_after_the_warm_up(seed: int, level: float, quiet: int) -> None:
    bars = make_bars(seed, (2500,), 280)
    still = bars["close"][quiet]
    calm = pl.int_range(pl.len()) > quiet
    bars = bars.with_columns(
        (pl.when(calm).then(still).otherwise(pl.col(name)) * level).alias(name) for name in PRICES
    )
    made = compute(bars)
    for name in WITHIN:
        known = made[name].is_finite().arg_true() if name not in COUNTED else [FEATURES[name].warmup - 1]
        assert made[name][known[0] :].is_finite().all(), name


def test_scale_of_prices_does_not_matter() -> None:
    bars = make_bars(8, (600,))
    doubled = bars.with_columns(pl.col(name) * 2 for name in PRICES)
    one, two = compute(bars), compute(doubled)
    for name in FEATURES:
        np.testing.assert_allclose(one[name], two[name], rtol=1e-4, atol=1e-6, err_msg=name)


def test_import_compiles_nothing() -> None:
    code = "import sys, foldsmith.features; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
