"""Scores of stored or fresh predictions, each with its yardstick and, where wanted, its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.contracts import probability_columns
from foldsmith.evaluation.bootstrap import interval
from foldsmith.evaluation.metrics import score
from foldsmith.intervals import Instants, as_instants
from foldsmith.market.sessions import DAY
from foldsmith.validation.cross_validate import Probabilities

DAY_CUT = 22 * 3_600_000_000
"""Days of a block bootstrap are cut at 22:00 UTC, within an hour of the daily pause of CME the year round."""


def trading_days(t0: Instants) -> npt.NDArray[np.int64]:
    """Number of the day of each instant, cut at 22:00 UTC: blocks for a bootstrap, not an exchange's calendar."""
    return np.asarray((t0 - DAY_CUT) // DAY, dtype=np.int64)


def probability_matrix(frame: pl.DataFrame, models: Sequence[str]) -> Probabilities:
    """Probabilities of these models side by side, float32 (n, 3 m), row by row."""
    names = [name for model in models for name in probability_columns(model)]
    return np.ascontiguousarray(frame.select(names).to_numpy(), dtype=np.float32)


def scored(
    y: npt.NDArray[np.int8],
    P: npt.NDArray[Any],
    weight: npt.NDArray[np.float64],
    base_rate: Any,
    t0: Instants,
    *,
    seed: int,
) -> dict[str, Any]:
    """Scores beside the base rate (3,) or (n, 3) of the training rows, and block-bootstrap intervals by day."""
    return {
        **score(y, P, weight, base_rate),
        "interval": interval(y, P, trading_days(t0), weight, base_rate, seed=seed),
    }


def table_scores(frame: pl.DataFrame, model: str, base_rate: Any, *, seed: int) -> dict[str, Any]:
    """`scored` of one model's columns in a stacking dataset or a table of base predictions."""
    y = frame["y_true"].to_numpy().astype(np.int8)
    P = probability_matrix(frame, (model,))
    return scored(
        y, P, frame["sample_weight"].to_numpy(), base_rate, as_instants(frame["datetime"]), seed=seed
    )


def log_loss(frame: pl.DataFrame, model: str) -> float:
    """Mean log loss, in nats, of one model's columns."""
    value: float = score(frame["y_true"].to_numpy(), probability_matrix(frame, (model,)))["log_loss"]
    return value
