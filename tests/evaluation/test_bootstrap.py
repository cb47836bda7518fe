import json
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from tests.oracles import evaluation as oracle

from foldsmith.errors import DataError, SettingError
from foldsmith.evaluation.bootstrap import interval
from foldsmith.evaluation.metrics import score

BASE = [0.3, 0.4, 0.3]
SCORES = ("log_loss", "brier", "direction_log_loss", "direction_auc", "auc", "balanced_accuracy", "mcc")
GAINS = ("log_loss", "brier", "direction_log_loss")


def rows_by_day(n_days=14, per_day=12, seed=0, ties=False):
    rng = np.random.default_rng(seed)
    n = n_days * per_day
    y = rng.integers(-1, 2, n).astype(np.int8)
    P = rng.dirichlet([4, 4, 4], n)
    if ties:
        P = (rng.multinomial(5, [1 / 3] * 3, size=n) + 1) / 8
    return y, P, np.repeat(np.arange(n_days), per_day), rng.uniform(0.5, 2, n)


@pytest.mark.parametrize("block", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_every_draw_is_the_score_of_the_rows_of_its_days(block, weighted):
    y, P, days, w = rows_by_day(31 if block > 1 else 14, 8, ties=True)
    weight = w if weighted else None
    found = interval(y, P, days, weight, BASE, seed=5, draws=100, block_days=block)
    drawn = []
    for rows in oracle.bootstrap_rows(days.tolist(), 100, block, 5):
        one = score(y[rows], P[rows], None if weight is None else w[rows], BASE)
        drawn.append(one.get("weighted", one))
    whole = score(y, P, weight, BASE)
    whole = whole.get("weighted", whole)
    for name in SCORES:
        values = np.array([draw[name] for draw in drawn])
        assert found[name]["estimate"] == pytest.approx(whole[name])
        assert found[name]["low"] == pytest.approx(np.quantile(values, 0.025)), name
        assert found[name]["high"] == pytest.approx(np.quantile(values, 0.975)), name
        assert found[name]["standard_error"] == pytest.approx(values.std(ddof=1)), name
    for name in GAINS:
        values = np.array([draw[f"{name}_base"] - draw[name] for draw in drawn])
        assert found[f"{name}_gain"]["low"] == pytest.approx(np.quantile(values, 0.025)), name


def test_covers_the_truth_where_days_differ():
    """A forecaster without knowledge, in a market that has up days and down days: the AUC is 1/2 in truth."""
    covered = by_rows = 0
    runs, n_days, per_day = 100, 40, 12
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        tilt = np.repeat(rng.normal(0, 0.4, n_days), per_day)
        lean = np.repeat(rng.normal(0, 0.4, n_days), per_day)
        y = np.where(rng.random(n_days * per_day) < np.clip(0.5 + tilt, 0.02, 0.98), 1, -1)
        up = np.clip(0.5 + 0.3 * lean + rng.normal(0, 0.05, n_days * per_day), 0.02, 0.98)
        P = np.stack([1 - up, np.zeros_like(up), up], axis=1)
        days = np.repeat(np.arange(n_days), per_day)
        found = interval(y, P, days, seed=seed, draws=300)["direction_auc"]
        covered += found["low"] <= 0.5 <= found["high"]
        rows = interval(y, P, np.arange(len(y)), seed=seed, draws=200)["direction_auc"]
        by_rows += rows["low"] <= 0.5 <= rows["high"]
    assert 0.88 <= covered / runs <= 1
    # Rows taken as independent give intervals that miss: why days are drawn.
    assert by_rows / runs < 0.75


def test_days_may_be_dates_or_numbers_and_the_seed_decides():
    y, P, days, _ = rows_by_day()
    dates = pl.Series([date(2024, 1, 1) + timedelta(days=int(day)) for day in days])
    one = interval(y, P, days, None, BASE, seed=1, draws=200)
    assert one == interval(y, P, dates, None, BASE, seed=1, draws=200)
    assert one == interval(y, P, dates.to_numpy(), None, BASE, seed=1, draws=200)
    assert one != interval(y, P, days, None, BASE, seed=2, draws=200)
    json.dumps(one, allow_nan=False)


def test_too_few_days_give_no_interval():
    y, P, days, _ = rows_by_day(9)
    found = interval(y, P, days, seed=1)
    assert found["log_loss"]["estimate"] is not None
    assert found["log_loss"]["low"] is None
    assert found["log_loss"]["standard_error"] is None
    assert "log_loss_gain" not in found


def test_a_missing_side_gives_no_direction():
    y, P, days, _ = rows_by_day()
    found = interval(np.where(y < 0, 0, y), P, days, None, BASE, seed=1)
    assert found["direction_auc"] == {"estimate": None, "low": None, "high": None, "standard_error": None}
    assert found["auc"]["estimate"] is None
    no_hits = interval(np.zeros(len(y)), P, days, None, BASE, seed=1)
    assert no_hits["direction_log_loss"]["estimate"] is None
    json.dumps(no_hits, allow_nan=False)


@pytest.mark.parametrize("bad", [{"draws": 10}, {"level": 1.0}, {"level": 95}, {"block_days": 0}])
def test_refuses_settings(bad):
    y, P, days, _ = rows_by_day()
    with pytest.raises(SettingError, match=next(iter(bad))):
        interval(y, P, days, seed=1, **bad)


def test_refuses_days_of_another_length():
    y, P, days, _ = rows_by_day()
    with pytest.raises(DataError, match="days"):
        interval(y, P, days[:-1], seed=1)
