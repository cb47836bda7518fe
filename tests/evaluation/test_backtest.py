import json
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.oracles import evaluation as oracle

from foldsmith.errors import DataError, SettingError
from foldsmith.evaluation.backtest import backtest, most_probable_signal

COSTS = {"tick_size": 0.25, "tick_value": 1.25, "commission": 0.62, "slippage_ticks": 1.0}
START = datetime(2024, 3, 4, 20, 0, tzinfo=UTC)
UTC_US = pl.Datetime("us", "UTC")


def bars(n, per_day=4):
    """n closes an hour apart; a trading day has `per_day` of them."""
    return pl.DataFrame(
        {
            "close_time": [START + timedelta(hours=k) for k in range(n)],
            "session": [date(2024, 3, 5) + timedelta(days=k // per_day) for k in range(n)],
        },
        schema_overrides={"close_time": UTC_US},
    )


def labels(rows):
    """Labels from (first bar, last bar, entry, exit_long, exit_short)."""
    closes = bars(200)["close_time"]
    return pl.DataFrame(
        {
            "datetime": [closes[first] for first, *_ in rows],
            "label_end": [closes[last] for _, last, *_ in rows],
            "entry": [float(row[2]) for row in rows],
            "exit_long": [float(row[3]) for row in rows],
            "exit_short": [float(row[4]) for row in rows],
        },
        schema_overrides={"datetime": UTC_US, "label_end": UTC_US},
    )


def test_by_hand():
    table = labels(
        [
            (0, 2, 100.0, 101.0, 101.0),  # long, +4 ticks: +5.00, held 2 bars
            (1, 3, 100.0, 90.0, 90.0),  # skipped: begins while the first is open
            (2, 5, 101.0, 102.0, 102.5),  # short from exactly where the first ended, stop at 102.5: -7.50
            (6, 7, 100.0, 99.0, 99.0),  # neutral
            (7, 9, 100.0, 99.0, 99.0),  # short, +5.00
        ]
    )
    found = backtest([1, -1, -1, 0, -1], table, sessions=bars(16), **COSTS)
    cost = 2 * 0.62 + 2 * 1.25
    assert found.trades["side"].to_list() == [1, -1, -1]
    assert found.trades["gross"].to_list() == pytest.approx([5.0, -7.5, 5.0])
    assert found.trades["net"].to_list() == pytest.approx([5.0 - cost, -7.5 - cost, 5.0 - cost])
    assert found.trades["bars"].to_list() == [2, 3, 2]
    # Profit counts on the day of the exit; the last day has no trade and still counts.
    assert found.daily["trades"].to_list() == [1, 1, 1, 0]
    assert found.daily["gross"].to_list() == pytest.approx([5.0, -7.5, 5.0, 0.0])
    assert found.daily["equity_net"].to_list() == pytest.approx(np.cumsum([1.26, -11.24, 1.26, 0.0]))
    summary = found.summary
    assert (summary["signals"], summary["trades"], summary["skipped"]) == (4, 3, 1)
    assert summary["net"] == pytest.approx(2.5 - 3 * cost)
    assert summary["win_rate"] == pytest.approx(2 / 3)
    assert summary["max_drawdown"] == pytest.approx(11.24)
    assert summary["exposure"] == pytest.approx(7 / 16)
    daily = np.array([1.26, -11.24, 1.26, 0.0])
    assert summary["sharpe_daily"] == pytest.approx(daily.mean() / daily.std(ddof=1))
    assert summary["sharpe_annual"] == pytest.approx(summary["sharpe_daily"] * np.sqrt(252))
    json.dumps(summary, allow_nan=False)


def test_yardsticks_follow_the_same_rule():
    table = labels([(k, k + 2, 100.0, 101.0, 100.5) for k in range(10)])
    summary = backtest([0] * 10, table, sessions=bars(16), **COSTS).summary
    assert summary["trades"] == 0
    assert summary["net"] == 0
    assert summary["sharpe_daily"] is None
    assert summary["win_rate"] is None
    long, short = summary["yardsticks"]["always_long"], summary["yardsticks"]["always_short"]
    assert (long["trades"], long["skipped"]) == (5, 5)
    assert long["gross"] == pytest.approx(5 * 5.0)
    assert short["gross"] == pytest.approx(-5 * 2.5)
    assert summary["yardsticks"]["always_flat"]["net"] == 0
    alone = backtest([1] * 10, table, sessions=bars(16), **COSTS).summary
    assert {name: alone[name] for name in long} == long


@st.composite
def histories(draw):
    n_bars = draw(st.integers(3, 30))
    starts = sorted(draw(st.sets(st.integers(0, n_bars - 2), min_size=1, max_size=n_bars - 1)))
    rows, signal = [], []
    price = st.integers(380, 420).map(lambda ticks: ticks / 4)
    for first in starts:
        last = draw(st.integers(first + 1, min(n_bars - 1, first + 6)))
        rows.append((first, last, draw(price), draw(price), draw(price)))
        signal.append(draw(st.sampled_from([-1, 0, 1])))
    return n_bars, rows, signal


@settings(max_examples=50, deadline=None)
@given(histories())
def test_equals_the_slow_twin(history):
    n_bars, rows, signal = history
    table, sessions = labels(rows), bars(n_bars)
    found = backtest(signal, table, sessions=sessions, **COSTS)
    day_of_close = dict(zip(sessions["close_time"].to_list(), sessions["session"].to_list(), strict=True))
    slow = oracle.trade(signal, table.to_dicts(), day_of_close, **COSTS)
    assert slow["open"] is None
    assert found.summary["skipped"] == slow["skipped"]
    for name in ("datetime", "label_end", "side", "entry", "exit"):
        assert found.trades[name].to_list() == [trade[name] for trade in slow["trades"]]
    for name in ("gross", "net"):
        assert found.trades[name].to_list() == pytest.approx([trade[name] for trade in slow["trades"]])
    assert found.daily["session"].to_list() == list(slow["daily"])
    assert found.daily["trades"].to_list() == [tally[0] for tally in slow["daily"].values()]
    assert found.daily["gross"].to_list() == pytest.approx([tally[1] for tally in slow["daily"].values()])
    assert found.daily["net"].to_list() == pytest.approx([tally[2] for tally in slow["daily"].values()])
    assert found.summary["exposure"] == pytest.approx(slow["held"] / n_bars)


@settings(max_examples=40, deadline=None)
@given(histories())
def test_no_two_positions_at_once_and_the_books_balance(history):
    n_bars, rows, signal = history
    found = backtest(signal, labels(rows), sessions=bars(n_bars), **COSTS)
    trades = found.trades
    ends, starts = trades["label_end"].to_list(), trades["datetime"].to_list()
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))
    summary = found.summary
    assert summary["net"] == pytest.approx(summary["gross"] - summary["cost"])
    assert found.daily["net"].sum() == pytest.approx(summary["net"])
    assert summary["signals"] == sum(map(abs, signal))
    # The mirror: every side turned, with the exits swapped, earns the opposite before costs.
    turned = labels(rows).rename({"exit_long": "exit_short", "exit_short": "exit_long"})
    mirror = backtest([-side for side in signal], turned, sessions=bars(n_bars), **COSTS)
    assert mirror.trades["gross"].to_list() == pytest.approx([-gross for gross in trades["gross"].to_list()])


def test_drawdown_counts_from_the_start():
    table = labels([(0, 2, 100.0, 98.0, 98.0), (2, 5, 100.0, 101.0, 101.0)])
    summary = backtest([1, 1], table, sessions=bars(16), **COSTS).summary
    assert summary["max_drawdown"] == pytest.approx(10 + 3.74)


def test_a_tie_stays_out():
    assert most_probable_signal([[0.4, 0.2, 0.4], [0.1, 0.45, 0.45]]).tolist() == [0, 0]


def test_no_labels_at_all():
    found = backtest([], labels([]), sessions=bars(8), **COSTS)
    assert found.trades.height == 0
    assert found.daily["net"].to_list() == [0.0, 0.0]
    assert found.summary["exposure"] == 0


ROW = [(0, 2, 100.0, 101.0, 101.0)]


@pytest.mark.parametrize(
    ("signal", "table", "sessions", "costs", "error", "says"),
    [
        ([1, 1], labels(ROW), bars(8), {}, DataError, "signal"),
        ([2], labels(ROW), bars(8), {}, DataError, "signal"),
        ([1], labels(ROW), bars(2), {}, DataError, "no bar closes at 2024-03-04T22"),
        ([1], labels(ROW).drop("entry"), bars(8), {}, DataError, "'entry'"),
        ([1], labels(ROW), bars(8).drop("session"), {}, DataError, "'session'"),
        ([1, 1], labels(ROW + ROW), bars(8), {}, DataError, "without repeats"),
        ([1], labels([(2, 0, 1.0, 1.0, 1.0)]), bars(8), {}, DataError, "end before"),
        ([1], labels(ROW), bars(8), {"tick_size": 0.0}, SettingError, "tick_size=0.0"),
        ([1], labels(ROW), bars(8), {"commission": -1.0}, SettingError, "commission=-1.0"),
        ([1], labels(ROW), bars(8), {"slippage_ticks": float("nan")}, SettingError, "slippage_ticks"),
    ],
)
def test_refuses_with_a_sentence(signal, table, sessions, costs, error, says):
    with pytest.raises(error, match=says):
        backtest(signal, table, sessions=sessions, **{**COSTS, **costs})
