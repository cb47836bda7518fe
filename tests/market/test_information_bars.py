"""Bars of equal sums against their slow twin, and the promises they keep."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.labels.conftest import Market
from tests.labels.test_triple_barrier import assert_same
from tests.market.base_bars import FIRST, HOURS, Row, instants, marked, minutes_of, rows
from tests.market.conftest import MINUTE
from tests.oracles import market as oracle

from foldsmith.contracts import BARS
from foldsmith.errors import DataError, SettingError
from foldsmith.labels.triple_barrier import volatility
from foldsmith.market.information_bars import information_bars
from foldsmith.market.resample import minute_ranges
from foldsmith.market.sampling import sample
from foldsmith.market.timeframe import SUMS, Timeframe, parse_timeframe

POINT = 5.0
PAIRS = list(zip(HOURS.open.tolist(), HOURS.close.tolist(), strict=True))
SIZES = {"tick": (1, 20, 60), "volume": (1, 90, 300), "dollar": (1.0, 3500.0, 12_345.6)}
TIMEFRAMES = st.sampled_from(SUMS).flatmap(
    lambda kind: st.sampled_from(SIZES[kind]).map(lambda size: Timeframe(kind, size))
)


def amounts(base: pl.DataFrame, kind: str) -> list[float]:
    if kind == "tick":
        return base["trades"].to_list()
    if kind == "volume":
        return base["volume"].to_list()
    return [
        bar["volume"] * ((bar["high"] + bar["low"] + bar["close"]) / 3) * POINT for bar in base.to_dicts()
    ]


def as_rows(frame: pl.DataFrame) -> list[Row]:
    return frame.with_columns(pl.col("datetime", "close_time").to_physical()).to_dicts()


def some(base: pl.DataFrame, kind: str) -> bool:
    """Whether anything was traded at all: else such bars are refused."""
    return bool(base["trades" if kind == "tick" else "volume"].sum())


@settings(max_examples=150, deadline=None)
@given(data=st.data(), timeframe=TIMEFRAMES)
def test_equal_to_the_slow_twin(data: st.DataObject, timeframe: Timeframe) -> None:
    base = marked(data.draw(rows(data.draw(instants()))))
    assume(some(base, timeframe.kind))
    fast = BARS.check(information_bars(base, timeframe, HOURS, POINT))
    slow = oracle.information_bars(base.to_dicts(), amounts(base, timeframe.kind), timeframe.size, PAIRS)
    if slow:
        first, stop = minute_ranges(base, fast)
        assert (stop - first).tolist() == [bar.pop("rows") for bar in slow]
    assert as_rows(fast) == slow
    assert information_bars(base, timeframe, HOURS, POINT).equals(fast)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), timeframe=TIMEFRAMES)
def test_what_a_bar_holds(data: st.DataObject, timeframe: Timeframe) -> None:
    """Without the twin: sums are kept, nothing is mixed, a bar is full at its last row and not before."""
    base = marked(data.draw(rows(data.draw(instants()))))
    assume(some(base, timeframe.kind))
    bars = information_bars(base, timeframe, HOURS, POINT)
    assume(bars.height)
    first, stop = minute_ranges(base, bars)
    amount = np.array(amounts(base, timeframe.kind))
    closes = dict(zip(HOURS.day.tolist(), HOURS.close.tolist(), strict=True))
    for bar, start, end in zip(as_rows(bars), first.tolist(), stop.tolist(), strict=True):
        part = base[start:end]
        assert bar["volume"] == part["volume"].sum()
        assert all(part[name].n_unique() == 1 for name in ("contract", "session", "block"))
        assert bar["datetime"] == part["datetime"].to_physical()[0]
        assert amount[start : end - 1].sum() < timeframe.size
        if amount[start:end].sum() >= timeframe.size:
            assert bar["close_time"] == part["close_time"].to_physical()[-1]
        else:
            assert bar["close_time"] == closes[bar["session"]]
    inside = {row for start, end in zip(first, stop, strict=True) for row in range(start, end)}
    cut_off = [row for row in range(base.height) if row not in inside]
    block, session = base["block"].to_list(), base["session"].to_list()
    # What is in no bar lies before a block that begins in the same session.
    for row in cut_off:
        after = next(i for i in range(row, base.height) if block[i] != block[row])
        assert session[after] == session[row]
        assert all(i in cut_off for i in range(row, after))


def test_by_hand() -> None:
    at = [*minutes_of(0)[:5], *minutes_of(1)[:2]]
    made = [
        {
            "datetime": t, "close_time": t + MINUTE, "open": 10.0, "high": 12.0, "low": 9.0, "close": 9.0 + i / 4,
            "volume": float(v), "contract": "M", "session": HOURS.day[FIRST + (i > 4)].item(), "trades": 1.0,
        }
        for i, (t, v) in enumerate(zip(at, [30, 69, 1, 150, 20, 99, 1], strict=True))
    ]  # fmt: skip
    base = marked(made)
    bars = information_bars(base, parse_timeframe("volume:100"), HOURS, POINT)
    # 30 + 69 + 1, then 150 at once, whose excess is not carried on; 20 until the session closes; 99 + 1.
    assert bars["volume"].to_list() == [100, 150, 20, 100]
    opens = [at[0], at[3], at[4], at[5]]
    assert bars["datetime"].to_physical().to_list() == opens
    closes = [at[2] + MINUTE, at[3] + MINUTE, int(HOURS.close[FIRST]), at[6] + MINUTE]
    assert bars["close_time"].to_physical().to_list() == closes
    assert bars["close"].to_list() == [9.5, 9.75, 10.0, 10.5]
    assert information_bars(base, parse_timeframe("tick:3"), HOURS, POINT).height == 3
    # 30 (12 + 9 + 9) / 3 * 5 = 1500
    assert information_bars(base, parse_timeframe("dollar:1500"), HOURS, POINT)["volume"][0] == 30
    assert information_bars(base, parse_timeframe("dollar:1500.01"), HOURS, POINT)["volume"][0] == 99


def test_a_session_counts_from_its_own_beginning() -> None:
    base = marked(rows_of(minutes_of(0)[:500] + minutes_of(1)[:500]))
    whole = information_bars(base, parse_timeframe("volume:333"), HOURS, POINT)
    later = base.filter(pl.col("session") == base["session"][-1])
    alone = information_bars(later, parse_timeframe("volume:333"), HOURS, POINT)
    assert whole.tail(alone.height).equals(alone)


def rows_of(at: list[int]) -> list[Row]:
    rng = np.random.default_rng(5)
    close = 400 + np.cumsum(rng.integers(-2, 3, len(at)))
    made: list[Row] = []
    for k, instant in enumerate(at):
        opened, closed = int(close[max(k - 1, 0)]), int(close[k])
        made.append(
            {
                "datetime": instant,
                "close_time": instant + MINUTE,
                "open": opened / 4,
                "high": (max(opened, closed) + int(rng.integers(0, 3))) / 4,
                "low": (min(opened, closed) - int(rng.integers(0, 3))) / 4,
                "close": closed / 4,
                "volume": float(rng.integers(1, 80)),
                "contract": "M 0" if k < len(at) * 0.6 else "M 1",
                "session": HOURS.day[int(HOURS.locate(np.array([instant]))[0])].item(),
                "trades": float(rng.integers(1, 9)),
            }
        )
    return made


# --- what may be known when ---------------------------------------------------------------------------------------

ALL = st.sampled_from(["5m", "7m", "1h", "1d", "tick:20", "volume:90", "volume:5000", "dollar:3500"]).map(
    parse_timeframe
)


def over(made: list[Row], timeframe: Timeframe, cut: int) -> list[Row]:
    """The bars of these rows that are over at an instant."""
    if not made:
        return []
    base = marked(made)
    try:
        bars, first, stop = sample(base, timeframe, HOURS, POINT)
    except DataError as error:
        assert "no bar that is over" in str(error) or "is 0 in all" in str(error)  # noqa: PT017
        return []
    found = as_rows(BARS.check(bars))
    for bar, start, end in zip(found, first.tolist(), stop.tolist(), strict=True):
        bar["rows"] = (start, end)
    return [bar for bar in found if bar["close_time"] <= cut]


@settings(max_examples=10, deadline=None)
@given(data=st.data(), timeframe=ALL)
def test_what_comes_after_changes_no_bar_that_was_over(data: st.DataObject, timeframe: Timeframe) -> None:
    """At every cut: the bars that are over are those of any other future, and of none."""
    at = data.draw(instants(sessions=2, most=12))
    made = data.draw(rows(at))
    later = {row["datetime"]: row for row in data.draw(rows(data.draw(instants(sessions=3)), wild=True))}
    known_to_the_end = over(made, timeframe, 2**62)
    for cut in sorted({*at, *(t + MINUTE for t in at), *(int(t) for t in HOURS.close[FIRST : FIRST + 2])}):
        known = [row for row in made if row["close_time"] <= cut]
        now = [bar for bar in known_to_the_end if bar["close_time"] <= cut]
        other = known + [row for instant, row in sorted(later.items()) if instant >= cut]
        if len(other) > len(known):
            if len(known) == len(made):
                continue  # where nothing follows, the clock of the data stands still
            assert over(other, timeframe, cut) == now
        if known:
            last = known[-1]["close_time"]
            assert over(known, timeframe, last) == [bar for bar in now if bar["close_time"] <= last]
            assert over(known, timeframe, 2**62) == over(known, timeframe, last)


def test_a_last_bar_that_is_not_over_is_left_out() -> None:
    at = minutes_of(0)
    made = [row | {"volume": 10.0, "contract": "M"} for row in rows_of(at[:1000])]
    for text, whole, rest in (
        ("volume:100", 100, 0),
        ("volume:300", 33, 10),
        ("30m", 33, 10),
        ("7m", 142, 6),
    ):
        bars, first, stop = sample(marked(made), parse_timeframe(text), HOURS, POINT)
        assert (bars.height, 1000 - stop[-1]) == (whole, rest), text
        assert first[0] == 0
    with pytest.raises(
        DataError, match=r"1,000 base bars, from 2024-01-11 23:00:00\+00:00 on, make no bar that"
    ):
        sample(marked(made), parse_timeframe("1d"), HOURS, POINT)
    # With its session over, the rest is a bar.
    ended = [row | {"volume": 10.0, "contract": "M"} for row in rows_of(at)]
    bars, _, stop = sample(marked(ended), parse_timeframe("volume:300"), HOURS, POINT)
    assert (bars.height, stop[-1]) == (46, len(at))
    assert bars["close_time"].to_physical()[-1] == HOURS.close[FIRST]


# --- labels on such bars ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["volume:200", "tick:30", "dollar:1e5", "7m"])
@pytest.mark.parametrize("width", [0.3, 1.0])
def test_labels_equal_their_slow_twin(text: str, width: float) -> None:
    base = marked(rows_of(minutes_of(0)[:700] + minutes_of(0)[-300:] + minutes_of(1)[:400]))
    bars, first, stop = sample(base, parse_timeframe(text), HOURS, POINT)
    assert len({end - start for start, end in zip(first.tolist(), stop.tolist(), strict=True)}) > 1
    made = Market(bars, base, first, stop)
    assert_same(made, volatility(bars, 6), 5, width, width)


# --- what is refused ----------------------------------------------------------------------------------------------


def test_errors() -> None:
    base = marked(rows_of(minutes_of(0)[:20]))
    with pytest.raises(SettingError, match=r"tick:500 counts trades, .* column trades"):
        information_bars(base.drop("trades"), parse_timeframe("tick:500"), HOURS, POINT)
    with pytest.raises(SettingError, match="counts trades"):
        information_bars(
            base.with_columns(trades=pl.lit(None, pl.Float64)), parse_timeframe("tick:500"), HOURS, POINT
        )
    for value, told in ((None, "None"), (float("nan"), "nan"), (-1.0, "-1.0")):
        spoilt = base.with_columns(
            trades=pl.when(pl.int_range(pl.len()) == 2).then(pl.lit(value)).otherwise(pl.col("trades"))
        )
        with pytest.raises(
            DataError, match=rf"trades is {told} in the bar at 2024-01-11T23:02:00.* \(1 in all\)"
        ):
            information_bars(spoilt, parse_timeframe("tick:500"), HOURS, POINT)
    with pytest.raises(DataError, match="volume is 0 in all 20 bars"):
        information_bars(base.with_columns(volume=pl.lit(0.0)), parse_timeframe("dollar:500"), HOURS, POINT)
    with pytest.raises(SettingError, match="use resample"):
        information_bars(base, parse_timeframe("5m"), HOURS, POINT)
    with pytest.raises(DataError, match="rise in time"):
        information_bars(base.reverse(), parse_timeframe("tick:5"), HOURS, POINT)
    assert information_bars(base.head(0), parse_timeframe("tick:5"), HOURS, POINT).is_empty()


def test_bars_follow_one_another() -> None:
    base = marked(rows_of(minutes_of(0) + minutes_of(1)))
    bars, first, stop = sample(base, parse_timeframe("volume:500"), HOURS, POINT)
    assert all(a <= b for a, b in pairwise(np.c_[first, stop].ravel().tolist()))
    with pytest.raises(DataError, match="not made from these"):
        minute_ranges(base, bars[[0, *range(2, bars.height)]])
