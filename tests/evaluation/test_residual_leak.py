"""A leak that no label shows is found by the curve and its end named; where there is none, none is found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldsmith.errors import DataError, SettingError
from foldsmith.evaluation.residual_leak import curve, embargoes_of, matched_folds
from foldsmith.splits import PurgedKFold


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(2, 6), st.integers(1, 12))
def test_every_embargo_fits_as_many_rows_and_keeps_to_itself(seed: int, n_splits: int, horizon: int) -> None:
    rng = np.random.default_rng(seed)
    bars = np.arange(400, dtype=np.int64)
    t0 = np.sort(rng.choice(300, size=200, replace=False)).astype(np.int64)
    t1 = t0 + rng.integers(0, horizon + 1, size=200)
    embargoes = embargoes_of(horizon)[:5]
    folds = matched_folds(n_splits, embargoes, t0=t0, t1=t1, purge=0, bars=bars)
    for embargo in embargoes:
        options: dict[str, Any] = {"t0": t0, "t1": t1, "bars": bars, "embargo": embargo}
        for (allowed, test), fold in zip(PurgedKFold(n_splits, **options).split(t0), folds, strict=True):
            assert np.array_equal(fold.test, test)
            assert set(fold.train[embargo]) <= set(allowed)
            assert len(fold.train[embargo]) == len(fold.train[max(embargoes)])
            assert len(np.unique(fold.train[embargo])) == len(fold.train[embargo])


def predictions(reach: int, seed: int) -> tuple[Any, dict[int, Any], Any]:
    """6000 rows of 60 days whose forecasts know the label better under embargoes shorter than `reach`."""
    rng = np.random.default_rng(seed)
    n = 6000
    y = rng.choice([-1, 0, 1], size=n)
    base = rng.normal(size=(n, 3)) * 0.3
    found = {}
    for embargo in embargoes_of(10):
        score = base + rng.normal(size=(n, 3)) * 0.02
        score[np.arange(n), y + 1] += 0.25 if embargo < reach else 0.0
        P = np.exp(score)
        found[embargo] = P / P.sum(axis=1, keepdims=True)
    return y, found, np.arange(n) // 100


@pytest.mark.parametrize("reach", [0, 2, 10, 40])
def test_the_embargo_at_which_the_score_stops_falling_is_suggested(reach: int) -> None:
    for seed in range(5):
        made = curve(*predictions(reach, seed), horizon=10, seed=1, draws=200)
        assert made["suggested_embargo"] == reach
        assert not made["falls_to_the_end"]
    first = made["points"][0]["log_loss"]
    last = made["points"][-1]["log_loss"]
    assert first["difference"] == 0
    assert last["difference"] == pytest.approx(last["estimate"] - first["estimate"])
    assert (last["low"] > 0) == (reach > 0)


def test_a_score_that_falls_to_the_end_is_said_to() -> None:
    made = curve(*predictions(80, 3), horizon=10, seed=1, draws=200)
    assert (made["suggested_embargo"], made["falls_to_the_end"]) == (80, True)


def test_few_days_suggest_nothing_and_what_cannot_be_compared_is_refused() -> None:
    y, found, days = predictions(10, 0)
    few = curve(y, found, days // 10, horizon=10, seed=1, draws=200)
    assert few["suggested_embargo"] is None
    assert few["points"][3]["log_loss"]["low"] is None
    with pytest.raises(SettingError, match="do not begin with 0"):
        curve(y, {5: found[5]}, days, horizon=10, seed=1)
    with pytest.raises(DataError, match="no direction"):
        curve(np.zeros_like(y), found, days, horizon=10, seed=1, draws=200)
