"""How far the distribution of a feature, or of a prediction, has moved from that of the training rows.

Drift is no loss: a feature may move and a model stay right. It says where a model is asked about what it has not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith.errors import DataError

Floats = npt.NDArray[Any]

BINS = 10
"""Bins of the population stability index, each with about as many training rows."""
STABLE, MOVED = 0.1, 0.25
"""Below the first a distribution counts as stable, above the second as moved: the rule of thumb of credit scoring."""
LEAST_EFFECTIVE = 30
"""Independent rows that the index and the test need, at least."""
_MOST_LAGS = 5000


def psi(train: Floats, other: Floats, bins: int = BINS) -> float:
    """Population stability index of `other` (m,) against `train` (n,), finite numbers; 0 where they are alike.

        PSI = sum_b (q_b - p_b) ln(q_b / p_b),    p_b = (n_b + 1/2) / (n + B / 2),   q_b = (m_b + 1/2) / (m + B / 2)

    over B bins between the training quantiles k / bins, k = 1 .. bins - 1, equal ones taken once; n_b and m_b are rows
    in (e_b-1, e_b], the outer bins being open. The half row keeps an empty bin from making it infinite. If nothing has
    moved, it is near (B - 1) (1 / n + 1 / m) for independent rows, and above that for dependent ones.

    Source: Siddiqi, Credit Risk Scorecards (2006); Yurdakul and Naranjo (2020) for its distribution.

    >>> psi(np.arange(100.0), np.arange(100.0))
    0.0
    """
    edges = np.unique(np.quantile(train, np.arange(1, bins) / bins))
    p, q = (
        np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1) + 0.5
        for values in (train, other)
    )
    p, q = p / p.sum(), q / q.sum()
    return float(np.sum((q - p) * np.log(q / p)))


def effective_rows(values: Floats) -> float:
    """How many independent rows the mean of a series (n,) in order of time is worth, from 1 to n.

        n / (1 + 2 sum_k rho_k),    rho_k summed in pairs k = 2 j, 2 j + 1 as long as the pairs are positive

    Source: Geyer, Practical Markov Chain Monte Carlo (1992), the initial positive sequence.
    """
    n = len(values)
    centred = np.asarray(values, dtype=np.float64) - float(np.mean(values, dtype=np.float64))
    variance = float(centred @ centred)
    if n < 2 or variance <= 0:
        return float(n)
    size = 1 << (2 * n - 1).bit_length()
    spectrum = np.fft.rfft(centred, size)
    rho = np.fft.irfft(spectrum * np.conj(spectrum), size)[: min(n, _MOST_LAGS)] / variance
    pairs = rho[: len(rho) // 2 * 2].reshape(-1, 2).sum(axis=1)
    stop = int(np.argmax(pairs <= 0)) if (pairs <= 0).any() else len(pairs)
    # The first pair holds rho_0 = 1.
    return float(np.clip(n / max(2 * pairs[:stop].sum() - 1, 1.0), 1.0, n))


def drift_table(train: Floats, other: Floats, names: Sequence[str]) -> list[dict[str, Any]]:
    """Drift of each column of `other` (m, p) against that of `train` (n, p), both in order of time.

    Each entry holds `name`; `psi`, and in words `stable`, `moving` or `moved` (below 0.1, to 0.25, above); `ks`, the
    largest distance of the distribution functions, and its `p_value`; `effective_train`, `effective_other`, the rows
    that those two count for; `mean_train`, `mean_other`, `sd_train`. The p-value is that of Kolmogorov and Smirnov for
    effective rows (see `effective_rows`), since bars depend on one another: for n rows as they are it would call
    everything moved. Where fewer than 30 rows are effective, `psi` and `ks` are there, and `p_value` is None and
    `verdict` `too few rows`.

    Raises DataError for columns that differ, no rows, or a number that is not finite.

    >>> drift_table(np.zeros((50, 1)), np.ones((50, 1)), ["x"])[0]["verdict"]
    'moved'
    """
    train, other = np.asarray(train), np.asarray(other)
    for said, table in (("training rows", train), ("new rows", other)):
        if table.ndim != 2 or table.shape[1] != len(names):
            raise DataError(
                f"{said} have shape {table.shape} for {len(names)} names; give one column for each."
            )
        if len(table) == 0:
            raise DataError(f"there are no {said} to compare.")
        bad = np.flatnonzero(~np.isfinite(table).all(axis=0))
        if len(bad):
            raise DataError(
                f"{said}: {names[int(bad[0])]} holds a number that is not finite; leave such rows out."
            )
    return [_column(train[:, k], other[:, k], name) for k, name in enumerate(names)]


def _column(train: Floats, other: Floats, name: str) -> dict[str, Any]:
    from scipy.stats import ks_2samp, kstwo

    index = psi(train, other)
    distance = float(ks_2samp(train, other, method="asymp").statistic)
    before, now = effective_rows(train), effective_rows(other)
    enough = min(before, now) >= LEAST_EFFECTIVE
    together = before * now / (before + now)
    verdict = "stable" if index < STABLE else "moving" if index <= MOVED else "moved"
    return {
        "name": name,
        "psi": index,
        "verdict": verdict if enough else "too few rows",
        "ks": distance,
        "p_value": float(kstwo.sf(distance, max(1, round(together)))) if enough else None,
        "effective_train": before,
        "effective_other": now,
        "mean_train": float(np.mean(train, dtype=np.float64)),
        "mean_other": float(np.mean(other, dtype=np.float64)),
        "sd_train": float(np.std(train, dtype=np.float64)),
    }
