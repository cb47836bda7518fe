"""Slow, obvious twins of the statistics of significance."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np


def overfitting(profits: Any, blocks: int) -> list[float]:
    """The logit of every combination: put the days together, take each Sharpe ratio, and sort."""
    values = np.asarray(profits, dtype=float)
    length = len(values) // blocks
    values = values[len(values) - length * blocks :]
    parts = [values[k * length : (k + 1) * length] for k in range(blocks)]
    logits = []
    for half in combinations(range(blocks), blocks // 2):
        first = np.vstack([parts[k] for k in half])
        second = np.vstack([parts[k] for k in range(blocks) if k not in half])
        inside, outside = ([sharpe(column) for column in part.T] for part in (first, second))
        best = inside.index(max(inside))
        below = sum(other < outside[best] for other in outside)
        equal = sum(other == outside[best] for other in outside)
        omega = (below + (equal + 1) / 2) / (len(outside) + 1)
        logits.append(math.log(omega / (1 - omega)))
    return logits


def sharpe(values: Any) -> float:
    spread = float(np.std(values, ddof=1))
    return float(np.mean(values)) / spread if spread > 1e-12 else 0.0


def diebold_mariano(first: list[float], second: list[float], lags: int) -> float:
    """The t value, autocovariance by autocovariance, pair by pair."""
    d = [a - b for a, b in zip(first, second, strict=True)]
    n, mean = len(d), sum(d) / len(d)
    v = sum((x - mean) ** 2 for x in d) / n
    for k in range(1, lags + 1):
        covariance = sum((d[t] - mean) * (d[t - k] - mean) for t in range(k, n)) / n
        v += 2 * (1 - k / (lags + 1)) * covariance
    h = lags + 1
    return mean / math.sqrt(v / n) * math.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)


def effective_number(profits: Any) -> float:
    """Eigenvalues of the correlation matrix."""
    eigenvalues = np.linalg.eigvalsh(np.atleast_2d(np.corrcoef(np.asarray(profits).T)))
    return float(eigenvalues.sum() ** 2 / (eigenvalues**2).sum())


def backtest_draws(daily: dict[str, list[float]], starts: Any, block: int, year: int) -> list[dict[str, Any]]:
    """Figures of every draw, day by day."""
    n = len(daily["net"])
    found = []
    for draw in np.asarray(starts).tolist():
        days = [(start + k) % n for start in draw for k in range(block)][:n]
        equity = peak = fall = 0.0
        for day in days:
            equity += daily["net"][day]
            peak = max(peak, equity)
            fall = max(fall, peak - equity)
        net = [daily["net"][day] for day in days]
        trades = sum(daily["trades"][day] for day in days)
        gross = sum(daily["gross"][day] for day in days)
        found.append(
            {
                "gross": gross,
                "net": equity,
                "max_drawdown": fall,
                "sharpe_annual": sharpe(net) * math.sqrt(year),
                "gross_per_trade": gross / trades,
                "net_per_trade": equity / trades,
            }
        )
    return found
