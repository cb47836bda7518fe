"""Scores of three-class probabilities, each beside its yardstick: the base rate of the training rows.

Class order is (-1, 0, 1) = short, neutral, long everywhere. Log loss is in nats.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import CLASSES
from foldsmith.evaluation.ranking import stable_order
from foldsmith.evaluation.rows import CLIP, Floats, Scored, checked

Mask = npt.NDArray[np.bool_]


def score(y: Any, P: Any, weight: Any = None, base_rate: Any = None) -> dict[str, Any]:
    """Score probabilities against labels; JSON-able, null where a score is not defined.

        log_loss    mean of -ln P[y]                        brier    mean of sum_c (P_c - 1[y = c])^2
        skill       1 - log_loss / log_loss_base            auc      mean over classes of one-vs-rest AUC
        direction_auc, direction_log_loss                   long against short by P_long / (P_long + P_short),
                                                            among the `hits`, the rows with y != 0
        balanced_accuracy   mean recall of the classes present, mcc   Matthews correlation (Gorodkin's R_K),
        confusion           rows true, columns decided, order -1, 0, 1; decisions as `most_probable_signal`

    y : (n,) of -1, 0, 1; P : (n, 3); weight : (n,) positive or None; base_rate : (3,), or (n, 3) where
    folds differ: class shares of the TRAINING rows, the constant forecast that every `*_base` score is of
    (null without it). The scores at the top are of equal weights; where weights differ from 1, `weighted`
    holds the same scores under them.
    A three-class log loss can beat the base rate without any edge, as volatility alone tells hits from
    time-outs: edge shows in the direction scores. Probabilities below 1.2e-7 count as that much. Raises
    DataError.

    >>> s = score([1, -1], [[0.1, 0.1, 0.8], [0.8, 0.1, 0.1]], base_rate=[0.5, 0.0, 0.5])
    >>> round(s["log_loss"], 4), round(s["log_loss_base"], 4), s["direction_auc"]
    (0.2231, 0.6931, 1.0)
    """
    rows = checked(y, P, weight, base_rate)
    orders = [_Order(rows.P[:, column]) for column in range(len(CLASSES))]
    hits = np.flatnonzero(rows.hit)
    direction = _Order(rows.direction[hits])
    scores = _scores(rows, np.ones(len(rows)), orders, hits, direction)
    if not (rows.weight == 1).all():
        scores["weighted"] = _scores(rows, rows.weight, orders, hits, direction)
    return scores


def most_probable_signal(P: Any) -> npt.NDArray[np.int8]:
    """The side to take: the most probable class of P (n, 3) as -1, 0, 1; a tie for the highest is neutral.

    >>> most_probable_signal([[0.5, 0.2, 0.3], [0.2, 0.3, 0.5], [0.4, 0.2, 0.4], [0.2, 0.5, 0.3]])
    array([-1,  1,  0,  0], dtype=int8)
    """
    values = np.asarray(P)
    short, neutral, long = values[:, 0], values[:, 1], values[:, 2]
    up = (long > neutral) & (long > short)
    down = (short > neutral) & (short > long)
    return up.astype(np.int8) - down.astype(np.int8)


def row_losses(rows: Scored) -> dict[str, Floats]:
    """Loss of every row, (n,) each: log loss and Brier, of the model and, where given, the base rate."""
    truth = rows.of_truth
    losses = {
        "log_loss": -np.log(np.maximum(truth, CLIP)),
        "brier": np.einsum("ij,ij->i", rows.P, rows.P) - 2 * truth + 1,
    }
    if rows.base is not None:
        of_truth = rows.base[np.arange(len(rows)), rows.code]
        losses["log_loss_base"] = -np.log(np.maximum(of_truth, CLIP))
        losses["brier_base"] = np.einsum("ij,ij->i", rows.base, rows.base) - 2 * of_truth + 1
    return losses


def direction_losses(rows: Scored, hits: npt.NDArray[np.int64]) -> dict[str, Floats]:
    """Log loss of the side of each hit, (len(hits),): of the model and, where given, the base rate."""
    long = rows.code[hits] == 2
    up = rows.direction[hits]
    losses = {"direction_log_loss": -np.log(np.maximum(np.where(long, up, 1 - up), CLIP))}
    if rows.base is not None:
        sides = rows.base[hits][:, [0, 2]]
        if (sides.sum(axis=1) > 0).all():
            share = np.where(long, sides[:, 1], sides[:, 0]) / sides.sum(axis=1)
            losses["direction_log_loss_base"] = -np.log(np.maximum(share, CLIP))
    return losses


def confusion_cells(rows: Scored) -> npt.NDArray[np.int64]:
    """Cell of each row in the confusion table, (n,): 3 * true + decided, classes as 0, 1, 2."""
    return rows.code * len(CLASSES) + most_probable_signal(rows.P).astype(np.int64) + 1


class _Order:
    """The order of one score, with its ties, worked out once for any weights."""

    def __init__(self, values: Floats) -> None:
        self.order = stable_order(values)
        ordered = values[self.order]
        self.ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(values) - 1)

    def auc(self, positive: Mask, weight: Floats) -> float | None:
        """P(a positive scores above a negative) + P(equal) / 2, under weights; None if a side is empty."""
        if positive.all() or not positive.any():
            return None
        weights = weight[self.order]
        for_positive = weights * positive[self.order]
        up_to = np.cumsum(for_positive)[self.ends]
        below = np.cumsum(weights - for_positive)[self.ends]
        positives = np.diff(up_to, prepend=0.0)
        middle = below - np.diff(below, prepend=0.0) / 2
        return float(np.sum(positives * middle) / (up_to[-1] * below[-1]))


def _scores(
    rows: Scored, weight: Floats, orders: list[_Order], hits: npt.NDArray[np.int64], direction: _Order
) -> dict[str, Any]:
    total = weight.sum()
    means: dict[str, float | None] = {"log_loss_base": None, "brier_base": None}
    means |= {name: float((loss * weight).sum() / total) for name, loss in row_losses(rows).items()}
    each = [order.auc(rows.code == column, weight) for column, order in enumerate(orders)]
    known = [value for value in each if value is not None]
    confusion = _confusion(rows, weight)
    return {
        "rows": len(rows),
        "hits": len(hits),
        **means,
        "skill": _skill(means["log_loss"], means["log_loss_base"]),
        "brier_skill": _skill(means["brier"], means["brier_base"]),
        "auc": sum(known) / len(known) if len(known) == len(each) else None,
        "auc_each": each,
        **_direction(rows, weight, hits, direction),
        "accuracy": float(np.trace(confusion) / total),
        "balanced_accuracy": float(balanced_accuracy(confusion)),
        "mcc": float(matthews(confusion)),
        "confusion": confusion.astype(np.int64).tolist() if (weight == 1).all() else confusion.tolist(),
        "class_shares": (confusion.sum(axis=1) / total).tolist(),
        "base_rate": None if rows.base is None else rows.base.mean(axis=0).tolist(),
    }


def _skill(value: float | None, base: float | None) -> float | None:
    return None if value is None or not base else 1 - value / base


def _direction(
    rows: Scored, weight: Floats, hits: npt.NDArray[np.int64], order: _Order
) -> dict[str, float | None]:
    scores: dict[str, float | None] = {
        "direction_auc": None,
        "direction_log_loss": None,
        "direction_log_loss_base": None,
    }
    if len(hits):
        weights = weight[hits]
        losses = direction_losses(rows, hits)
        scores |= {name: float((loss * weights).sum() / weights.sum()) for name, loss in losses.items()}
        scores["direction_auc"] = order.auc(rows.code[hits] == 2, weights)
    return scores


def _confusion(rows: Scored, weight: Floats) -> Floats:
    classes = len(CLASSES)
    cells = np.bincount(confusion_cells(rows), weights=weight, minlength=classes**2)
    return cells.reshape(classes, classes).astype(np.float64)


def balanced_accuracy(confusion: Floats) -> Floats:
    """Mean recall of the classes present, of confusion tables (..., 3, 3); returns (...)."""
    true = confusion.sum(axis=-1)
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    recall = np.divide(right, true, out=np.zeros_like(true), where=true > 0)
    return np.asarray(recall.sum(axis=-1) / (true > 0).sum(axis=-1), dtype=np.float64)


def matthews(confusion: Floats) -> Floats:
    """Gorodkin's R_K of confusion tables (..., 3, 3); returns (...); 0 where one class is all there is."""
    true, decided, total = confusion.sum(axis=-1), confusion.sum(axis=-2), confusion.sum(axis=(-2, -1))
    right = np.trace(confusion, axis1=-2, axis2=-1)
    covariance = right * total - (true * decided).sum(axis=-1)
    spread = (total**2 - (true**2).sum(axis=-1)) * (total**2 - (decided**2).sum(axis=-1))
    root = np.sqrt(np.maximum(spread, 0.0))
    related: Floats = np.divide(covariance, root, out=np.zeros_like(covariance), where=root > 0)
    return related
