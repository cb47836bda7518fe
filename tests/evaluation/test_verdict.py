"""The rule of the verdict, its edges, and how often it is wrong where nothing is to be found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from foldsmith.errors import SettingError
from foldsmith.evaluation.verdict import (
    ERROR_RATE,
    EVIDENCE,
    NO_EVIDENCE,
    NOT_TRADEABLE,
    Verdict,
    judge,
    share_of_error,
)


def auc(t: float) -> dict[str, float]:
    return {"estimate": 0.5 + 0.02 * t, "standard_error": 0.02}


def days(t: float, n: int = 250) -> Any:
    """Daily profits whose mean is t standard errors above 0."""
    x = np.sin(np.arange(n) * 2.399963)
    x = (x - x.mean()) / x.std(ddof=1)
    return x + t / np.sqrt(n)


def judged(t_auc: float | None, t_gross: float, t_net: float, **other: Any) -> Verdict:
    asked = {"days": 250, "symmetric": True, "place": 1, "trials": 1, "variance": 1 / 250, **other}
    return judge(None if t_auc is None else auc(t_auc), days(t_gross), days(t_net), **asked)


def test_the_three_verdicts() -> None:
    assert judged(0.5, 1.0, -1.0).verdict == NO_EVIDENCE
    assert judged(3.0, 0.0, -1.0).verdict == NOT_TRADEABLE
    assert judged(0.0, 3.0, -1.0).verdict == NOT_TRADEABLE
    assert judged(3.0, 3.0, 2.5).verdict == EVIDENCE
    # One trial's profit is not that of the best of a thousand.
    assert judged(3.0, 3.0, 2.5, trials=1000).verdict == NOT_TRADEABLE
    assert judged(-5.0, -5.0, -5.0).verdict == NO_EVIDENCE


def test_each_model_looked_at_needs_more() -> None:
    place = next(r for r in range(1, 50) if judged(3.0, 0.0, 0.0, place=r).verdict == NO_EVIDENCE)
    p = float(stats.t.sf(3.0, 249))
    assert share_of_error(place) / 2 < p <= share_of_error(place - 1) / 2
    assert sum(share_of_error(r) for r in range(1, 100_000)) == pytest.approx(ERROR_RATE, rel=1e-4)


def test_what_cannot_be_tested_does_not_pass() -> None:
    assert judged(None, 0.0, 0.0).verdict == NO_EVIDENCE
    none = judge({"estimate": 0.9, "standard_error": None}, [0.0] * 9, [0.0] * 9, days=9, symmetric=True,
                 place=1, trials=5, variance=0.1)  # fmt: skip
    assert none.verdict == NO_EVIDENCE
    assert all("too few" in reason for reason in none.reasons)
    # Barriers that differ in width make an AUC of volatility alone; profit has the whole rate then.
    lopsided = judged(9.0, 2.1, 2.1, symmetric=False)
    assert set(lopsided.numbers["tests"]) == {"gross_profit"}
    assert lopsided.verdict == EVIDENCE
    assert judged(0.0, 2.1, 2.1).verdict == NO_EVIDENCE


def test_reasons_say_the_numbers_they_rest_on() -> None:
    found = judged(3.0, 3.0, 2.5, trials=40)
    assert any("AUC 0.5600" in reason and "at or below" in reason for reason in found.reasons)
    assert any("K = 40 trials" in reason and "0.95" in reason for reason in found.reasons)
    assert found.as_dict()["verdict"] == found.verdict
    with pytest.raises(SettingError, match="place=0"):
        judged(1.0, 1.0, 1.0, place=0)


def test_researchers_without_an_edge_are_told_of_none() -> None:
    """4,000 researchers look at five models each, profits and AUC without an edge: at most 5 of 100 find evidence."""
    rng = np.random.default_rng(0)
    n, found = 4000, 0
    for _ in range(n):
        looks = [
            judge(auc(float(rng.standard_t(59))), rng.standard_t(5, 60), rng.normal(size=60), days=60, symmetric=True,
                  place=place, trials=5, variance=1 / 60).verdict
            for place in range(1, 6)
        ]  # fmt: skip
        found += any(verdict != NO_EVIDENCE for verdict in looks)
    print("share told of evidence", found / n)
    assert stats.binom.cdf(found, n, ERROR_RATE * 5 / 6) > 0.005
    assert stats.binom.sf(found - 1, n, ERROR_RATE) > 0.005
