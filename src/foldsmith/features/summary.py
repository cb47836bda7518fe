"""What is known of features on training rows: how much is missing, how steady they are, and which say the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

REDUNDANT = 0.95
"""An absolute correlation above this makes two features say nearly the same."""
MOST_ROWS = 20_000
"""Rows, evenly taken, that correlations are computed on."""
MOST_PAIRS = 20
"""Pairs that are kept, the strongest first; how many there are is counted."""
DIGITS = 6
"""Significant digits that are kept: what the last bits are may differ from machine to machine."""


def summarise(X: npt.NDArray[np.float32], names: Sequence[str]) -> dict[str, Any]:
    """Of training rows X (n, p), in time order, NaN where missing: each feature's numbers, and redundant pairs.

    missing : share of rows; mean, sd (over n) of the others; autocorrelation : sum((x - m)(x[-1] - m)) / sum((x - m)^2)
    over neighbouring rows that are both known; shift : (mean of the second half of the rows - mean of the first) / sd.
    None where there is no value: no known row, or, of the last two, none that differ. redundant : pairs of features
    with |Pearson correlation| > 0.95 on at most 20,000 rows, evenly taken from those where every feature is known.
    """
    each = {name: _numbers(X[:, column].astype(np.float64)) for column, name in enumerate(names)}
    whole = np.flatnonzero(np.isfinite(X).all(axis=1))
    every = max(1, -(-len(whole) // MOST_ROWS))
    rows = whole[::every]
    pairs = _redundant(X[rows].astype(np.float64), names) if len(rows) > 1 else []
    return {
        "rows": len(X),
        "each": each,
        "redundant": {
            "count": len(pairs),
            "rows": len(rows),
            "pairs": [{"one": one, "other": other, "correlation": r} for r, one, other in pairs[:MOST_PAIRS]],
        },
    }


def _numbers(x: npt.NDArray[np.float64]) -> dict[str, float | None]:
    known = np.isfinite(x)
    if not known.any():
        return {"missing": 1.0, **dict.fromkeys(("mean", "sd", "autocorrelation", "shift"))}
    mean, sd = float(x[known].mean()), float(x[known].std())
    found: dict[str, float | None] = {"missing": _kept(1 - float(known.mean())), "mean": _kept(mean)}
    found |= {"sd": _kept(sd), "autocorrelation": None, "shift": None}
    # A constant's own rounding is no spread.
    if sd <= 1e-9 * max(abs(mean), 1e-300):
        return found | {"sd": 0.0}
    both = known[1:] & known[:-1]
    away = np.where(known, x - mean, 0.0)
    if both.any():
        found["autocorrelation"] = _kept(float((away[1:] * away[:-1])[both].sum() / (away**2).sum()))
    half = len(x) // 2
    if known[:half].any() and known[half:].any():
        first, second = x[:half][known[:half]].mean(), x[half:][known[half:]].mean()
        found["shift"] = _kept(float((second - first) / sd))
    return found


def _redundant(X: npt.NDArray[np.float64], names: Sequence[str]) -> list[tuple[float, str, str]]:
    away = X - X.mean(axis=0)
    length = np.sqrt((away**2).sum(axis=0))
    away /= np.where(length > 1e-9 * np.abs(X).max(axis=0, initial=0) * np.sqrt(len(X)), length, np.inf)
    # Not by BLAS: its sums depend on the number of threads, and what is found here is part of a content hash.
    r = np.einsum("ni,nj->ij", away, away)
    pairs = [
        (_kept(float(r[i, j])), names[i], names[j])
        for i in range(len(names))
        for j in range(i + 1, len(names))
        if abs(r[i, j]) > REDUNDANT
    ]
    return sorted(pairs, key=lambda pair: (-abs(pair[0]), pair[1], pair[2]))


def _kept(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
