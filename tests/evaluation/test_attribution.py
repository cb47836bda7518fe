"""Attribution against sums by hand; no cell is marked by chance more often than is said; trends know no future."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from foldsmith.errors import DataError
from foldsmith.evaluation.attribution import Cells, attribution, holm, terciles, trend
from foldsmith.intervals import as_instants

BASE = [0.3, 0.4, 0.3]


def market(n=3000, days=60, seed=0, edge=0.0):
    """Rows of a market, probabilities, and trades at every third row."""
    rng = np.random.default_rng(seed)
    at = pl.Series("datetime", [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=k) for k in range(n)])
    at = at.cast(pl.Datetime("us", "UTC"))
    y = rng.integers(-1, 2, n)
    P = rng.dirichlet([5, 5, 5], n)
    rows = np.arange(0, n, 3)
    side = rng.choice([-1, 1], len(rows)).astype(np.int8)
    gross = rng.normal(edge, 10, len(rows))
    day = rows * days // n
    trades = pl.DataFrame(
        {
            "datetime": at[rows],
            "side": side,
            "gross": gross,
            "net": gross - 3.0,
            "session": [date(2024, 1, 1) + timedelta(days=int(d)) for d in day],
        }
    )
    return as_instants(at), y, P, trades, rows, day


def test_cells_hold_what_sums_by_hand_say():
    t0, y, P, trades, rows, day = market()
    code = np.arange(len(y)) % 4 - 1  # one cell of four is none
    found = attribution({"way": Cells(("a", "b", "c"), code, "said")}, t0, y, P, BASE, trades)
    assert found["ways"]["way"]["about"] == "said"
    gross = trades["gross"].to_numpy()
    for number, cell in enumerate(found["ways"]["way"]["cells"]):
        mine = [k for k, row in enumerate(rows) if code[row] == number]
        assert cell["rows"] == sum(code == number)
        assert cell["trades"] == len(mine)
        assert cell["gross"] == pytest.approx(sum(gross[k] for k in mine))
        assert cell["net"] == pytest.approx(sum(gross[k] - 3 for k in mine))
        mean = cell["gross_per_trade"]
        each = {d: sum(gross[k] - mean for k in mine if day[k] == d) for d in {day[k] for k in mine}}
        D = len(each)
        error = math.sqrt(D / (D - 1) * sum(s * s for s in each.values())) / len(mine)
        assert cell["gross_t"] == pytest.approx(mean / error)
        assert cell["gross_p"] == pytest.approx(2 * stats.t.sf(abs(mean / error), D - 1))
        assert cell["net_t"] == pytest.approx((mean - 3) / error)
        assert 0.4 < cell["direction_auc"] < 0.6
    sides = found["ways"]["side"]["cells"]
    assert [side["trades"] for side in sides] == [int((trades["side"] == s).sum()) for s in (1, -1)]
    assert sum(side["net"] for side in sides) == pytest.approx(trades["net"].sum())
    assert found["looked_at"] == 5
    assert found["tested"] == 5


def test_one_trade_a_day_is_students_test():
    t0, y, P, trades, *_ = market(n=90, days=1)
    one = trades.with_columns(session=pl.Series([date(2024, 1, 1) + timedelta(days=k) for k in range(30)]))
    found = attribution({}, t0, y, P, BASE, one.with_columns(side=pl.lit(1, pl.Int8)))
    expected = stats.ttest_1samp(one["gross"].to_numpy(), 0)
    long = found["ways"]["side"]["cells"][0]
    assert (long["gross_t"], long["gross_p"]) == pytest.approx((expected.statistic, expected.pvalue))


def test_too_few_days_or_hits_are_not_tested():
    t0, y, P, trades, *_ = market(n=300, days=9)
    found = attribution({"way": Cells(("a",), np.zeros(300, dtype=np.int64), "")}, t0, y, P, BASE, trades)
    cell = found["ways"]["way"]["cells"][0]
    assert (cell["gross_t"], cell["holm_p"], cell["significant"]) == (None, None, False)
    assert found["tested"] == 0
    few = attribution(
        {"way": Cells(("a",), np.where(np.arange(300) < 90, 0, -1), "")}, t0, y, P, BASE, trades
    )
    assert few["ways"]["way"]["cells"][0]["direction_auc"] is None


def test_marks_are_rare_without_an_edge_and_come_with_one():
    """30 cells that all know nothing: of 200 markets some 5% may have a mark; one cell with an edge has it."""
    wrong = 0
    for seed in range(200):
        t0, y, P, trades, *_ = market(n=600, days=60, seed=seed)
        code = np.random.default_rng(seed + 1000).integers(0, 10, 600)
        ways = {str(k): Cells(tuple("abcdefghij"), (code + k * code**2) % 10, "") for k in range(3)}
        wrong += attribution(ways, t0, y, P, BASE, trades)["significant"] > 0
    assert wrong <= stats.binom.ppf(0.999, 200, 0.05)
    t0, y, P, trades, rows, _ = market()
    code = np.arange(len(y)) // 3 % 5
    better = trades.with_columns(gross=pl.col("gross") + 5.0 * (code[rows] == 2))
    found = attribution({"way": Cells(tuple("abcde"), code, "")}, t0, y, P, BASE, better)
    assert [cell["significant"] for cell in found["ways"]["way"]["cells"]] == [
        False,
        False,
        True,
        False,
        False,
    ]


def test_a_trade_of_no_row_is_refused():
    t0, y, P, trades, *_ = market()
    with pytest.raises(DataError, match="decided at no row"):
        attribution({}, t0 + 1, y, P, BASE, trades)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=8), st.integers(0, 5))
def test_holm_is_the_step_down_procedure(p, more):
    looked_at = len(p) + more
    adjusted = holm(p, looked_at)
    assert [one is None for one in p] == [one is None for one in adjusted]
    for level in (0.01, 0.05, 0.3):
        # Reject the smallest while p_(k) <= level / (m - k + 1); stop at the first that fails.
        rejected = set()
        for k, (value, number) in enumerate(sorted((v, i) for i, v in enumerate(p) if v is not None)):
            if value * (looked_at - k) > level:
                break
            rejected.add(number)
        assert rejected == {i for i, one in enumerate(adjusted) if one is not None and one <= level}


def test_terciles_part_training_rows_evenly():
    values = np.random.default_rng(0).normal(size=3000)
    assert np.bincount(terciles(values, values)).tolist() == [1000, 1000, 1000]
    assert terciles(np.array([1.0]), np.array([np.nan])).tolist() == [-1]


@settings(max_examples=30)
@given(st.integers(1, 9), st.integers(0, 60), st.integers(0, 9999))
def test_a_trend_is_known_at_its_bar(bars, cut, seed):
    rng = np.random.default_rng(seed)
    close, sigma = np.exp(rng.normal(0, 0.01, 60).cumsum()), rng.uniform(0, 0.02, 60)
    block = np.cumsum(rng.random(60) < 0.1)
    found = trend(close, sigma, block, bars)
    for t in range(60):
        whole = t >= bars and len(set(block[t - bars : t + 1])) == 1
        assert np.isfinite(found[t]) == whole
        if whole:
            move = sum(math.log(b / a) for a, b in pairwise(close[t - bars : t + 1]))
            assert found[t] == pytest.approx(move / (sigma[t] * math.sqrt(bars)), abs=1e-9)
    other = close.copy()
    other[cut:] *= rng.uniform(0.5, 2, 60 - cut)
    assert np.array_equal(trend(other, sigma, block, bars)[:cut], found[:cut], equal_nan=True)
