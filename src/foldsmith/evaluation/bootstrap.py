"""Confidence intervals by resampling whole trading days."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith.errors import DataError, SettingError
from foldsmith.evaluation.metrics import row_losses
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
    as many days as there are, and every score is computed anew on the drawn days. Both weighted means and
    the direction AUC, sum_de c_d c_e U_de / (sum_d c_d L_d  sum_e c_e S_e) with c_d the times day d was
    drawn and U_de the (weighted) number of long-short pairs ranked right between days d and e, are exact for
    the draw. Choose `block_days` so that a label seldom outlives the block.

    y, P, weight, base_rate as for `score`; days : (n,) trading day of each row (dates, or any values that
    sort in time order). Returns `level`, `draws`, `days`, `block_days` and, for log_loss, log_loss_gain
    (base rate's minus model's: above 0 is better), brier, brier_gain and direction_auc, a dict of
    `estimate`, `low`, `high` (percentiles) and `standard_error`; low and high are null with fewer than 10
    blocks of days, gains are absent without a base rate. Errors: DataError, SettingError.
    """
    _check_settings(draws, level, block_days)
    rows = checked(y, P, weight, base_rate)
    day, n_days = _day_codes(days, len(rows))
    counts = _draw_days(n_days, draws, block_days, seed)
    everything = np.ones((1, n_days))
    with single_threaded():
        means = _day_means(rows, day, n_days)
        drawn = {name: (counts @ top) / (counts @ below) for name, (top, below) in means.items()}
        whole = {name: (everything @ top) / (everything @ below) for name, (top, below) in means.items()}
        pairs = _day_pairs(rows, day, n_days)
        drawn["direction_auc"] = _auc(counts, *pairs)
        whole["direction_auc"] = _auc(everything, *pairs)
    enough = n_days >= MIN_DAYS * block_days
    facts: dict[str, Any] = {"level": level, "draws": draws, "days": n_days, "block_days": block_days}
    return facts | {name: _summary(float(whole[name][0]), drawn[name], level, enough) for name in drawn}


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


def _draw_days(n_days: int, draws: int, block: int, seed: int) -> Floats:
    """Times each day is drawn, float64 (draws, n_days); every row adds up to n_days."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, n_days, size=(draws, -(-n_days // block)))
    taken = ((starts[:, :, None] + np.arange(block)) % n_days).reshape(draws, -1)[:, :n_days]
    taken += np.arange(draws)[:, None] * n_days
    times = np.bincount(taken.ravel(), minlength=draws * n_days)
    return times.reshape(draws, n_days).astype(np.float64)


def _day_means(rows: Scored, day: npt.NDArray[np.int64], n_days: int) -> dict[str, tuple[Floats, Floats]]:
    """Per score, its weighted sum and the weight by day: any mean over days is a ratio of two sums."""

    losses = row_losses(rows)
    values = {"log_loss": losses["log_loss"], "brier": losses["brier"]}
    if rows.base is not None:
        values["log_loss_gain"] = losses["log_loss_base"] - losses["log_loss"]
        values["brier_gain"] = losses["brier_base"] - losses["brier"]
    below = _by_day(day, rows.weight, n_days)
    return {name: (_by_day(day, value * rows.weight, n_days), below) for name, value in values.items()}


def _by_day(day: npt.NDArray[np.int64], values: Floats, n_days: int) -> Floats:
    return np.bincount(day, weights=values, minlength=n_days).astype(np.float64)


def _day_pairs(rows: Scored, day: npt.NDArray[np.int64], n_days: int) -> tuple[Floats, Floats, Floats]:
    """U (n_days, n_days), and the weight of longs and of shorts by day."""
    from foldsmith.evaluation.day_pairs import ranked_right

    hits = np.flatnonzero(rows.hit)
    direction = rows.direction[hits]
    hits = hits[np.argsort(direction, kind="stable")]
    long = rows.code[hits] == 2
    weight = rows.weight[hits]
    right = ranked_right(rows.direction[hits], long, weight, day[hits], n_days)
    return right, _by_day(day[hits], weight * long, n_days), _by_day(day[hits], weight * ~long, n_days)


def _auc(counts: Floats, right: Floats, longs: Floats, shorts: Floats) -> Floats:
    top = np.einsum("bd,bd->b", counts @ right, counts)
    below = (counts @ longs) * (counts @ shorts)
    area: Floats = np.divide(top, below, out=np.full(len(counts), np.nan), where=below > 0)
    return area


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
