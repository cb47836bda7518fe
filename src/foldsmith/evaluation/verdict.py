"""The verdict on one look at held-out rows: a rule stated beforehand, with the share of markets it is wrong on.

Two tests ask whether anything is known of the direction: the direction AUC among barrier hits, and the mean daily
profit before costs. Every model that is looked at on the same rows gets its own part of the error rate, the r-th

    a_r = 0.05 / (r (r + 1)),    so that    sum_r a_r = 0.05,

and each of its tests half of it, one-sided. So on a market without an edge at most 5 of 100 researchers are ever told
of evidence, however many models they look at. Whether an edge outlives costs is asked by the deflated Sharpe ratio.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from foldsmith.errors import SettingError
from foldsmith.evaluation.deflated import deflated_sharpe_ratio, expected_maximum
from foldsmith.evaluation.significance import mean_test, sharpe_ratio

NO_EVIDENCE = "no evidence"
NOT_TRADEABLE = "evidence, not tradeable after costs"
EVIDENCE = "evidence"
ERROR_RATE = 0.05
"""Share of markets without an edge on which any of all looks may find evidence."""
ENOUGH_DSR = 0.95
"""Deflated Sharpe ratio from which profits after costs are believed."""


@dataclass(frozen=True)
class Verdict:
    """What is said, why, and by which numbers; `numbers` is JSON-able."""

    verdict: str
    reasons: tuple[str, ...]
    numbers: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """As it is stored."""
        return {"verdict": self.verdict, "reasons": list(self.reasons), **self.numbers}


def share_of_error(place: int) -> float:
    """The error rate of the r-th model looked at: 0.05 / (r (r + 1)).

    >>> share_of_error(1), round(sum(share_of_error(r) for r in range(1, 10_000)), 4)
    (0.025, 0.05)
    """
    if place < 1:
        raise SettingError(f"place={place} must be at least 1: this look is one of them.")
    return ERROR_RATE / (place * (place + 1))


def judge(
    auc: Mapping[str, Any] | None,
    daily_gross: Any,
    daily_net: Any,
    *,
    days: int,
    symmetric: bool,
    place: int,
    trials: int,
    variance: float,
) -> Verdict:
    """Say whether there is evidence of an edge, and whether it is one that pays.

    auc : the direction AUC with `estimate` and `standard_error` of a bootstrap by day, over `days` days; daily_gross,
    daily_net : (n,) profit by trading day before and after costs, days without a trade 0; symmetric : both barriers
    are as wide, without which an AUC above 0.5 is no sign of an edge and the whole rate is the profit's; place : r;
    trials, variance : K and V of `deflated_sharpe_ratio`. SettingError for a place or trials below 1.

    "no evidence" unless a test passes; "evidence" where the deflated Sharpe ratio of the net profits is at least 0.95
    too; else "evidence, not tradeable after costs". A test that cannot be made does not pass.
    """
    level = share_of_error(place) / (2 if symmetric else 1)
    tests = {"gross_profit": _profit_test(daily_gross)}
    if symmetric:
        tests = {"direction_auc": _auc_test(auc, days), **tests}
    passed = [name for name, test in tests.items() if test["p"] is not None and test["p"] <= level]
    reasons = [_told(name, test, level) for name, test in tests.items()]
    if not symmetric:
        reasons.append("Barriers differ in width, so the direction AUC says nothing of an edge here.")
    net = sharpe_ratio(daily_net)
    deflated = None
    if net is not None:
        shape = net.sharpe, net.n, net.skewness, net.kurtosis
        deflated = deflated_sharpe_ratio(*shape, n_trials=trials, variance=variance)
    pays = deflated is not None and deflated >= ENOUGH_DSR and net is not None and net.sharpe > 0
    if passed:
        reasons.append(_of_costs(None if net is None else net.sharpe, deflated, trials))
    verdict = NO_EVIDENCE if not passed else EVIDENCE if pays else NOT_TRADEABLE
    return Verdict(
        verdict,
        tuple(reasons),
        {
            "place": place,
            "level": level,
            "error_rate": ERROR_RATE,
            "tests": tests,
            "trials": trials,
            "deflated_sharpe_ratio": deflated,
            "benchmark_sharpe_daily": variance**0.5 * expected_maximum(trials),
        },
    )


def _auc_test(auc: Mapping[str, Any] | None, days: int) -> dict[str, float | None]:
    from scipy.special import stdtr

    error = None if auc is None else auc.get("standard_error")
    if auc is None or not error or days < 3:
        return {"estimate": None if auc is None else auc.get("estimate"), "t": None, "p": None}
    t = (auc["estimate"] - 0.5) / error
    return {"estimate": auc["estimate"], "t": t, "p": float(stdtr(days - 1, -t))}


def _profit_test(daily: Any) -> dict[str, float | None]:
    found = mean_test(daily)
    if found is None:
        return {"estimate": None, "t": None, "p": None}
    return {"estimate": found.mean, "t": found.t, "p": found.p / 2 if found.t > 0 else 1 - found.p / 2}


_NAMES = {
    "direction_auc": ("Long from short among barrier hits", "AUC", 4),
    "gross_profit": ("Profit before costs", "mean of a day", 2),
}


def _told(name: str, test: Mapping[str, float | None], level: float) -> str:
    what, measure, digits = _NAMES[name]
    if test["p"] is None:
        return f"{what}: too few days or trades to test."
    side = "at or below" if test["p"] <= level else "above"
    found = f"{measure} {test['estimate']:.{digits}f}, p {test['p']:.2g}"
    return f"{what}: {found}, {side} the {level:.2g} that this look is allowed."


def _of_costs(sharpe: float | None, deflated: float | None, trials: int) -> str:
    if sharpe is None or deflated is None:
        return "After costs: too few days with a trade to judge."
    if sharpe <= 0:
        return "After costs: it loses."
    enough = "at least" if deflated >= ENOUGH_DSR else "below"
    return (
        f"After costs: it earns, and the deflated Sharpe ratio (2014), with K = {trials:,} trials in the ledger, is "
        f"{deflated:.3f}, {enough} the {ENOUGH_DSR:g} asked for."
    )
