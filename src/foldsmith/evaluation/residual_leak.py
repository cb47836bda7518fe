"""What a longer embargo does to an out-of-fold score: a diagnosis of leaks that labels do not show, and no proof.

Rows near a test block may know of it though no label meets: through features with a long memory, or a market that stays
as it is. Then a score falls as the embargo grows. It also falls as rows are taken away, so every fit has as many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foldsmith.errors import DataError, SettingError
from foldsmith.evaluation.bootstrap import MIN_DAYS, drawn_scores
from foldsmith.evaluation.rows import Floats
from foldsmith.intervals import Rows
from foldsmith.splits import PurgedKFold

SCORES = {"log_loss": 1.0, "direction_auc": -1.0}
"""Score -> its sign where more is worse."""
ERRORS = 3.0
"""Standard errors of a paired difference from which on a score is called worse: many are compared."""
LEVEL = 0.95


@dataclass(frozen=True)
class Apart:
    """One split for embargoes of several lengths: training rows of each, equally many, and the rows that it tests."""

    train: Mapping[int, Rows]
    test: Rows


def embargoes_of(horizon: int) -> tuple[int, ...]:
    """Embargoes in bars that are tried: 0, H/4, H/2, H, 2H, 4H and 8H, each once.

    >>> embargoes_of(10)
    (0, 2, 5, 10, 20, 40, 80)
    """
    return tuple(sorted({0, horizon // 4, horizon // 2, *(horizon * times for times in (1, 2, 4, 8))}))


def matched_folds(
    n_splits: int, embargoes: Sequence[int], *, t0: Any, t1: Any, purge: int, bars: Any
) -> list[Apart]:
    """Purged folds of rows, their training rows for every embargo.

    All have as many rows as the longest embargo leaves. Where a shorter one has rows that the longest holds back, as
    many of those after them are left out, or where these do not suffice, of the first rows.

    >>> t0 = np.arange(12)
    >>> middle = matched_folds(3, (0, 2), t0=t0, t1=t0, purge=0, bars=t0)[1]
    >>> middle.train[0], middle.train[2]
    (array([ 0,  1,  2,  3,  8,  9]), array([ 0,  1,  2,  3, 10, 11]))
    """
    options = {"t0": t0, "t1": t1, "purge": purge, "bars": bars}
    splits = {e: list(PurgedKFold(n_splits, embargo=e, **options).split(t0)) for e in embargoes}
    longest = max(embargoes)
    found = []
    for k, (least, test) in enumerate(splits[longest]):
        train = {}
        for e in embargoes:
            near = np.setdiff1d(splits[e][k][0], least)
            behind = least[least > near[-1]] if len(near) else least[:0]
            dropped = behind[: len(near)]
            kept = np.setdiff1d(least, dropped)
            kept = kept[len(near) - len(dropped) :]
            train[e] = np.union1d(kept, near)
        found.append(Apart(train, test))
    return found


def curve(
    y: Any, P_by_embargo: Mapping[int, Any], days: Any, *, horizon: int, seed: int, draws: int = 1000
) -> dict[str, Any]:
    """Scores by embargo, paired differences to no embargo, and the embargo that the rule suggests; JSON-able.

    y (n,) and P (n, 3) are of the same rows for every embargo. Days are drawn as `interval` draws them, the same ones
    for all. Each point has of each score `estimate`, and `difference`, `low`, `high` (95%) and `standard_error` of the
    score less that of no embargo. Suggested is the smallest embargo than which no longer one is worse, in log loss or
    direction AUC, by more than three standard errors of their paired difference; None with fewer than 10 days.
    """
    embargoes = sorted(P_by_embargo)
    if not embargoes or embargoes[0] != 0:
        raise SettingError(f"embargoes {embargoes} do not begin with 0, to which the others are compared.")
    scored = {e: drawn_scores(y, P, days, seed=seed, draws=draws) for e, P in P_by_embargo.items()}
    n_days = scored[0][2]
    if not all(np.isfinite(scored[0][0][name]) for name in SCORES):
        raise DataError(
            "there are no long or no short labels among the scored rows, so no direction is scored."
        )
    enough = n_days >= MIN_DAYS
    points = [
        {"embargo": e, **{name: _point(scored[e], scored[0], name, enough) for name in SCORES}}
        for e in embargoes
    ]
    suggested = next(
        e for e in embargoes if not any(_worse(scored[e], scored[f]) for f in embargoes if f > e)
    )
    return {
        "horizon": horizon,
        "days": n_days,
        "draws": draws,
        "level": LEVEL,
        "points": points,
        "suggested_embargo": suggested if enough else None,
        "falls_to_the_end": bool(enough and len(embargoes) > 1 and suggested == embargoes[-1]),
    }


Scores = tuple[Mapping[str, float], Mapping[str, Floats], int]


def _point(mine: Scores, first: Scores, name: str, enough: bool) -> dict[str, float | None]:
    difference = mine[0][name] - first[0][name]
    found: dict[str, float | None] = {"estimate": mine[0][name], "difference": difference}
    drawn = mine[1][name] - first[1][name]
    drawn = drawn[np.isfinite(drawn)]
    if not enough or len(drawn) < 2:
        return found | {"low": None, "high": None, "standard_error": None}
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return found | {"low": float(low), "high": float(high), "standard_error": float(drawn.std(ddof=1))}


def _worse(shorter: Scores, longer: Scores) -> bool:
    """Whether the longer embargo scores worse by more than three standard errors."""
    for name, sign in SCORES.items():
        drawn = longer[1][name] - shorter[1][name]
        error = float(np.nanstd(drawn, ddof=1))
        if sign * (longer[0][name] - shorter[0][name]) > ERRORS * error:
            return True
    return False
