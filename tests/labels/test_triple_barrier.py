"""Triple-barrier labels against their slow twin, and the promises they keep."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.labels.conftest import Market, market, markets
from tests.oracles import labels as oracle

from foldsmith.contracts import LABELS
from foldsmith.labels.triple_barrier import volatility

Row = tuple[float, float, float, float]


def by_hand(made: Market, sigma: Any, max_bars: int, up: float, down: float) -> list[Any]:
    bars, base = made.bars.to_dicts(), made.base.to_dicts()
    ranges = list(zip(made.first.tolist(), made.stop.tolist(), strict=True))
    return [
        oracle.label(bars, base, ranges, float(sigma[t]), t, max_bars, up, down, made.tick)
        for t in range(len(bars))
    ]


def assert_same(made: Market, sigma: Any, max_bars: int, up: float, down: float) -> None:
    frame, counts = made.labels(sigma, max_bars, up, down)
    LABELS.check(frame)
    slow = by_hand(made, sigma, max_bars, up, down)
    events = [event for event in slow if not isinstance(event, str)]
    rows = frame.to_dicts()
    assert [row["bar"] for row in rows] == [event["bar"] for event in events]
    for row, event in zip(rows, events, strict=True):
        for name in ("datetime", "label_end", "y", "ambiguous"):
            assert row[name] == event[name], (name, row, event)
        for name in ("entry", "upper", "lower", "exit_long", "exit_short"):
            assert row[name] == pytest.approx(float(event[name]) * made.tick, rel=1e-12), (name, row, event)
    told = counts.as_dict()
    assert told["bars"] == len(slow)
    assert told["events"] == len(events)
    for reason in ("warm_up", "no_volatility", "crosses_block", "end_of_data", "no_room"):
        assert told[reason] == slow.count(reason)
    assert [told[k] for k in ("short", "neutral", "long")] == [
        sum(event["y"] == y for event in events) for y in (-1, 0, 1)
    ]
    assert told["ambiguous"] == sum(event["ambiguous"] for event in events)
    assert told["gap_fills"] == sum(event["gap"] for event in events)


@settings(max_examples=250, deadline=None)
@given(
    made=markets(),
    max_bars=st.one_of(st.integers(1, 12), st.integers(1, 95)),
    up=st.floats(0.05, 6.0),
    down=st.floats(0.05, 6.0),
    data=st.data(),
)
def test_against_slow_twin(made: Market, max_bars: int, up: float, down: float, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    if data.draw(st.booleans()):
        sigma = volatility(made.bars, data.draw(st.integers(2, 6)))
    else:
        # Any spread of widths, with holes: the labels must not care where sigma came from.
        spread = data.draw(st.sampled_from((1e-4, 1e-3, 1e-2, 0.2)))
        sigma = rng.exponential(spread, made.bars.height)
        sigma[rng.random(len(sigma)) < 0.1] = 0.0
        sigma[rng.random(len(sigma)) < 0.1] = np.nan
    assert_same(made, sigma, max_bars, up, down)


@pytest.mark.parametrize("max_bars", [63, 64, 65, 127, 128, 129, 500, 1023, 1024, 1100, 2500])
def test_long_windows_against_slow_twin(max_bars: int) -> None:
    """Every table level, chunk edge and the coarse tables; bars of sparse touches."""
    rng = np.random.default_rng(max_bars)
    n = max_bars + 2300
    close = (
        4000 + np.cumsum(rng.integers(-1, 2, n)) + np.cumsum(rng.integers(-9, 10, n) * (rng.random(n) < 0.01))
    )
    open_ = np.r_[4000, close[:-1]]
    columns = (open_, np.maximum(open_, close) + rng.integers(0, 2, n), np.minimum(open_, close), close)
    made = market(list(zip(*((c * 0.25).tolist() for c in columns), strict=True)))
    sigma = rng.exponential(0.002, n) / np.sqrt(max_bars)
    # The twin is slow: a sample of events, in the right order.
    frame, counts = made.labels(sigma, max_bars, 3.0, 3.0)
    bars = made.bars.to_dicts()
    ranges = [(i, i + 1) for i in range(n)]
    assert counts.events == n - max_bars == frame.height
    assert min(counts.short, counts.neutral, counts.long) > 10
    for t in [*range(0, n - max_bars, 37), 1023, 1024, 2047, 2048, n - max_bars - 1]:
        event = oracle.label(bars, bars, ranges, float(sigma[t]), t, max_bars, 3.0, 3.0, 0.25)
        assert isinstance(event, dict)
        row = frame.row(t, named=True)
        assert (row["bar"], row["y"], row["label_end"]) == (t, event["y"], event["label_end"])
        assert row["exit_long"] == float(event["exit_long"]) * 0.25
