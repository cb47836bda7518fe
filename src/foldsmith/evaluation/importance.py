"""Which features a fitted model leans on: by rows it was not fitted on, and never by a refit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith.errors import DataError
from foldsmith.evaluation.metrics import direction_losses, row_losses
from foldsmith.evaluation.rows import Floats, checked
from foldsmith.intervals import Rows

Predict = Callable[[str | None, Rows], Any]


def sample_rows(n: int, most: int, seed: int) -> Rows:
    """At most `most` of n rows, drawn without replacement, in time order."""
    if n <= most:
        return np.arange(n, dtype=np.int64)
    return np.sort(np.random.default_rng(seed).choice(n, most, replace=False)).astype(np.int64)


def shuffled_in_days(days: Any, block: int, seed: int) -> Rows:
    """An order of n rows, (n,): blocks of consecutive rows trade places within their day alone.

    days : (n,), equal values side by side; block : rows that stay together, as many as a label lasts, so that what
    neighbours share is not torn apart. The last block of a day may be shorter.

    >>> shuffled_in_days([1, 1, 1, 1, 2, 2], 2, 3).tolist()
    [2, 3, 0, 1, 4, 5]
    """
    if block < 1:
        raise DataError(f"block={block} rows cannot stay together; at least 1 does.")
    at = np.asarray(days)
    rng = np.random.default_rng(seed)
    order = np.arange(len(at), dtype=np.int64)
    begins = np.r_[0, np.flatnonzero(at[1:] != at[:-1]) + 1, len(at)]
    for start, stop in zip(begins[:-1].tolist(), begins[1:].tolist(), strict=True):
        blocks = [order[first : min(first + block, stop)] for first in range(start, stop, block)]
        if len(blocks) > 1:
            order[start:stop] = np.concatenate([blocks[k] for k in rng.permutation(len(blocks))])
    return order


def permutation_importance(
    predict: Predict, names: Sequence[str], y: Any, days: Any, *, block: int, seed: int
) -> dict[str, Any]:
    """How much worse a model is when a feature's values trade places within each day (MDA); JSON-able.

        importance_j = mean_i [ loss_i(x with x_j of another row of the day) - loss_i(x) ],  in nats

    predict(name, order) : probabilities (n, 3) with column `name` taken from rows `order`, of None untouched; y : (n,)
    of rows the model was NOT fitted on, in time order; days : (n,) their trading day. What differs between days and not
    within them is left as it is and counts for nothing here. Of features that say the same, each may look worthless, as
    the others stand in. Returns rows, days, block, features (name, importance of all classes, its se by day, the same
    of the direction among hits), the greatest first, and rank_correlation of importances on the first and on the
    second half of the days. Source: Breiman (2001); Lopez de Prado, AFML 8.3.2, but on rows left out for good.
    """
    order = shuffled_in_days(days, block, seed)
    _, day = np.unique(np.asarray(days), return_inverse=True)
    n_days = int(day.max()) + 1
    early = day < n_days // 2
    before = _losses(y, predict(None, order))
    listed, halves = [], []
    for name in names:
        worse, side = (now - was for now, was in zip(_losses(y, predict(name, order)), before, strict=True))
        listed.append(
            {
                "name": name,
                "importance": float(worse.mean()),
                "se": _error(worse, day, n_days),
                "direction": float(np.nanmean(side)) if np.isfinite(side).any() else None,
            }
        )
        halves.append((_mean(worse[early]), _mean(worse[~early])))
    first, second = np.asarray(halves, dtype=np.float64).reshape(-1, 2).T
    return {
        "rows": len(day),
        "days": n_days,
        "block": block,
        "features": sorted(listed, key=lambda one: (-one["importance"], one["name"])),
        "rank_correlation": rank_correlation(first, second),
    }


def contribution_importance(
    contributions: Floats, names: Sequence[str], parts: Sequence[npt.NDArray[Any]] = ()
) -> dict[str, Any]:
    """Mean size of SHAP values by class and of long less short; JSON-able.

        by class c: mean_i |phi_icj|,    direction: mean_i |phi_i,long,j - phi_i,short,j|,  in nats of score

    contributions : (n, 3, p + 1), as `models.base.Classifier.contributions`; parts : further ones of the same rows, of
    the models of other folds, which are averaged for the table and correlated for stability. Returns rows, features
    (name, short, neutral, long, direction), greatest direction first, and rank_correlation: of the halves of the rows,
    or with parts the mean over pairs of models.
    """
    each = [contributions, *parts]
    sizes = [_sizes(one) for one in each]
    mean = np.mean(sizes, axis=0)
    if parts:
        pairs = [
            rank_correlation(sizes[a][3], sizes[b][3])
            for a in range(len(each))
            for b in range(a + 1, len(each))
        ]
    else:
        half = len(contributions) // 2
        pairs = [rank_correlation(_sizes(contributions[:half])[3], _sizes(contributions[half:])[3])]
    known = [one for one in pairs if one is not None]
    listed = [
        dict(zip(("short", "neutral", "long", "direction"), map(float, mean[:, j]), strict=True))
        | {"name": name}
        for j, name in enumerate(names)
    ]
    return {
        "rows": len(contributions),
        "models": len(each),
        "features": sorted(listed, key=lambda one: (-one["direction"], one["name"])),
        "rank_correlation": sum(known) / len(known) if known else None,
    }


def rank_correlation(one: Floats, two: Floats) -> float | None:
    """Spearman's, ties sharing their mean rank; None where one side has a single value or is not known.

    >>> rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([10.0, 30.0, 20.0]))
    0.5
    """
    from scipy.stats import rankdata

    if len(one) < 2 or not (np.isfinite(one).all() and np.isfinite(two).all()):
        return None
    a, b = rankdata(one), rankdata(two)
    if a.min() == a.max() or b.min() == b.max():
        return None
    return float(np.corrcoef(a, b)[0, 1])


def _sizes(phi: Floats) -> Floats:
    """(4, p): of each class, and of long less short."""
    if len(phi) == 0:
        return np.full((4, phi.shape[2] - 1), np.nan)
    features = phi[:, :, :-1]
    side = np.abs(features[:, 2] - features[:, 0]).mean(axis=0)
    return np.vstack([np.abs(features).mean(axis=0), side])


def _losses(y: Any, P: Any) -> tuple[Floats, Floats]:
    """Log loss of every row, and of its side where it is a hit, else NaN."""
    rows = checked(y, P)
    hits = np.flatnonzero(rows.hit)
    side = np.full(len(rows), np.nan)
    side[hits] = direction_losses(rows, hits)["direction_log_loss"]
    return row_losses(rows)["log_loss"], side


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _error(values: Floats, day: Rows, n_days: int) -> float | None:
    """Standard error of the mean by day."""
    if n_days < 2:
        return None
    left = np.bincount(day, weights=values - values.mean(), minlength=n_days)
    return float((n_days / (n_days - 1) * (left**2).sum()) ** 0.5 / len(values))
