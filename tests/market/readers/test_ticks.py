"""Trades made into minutes, against a loop over every trade."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldsmith.errors import DataError
from foldsmith.market.readers.columns import Table
from foldsmith.market.readers.ticks import joined, minute_bars

START = datetime(2024, 1, 8, 14, 30)
TRADES = st.lists(
    st.tuples(st.integers(0, 400), st.integers(1, 40), st.integers(0, 9), st.sampled_from(["H", "M"])),
    min_size=1,
    max_size=60,
)


def table_of(trades: list[tuple[int, int, int, str]]) -> Table:
    frame = pl.DataFrame(
        {
            "time": [START + timedelta(seconds=trade[0]) for trade in trades],
            "price": [trade[1] / 4 for trade in trades],
            "size": [float(trade[2]) for trade in trades],
            "contract": [trade[3] for trade in trades],
        },
        schema_overrides={"time": pl.Datetime("us")},
    )
    return Table(frame, "time", "x", lambda row: f"line {row + 1}")


def twin(trades: list[tuple[int, int, int, str]]) -> dict[tuple[datetime, str], list[float]]:
    """One trade after another, in the order of the file."""
    found: dict[tuple[datetime, str], list[float]] = {}
    for second, units, size, contract in trades:
        price, minute = units / 4, START + timedelta(minutes=second // 60)
        bar = found.setdefault((minute, contract), [price, price, price, price, 0.0, 0.0])
        bar[1], bar[2], bar[3] = max(bar[1], price), min(bar[2], price), price
        bar[4] += size
        bar[5] += 1
    return found


@settings(deadline=None)
@given(trades=TRADES)
def test_minutes_equal_their_twin(trades: list[tuple[int, int, int, str]]) -> None:
    table = table_of(trades)
    bars = minute_bars(table, table.frame).frame
    values = bars.select("open", "high", "low", "close", "volume", "trades").rows()
    keys = bars.select("time", "contract").rows()
    assert {key: list(row) for key, row in zip(keys, values, strict=True)} == twin(trades)
    assert bars["time"].is_sorted()


@settings(deadline=None)
@given(trades=TRADES, cut=st.integers(0, 60))
def test_a_cut_between_files_changes_nothing(trades: list[tuple[int, int, int, str]], cut: int) -> None:
    trades = sorted(trades, key=lambda trade: trade[0])
    tables = [table_of(part) for part in (trades[:cut], trades[cut:]) if part]
    parts = [minute_bars(table, table.frame).frame.rename({"time": "datetime"}) for table in tables]
    whole = minute_bars(table_of(trades), table_of(trades).frame).frame.rename({"time": "datetime"})
    order = ["datetime", "contract"]
    assert joined(pl.concat(parts)).sort(order).equals(whole.select(parts[0].columns).sort(order))


def test_a_trade_without_a_price_is_named() -> None:
    table = table_of([(0, 4, 1, "H"), (1, 4, 1, "H")])
    for name, value in (("price", None), ("price", float("nan")), ("size", float("inf"))):
        spoilt = table.frame.with_columns(pl.Series(name, [1.0, value]))
        with pytest.raises(
            DataError, match=rf"x: the {name} of the trade at line 2 is empty or cannot be read"
        ):
            minute_bars(table, spoilt)
