"""How much of a Sharpe ratio or of a mean profit could be luck; all per period, nothing annualised."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from foldsmith.errors import SettingError


@dataclass(frozen=True)
class SharpeRatio:
    """A per-period Sharpe ratio with the shape of its returns.

    sharpe : mean / standard deviation (n - 1); n : periods; skewness g3; kurtosis g4, not excess (3 if
    normal).
    """

    sharpe: float
    n: int
    skewness: float
    kurtosis: float

    @property
    def standard_error(self) -> float:
        """See `sharpe_standard_error`."""
        return sharpe_standard_error(self.sharpe, self.n, self.skewness, self.kurtosis)

    @property
    def probability(self) -> float:
        """PSR against a Sharpe ratio of 0; see `probabilistic_sharpe_ratio`."""
        return probabilistic_sharpe_ratio(self.sharpe, self.n, self.skewness, self.kurtosis)


@dataclass(frozen=True)
class MeanTest:
    """A mean, its standard error, and Student's t test of the mean being 0 (two-sided p)."""

    n: int
    mean: float
    standard_error: float
    t: float
    p: float


def sharpe_ratio(returns: Any) -> SharpeRatio | None:
    """The Sharpe ratio of per-period returns or P&L (n,); None for fewer than 3 periods or without spread.

    >>> sharpe_ratio([1.0, -1.0, 2.0, 0.0]).sharpe.__round__(4)
    0.3873
    """
    values = np.asarray(returns, dtype=np.float64)
    if len(values) < 3 or values.max() == values.min():
        return None
    deviation = values - values.mean()
    spread = float(np.mean(deviation**2))
    return SharpeRatio(
        sharpe=float(values.mean() / values.std(ddof=1)),
        n=len(values),
        skewness=float(np.mean(deviation**3) / spread**1.5),
        kurtosis=float(np.mean(deviation**4) / spread**2),
    )


def sharpe_standard_error(sharpe: float, n: int, skewness: float = 0.0, kurtosis: float = 3.0) -> float:
    """Standard error of a per-period Sharpe ratio from n independent periods.

        se = sqrt((1 - g3 SR + (g4 - 1) / 4 SR^2) / (n - 1))

    `sharpe` is per period, never annualised; `kurtosis` is not excess. SettingError where no returns have
    such a shape. Sources: Mertens (2002); Bailey and Lopez de Prado, Journal of Risk 15(2) (2012).

    >>> round(sharpe_standard_error(0.7079, 134, -0.2250, 2.9570), 4)
    0.1028
    """
    if n < 2:
        raise SettingError(f"n={n} periods give no standard error; at least 2 are needed.")
    # kurtosis >= skewness^2 + 1 for any returns, which keeps the variance at or above 0.
    if kurtosis < skewness**2 + 1 - 1e-9:
        raise SettingError(
            f"kurtosis={kurtosis} with skewness={skewness} is impossible; it is at least skewness^2 + 1. "
            f"An excess kurtosis was likely given: add 3."
        )
    return sqrt(max(0.0, 1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2) / (n - 1))


def probabilistic_sharpe_ratio(
    sharpe: float, n: int, skewness: float = 0.0, kurtosis: float = 3.0, *, benchmark: float = 0.0
) -> float:
    """Probability that the true per-period Sharpe ratio exceeds `benchmark` (PSR).

        PSR = Phi[(SR - SR*) / se],  se as in `sharpe_standard_error`

    It knows nothing of how many strategies were tried. Source: Bailey and Lopez de Prado (2012).

    >>> round(probabilistic_sharpe_ratio(1.585 / 12**0.5, 24, -2.448, 10.164), 10)
    0.9132343069
    """
    from scipy.special import ndtr

    error = sharpe_standard_error(sharpe, n, skewness, kurtosis)
    if error == 0:
        return float(np.heaviside(sharpe - benchmark, 0.5))
    return float(ndtr((sharpe - benchmark) / error))


def mean_test(values: Any) -> MeanTest | None:
    """Test the mean of independent values (n,), such as the P&L of trades that do not overlap, against 0.

        t = mean / (s / sqrt(n)),  n - 1 degrees of freedom

    None for fewer than 2 values or without spread.
    """
    from scipy.special import stdtr

    sample = np.asarray(values, dtype=np.float64)
    if len(sample) < 2 or sample.max() == sample.min():
        return None
    mean = float(sample.mean())
    error = float(sample.std(ddof=1)) / sqrt(len(sample))
    t = mean / error
    return MeanTest(len(sample), mean, error, t, float(2 * stdtr(len(sample) - 1, -abs(t))))
