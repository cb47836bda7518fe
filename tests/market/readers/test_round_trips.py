"""Any bars, written in each format and clock by small writers of our own, are read back equal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.market.readers.writers import LOCAL, NO_VOLUME, WRITERS

from foldsmith.market.readers import read_bars

DAYS = st.sampled_from([
    datetime(2024, 1, 8, tzinfo=UTC),
    datetime(2024, 3, 9, 12, tzinfo=UTC), datetime(2024, 11, 2, 12, tzinfo=UTC),  # America changes its clocks
    datetime(2024, 3, 30, 12, tzinfo=UTC), datetime(2024, 10, 26, 12, tzinfo=UTC),  # Europe does
    datetime(2024, 12, 31, 12, tzinfo=UTC),
])  # fmt: skip
PRICES = st.integers(1, 50_000_000).map(lambda units: units / 10_000)


@st.composite
def bars(draw: st.DrawFn) -> pl.DataFrame:
    """Bars of some minutes of two days, two of them in a row; prices in any order."""
    start = draw(DAYS)
    minutes = sorted({0, 1, *draw(st.lists(st.integers(0, 2880), max_size=25))})
    count = len(minutes)
    columns = {
        name: draw(st.lists(PRICES, min_size=count, max_size=count))
        for name in ("open", "high", "low", "close")
    }
    volume = draw(st.lists(st.integers(1, 10**9).map(float), min_size=count, max_size=count))
    times = [start + timedelta(minutes=minute) for minute in minutes]
    return pl.DataFrame({
        "datetime": pl.Series(times).cast(pl.Datetime("us", "UTC")), **columns, "volume": volume,
    })  # fmt: skip


def told_apart(found: pl.DataFrame) -> pl.DataFrame:
    """Without the hours around the end of America's summer time."""
    return found.filter(~pl.col("datetime").is_between(
        datetime(2024, 11, 3, 4, tzinfo=UTC), datetime(2024, 11, 3, 9, tzinfo=UTC)
    ))  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=bars())
def test_what_is_written_is_read(tmp_path: Path, name: str, made: pl.DataFrame) -> None:
    if name in LOCAL:
        made = told_apart(made)
    if name in NO_VOLUME:
        made = made.with_columns(volume=pl.lit(0.0))
    written = WRITERS[name](made)
    path = tmp_path / written.name
    path.write_bytes(written.content)
    flags = dict(written.flags)
    seconds = {"bar_seconds": 60} if flags.get("stamp") else {}
    found = read_bars(path, **flags, **seconds).frame  # type: ignore[arg-type]
    wanted = written.as_read(made)
    assert found.equals(wanted), (found, wanted)
