"""How far returns remember: autocorrelation, scaling of variance, fractional differences, entropy, compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from foldsmith.features.compiled import entry, inner, summing
from foldsmith.features.windows import differences, window_sum

NOISE = 1e-12
"""A variance below this part of the mean square is rounding, and counts as none."""


@entry
def memory(prices: Any, logs: Any, starts: Any, out: Any) -> None:
    """Fill `out` (13, n), rows in catalogue order. Block k is rows starts[k] to starts[k + 1].

    prices, logs : open, high, low and close, and their natural logs, (n,) each.
    """
    for k in range(len(starts) - 1):
        begin, end = starts[k], starts[k + 1]
        close, log_close = prices[3][begin:end], logs[3][begin:end]
        r = differences(log_close)
        for row, lag in enumerate((1, 2, 3, 6, 12)):
            _autocorrelation(r, lag, out[row, begin:end])
        _absolute_autocorrelation(np.abs(r), 1, out[5, begin:end])
        _absolute_autocorrelation(np.abs(r), 6, out[6, begin:end])
        _variance_ratio(log_close, r, 2, out[7, begin:end])
        _variance_ratio(log_close, r, 6, out[8, begin:end])
        _hurst(log_close, out[9, begin:end])
        _fractional_difference(r, out[10, begin:end])
        _entropy(_sign_words(close), 3, 8, out[11, begin:end])
        _entropy(_orders(close), 2, 6, out[12, begin:end])


@inner
def _autocorrelation(r: Any, lag: int, row: Any) -> None:
    width = 96
    product = np.zeros(len(r))
    for i in range(lag, len(r)):
        product[i] = r[i] * r[i - lag]
    cross, square = window_sum(product, width), window_sum(r * r, width)
    for i in range(width + lag, len(r)):
        scale = math.sqrt(square[i]) * math.sqrt(square[i - lag])
        row[i] = cross[i] / scale if scale > 0 else 0.0


@inner
def _absolute_autocorrelation(x: Any, lag: int, row: Any) -> None:
    width = 96
    product = np.zeros(len(x))
    for i in range(lag, len(x)):
        product[i] = x[i] * x[i - lag]
    cross, total, square = window_sum(product, width), window_sum(x, width), window_sum(x * x, width)
    for i in range(width + lag, len(x)):
        now = square[i] - total[i] * total[i] / width
        before = square[i - lag] - total[i - lag] * total[i - lag] / width
        if now > NOISE * square[i] and before > NOISE * square[i - lag]:
            rho = (cross[i] - total[i] * total[i - lag] / width) / (math.sqrt(now) * math.sqrt(before))
            row[i] = min(max(rho, -1.0), 1.0)
        else:
            row[i] = 0.0


@inner
def _mean_square_move(x: Any, step: int, width: int) -> Any:
    """Mean of (x - x[-step])^2 over the moves that lie inside the last `width` moves of one bar."""
    square = np.zeros(len(x))
    for i in range(step, len(x)):
        square[i] = (x[i] - x[i - step]) ** 2
    return window_sum(square, width - step + 1) / (width - step + 1)


@inner
def _variance_ratio(log_close: Any, r: Any, step: int, row: Any) -> None:
    width = 96
    long, short = _mean_square_move(log_close, step, width), window_sum(r * r, width)
    for i in range(width, len(r)):
        row[i] = long[i] / (step * short[i] / width) if short[i] > 0 else 1.0


@inner
def _hurst(log_close: Any, row: Any) -> None:
    width = 128
    one, two = _mean_square_move(log_close, 1, width), _mean_square_move(log_close, 2, width)
    eight, sixteen = _mean_square_move(log_close, 8, width), _mean_square_move(log_close, 16, width)
    four = _mean_square_move(log_close, 4, width)
    for i in range(width, len(row)):
        known = one[i] > 0 and two[i] > 0 and four[i] > 0 and eight[i] > 0 and sixteen[i] > 0
        # The least-squares slope over ln k at k = 1, 2, 4, 8, 16: weights -2, -1, 0, 1, 2 over 10 ln 2.
        rise = (
            2 * math.log(sixteen[i] / one[i]) + math.log(eight[i] / two[i]) if known else 10 * math.log(2.0)
        )
        row[i] = rise / (20 * math.log(2.0))


@summing
def _fractional_difference(r: Any, row: Any) -> None:
    """Of order 0.4 over 100 closes, each less the oldest: so a sum of returns, whose weights add up the closes'."""
    order, width = 0.4, 99
    weight = np.empty(width)
    of_close = total = 1.0
    for j in range(width):
        weight[width - 1 - j] = total
        of_close *= (j - order) / (j + 1)
        total += of_close
    square = window_sum(r * r, width)
    for i in range(width, len(r)):
        window = r[i - width + 1 : i + 1]
        moved = 0.0
        for j in range(width):
            moved += weight[j] * window[j]
        row[i] = moved / math.sqrt(square[i] / width) if square[i] > 0 else 0.0


@inner
def _sign_words(close: Any) -> Any:
    """Number of the word that the last three moves spell, each up or not; from the fourth close on."""
    word = np.zeros(len(close), np.int64)
    for i in range(1, len(close)):
        word[i] = (2 * word[i - 1] + (close[i] > close[i - 1])) % 8
    return word


@inner
def _orders(close: Any) -> Any:
    """Number of the order that the last three closes are in, of equal ones the older first; six of 8 occur."""
    order = np.zeros(len(close), np.int64)
    for i in range(2, len(close)):
        a, b, c = close[i - 2], close[i - 1], close[i]
        order[i] = 4 * (a <= b) + 2 * (b <= c) + (a <= c)
    return order


@inner
def _entropy(word: Any, first: int, kinds: int, row: Any) -> None:
    """Shannon entropy of the last 62 words over its most, ln(kinds); words are known from row `first` on.

    The counts are run, newest in and oldest out: whole numbers remember nothing.
    """
    width = 62
    term = np.zeros(width + 1)
    for count in range(1, width + 1):
        term[count] = count / width * math.log(width / count)
    counts = np.zeros(8, np.int64)
    for i in range(first, len(word)):
        counts[word[i]] += 1
        if i < first + width - 1:
            continue
        total = 0.0
        for kind in range(8):
            total += term[counts[kind]]
        row[i] = total / math.log(float(kinds))
        counts[word[i - width + 1]] -= 1
