"""A small dataset on a grid of bars, with overlapping labels of varying length."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from tests.models.rows import planted

from foldsmith.dataset import Dataset
from foldsmith.validation.cross_validate import Separation

MINUTE = 60_000_000


def grid(n: int = 240, p: int = 3, seed: int = 0, longest: int = 8) -> tuple[Dataset, Any]:
    """n events on n + n/5 + longest bars, some bars without an event; and the closes of all bars."""
    rng = np.random.default_rng(seed)
    bars = (np.arange(n + n // 5 + longest + 1, dtype=np.int64) + 1) * MINUTE
    at = np.sort(rng.choice(n + n // 5, n, replace=False))
    X, y, _ = planted(n, p, seed)
    end = at + rng.integers(1, longest + 1, n)
    names = tuple(f"x{i}" for i in range(p))
    return Dataset(X, y, np.ones(n), bars[at], bars[end], names), bars


def poisoned(data: Dataset, rows: Any, keep_X: Any = ()) -> Dataset:
    """Other features and labels in these rows; features stay as they are in `keep_X`."""
    rng = np.random.default_rng(99)
    X, y = data.X.copy(), data.y.copy()
    X[rows] = 50 + 30 * rng.normal(size=(len(rows), X.shape[1]))
    X[list(keep_X)] = data.X[list(keep_X)]
    y[rows] = -1
    return replace(data, X=X, y=y)


def apart(bars: Any, embargo: int = 8, purge: int = 0) -> Separation:
    """Rows kept apart by bars of the full series."""
    return Separation(embargo=embargo, purge=purge, bars=bars)
