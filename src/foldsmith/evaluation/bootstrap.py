"""Confidence intervals by resampling whole trading days."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith.errors import DataError, SettingError
from foldsmith.evaluation.metrics import (
    balanced_accuracy,
    confusion_cells,
    direction_losses,
    matthews,
    row_losses,
)
from foldsmith.evaluation.ranking import stable_order
from foldsmith.evaluation.rows import Floats, Scored, checked
from foldsmith.models.multinomial import single_threaded

MIN_DAYS = 10
"""Fewer blocks than this say too little about their own spread: no interval is given."""


def interval(
    y: Any,
    P: Any,
    days: Any,
    weight: Any = None,
    base_rate: Any = None,
    *,
    seed: int,
    draws: int = 1000,
    level: float = 0.95,
    block_days: int = 1,
) -> dict[str, Any]:
    """Block-bootstrap intervals of scores, by trading day; JSON-able.

    Rows of one day share its market and overlap as labels, so days, not rows, are drawn: each draw takes
    blocks of `block_days` consecutive days with replacement (circular, Politis and Romano 1992) until it has
    as many days as there are, and every score is computed anew on the drawn days. That is exact and needs
    only sums by day; an AUC is sum_de c_d c_e U_de / (sum_d c_d L_d  sum_e c_e S_e), with c_d the times day d
    was drawn, L and S the weight of positives and negatives by day, and U_de the weight of pairs of a
    positive of day d and a negative of day e that are ranked right. Choose `block_days` so that few labels
    outlive a block.

    y, P, weight, base_rate as for `score`; days : (n,) trading day of each row (dates, or any values that
    sort in time order). Returns `level`, `draws`, `days`, `block_days` and, for log_loss, brier,
    direction_log_loss, direction_auc, auc, balanced_accuracy, mcc, and the `_gain` of the first three (base
    rate's less model's: above 0 is better; absent without a base rate), a dict of `estimate`, `low`, `high`
    (percentiles) and `standard_error`. low, high and standard_error are null with fewer than 10 blocks of
    days, or where over 5% of draws lack a class that the score needs. Errors: DataError, SettingError.
    """
    _check_settings(draws, level, block_days)
    whole, drawn, n_days = drawn_scores(
        y, P, days, weight, base_rate, seed=seed, draws=draws, block_days=block_days
    )
    enough = n_days >= MIN_DAYS * block_days
    facts: dict[str, Any] = {"level": level, "draws": draws, "days": n_days, "block_days": block_days}
    return facts | {name: _summary(whole[name], drawn[name], level, enough) for name in drawn}


def drawn_scores(
    y: Any,
    P: Any,
    days: Any,
    weight: Any = None,
    base_rate: Any = None,
    *,
    seed: int,
    draws: int = 1000,
    block_days: int = 1,
) -> tuple[dict[str, float], dict[str, Floats], int]:
    """Scores of the rows, the same of every draw of days (draws,), and how many days there are; see `interval`.

    One seed draws the same days for all predictions of the same rows, so differences of draws are paired.
    """
    rows = checked(y, P, weight, base_rate)
    day, n_days = _day_codes(days, len(rows))
    means, cells = _day_means(rows, day, n_days), _day_cells(rows, day, n_days)
    pairs = _all_day_pairs(rows, day, n_days)
    with single_threaded():
        drawn = _scores(draw_days(n_days, draws, block_days, seed), means, cells, pairs)
        whole = _scores(np.ones((1, n_days)), means, cells, pairs)
    return {name: float(values[0]) for name, values in whole.items()}, drawn, n_days


def _scores(
    counts: Floats,
    means: dict[str, tuple[Floats, Floats]],
    cells: Floats,
    pairs: dict[str, tuple[Floats, Floats, Floats]],
) -> dict[str, Floats]:
    """Every score of every draw, (draws,) each, from times each day is drawn, (draws, n_days)."""
    scores = {name: _ratio(counts @ top, counts @ below) for name, (top, below) in means.items()}
    confusion = (counts @ cells).reshape(-1, 3, 3)
    scores |= {"balanced_accuracy": balanced_accuracy(confusion), "mcc": matthews(confusion)}
    areas = {name: _auc(counts, *pair) for name, pair in pairs.items()}
    scores["direction_auc"] = areas.pop("direction")
    return scores | {"auc": np.mean(list(areas.values()), axis=0)}


def _ratio(top: Floats, below: Floats) -> Floats:
    """NaN where a draw holds nothing to divide by."""
    ratio: Floats = np.divide(top, below, out=np.full(len(top), np.nan), where=below > 0)
    return ratio


def _check_settings(draws: int, level: float, block_days: int) -> None:
    if draws < 100:
        raise SettingError(f"draws={draws} is too few for percentiles; take at least 100.")
    if not 0.5 <= level < 1:
        raise SettingError(f"level={level} is no confidence level; it lies between 0.5 and 1, such as 0.95.")
    if block_days < 1:
        raise SettingError(f"block_days={block_days} must be at least 1.")


def _day_codes(days: Any, n: int) -> tuple[npt.NDArray[np.int64], int]:
    values = days.to_numpy() if hasattr(days, "to_numpy") else np.asarray(days)
    if values.shape != (n,):
        raise DataError(f"days have shape {values.shape} for {n} rows.")
    names, codes = np.unique(values, return_inverse=True)
    return codes.astype(np.int64), len(names)


def drawn_days(n_days: int, draws: int, block: int, seed: int) -> npt.NDArray[np.int64]:
    """The days of every draw in their order, int64 (draws, n_days): circular blocks of consecutive days."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, n_days, size=(draws, -(-n_days // block)))
    taken = ((starts[:, :, None] + np.arange(block)) % n_days).reshape(draws, -1)[:, :n_days]
    return np.asarray(taken, dtype=np.int64)


def draw_days(n_days: int, draws: int, block: int, seed: int) -> Floats:
    """Times each day is drawn, float64 (draws, n_days); every row adds up to n_days."""
    taken = drawn_days(n_days, draws, block, seed) + np.arange(draws)[:, None] * n_days
    times = np.bincount(taken.ravel(), minlength=draws * n_days)
    return times.reshape(draws, n_days).astype(np.float64)


def _day_means(rows: Scored, day: npt.NDArray[np.int64], n_days: int) -> dict[str, tuple[Floats, Floats]]:
    """Per score, its weighted sum and the weight by day: any mean over days is a ratio of two sums."""
    hits = np.flatnonzero(rows.hit)
    sums = {}
    for losses, at in ((row_losses(rows), slice(None)), (direction_losses(rows, hits), hits)):
        below = _by_day(day[at], rows.weight[at], n_days)
        for name in [name for name in losses if not name.endswith("_base")]:
            sums[name] = (_by_day(day[at], losses[name] * rows.weight[at], n_days), below)
            if (base := losses.get(f"{name}_base")) is not None:
                gain = (base - losses[name]) * rows.weight[at]
                sums[f"{name}_gain"] = (_by_day(day[at], gain, n_days), below)
    return sums


def _by_day(day: npt.NDArray[np.int64], values: Floats, n_days: int) -> Floats:
    return np.bincount(day, weights=values, minlength=n_days).astype(np.float64)


def _day_cells(rows: Scored, day: npt.NDArray[np.int64], n_days: int) -> Floats:
    """Confusion tables by day, (n_days, 9)."""
    return _by_day(day * 9 + confusion_cells(rows), rows.weight, n_days * 9).reshape(n_days, 9)


def _all_day_pairs(
    rows: Scored, day: npt.NDArray[np.int64], n_days: int
) -> dict[str, tuple[Floats, Floats, Floats]]:
    """Pairs of positives and negatives for the direction and for each class against the rest."""
    hits = np.flatnonzero(rows.hit)
    sets = {"direction": (rows.direction[hits], rows.code[hits] == 2, hits)}
    everything = np.arange(len(rows))
    sets |= {f"class {c}": (rows.P[:, c], rows.code == c, everything) for c in range(3)}
    return {
        name: _day_pairs(score, positive, rows.weight[at], day[at], n_days)
        for name, (score, positive, at) in sets.items()
    }


def _day_pairs(
    score: Floats, positive: npt.NDArray[np.bool_], weight: Floats, day: npt.NDArray[np.int64], n_days: int
) -> tuple[Floats, Floats, Floats]:
    """U (n_days, n_days), and the weight of positives and of negatives by day."""
    from foldsmith.evaluation.day_pairs import ranked_right

    order = stable_order(score)
    right = ranked_right(score[order], positive[order], weight[order], day[order], n_days)
    return right, _by_day(day, weight * positive, n_days), _by_day(day, weight * ~positive, n_days)


def _auc(counts: Floats, right: Floats, positives: Floats, negatives: Floats) -> Floats:
    top = np.einsum("bd,bd->b", counts @ right, counts)
    return _ratio(top, (counts @ positives) * (counts @ negatives))


def _summary(estimate: float, drawn: Floats, level: float, enough: bool) -> dict[str, float | None]:
    known = drawn[np.isfinite(drawn)]
    if not np.isfinite(estimate):
        return {"estimate": None, "low": None, "high": None, "standard_error": None}
    # Draws without a long or a short have no AUC; where they are many, the rest would be a biased sample.
    if not enough or len(known) < 0.95 * len(drawn):
        return {"estimate": estimate, "low": None, "high": None, "standard_error": None}
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return {
        "estimate": estimate,
        "low": float(low),
        "high": float(high),
        "standard_error": float(known.std(ddof=1)),
    }
