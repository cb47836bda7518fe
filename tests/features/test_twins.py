"""Every feature against its slow twin, and against TA-Lib where that has it."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.features.conftest import make_bars
from tests.oracles.features import all_features

from foldsmith.features import FEATURES, compute


def close_to(ours: Any, theirs: Any, name: str) -> None:
    scale = np.nanmax(np.abs(theirs), initial=1e-9)
    np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=2e-6 * scale, err_msg=name)


@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(1, 120), min_size=1, max_size=4),
    st.integers(20, 150),
    st.sampled_from([0, 30]),
)
def test_equal_to_the_slow_twin(seed: int, blocks: list[int], per_session: int, slot: int) -> None:
    bars = make_bars(seed, tuple(blocks), per_session)
    made, slow = compute(bars, slot * 60 or 1), all_features(bars, slot)
    assert set(slow) == set(FEATURES)
    for name in FEATURES:
        close_to(made[name].to_numpy(), np.array(slow[name]), name)


TALIB = {
    "rsi_6": lambda h, low, c, v: talib.RSI(c, 6),
    "rsi_14": lambda h, low, c, v: talib.RSI(c, 14),
    "stochastic_k_14": lambda h, low, c, v: talib.STOCHF(h, low, c, 14, 1)[0],
    "stochastic_d_14": lambda h, low, c, v: talib.STOCHF(h, low, c, 14, 3)[1],
    "williams_r_42": lambda h, low, c, v: talib.WILLR(h, low, c, 42),
    "cci_20": lambda h, low, c, v: talib.CCI(h, low, c, 20),
    "ultimate_oscillator": lambda h, low, c, v: talib.ULTOSC(h, low, c),
    "natr_14": lambda h, low, c, v: talib.NATR(h, low, c, 14) / 100,
    "ema_distance_48": lambda h, low, c, v: (c - talib.EMA(c, 48)) / talib.ATR(h, low, c, 14),
    "ema_cross_12_48": lambda h, low, c, v: (talib.EMA(c, 12) - talib.EMA(c, 48)) / talib.ATR(h, low, c, 14),
    "adx_14": lambda h, low, c, v: talib.ADX(h, low, c, 14),
    "di_difference_14": lambda h, low, c, v: talib.PLUS_DI(h, low, c, 14) - talib.MINUS_DI(h, low, c, 14),
    "aroon_25": lambda h, low, c, v: talib.AROONOSC(h, low, 25),
    "mfi_14": lambda h, low, c, v: talib.MFI(h, low, c, v, 14),
    "sma_distance_48": lambda h, low, c, v: (c - talib.SMA(c, 48)) / talib.ATR(h, low, c, 14),
    "wma_distance_24": lambda h, low, c, v: (c - talib.WMA(c, 24)) / talib.ATR(h, low, c, 14),
    "trima_distance_24": lambda h, low, c, v: (c - talib.TRIMA(c, 24)) / talib.ATR(h, low, c, 14),
    "dema_distance_24": lambda h, low, c, v: (c - talib.DEMA(c, 24)) / talib.ATR(h, low, c, 14),
    "tema_distance_12": lambda h, low, c, v: (c - talib.TEMA(c, 12)) / talib.ATR(h, low, c, 14),
    "kama_distance_24": lambda h, low, c, v: (c - talib.KAMA(c, 24)) / talib.ATR(h, low, c, 14),
    "trix_15": lambda h, low, c, v: talib.TRIX(c, 15),
    "stochastic_rsi_14": lambda h, low, c, v: talib.STOCHRSI(c, 14, 14, 1)[0],
    "bull_power_13": lambda h, low, c, v: (h - talib.EMA(c, 13)) / talib.ATR(h, low, c, 14),
}


@pytest.mark.parametrize("name", TALIB)
def test_equal_to_talib(name: str) -> None:
    bars = make_bars(3, (400,))
    columns = [bars[k].to_numpy() for k in ("high", "low", "close", "volume")]
    ours, theirs = compute(bars)[name].to_numpy(), TALIB[name](*columns)
    assert np.isnan(theirs).sum() == FEATURES[name].warmup - 1
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_bands_equal_talib() -> None:
    bars = make_bars(4, (300,))
    close = bars["close"].to_numpy()
    upper, middle, lower = talib.BBANDS(close, 20, 2, 2)
    made = compute(bars)
    np.testing.assert_allclose(made["bollinger_width_20"], (upper - lower) / middle, rtol=1e-5)
    position = (close - middle) / (upper - middle)
    np.testing.assert_allclose(made["bollinger_position_20"], position, rtol=1e-4, atol=1e-5)


def test_slope_equals_talib() -> None:
    bars = make_bars(5, (300,))
    log_close = np.log(bars["close"].to_numpy())
    squares = pl.Series(np.diff(log_close, prepend=np.nan) ** 2)
    theirs = talib.LINEARREG_SLOPE(log_close, 24) / np.sqrt(squares.rolling_mean(23).to_numpy())
    np.testing.assert_allclose(compute(bars)["slope_24"][24:], theirs[24:], rtol=1e-4, atol=1e-6)
