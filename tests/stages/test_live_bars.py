"""Bars that come one after the other make the bars that phase 1 makes of all of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldsmith.contracts import UTC_MICROSECONDS
from foldsmith.errors import DataError
from foldsmith.market.instruments import instrument
from foldsmith.market.timeframe import parse_timeframe
from foldsmith.stages import live_bars
from foldsmith.stages.live_bars import LiveBars
from foldsmith.stages.market_bars import market_bars

MES = instrument("MES")
OPEN = datetime(2024, 1, 7, 23, tzinfo=UTC)
"""A Sunday: five sessions a week open on the evening before."""


def minutes(seed: int, sessions: int, *, per_session: int = 150, roll: int | None = None) -> pl.DataFrame:
    """Raw minutes of some evenings: missing ones, bad prints that cleaning drops, holes, and maybe a roll."""
    rng = np.random.default_rng(seed)
    rows, price = [], 5000.0
    for session in range(sessions):
        begin = OPEN + timedelta(days=session + 2 * (session // 5))
        for minute in range(per_session):
            if rng.random() < 0.05 or (session % 3 == 1 and 40 <= minute < 110 and rng.random() < 0.98):
                continue
            first = price
            price += 0.25 * round(float(rng.normal(0, 4)))
            high, low = max(first, price) + 0.25, min(first, price) - 0.25
            volume = float(rng.integers(1, 500))
            if rng.random() < 0.01:
                low, volume = low * 0.9, 0.0  # a bad print
            contract = "MES 03-24" if roll is None or session < roll else "MES 06-24"
            rows.append((begin + timedelta(minutes=minute), first, high, low, price, volume, contract))
    names = ["datetime", "open", "high", "low", "close", "volume", "contract"]
    schema = dict.fromkeys(names, pl.Float64) | {"datetime": UTC_MICROSECONDS, "contract": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


@settings(max_examples=4, deadline=None)
@given(
    st.integers(0, 1000),
    st.sampled_from([None, 2, 4]),
    st.sampled_from(["5m", "1m", "volume:3000"]),
    st.integers(20, 90),
)
def test_equal_to_phase_1_whatever_the_portions(
    seed: int, roll: int | None, timeframe: str, size: int
) -> None:
    raw = minutes(seed, 5, roll=roll, per_session=120)
    begin = 250
    live = LiveBars(raw.head(begin), MES, parse_timeframe(timeframe))
    at = begin
    while at < raw.height:
        live = live.after(raw.slice(at, size), over_hole=True)
        at = min(at + size, raw.height)
        whole = market_bars(raw.head(at), MES, parse_timeframe(timeframe))
        assert live.bars.equals(whole.bars)


def test_it_looks_at_the_newest_sessions_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else every bar would cost what the whole series does."""
    raw = minutes(3, 6, per_session=300)
    live = LiveBars(raw.head(1200), MES, parse_timeframe("5m"))
    seen: list[int] = []
    clean = live_bars.clean_and_mark
    monkeypatch.setattr(
        live_bars, "clean_and_mark", lambda rows, *a, **k: (seen.append(rows.height), clean(rows, *a, **k))[1]
    )
    for at in range(1200, 1230):
        live = live.after(raw.slice(at, 1), over_hole=True)
    assert len(seen) == 30
    assert max(seen) < 650
    assert live.height == 1230


def test_bars_that_cleaning_leaves_out_are_named() -> None:
    raw = minutes(1, 2, per_session=200)
    live = LiveBars(raw.head(220), MES, parse_timeframe("5m"))
    next_one = raw.slice(220, 1)
    print_ = next_one.with_columns(pl.col("low") * 0.9, volume=pl.lit(0.0))
    assert live.after(print_).left_out == (int(print_["datetime"].to_physical()[0]),)
    assert live.after(next_one).left_out == ()


def _changed(row: pl.DataFrame, **values: object) -> pl.DataFrame:
    return row.with_columns(
        pl.lit(value, dtype=row.schema[name]).alias(name) for name, value in values.items()
    )


def test_what_does_not_follow_is_refused_and_changes_nothing() -> None:
    raw = minutes(2, 3, per_session=120)
    live = LiveBars(raw.head(200), MES, parse_timeframe("5m"))
    before, bars = live.last, live.bars
    row = raw.slice(200, 1)
    at = row["datetime"][0]
    cases = {
        "is there already": raw.slice(199, 1),
        "does not follow": raw.slice(150, 1),
        "one before opens": _changed(row, datetime=raw["datetime"][199] + timedelta(seconds=30)),
        "minutes of trading are missing": _changed(row, datetime=at + timedelta(hours=5)),
        "outside the sessions": _changed(row, datetime=datetime(2024, 1, 13, 12, tzinfo=UTC)),
        "none of MES": _changed(row, contract="NQ 03-24"),
        "not of the front": _changed(row, contract="MES 12-23"),
        "not all do so": _changed(row, contract=None),
        "not finite": _changed(row, high=float("nan")),
        "price of 0": _changed(row, low=0.0),
        "volume below 0": _changed(row, volume=-1.0),
        "high below": _changed(row, high=row["low"][0] - 1),
        "low above": _changed(row, low=min(row["open"][0], row["close"][0]) + 0.25),
        "no bar is given": row.clear(),
        "in order of time": pl.concat([raw.slice(201, 1), row]),
    }
    for said, rows in cases.items():
        with pytest.raises(DataError, match=said):
            live.after(rows)
        assert (live.last, live.height) == (before, 200)
        assert live.bars is bars
    assert live.after(row).last > before


def test_a_history_of_which_nothing_is_over_is_refused() -> None:
    with pytest.raises(DataError, match="make no bar that is over"):
        LiveBars(minutes(2, 1).head(3), MES, parse_timeframe("1h"))
    with pytest.raises(DataError, match="fewer than two bars"):
        LiveBars(minutes(2, 1).head(1), MES, parse_timeframe("1m"))
