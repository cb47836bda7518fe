"""Volatilities from the range of bars, beside the one from closes in `triple_barrier`."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from foldsmith.errors import SettingError
from foldsmith.labels.triple_barrier import FLAT, Floats


def range_volatility(bars: pl.DataFrame, window: int, kind: str) -> Floats:
    """Volatility of each bar from the last `window` bars, as a share of price, known at its close.

        atr:        sigma_t = mean(max(h_i, c_{i-1}) - min(l_i, c_{i-1})) / c_t
        parkinson:  sigma_t = sqrt(mean(ln(h_i / l_i)^2) / (4 ln 2)),        i = t - w + 1 .. t

    The first is a mean range, not a standard deviation: of a random walk without gaps it is sqrt(8 / pi), about 1.6,
    of them. Both need w + 1 bars of one block, so that they are known at the same bars as `volatility`; NaN before.
    Prices that stand still give 0. A value depends on its own window alone, to the last bit.

    Source: Wilder (1978), with a plain mean; Parkinson (1980), Journal of Business 53.
    """
    if window < 2:
        raise SettingError(f"a volatility window of {window} bars has no spread; at least 2 are needed.")
    high, low, close = (bars[name].to_numpy() for name in ("high", "low", "close"))
    before = np.r_[close[:1], close[:-1]]
    if kind == "atr":
        sigma = _mean_of_last(np.maximum(high, before) - np.minimum(low, before), window) / close
    elif kind == "parkinson":
        sigma = np.sqrt(_mean_of_last(np.log(high / low) ** 2, window) / (4 * np.log(2)))
    else:
        raise SettingError(f"volatility {kind!r} is unknown; there are atr and parkinson.")
    sigma[sigma <= FLAT] = 0.0
    sigma[_bars_since(bars["block"].to_numpy()) < window] = np.nan
    return np.asarray(sigma, dtype=np.float64)


def _mean_of_last(values: Floats, window: int) -> Floats:
    """Mean of the last `window` values, added up in one order whatever lies before; NaN at the first window - 1."""
    found = np.full(len(values), np.nan)
    total = np.zeros(max(len(values) - window + 1, 0))
    for lag in range(window - 1, -1, -1):
        total += values[window - 1 - lag : len(values) - lag][: len(total)]
    found[len(values) - len(total) :] = total / window
    return found


def _bars_since(block: Any) -> Any:
    """Number of bars of its own block before each bar."""
    begins = np.r_[0, np.flatnonzero(np.diff(block)) + 1]
    return np.arange(len(block)) - np.repeat(begins, np.diff(np.r_[begins, len(block)]))
