"""Features of whole markets: a simulated one whose edge they must show, and real ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.features.conftest import REAL
from tests.oracles.features import all_features

from foldsmith.features import FEATURES, compute
from foldsmith.market.clean import clean
from foldsmith.market.instruments import instrument
from foldsmith.market.readers import read_bars
from foldsmith.market.resample import resample
from foldsmith.market.rolls import mark_blocks
from foldsmith.market.sessions import schedule
from foldsmith.market.simulate import Simulation, simulate


def five_minutes(raw: pl.DataFrame, symbol: str) -> pl.DataFrame:
    mine, span = instrument(symbol), raw["datetime"].to_physical()
    hours = schedule(mine.calendar, int(span.min()), int(span.max()))  # type: ignore[arg-type]
    base, _ = mark_blocks(clean(raw, mine, hours)[0], hours, mine.max_gap_minutes)
    return resample(base, 300_000_000, hours)


def test_volume_against_its_time_of_day_shows_the_planted_state() -> None:
    raw, state = simulate(Simulation("MES", 60, 3, 0.05, date(2024, 1, 2)), instrument("MES"))
    stamped = raw.select(
        pl.col("timestamp").dt.replace_time_zone("UTC").alias("datetime"),
        "open",
        "high",
        "low",
        "close",
        pl.col("volume").cast(pl.Float64),
        "contract",
    )
    bars = five_minutes(stamped, "MES")
    hidden = stamped.select("datetime", pl.Series("state", state))
    # The state of the minute that closes the bar.
    bars = bars.with_columns(last=pl.col("close_time").dt.offset_by("-1m")).join(
        hidden, left_on="last", right_on="datetime", how="left", maintain_order="left"
    )
    made = compute(bars).with_columns(bars["state"])
    late = made.slice(made.height // 3).drop_nulls().drop_nans()
    found = {
        name: abs(np.corrcoef(late[name], late["state"])[0, 1])
        for name in ("volume_seasonal", "volume_seasonal_6", "volume_seasonal_12", "volume_z_48")
    }
    assert found["volume_seasonal"] > 0.85
    assert found["volume_seasonal_6"] > 0.85
    assert found["volume_seasonal_12"] > 0.7
    assert found["volume_z_48"] < 0.7


@pytest.fixture
def real_bars() -> Callable[[str], Path]:
    """Path of a file of real bars; skips the test, saying so, where they are absent."""

    def find(name: str) -> Path:
        if not (REAL / name).is_file():
            pytest.skip(f"real bars are not beside the checkout ({name})")
        return REAL / name

    return find


@pytest.mark.real
def test_real_bars(real_bars: Callable[[str], Path]) -> None:
    raw = read_bars(real_bars("MES_1m.parquet")).frame.tail(60_000)
    bars = five_minutes(raw, "MES")
    made = compute(bars)
    for name, feature in FEATURES.items():
        if feature.family in ("seasonal", "timeframe"):
            continue
        across = feature.family == "time"
        counts = [bars.height] if across else bars["block"].value_counts()["count"].to_list()
        missing = sum(min(count, feature.warmup - 1) for count in counts)
        assert made[name].is_nan().sum() == missing, name
        assert made[name].is_finite().sum() == bars.height - missing, name
    some = bars.head(400)
    slow = all_features(some)
    for name in FEATURES:
        ours, theirs = made[name].head(400).to_numpy(), np.array(slow[name])
        scale = np.nanmax(np.abs(theirs), initial=1e-9)
        np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=2e-6 * scale, err_msg=name)
