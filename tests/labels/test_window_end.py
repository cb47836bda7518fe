"""Fixed-horizon and trend-scanning labels against their slow twins, and the promises they keep."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.labels.conftest import Market, market, markets
from tests.labels.test_barrier_tuning import walk
from tests.labels.test_triple_barrier import STILL, compare
from tests.oracles import labels as oracle

from foldsmith.contracts import LABELS
from foldsmith.errors import DataError, SettingError
from foldsmith.labels.barrier_tuning import choose_barriers
from foldsmith.labels.scheme import LabelScheme
from foldsmith.labels.trend_scanning import choose_threshold, trend_labels, trend_values
from foldsmith.labels.triple_barrier import volatility
from foldsmith.labels.window_end import fixed_horizon


def sigmas(n: int, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    sigma = rng.exponential(rng.choice([1e-4, 1e-3, 1e-2, 0.2]), n)
    sigma[rng.random(n) < 0.1] = 0.0
    sigma[rng.random(n) < 0.1] = np.nan
    return sigma


@settings(max_examples=120, deadline=None)
@given(
    made=markets(),
    max_bars=st.integers(1, 30),
    up=st.floats(0.05, 6.0),
    down=st.floats(0.05, 6.0),
    least=st.sampled_from((1.0, 3.5)),
    seed=st.integers(0, 2**32 - 1),
)
def test_fixed_horizon_against_slow_twin(
    made: Market, max_bars: int, up: float, down: float, least: float, seed: int
) -> None:
    sigma, bars = sigmas(made.bars.height, seed), made.bars.to_dicts()
    windows = made.windows(sigma, max_bars, up, down, least)
    slow = [
        oracle.fixed_horizon(bars, float(sigma[t]), t, max_bars, up, down, made.tick, least)
        for t in range(len(bars))
    ]
    compare(made, *windows.labels(max_bars, fixed_horizon(windows)), slow)
    # The bars are those that triple barriers label, with the same levels.
    shared = ["bar", "datetime", "entry", "upper", "lower"]
    other = made.labels(sigma, max_bars, up, down, least)[0]
    assert windows.labels(max_bars, fixed_horizon(windows))[0].select(shared).equals(other.select(shared))


@settings(max_examples=80, deadline=None)
@given(
    made=markets(most=60),
    min_bars=st.integers(2, 8),
    more=st.integers(0, 14),
    threshold=st.floats(0, 12),
    seed=st.integers(0, 99),
)
def test_trends_against_slow_twin(
    made: Market, min_bars: int, more: int, threshold: float, seed: int
) -> None:
    max_bars, sigma = min_bars + more, sigmas(made.bars.height, seed)
    windows, bars = made.windows(sigma, max_bars), made.bars.to_dicts()
    values = trend_values(windows, min_bars)
    slow = []
    for t in range(len(bars)):
        event = oracle.fixed_horizon(bars, float(sigma[t]), t, max_bars, 1, 1, made.tick, 1)
        if not isinstance(event, str):
            closes = [oracle.ticks(bar["close"], made.tick) for bar in bars[t : t + max_bars + 1]]
            expected = oracle.trend_value(closes, min_bars)
            # Windows of opposite sign can be equally clear; rounding then picks either.
            found = float(values[int(np.searchsorted(windows.rows, t))])
            # t^2 is what a line explains over what it leaves, and rounding is a share of the former.
            near = 1e-5 + (1e-13 * expected**2 if np.isfinite(expected) else 0.0)
            assert abs(found) == pytest.approx(abs(expected), rel=near, abs=1e-9)
            event["y"] = 0 if abs(found) <= threshold else 1 if found > 0 else -1
            if closes == sorted(closes):
                assert found >= 0
            if closes == sorted(closes, reverse=True):
                assert found <= 0
        slow.append(event)
    compare(made, *windows.labels(max_bars, trend_labels(values, threshold)), slow)


def test_t_values_are_those_of_a_regression() -> None:
    made = walk(200)
    windows = made.windows(np.full(200, 0.01), 30)
    values, close = trend_values(windows, 4), made.bars["close"].to_numpy()
    for t in range(0, 170, 17):
        found = [stats.linregress(np.arange(n + 1), close[t : t + n + 1]) for n in range(4, 31)]
        sizes = [line.slope / line.stderr for line in found]
        assert values[t] == pytest.approx(max(sizes, key=abs), rel=1e-9)


def test_lines_and_rest_by_hand() -> None:
    """Six closes a tick apart are a line; six equal ones no trend; a step up of the last one is a weak trend."""
    for moves, expected in (([1] * 5, np.inf), ([-1] * 5, -np.inf), ([0] * 5, 0.0)):
        close = 100 + 0.25 * np.cumsum([0, *moves])
        made = market([(c, c, c, c) for c in close])
        assert trend_values(made.windows(np.full(6, 0.01), 5), 5).tolist() == [expected]
    close = [100.0] * 5 + [100.25]
    made = market([(c, c, c, c) for c in close])
    values = trend_values(made.windows(np.full(6, 0.01), 5), 5)
    # y = 0 0 0 0 0 1 on x = 0 .. 5: b = 1/7, se(b)^2 = (5/6 - 2.5^2 / 17.5) / 4 / 17.5.
    assert values[0] == pytest.approx(1 / 7 / np.sqrt((5 / 6 - 2.5**2 / 17.5) / 4 / 17.5))
    assert trend_labels(values, float(values[0])).tolist() == [0]
    assert trend_labels(values, float(values[0]) - 1e-9).tolist() == [1]


def test_a_return_at_the_threshold_is_beyond_it() -> None:
    """100 (1 +- .01 sqrt 3), outward to the tick, is 101.75 and 98.25. The path between does not count."""
    for close, y in ((101.75, 1), (101.5, 0), (98.5, 0), (98.25, -1)):
        rows = [STILL, STILL, (100.0, 150.0, 50.0, 100.0), (100.0, max(close, 100), min(close, 100), close)]
        windows = market(rows).windows(np.full(4, 0.01), 3)
        row = windows.labels(3, fixed_horizon(windows))[0].row(0, named=True)
        assert (row["y"], row["upper"], row["lower"]) == (y, 101.75, 98.25)
        assert row["exit_long"] == row["exit_short"] == close
        assert (row["datetime"].minute, row["label_end"].minute, row["ambiguous"]) == (1, 4, False)


def made_labels(made: Market, kind: str, max_bars: int) -> pl.DataFrame:
    windows = made.windows(np.full(made.bars.height, 0.0005), max_bars)
    y = fixed_horizon(windows) if kind == "fixed" else trend_labels(trend_values(windows, 3), 2.0)
    return LABELS.check(windows.labels(max_bars, y)[0])


@pytest.mark.parametrize("kind", ["fixed", "trend"])
@settings(max_examples=40, deadline=None)
@given(max_bars=st.integers(3, 30), seed=st.integers(0, 2**32 - 1))
def test_bars_after_a_label_do_not_change_it_and_those_up_to_its_end_do(
    kind: str, max_bars: int, seed: int
) -> None:
    made = walk(120, seed=seed % 1000)
    cut = int(np.random.default_rng(seed).integers(60, 110))
    later = {
        name: pl.when(pl.int_range(pl.len()) >= cut).then(pl.col(name) * 3).otherwise(pl.col(name))
        for name in ("open", "high", "low", "close")
    }
    spoilt = Market(made.bars.with_columns(**later), made.base, made.first, made.stop, made.tick)
    end = made.bars["close_time"][cut - 1]
    before, after = (made_labels(each, kind, max_bars) for each in (made, spoilt))
    over = [frame.filter(pl.col("label_end") <= end) for frame in (before, after)]
    assert over[0].equals(over[1])
    assert over[0].height == cut - max_bars
    # The first label that the spoilt bars are part of ends with one of them, and sees it.
    changed = [frame.filter(pl.col("label_end") > end) for frame in (before, after)]
    assert (changed[1]["y"][0], changed[1]["exit_long"][0]) != (
        changed[0]["y"][0],
        changed[0]["exit_long"][0],
    )


def test_every_bar_up_to_t1_can_change_a_trend() -> None:
    """The clearest window can be the first five bars; bars after them can make a longer one clearer still.

    So a label is not over where its window ends, and t1 is the end of the longest.
    """
    rise, flat, fall = [0, 2, 1, 3, 2, 4], [1, 3, 0, 4, 1, 3, 2], [-6, -15, -26, -35, -46, -55, -66]
    values = []
    for ticks in (rise, rise + flat, rise + fall):
        made = market([(c, c, c, c) for c in 100 + 0.25 * np.array(ticks)])
        values.append(trend_values(made.windows(np.full(len(ticks), 0.01), len(ticks) - 1), 5)[0])
    assert values[0] == values[1] > 0 > values[2]


@pytest.mark.parametrize("share", [0.1, 1 / 3, 0.6])
def test_chosen_thresholds_leave_the_share_that_is_asked_for_and_see_nothing_later(share: float) -> None:
    made, rows = walk(2_000), 1_400
    sigma, cut = volatility(made.bars, 20), int(made.bars["close_time"].to_physical()[rows - 1])
    aim: dict[str, Any] = {
        "horizon": 20,
        "max_bars": 20,
        "until": cut,
        "neutral_share": share,
        "tick_size": made.tick,
    }

    def chosen(bars: pl.DataFrame, sigma: Any) -> tuple[float, float]:
        ranges = np.arange(bars.height), np.arange(bars.height) + 1
        width = choose_barriers(bars, bars, ranges, sigma, at_end=True, **aim).up
        return width, choose_threshold(bars, sigma, min_bars=5, **aim)

    width, threshold = chosen(made.bars, sigma)
    early = made.head(rows)
    windows = early.windows(sigma[:rows], 20, width, width)
    assert np.mean(fixed_horizon(windows) == 0) == pytest.approx(share, abs=0.01)
    assert np.mean(trend_labels(trend_values(windows, 5), threshold) == 0) == pytest.approx(share, abs=0.002)
    assert chosen(early.bars, sigma[:rows]) == (width, threshold)
    later = pl.int_range(pl.len()) >= rows
    spoilt = made.bars.with_columns(
        pl.when(later).then(1e5).otherwise(pl.col(name)).alias(name)
        for name in ("open", "high", "low", "close")
    )
    assert chosen(spoilt, np.where(np.arange(2_000) < rows, sigma, np.nan)) == (width, threshold)


def test_refusals() -> None:
    made, good = market([STILL] * 12), np.full(12, 0.01)
    with pytest.raises(SettingError, match="max_bars=0"):
        made.windows(good, 0)
    with pytest.raises(DataError, match="11 entries for 12 bars"):
        made.windows(good[:11], 2)
    windows = made.windows(good, 4)
    for least in (1, 5):
        with pytest.raises(SettingError, match="does not fit a window of 4"):
            trend_values(windows, least)
    aim: dict[str, Any] = {"horizon": 4, "max_bars": 4, "neutral_share": 0.3, "tick_size": 0.25}
    with pytest.raises(DataError, match="no label of horizon 4 ends"):
        choose_threshold(made.bars, good, min_bars=3, until=0, **aim)
    line = market([(c, c, c, c) for c in 100 + 0.25 * np.arange(12.0)])
    with pytest.raises(DataError, match="straight lines"):
        choose_threshold(line.bars, good, min_bars=3, until=10**15, **aim)
    for strange in (
        {"name": "x"},
        {"barrier_volatility": "x"},
        {"min_barrier_cost": -1.0},
        {"trend_min_bars": 1},
    ):
        with pytest.raises(SettingError):
            LabelScheme(**strange)  # type: ignore[arg-type]
    empty = market([])
    frame, counts = empty.windows([], 5).labels(5, np.empty(0, dtype=np.int8))
    assert LABELS.check(frame).is_empty()
    assert counts.bars == 0
