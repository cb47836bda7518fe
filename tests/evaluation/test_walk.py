"""The walk over bars against its slow twin, against the labels' own exits, and against another engine."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.oracles import walk as oracle

from foldsmith.errors import DataError, SettingError
from foldsmith.evaluation.backtest import Backtest
from foldsmith.evaluation.sizing import bet_size, signed_contracts
from foldsmith.evaluation.trading_rule import DEFAULT_RULE, TradingRule
from foldsmith.evaluation.walk import walk_bars

TICK = 0.25
COSTS: dict[str, Any] = {
    "tick_size": TICK, "tick_value": 1.25, "commission": 0.62, "slippage_ticks": 1.0
}  # fmt: skip
START = datetime(2024, 3, 4, 14, 0, tzinfo=UTC)


def market(n: int, seed: int, per_day: int = 12, per_block: int = 1000, stretch: int = 8) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    close = 400 + np.cumsum(rng.integers(-stretch, stretch + 1, n))
    open_ = np.r_[400, close[:-1]] + rng.integers(-2, 3, n)
    high = np.maximum(open_, close) + rng.integers(0, 5, n)
    low = np.minimum(open_, close) - rng.integers(0, 5, n)
    return pl.DataFrame(
        {
            "close_time": [START + timedelta(hours=k + 1) for k in range(n)],
            "session": [date(2024, 3, 4) + timedelta(days=k // per_day) for k in range(n)],
            "block": (np.arange(n) // per_block).astype(np.int32),
            **{
                name: x * TICK
                for name, x in (("open", open_), ("high", high), ("low", low), ("close", close))
            },
        },
        schema_overrides={"close_time": pl.Datetime("us", "UTC")},
    )


def signals(bars: pl.DataFrame, at: Any, width: int, horizon: int) -> tuple[pl.DataFrame, Any]:
    """Labels at these bars with barriers `width` ticks from the next open, and the last bar of each."""
    at = np.asarray(at, dtype=np.int64)
    after = np.minimum(at + 1, bars.height - 1)
    entry = bars["open"].to_numpy()[after]
    last = at + horizon
    end = np.minimum(last, bars.height - 1)
    frame = pl.DataFrame(
        {
            "bar": at,
            "datetime": bars["close_time"].gather(at),
            "label_end": bars["close_time"].gather(end),
            "entry": entry,
            "upper": entry + width * TICK,
            "lower": entry - width * TICK,
            "exit_long": entry + 0.1,
            "exit_short": entry - 0.1,
        }
    )
    return frame, last


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_equals_the_slow_twin(data: st.DataObject) -> None:
    n = data.draw(st.integers(3, 40))
    bars = market(
        n, data.draw(st.integers(0, 10_000)), data.draw(st.integers(3, 12)), data.draw(st.integers(5, 50))
    )
    at = sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=1, max_size=n)))
    labels, last = signals(bars, at, data.draw(st.integers(2, 20)), data.draw(st.integers(1, 8)))
    wanted = [data.draw(st.integers(-3, 3)) for _ in at]
    rule = TradingRule(
        contracts=3,
        overlap=data.draw(st.sampled_from(["skip", "net"])),
        flat_overnight=data.draw(st.booleans()),
    )
    barriers = data.draw(st.booleans())
    found = walk_bars(wanted, labels, last, bars, rule, **COSTS, barriers=barriers)
    told = bars["close_time"].search_sorted(labels["label_end"]).to_list()
    lots = [
        {**row, "contracts": size, "last": int(until), "told_bar": bar}
        for row, size, until, bar in zip(labels.to_dicts(), wanted, last, told, strict=True)
    ]
    made, skipped, no_entry = oracle.trade(
        bars.to_dicts(),
        lots,
        net=rule.overlap == "net",
        most=3,
        overnight=rule.flat_overnight,
        barriers=barriers,
    )
    made.sort(key=lambda lot: lot["exit_bar"])
    trades = found.trades
    assert trades["datetime"].to_list() == [lot["datetime"] for lot in made]
    assert (trades["side"] * trades["contracts"]).to_list() == [lot["signed"] for lot in made]
    assert trades["exit"].to_list() == pytest.approx([lot["exit"] for lot in made])
    assert trades["reason"].to_list() == [lot["reason"] for lot in made]
    assert trades["label_end"].to_list() == [bars["close_time"][lot["exit_bar"]] for lot in made]
    assert (found.summary["skipped"], found.summary["no_entry"]) == (skipped, no_entry)
    money = [lot["signed"] * (lot["exit"] - lot["entry"]) / TICK * 1.25 for lot in made]
    paid = [abs(lot["signed"]) * (2 * 0.62 + 2 * 1.25) for lot in made]
    assert trades["gross"].to_list() == pytest.approx(money)
    assert found.summary["net"] == pytest.approx(sum(money) - sum(paid))
    assert found.daily["net"].sum() == pytest.approx(found.summary["net"])


def test_the_net_position_stays_within_its_cap_and_lots_overlap() -> None:
    bars = market(60, 1, per_day=100)
    labels, last = signals(bars, range(50), 200, 9)
    found = walk_bars([2] * 50, labels, last, bars, TradingRule(contracts=5, overlap="net"), **COSTS)
    held = np.zeros(60, dtype=int)
    for trade in found.trades.to_dicts():
        first = bars["close_time"].to_list().index(trade["datetime"])
        held[first : first + trade["bars"]] += trade["contracts"]
    assert held.max() == 5
    assert found.summary["cut"] > 0
    one = walk_bars([2] * 50, labels, last, bars, TradingRule(contracts=5), **COSTS).trades
    assert all(a <= b for a, b in pairwise(one["datetime"].to_list()))
    assert one["contracts"].unique().to_list() == [2]


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_the_net_position_stays_within_its_cap_whichever_lot_closes_first(data: st.DataObject) -> None:
    bars = market(30, 1, per_day=100)
    labels, _ = signals(bars, range(20), 1000, 9)
    wanted = [data.draw(st.sampled_from([-2, -1, 1, 2])) for _ in range(20)]
    last = [bar + data.draw(st.integers(1, 12)) for bar in range(20)]
    found = walk_bars(wanted, labels, last, bars, TradingRule(contracts=2, overlap="net"), **COSTS)
    held, closes = np.zeros(30, dtype=int), bars["close_time"].to_list()
    for trade in found.trades.to_dicts():
        first = closes.index(trade["datetime"])
        held[first : first + trade["bars"]] += trade["side"] * trade["contracts"]
    assert np.abs(held).max() <= 2


def test_slippage_is_paid_by_the_contract_and_by_the_signal() -> None:
    bars = market(20, 2)
    labels, last = signals(bars, [0, 9], 200, 3)
    rule = TradingRule(contracts=4)
    found = walk_bars([4, -2], labels, last, bars, rule, **{**COSTS, "slippage_ticks": [0.5, 2.0]}).trades
    assert found["cost"].to_list() == pytest.approx([4 * (1.24 + 1.25), 2 * (1.24 + 5.0)])


def test_bet_sizes_of_lopez_de_prado_chapter_10() -> None:
    from scipy.stats import norm

    p = np.array([0.34, 0.5, 0.9])
    assert bet_size(p, 3) == pytest.approx(2 * norm.cdf((p - 1 / 3) / np.sqrt(p * (1 - p))) - 1)
    assert bet_size([0.0, 0.2, 0.5, 1.0], 2).tolist() == [0.0, 0.0, 0.0, 1.0]
    P = np.array([[0.8, 0.1, 0.1], [0.1, 0.45, 0.45], [0.2, 0.3, 0.5], [0.25, 0.3, 0.45], [0.0, 0.0, 1.0]])
    assert signed_contracts(P, TradingRule(contracts=7)).tolist() == [-7, 0, 7, 7, 7]
    by_class = signed_contracts(P, TradingRule("probability", 10))
    assert by_class.tolist() == [-8, 0, 3, 2, 10]
    # A side that is no likelier right than wrong is not traded.
    assert signed_contracts(P, TradingRule("meta", 10)).tolist() == [-5, 0, 0, 0, 10]


def test_rules_have_names_and_are_refused_where_they_cannot_be() -> None:
    rule = TradingRule("meta", 3, "net", (0.5, 1.0, 2.0), True)
    assert TradingRule.from_dict({**rule.as_dict(), "split": "test"}) == rule
    assert DEFAULT_RULE.name == ""
    assert rule.name != TradingRule("meta", 3).name != ""
    for wrong, says in (
        ({"sizing": "kelly"}, "kelly"),
        ({"overlap": "stack"}, "stack"),
        ({"contracts": 0}, "contracts=0"),
        ({"slippage": (1.0, 2.0)}, "three numbers"),
        ({"slippage": (-1.0, 2.0, 3.0)}, "three numbers"),
    ):
        with pytest.raises(SettingError, match=says):
            TradingRule(**wrong)
    bars = market(9, 0)
    labels, last = signals(bars, [1], 5, 3)
    for contracts, table in (([1, 2], labels), ([0.5], labels), ([1], labels.drop("upper"))):
        with pytest.raises(DataError):
            walk_bars(contracts, table, last, bars, DEFAULT_RULE, **COSTS)


def other_engine(bars: pl.DataFrame, labels: pl.DataFrame, wanted: Any, last: Any) -> Any:
    """The same rule for `backtesting`: a market order at each signal if flat, with its stop, its limit, and in time."""
    import pandas as pd

    engine = pytest.importorskip("backtesting")
    by_bar = {
        bar: (int(size), upper, lower, int(until))
        for bar, size, upper, lower, until in zip(
            labels["bar"].to_list(),
            wanted,
            labels["upper"].to_list(),
            labels["lower"].to_list(),
            last,
            strict=True,
        )
    }

    class Rule(engine.Strategy):  # type: ignore[misc, name-defined]
        def init(self) -> None:
            self.until = -1

        def next(self) -> None:
            t = len(self.data) - 1
            # Market orders fill at the next open: to be out at the close of a bar, the data has an extra price there.
            if self.position and t >= self.until:
                self.position.close()
            elif not self.position and t in by_bar:
                size, upper, lower, until = by_bar[t]
                side, stop, limit = (self.buy, lower, upper) if size > 0 else (self.sell, upper, lower)
                side(size=abs(size), sl=stop, tp=limit)
                self.until = until

    frame = pd.DataFrame(
        {name.title(): bars[name].to_numpy() for name in ("open", "high", "low", "close")},
        index=pd.DatetimeIndex(bars["close_time"].to_numpy()),
    )
    frame["Volume"] = 1
    made = engine.Backtest(frame, Rule, cash=1e9, finalize_trades=True)
    return made.run()["_trades"].sort_values("EntryBar")


def reconciled(bars: pl.DataFrame, labels: pl.DataFrame, wanted: Any, last: Any) -> tuple[Backtest, int]:
    """Our trades beside the other engine's, entry by entry; how many are compared."""
    found = walk_bars(
        wanted, labels, last, bars, DEFAULT_RULE, **{**COSTS, "commission": 0, "slippage_ticks": 0}
    )
    other = other_engine(bars, labels, wanted, last)
    at = {time: row for row, time in enumerate(bars["close_time"].to_list())}
    # It closes in time at the next open where we close at the close before: after such a trade it may pass over a
    # signal that we take, so trades are paired by their entry bar.
    theirs = {int(row.EntryBar): row for row in other.itertuples()}
    compared = 0
    for mine in found.trades.to_dicts():
        row = theirs.get(at[mine["datetime"]] + 1)
        if row is None:
            continue
        assert mine["side"] == np.sign(row.Size)
        assert mine["entry"] == pytest.approx(row.EntryPrice, abs=1e-9)
        if mine["reason"] == "barrier":
            assert at[mine["label_end"]] == row.ExitBar
            assert mine["exit"] == pytest.approx(row.ExitPrice, abs=1e-9)
        elif mine["reason"] == "time":
            assert row.ExitBar == at[mine["label_end"]] + 1
            assert row.ExitPrice == pytest.approx(bars["open"][int(row.ExitBar)], abs=1e-9)
        compared += 1
    return found, compared


@pytest.mark.filterwarnings("ignore")
def test_reconciles_trade_by_trade_with_another_engine() -> None:
    bars = market(3000, 5, per_day=5000, per_block=5000, stretch=6)
    # Far enough apart that both are flat at each signal.
    labels, last = signals(bars, range(1, 2900, 14), 12, 10)
    wanted = np.random.default_rng(0).choice([-1, 1], labels.height)
    found, compared = reconciled(bars, labels, wanted, last)
    exits = found.summary["exits"]
    assert compared == found.trades.height == labels.height
    assert min(exits["barrier"], exits["time"]) > 20


REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "bars" / "MES_1m.parquet"


@pytest.mark.real
@pytest.mark.filterwarnings("ignore")
def test_reconciles_on_real_minutes_of_mes() -> None:
    """Every entry, and every exit at a barrier, equal to 1e-9; exits in time one open later, as that engine fills."""
    if not REAL.is_file():
        pytest.skip(f"real bars are not beside the checkout ({REAL.name})")
    raw = pl.read_parquet(REAL, n_rows=6000)
    stamp = next(name for name in raw.columns if raw[name].dtype.is_temporal())
    bars = raw.sort(stamp).select(
        close_time=pl.col(stamp).dt.replace_time_zone(None).dt.cast_time_unit("us").dt.offset_by("1m"),
        session=pl.col(stamp).dt.date(), block=pl.lit(0, dtype=pl.Int32),
        **{name: pl.col(name).cast(pl.Float64) for name in ("open", "high", "low", "close")},
    ).unique("close_time", keep="first", maintain_order=True)  # fmt: skip
    labels, last = signals(bars, range(5, bars.height - 40, 25), 12, 20)
    wanted = np.random.default_rng(1).choice([-1, 1], labels.height)
    found, compared = reconciled(bars, labels, wanted, last)
    assert compared == found.trades.height > 200
    assert found.summary["exits"]["barrier"] > 50
