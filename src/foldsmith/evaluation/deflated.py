"""Sharpe ratios judged by how many were tried, and how long a record must be; all per period, nothing annualised.

N trials of no skill have a best Sharpe ratio above 0. What is expected of that best one is the benchmark of a
deflated Sharpe ratio. There are two formulas in the literature, and each has its name here.
"""

from __future__ import annotations

from math import e, log, sqrt

import numpy as np

from foldsmith.errors import SettingError
from foldsmith.evaluation.significance import probabilistic_sharpe_ratio, sharpe_standard_error

EULER = 0.5772156649015329
_WIDEST = 12.0
"""Standard deviations beyond which no maximum of a countable number of normals lies."""


def expected_maximum(n_trials: float) -> float:
    """Expected largest of N independent standard normals, by the approximation of Bailey and Lopez de Prado.

        E[max] = (1 - g) Phi^-1(1 - 1/N) + g Phi^-1(1 - 1/(N e)),    g = Euler's constant

    n_trials : 1 or more, an effective number may be fractional; 1 gives 0, the mean of one normal. SettingError for
    fewer. Source: Bailey and Lopez de Prado, Journal of Portfolio Management 40(5) (2014).

    >>> round(expected_maximum(10), 7)
    1.5745983
    """
    from scipy.special import ndtri

    _at_least_one(n_trials)
    if n_trials == 1:
        return 0.0
    found = (1 - EULER) * ndtri(1 - 1 / n_trials) + EULER * ndtri(1 - 1 / (n_trials * e))
    # Just above 1 the approximation falls below the mean of a single one.
    return max(0.0, float(found))


def variance_of_maximum(n_trials: float) -> float:
    """Variance of the largest of N independent standard normals, by quadrature of x^k N phi(x) Phi(x)^(N-1).

    >>> round(variance_of_maximum(10), 4)
    0.3443
    """
    from scipy.special import log_ndtr

    _at_least_one(n_trials)
    # Equal steps: of a smooth density that vanishes at both ends they are exact to rounding.
    x, step = np.linspace(-_WIDEST, _WIDEST, 4801, retstep=True)
    density = np.exp(log(n_trials) - x**2 / 2 - log(2 * np.pi) / 2 + (n_trials - 1) * log_ndtr(x))
    mass = step * density
    mean = float((mass * x).sum())
    return float((mass * (x - mean) ** 2).sum())


def deflated_sharpe_ratio(
    sharpe: float,
    n: int,
    skewness: float = 0.0,
    kurtosis: float = 3.0,
    *,
    n_trials: float,
    variance: float,
) -> float:
    """Probability that the true Sharpe ratio exceeds what the best of N trials of no skill shows (DSR, 2014).

        DSR = PSR(SR*),    SR* = sqrt(V) E[max of N]

    sharpe : per period, of n periods; skewness g3 and kurtosis g4 (not excess) of the returns; variance : V, of the
    trials' Sharpe ratios per period; n_trials : N. See `probabilistic_sharpe_ratio`, `expected_maximum`. SettingError
    for N below 1 or V below 0. Source: Bailey and Lopez de Prado, Journal of Portfolio Management 40(5) (2014).

    >>> round(deflated_sharpe_ratio(2.5 / 250**0.5, 1250, -3, 10, n_trials=100, variance=0.5 / 250), 10)
    0.9003968344
    """
    benchmark = sqrt(_variance(variance)) * expected_maximum(n_trials)
    return probabilistic_sharpe_ratio(sharpe, n, skewness, kurtosis, benchmark=benchmark)


def deflated_sharpe_ratio_2025(
    sharpe: float,
    n: int,
    skewness: float = 0.0,
    kurtosis: float = 3.0,
    *,
    n_trials: float,
    variance: float,
) -> float:
    """The deflated Sharpe ratio of 2025: spread under the benchmark, and that of a largest of K.

        DSR = Phi[(SR - SR0) / s],    SR0 = sqrt(V) E[max of K]
        s^2 = (1 - g3 SR0 + (g4 - 1) / 4 SR0^2) / T * Var[max of K]

    Arguments as of `deflated_sharpe_ratio`, which is another formula and gives other numbers. Source: Lopez de Prado,
    Lipton and Zoonekynd, How to Use the Sharpe Ratio (2025), for independent returns.

    >>> found = deflated_sharpe_ratio_2025(0.036 / 0.079, 24, -2.448, 10.164, n_trials=10, variance=0.1)
    >>> round(found, 3)
    0.416
    """
    from scipy.special import ndtr

    benchmark = sqrt(_variance(variance)) * expected_maximum(n_trials)
    # sharpe_standard_error divides by its n - 1: this formula has T.
    error = sharpe_standard_error(benchmark, n + 1, skewness, kurtosis) * sqrt(variance_of_maximum(n_trials))
    if error == 0:
        return float(np.heaviside(sharpe - benchmark, 0.5))
    return float(ndtr((sharpe - benchmark) / error))


def minimum_track_record_length(
    sharpe: float,
    skewness: float = 0.0,
    kurtosis: float = 3.0,
    *,
    benchmark: float = 0.0,
    confidence: float = 0.95,
) -> float:
    """Periods until a Sharpe ratio is told from `benchmark` at this confidence, one-sided (MinTRL).

        MinTRL = 1 + (1 - g3 SR + (g4 - 1) / 4 SR^2) (Phi^-1(c) / (SR - SR*))^2

    Per period; infinite unless SR exceeds the benchmark. Source: Bailey and Lopez de Prado, Journal of Risk 15(2)
    (2012).

    >>> round(minimum_track_record_length(2 / 250**0.5, benchmark=1 / 250**0.5) / 250, 6)
    2.731188
    """
    from scipy.special import ndtri

    if not 0.5 < confidence < 1:
        raise SettingError(f"confidence={confidence} must lie between 0.5 and 1, such as 0.95.")
    spread = sharpe_standard_error(sharpe, 2, skewness, kurtosis) ** 2
    if sharpe <= benchmark:
        return float("inf")
    return float(1 + spread * (ndtri(confidence) / (sharpe - benchmark)) ** 2)


def minimum_backtest_length(n_trials: float, sharpe_annual: float = 1.0) -> float:
    """Years below which the best of N trials of no skill is expected to show this Sharpe ratio a year (MinBTL).

        MinBTL = (E[max of N] / SR)^2

    Source: Bailey, Borwein, Lopez de Prado and Zhu, Notices of the AMS 61(5) (2014).

    >>> round(minimum_backtest_length(45), 4)
    4.9981
    """
    if not sharpe_annual > 0:
        raise SettingError(f"sharpe_annual={sharpe_annual} must be above 0.")
    return (expected_maximum(n_trials) / sharpe_annual) ** 2


def _at_least_one(n_trials: float) -> None:
    if not n_trials >= 1 or not np.isfinite(n_trials):
        raise SettingError(
            f"n_trials={n_trials} must be at least 1; the trial that is judged is one of them."
        )


def _variance(variance: float) -> float:
    if not variance >= 0 or not np.isfinite(variance):
        raise SettingError(f"variance={variance} of Sharpe ratios must be a number of at least 0.")
    return variance
