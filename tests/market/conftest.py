"""Raw bars to try things on: made from the schedule, so that what is wrong with them is what a test did."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from foldsmith.market.instruments import Instrument, instrument
from foldsmith.market.sessions import Schedule, schedule

MINUTE = 60_000_000
BARS = Path(__file__).resolve().parents[3] / "shared" / "data" / "bars"

RawMaker = Callable[..., pl.DataFrame]


def us(text: str) -> int:
    """Microseconds UTC of an ISO time."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


@pytest.fixture
def mes() -> Instrument:
    return instrument("MES")


@pytest.fixture
def hours() -> Schedule:
    """Sessions of January and February 2024."""
    return schedule("CME_EQUITY", us("2024-01-01"), us("2024-03-01"))


@pytest.fixture
def make_raw(hours: Schedule) -> RawMaker:
    """Bars for every scheduled minute of some sessions, from a seeded walk on the tick grid."""

    def make(
        first: str = "2024-01-08", sessions: int = 2, minutes: int = 1, contract: str | None = "MES 03-24"
    ):
        begin = int(np.searchsorted(hours.day, np.datetime64(first)))
        opens = np.concatenate(
            [
                np.arange(hours.open[k], hours.close[k], minutes * MINUTE)
                for k in range(begin, begin + sessions)
            ]
        )
        rng = np.random.default_rng(7)
        close = 4800 + np.cumsum(rng.integers(-4, 5, len(opens))) * 0.25
        open_ = np.r_[4800.0, close[:-1]]
        frame = pl.DataFrame(
            {
                "datetime": pl.Series(opens).cast(pl.Datetime("us", "UTC")),
                "open": open_,
                "high": np.maximum(open_, close) + rng.integers(0, 3, len(opens)) * 0.25,
                "low": np.minimum(open_, close) - rng.integers(0, 3, len(opens)) * 0.25,
                "close": close,
                "volume": rng.integers(1, 500, len(opens)).astype(float),
            }
        )
        return frame if contract is None else frame.with_columns(contract=pl.lit(contract))

    return make


@pytest.fixture
def real_bars() -> Callable[[str], Path]:
    """Path of a file of real bars; skips the test, saying so, where they are absent."""

    def find(name: str) -> Path:
        path = BARS / name
        if not path.is_file():
            pytest.skip(f"real bars are not beside the checkout ({name})")
        return path

    return find
