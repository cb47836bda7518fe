"""Bar by bar, features are what they are in one table."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.features.conftest import REAL, make_bars

from foldsmith.errors import DataError, SettingError
from foldsmith.features import FEATURES, compute
from foldsmith.features.live import FADED, LiveFeatures
from foldsmith.features.sets import resolve
from foldsmith.market.instruments import instrument
from foldsmith.market.readers import read_bars
from foldsmith.market.timeframe import parse_timeframe
from foldsmith.stages.market_bars import market_bars

CORE = resolve(["core"])


def live(bars: pl.DataFrame, names: tuple[str, ...], slot: int = 1) -> np.ndarray:
    made = LiveFeatures(names, slot)
    return np.array([made.update(bar) for bar in bars.iter_rows(named=True)])


def batch(bars: pl.DataFrame, names: tuple[str, ...], slot: int = 1) -> np.ndarray:
    return compute(bars, slot, names).select(names).to_numpy().astype(np.float32)


def same_bits(one: np.ndarray, other: np.ndarray) -> None:
    np.testing.assert_array_equal(one.astype(np.float32).view(np.uint32), other.view(np.uint32))


@settings(max_examples=3, deadline=None)
@given(
    st.integers(0, 1000),
    st.lists(st.integers(1, 90), min_size=1, max_size=4),
    st.integers(10, 80),
    st.sampled_from([1, 1800]),
)
def test_equal_to_the_last_bit_over_blocks_and_sessions(
    seed: int, blocks: list[int], per_session: int, slot: int
) -> None:
    bars = make_bars(seed, tuple(blocks), per_session)
    names = tuple(FEATURES)
    same_bits(live(bars, names, slot), batch(bars, names, slot))


def test_bars_out_of_reach_are_dropped_and_change_nothing() -> None:
    bars = make_bars(3, (150, 40, 90), 70)
    names = tuple(name for name in FEATURES if FEATURES[name].memory != "slot")
    made = LiveFeatures(names)
    found = np.array([made.update(bar) for bar in bars.iter_rows(named=True)])
    same_bits(found, batch(bars, names))
    # The last block began in the session before last: nothing older is kept.
    assert made._bars["datetime"][0] == bars.filter(pl.col("block") == 2)["datetime"][0]


@pytest.mark.parametrize("names", [("return_1",), ("time_sin", "rsi_14"), ("volume_seasonal_6",)])
def test_a_few_features_are_those_of_all(names: tuple[str, ...]) -> None:
    bars = make_bars(5, (60, 50), 40)
    made = LiveFeatures(names)
    found = np.array([made.update(bar) for bar in bars.iter_rows(named=True)])
    same_bits(found, compute(bars).select(made.names).to_numpy().astype(np.float32))


def test_begun_later_it_comes_to_the_same() -> None:
    bars = make_bars(7, (2200,), 276)
    late = 333
    names = tuple(name for name in CORE if FEATURES[name].memory in ("window", "recursive", "session"))
    whole, part = batch(bars, names), batch(bars.slice(late), names)
    settled = bars.slice(late)["session"].to_numpy() != bars["session"].to_numpy()[late]
    for column, name in enumerate(names):
        begin = {"window": FEATURES[name].warmup, "recursive": FADED}.get(FEATURES[name].memory, 0)
        rows = np.flatnonzero(settled & (np.arange(len(part)) >= begin))
        ours, theirs = part[rows, column], whole[late:][rows, column]
        assert len(rows) > 100
        scale = np.abs(theirs).max()
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6 * scale, err_msg=name)
    # Live begun late is the table begun late: told above for every feature.
    same_bits(live(bars.slice(late, 120), CORE), batch(bars.slice(late, 120), CORE))


def test_a_bar_that_cannot_be_the_next_is_refused_and_forgotten() -> None:
    bars = make_bars(1, (40,))
    made = LiveFeatures(("return_1", "rsi_14"))
    rows = list(bars.iter_rows(named=True))
    for row in rows[:20]:
        made.update(row)
    for wrong in (
        rows[19],
        rows[3],
        {**rows[20], "high": -1.0},
        {**rows[20], "volume": float("nan")},
        {**rows[20], "open": "x"},
        {key: value for key, value in rows[20].items() if key != "session"},
    ):
        with pytest.raises(DataError):
            made.update(wrong)
    same_bits(made.update(rows[20])[None], batch(bars, made.names)[20:21])
    for names in ((), ("nope",)):
        with pytest.raises(SettingError):
            LiveFeatures(names)


@pytest.mark.proof
@pytest.mark.real
@pytest.mark.skipif(not (REAL / "MES_1m.parquet").is_file(), reason="real bars are not beside the checkout")
def test_real_bars_over_a_roll_a_hole_and_changes_of_session() -> None:
    raw = read_bars(REAL / "MES_1m.parquet")
    market = market_bars(raw.frame, instrument("MES"), parse_timeframe("15m"))
    edge = int(np.flatnonzero(np.diff(market.bars["block"].to_numpy()))[0])
    bars = market.bars.slice(max(0, edge - 200), 500)
    assert bars["block"].n_unique() > 1
    assert bars["session"].n_unique() > 3
    names = tuple(FEATURES)
    same_bits(live(bars, names), batch(bars, names))
