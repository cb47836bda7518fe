"""How much of what is shown could be luck: trials, deflated Sharpe ratios, overfitting, and models against models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foldsmith.report.markup import NONE, Markup, html, note, number, pairs, percent, section, table

Found = Mapping[str, Any]
SHOWN_PATHS = 12


def tried_section(found: Found | None, looks: Mapping[str, int] | None, split: str) -> Markup:
    """How many things were tried before this score was seen, and what the best of so many shows by chance."""
    shown: dict[str, Any] = {}
    if found:
        tried = found["tried"]
        shown = {
            "datasets made from these raw bars": tried["datasets"],
            "ways of labelling tried on them": tried["labellings"],
            "model trials on them, K": tried["trials"],
            "this model among those looked at": tried["place"],
        }
    if looks:
        shown |= {f"looks at the {split} split, {name.replace('_', ' ')}": n for name, n in looks.items()}
    if not shown:
        return Markup("")
    said = (
        "Counted in the ledger, which nobody can make smaller: every trial of every fold, pruned or failed or of a run "
        "removed since, and every model and trading rule that was looked at. The best of many tries looks good by "
        "chance alone; the more is counted here, the less a single good score means."
    )
    parts: list[str] = [pairs(shown), note(said)]
    if found:
        parts += [_sharpe(found), _overfitting(found), _compared(found), _snooping(found)]
        parts.append(_paths(found["paths"]))
    return section("What was tried, and what luck shows", *parts)


def _sharpe(found: Found) -> str:
    ratios = found["sharpe"]
    rows = [
        ("deflated Sharpe ratio of 2014, K from the ledger", percent(ratios["deflated_sharpe_ratio"])),
        (
            f"the same, effective K of {number(ratios['trials_effective'], 1)}",
            percent(ratios["deflated_sharpe_ratio_effective"]),
        ),
        ("deflated Sharpe ratio of 2025, K from the ledger", percent(ratios["deflated_sharpe_ratio_2025"])),
        ("Sharpe ratio a year of the best of K without skill", number(ratios["expected_best_annual"], 2)),
        ("years of data below which the best of K shows 1", number(ratios["minimum_backtest_years"], 2)),
        ("days until this Sharpe ratio is told from 0 (MinTRL)", number(ratios["minimum_track_record_days"], 0)),
    ]  # fmt: skip
    series = found["series"]
    spread = (
        f"that of {ratios['series']} trials' Sharpe ratios"
        if ratios["variance_from"] == "series"
        else f"1 / days, as only {ratios['series']} trials kept profits to take it from"
    )
    missing = f" Not read: {'; '.join(series['missing'])}." if series["missing"] else ""
    said = (
        f"Of daily profit after costs. The variance of trials is {spread}. Out-of-fold profits were kept by "
        f"{len(series['names'])} of {ratios['trials']:,} trials; the effective K takes the others to be as alike as "
        f"these (participation ratio of their correlations).{missing}"
    )
    return table(["Sharpe ratio after costs against luck", ""], rows) + note(said)


def _overfitting(found: Found) -> str:
    over = found["overfitting"]
    if "skipped" in over:
        return note(f"Probability of backtest overfitting: none ({over['skipped']}).")
    said = (
        f"Probability of backtest overfitting (CSCV, {over['blocks']} blocks of {over['days']:,} out-of-fold days, "
        f"{over['series']} models): {percent(over['probability'])}. So often is the model that is best on one half of "
        "the days in the lower half of all, or in the very middle, on the other."
    )
    return note(said)


def _paths(found: Found) -> str:
    """How the Sharpe ratio is spread over combinatorial paths; each path up to SHOWN_PATHS of them."""
    if "skipped" in found:
        return note(found["skipped"])
    shown = range(found["paths"] if found["paths"] <= SHOWN_PATHS else 0)
    head = ["Sharpe ratio a year after costs, over paths", "median", "lowest", "highest", "below 0"]
    rows = [
        (
            name,
            *(number(each[key], 2) for key in ("median", "low", "high")),
            percent(each["below_0"]),
            *(number(each["sharpe"][path], 2) for path in shown),
        )
        for name, each in found["models"].items()
    ]
    missing = f" Not read: {'; '.join(found['missing'])}." if found["missing"] else ""
    said = (
        f"Combinatorial purged cross-validation: the training rows in {found['groups']} groups, {found['tested']} of "
        f"them tested in each of {found['splits']} splits, joined to {found['paths']} paths that each predict every "
        "row once. An ensemble is cross-fitted on each path of its base models as on the out-of-fold table, and so no "
        "more fully nested than there. Traded by the default rule, one position at a time. "
        f"{found['statement']}{missing}"
    )
    return table([*head, *(f"path {path + 1}" for path in shown)], rows) + note(said)


def _compared(found: Found) -> str:
    tests = found.get("diebold_mariano") or {}
    if not tests:
        return ""
    rows = [
        (
            name,
            number(None if test is None else test["difference"], 5, sign=True),
            number(None if test is None else test["t"], 2),
            number(None if test is None else test["p"], 3),
        )
        for name, test in tests.items()
    ]
    said = (
        "Diebold and Mariano's test by trading day, with Harvey's correction; below 0 the ensemble is better."
    )
    return table(["log loss of the ensemble less that of", "difference", "t", "p"], rows) + note(said)


def _snooping(found: Found) -> str:
    tests = found["snooping"]
    if "skipped" in tests:
        return note(f"Tests of data snooping (SPA, StepM, MCS): {tests['skipped']}.")
    shown = {
        "no model earns more than flat, after costs (SPA, consistent p)": tests["spa"]["consistent"],
        "models that earn more than flat (StepM, 5%)": _names(tests["stepm"]),
        "models not shown to be worse than the best (MCS, 95%)": _names(tests["mcs"]),
        "models that never traded": _names(tests["left_out"]),
    }
    said = f"Of {tests['days']:,} out-of-fold days, {tests['reps']:,} draws in blocks of {tests['block_days']} days."
    return pairs(shown) + note(said)


def _names(names: list[str]) -> Any:
    return html(", ".join(names)) if names else Markup(NONE)
