"""Marked base bars for hypothesis: minutes of some sessions with holes, rolls, and trades."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from hypothesis import strategies as st
from tests.market.conftest import MINUTE, us

from foldsmith.market.rolls import mark_blocks
from foldsmith.market.sessions import Schedule, schedule

HOURS: Schedule = schedule("CME_EQUITY", us("2024-01-08"), us("2024-01-18"))
"""Friday 12 January to Tuesday 16 January 2024: the session of Monday, a holiday, closes at 18:00 UTC."""
FIRST = int(np.flatnonzero(HOURS.day == np.datetime64("2024-01-12"))[0])
HOLE = 60

Row = dict[str, Any]


def minutes_of(session: int) -> list[int]:
    """Opens of all minutes of a session, counted from FIRST."""
    return list(range(int(HOURS.open[FIRST + session]), int(HOURS.close[FIRST + session]), MINUTE))


@st.composite
def instants(draw: st.DrawFn, sessions: int = 3, most: int = 25) -> list[int]:
    """Minutes near the beginning, the middle and the end of sessions, most of them in a row."""
    chosen: set[int] = set()
    for session in range(sessions):
        minutes = minutes_of(session)
        for start in draw(st.lists(st.sampled_from([0, 5, 400, 470, len(minutes) - 20]), max_size=3)):
            length = draw(st.integers(0, most))
            lost = draw(st.sets(st.integers(0, most), max_size=6))
            chosen |= {at for i, at in enumerate(minutes[start : start + length]) if i not in lost}
    return sorted(chosen) or minutes_of(0)[:1]


@st.composite
def rows(draw: st.DrawFn, at: list[int], wild: bool = False) -> list[Row]:
    """A base bar at each instant: prices on a grid, whole volumes and trades, contracts that change now and then."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rolls = draw(st.sampled_from([0.0, 0.05, 0.3]))
    contract, made = 0, []
    for instant in at:
        contract += int(rng.random() < rolls)
        prices = sorted(int(p) for p in rng.integers(1, 5000 if wild else 60, 4))
        volume = int(rng.integers(0, 4000 if wild else 40)) * int(rng.random() < 0.9)
        first, last = rng.permutation([1, 2])
        made.append(
            {
                "datetime": instant,
                "close_time": instant + MINUTE,
                "open": prices[first] / 4,
                "high": prices[3] / 4,
                "low": prices[0] / 4,
                "close": prices[last] / 4,
                "volume": float(volume),
                "contract": f"{'X' if wild else 'M'} {contract}",
                "session": HOURS.day[int(HOURS.locate(np.array([instant]))[0])].item(),
                "trades": float(volume // 3),
            }
        )
    return made


def marked(made: list[Row]) -> pl.DataFrame:
    """The rows as base bars with their blocks."""
    frame = pl.DataFrame(made).with_columns(pl.col("datetime", "close_time").cast(pl.Datetime("us", "UTC")))
    return mark_blocks(frame, HOURS, HOLE)[0]
