"""Features that need more bars than the blocks of the other tests hold, against their slow twins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.features.conftest import REAL, make_bars
from tests.features.test_markets import five_minutes
from tests.features.test_twins import close_to
from tests.oracles.features_memory import memory, regime, wavelet
from tests.oracles.features_microstructure import microstructure

from foldsmith.features import FEATURES, compute
from foldsmith.market.readers import read_bars

TWINS: tuple[Callable[..., Any], ...] = (microstructure, memory, wavelet, regime)


def check(bars: pl.DataFrame, rows: range) -> None:
    """Those rows of one block against the twins of the four families."""
    columns = {name: bars[name].to_numpy() for name in ("open", "high", "low", "close", "volume")}
    made = compute(bars)
    for twin in TWINS:
        for name, (first, value) in twin(columns).items():
            assert first == FEATURES[name].warmup - 1, name
            known = [i for i in rows if i >= first]
            close_to(made[name].to_numpy()[known], np.array([value(i) for i in known]), name)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 400), st.integers(0, 90))
def test_equal_to_the_slow_twin_with_quiet_bars(seed: int, quiet: int, bars_still: int) -> None:
    bars = make_bars(seed, (560,))
    # The prices that follow begin where the still ones end.
    still = pl.int_range(pl.len()).is_between(quiet, quiet + bars_still)
    price = bars["close"][quiet + bars_still]
    bars = bars.with_columns(
        pl.when(still).then(price).otherwise(pl.col(k)).alias(k) for k in ("open", "high", "low", "close")
    )
    check(bars, range(440, 560, 7))


@pytest.mark.real
@pytest.mark.parametrize("symbol", ["MES", "CL"])
def test_real_bars_equal_the_slow_twin(symbol: str) -> None:
    path = REAL / f"{symbol}_1m.parquet"
    if not path.is_file():
        pytest.skip(f"real bars are not beside the checkout ({path.name})")
    bars = five_minutes(read_bars(path).frame.tail(20_000), symbol)
    longest = bars.filter(pl.col("block") == bars["block"].value_counts().sort("count")["block"][-1])
    assert longest.height > 700
    check(longest.head(800), range(600, 800, 5))


def test_trend_is_that_of_talib() -> None:
    bars = make_bars(5, (300,))
    x = np.log(bars["close"].to_numpy())
    slope, correlation = talib.LINEARREG_SLOPE(x, 48), talib.CORREL(x, np.arange(300.0), 48)
    t = correlation * np.sqrt(46 / (1 - correlation**2))
    made = compute(bars)
    np.testing.assert_allclose(made["trend_t_48"][47:], np.clip(t, -100, 100)[47:], rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(np.sign(made["trend_t_48"][47:]), np.sign(slope[47:]))


def walk(seed: int, n: int, persistence: float) -> pl.DataFrame:
    """Bars whose log closes have returns that follow r = persistence r[-1] + noise."""
    noise, r = np.random.default_rng(seed).normal(0, 1e-3, n), np.zeros(n)
    for i in range(1, n):
        r[i] = persistence * r[i - 1] + noise[i]
    close = pl.Series(5000 * np.exp(np.cumsum(r)))
    opened = close.shift(1).fill_null(close[0])
    return make_bars(seed, (n,)).with_columns(
        open=opened,
        close=close,
        high=pl.Series(np.maximum(close, opened)),
        low=pl.Series(np.minimum(close, opened)),
    )


@pytest.mark.parametrize(("persistence", "hurst"), [(-0.5, "less"), (0.0, "none"), (0.5, "more")])
def test_memory_of_a_known_process(persistence: float, hurst: str) -> None:
    made = compute(walk(1, 6000, persistence))[479:]
    mean = {name: float(made[name].mean()) for name in FEATURES}  # type: ignore[arg-type]
    assert abs(mean["autocorrelation_1_96"] - persistence) < 0.04
    assert abs(mean["autocorrelation_2_96"] - persistence**2) < 0.04
    # Of an autoregression of order one: 1 + rho.
    assert abs(mean["variance_ratio_2_96"] - (1 + persistence)) < 0.04
    low, high = {"less": (0.1, 0.4), "none": (0.44, 0.52), "more": (0.55, 0.8)}[hurst]
    assert low < mean["hurst_128"] < high
    if hurst == "none":
        # Two orders of a walk have a chance of 1/4, four of 1/8; 62 words of K kinds find (K - 1) / 124 less.
        orders = (np.log(4) / 2 + np.log(8) / 2 - 5 / 124) / np.log(6)
        assert abs(mean["permutation_entropy_64"] - orders) < 0.005
        assert abs(mean["sign_entropy_64"] - (1 - 7 / 124 / np.log(8))) < 0.005


def bounced(seed: int, n: int, half_spread: float) -> pl.DataFrame:
    """A bar's log prices from 60 trades at random sides of a spread around a walk without drift."""
    rng = np.random.default_rng(seed)
    value = np.cumsum(rng.normal(0, 2e-5, n * 60)).reshape(n, 60)
    traded = np.exp(value + half_spread * rng.choice([-1, 1], (n, 60))) * 5000
    return make_bars(seed, (n,)).with_columns(
        open=pl.Series(traded[:, 0]),
        high=pl.Series(traded.max(axis=1)),
        low=pl.Series(traded.min(axis=1)),
        close=pl.Series(traded[:, -1]),
    )


def test_spreads_find_a_planted_one() -> None:
    made = compute(bounced(0, 4000, 5e-4))[479:]
    for name in ("roll_spread_48", "corwin_schultz_24", "abdi_ranaldo_24"):
        assert abs(float(made[name].mean()) / 1e-3 - 1) < 0.15, name  # type: ignore[arg-type]
    none = compute(bounced(0, 4000, 0))[479:]
    for name in ("roll_spread_48", "corwin_schultz_24", "abdi_ranaldo_24"):
        assert float(none[name].mean()) < 2.5e-4, name  # type: ignore[arg-type]
