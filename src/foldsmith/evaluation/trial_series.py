"""What the daily profits of several models say of each other: how alike they are, and how far apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from foldsmith.errors import DataError
from foldsmith.evaluation.rows import Floats
from foldsmith.evaluation.significance import sharpe_ratio

ENOUGH_SERIES = 10
"""Fewer Sharpe ratios than this say too little about their own spread."""


@dataclass(frozen=True)
class SharpeSpread:
    """Variance of the trials' Sharpe ratios per period, what it is from, and how many series had one."""

    variance: float
    source: str
    series: int


def profit_matrix(profits: Any) -> Floats:
    """Profits as float64 (days, series); DataError unless finite and of two dimensions."""
    values = np.asarray(profits, dtype=np.float64)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise DataError(f"profits have shape {values.shape}; finite numbers (days, series) are needed.")
    return values


def effective_number(profits: Any) -> float | None:
    """How many independent series these are worth: the participation ratio of their correlation's eigenvalues.

        N_eff = (sum_i l_i)^2 / sum_i l_i^2 = N^2 / sum_ij r_ij^2

    from N for uncorrelated series to 1 for equal ones. profits : (days, N). Series without spread are left out; None
    where none is left or with fewer than 3 days. Uncorrelated series of few days look alike by chance and count for
    less than they are: with T days about N / (1 + N / T).

    >>> effective_number([[1, 1, 1], [-1, -1, -1], [1, 1, -1], [-1, -1, 1]])
    1.8
    """
    values = profit_matrix(profits)
    if len(values) < 3:
        return None
    values = values[:, values.max(axis=0) > values.min(axis=0)]
    if values.shape[1] == 0:
        return None
    apart = values - values.mean(axis=0)
    unit = apart / np.sqrt((apart**2).sum(axis=0))
    # Summed in one order whatever a machine's threads: a matrix product would not be.
    correlation = np.einsum("ti,tj->ij", unit, unit)
    return float(values.shape[1] ** 2 / (correlation**2).sum())


def sharpe_spread(profits: Any, n: int) -> SharpeSpread:
    """Variance V of the Sharpe ratios of trials, as it is over n periods.

        V = var_k(SR_k sqrt(T)) / n      from the series, (T, K), where at least 10 have a Sharpe ratio
        V = 1 / n                        else: what a true Sharpe ratio of 0 gives by sampling alone

    The spread is taken in units of its own sampling error, so that a short segment is not judged by the smaller one
    of a long segment. DataError for n below 1.
    """
    if n < 1:
        raise DataError(f"n={n} periods have no Sharpe ratio.")
    values = profit_matrix(profits)
    found = [one.sharpe for column in values.T if (one := sharpe_ratio(column)) is not None]
    if len(found) < ENOUGH_SERIES:
        return SharpeSpread(1 / n, "null", len(found))
    return SharpeSpread(float(np.var(found, ddof=1)) * len(values) / n, "series", len(found))


def path_sharpes(paths: Any, periods_per_year: int = 1) -> dict[str, Any]:
    """The distribution of Sharpe ratios over paths of a combinatorial cross-validation; JSON-able.

        SR_p = mean_t(x_pt) / std_t(x_pt) sqrt(periods_per_year)

    paths : (n_paths, days) of daily profit, a row for each of `CombinatorialPurgedKFold.recombine`. Per period by
    default, as all else here; of a year with the periods that it has. The paths share rows and models, so their spread
    is no standard error. Returns `paths`, `sharpe` (one a path, null without spread), and `median`, `mean`, `low`,
    `high` (least and most), `below_0` (share) of those there are.
    Source: Lopez de Prado, Advances in Financial Machine Learning (2018), chapter 12.
    """
    values = profit_matrix(paths)
    found = [sharpe_ratio(row) for row in values]
    every = [None if one is None else one.sharpe * periods_per_year**0.5 for one in found]
    known = np.array([one for one in every if one is not None])
    told: dict[str, Any] = {"paths": len(values), "sharpe": every}
    if len(known) == 0:
        return told | dict.fromkeys(("median", "mean", "low", "high", "below_0"))
    return told | {
        "median": float(np.median(known)),
        "mean": float(known.mean()),
        "low": float(known.min()),
        "high": float(known.max()),
        "below_0": float((known < 0).mean()),
    }
