"""Sums, extrema, lines and smoothed values that the kernels of the families share, compiled.

Kernels walk through a block in tiles of TILE rows, so that all that they make on the way stays in the processor's
cache. The view of a tile begins REACH rows before it, where the block has them: every window of a feature fits in
there, and the values of those rows are made, and written, a second time, with the same bits.

A window is never run as a sum that adds the newest and takes the oldest away: its rounding would remember every bar
it has ever seen. A sum over 2w bars is two neighbouring sums over w; so are extrema and moments. That takes log2(width)
steps for all rows at once, and the value at t depends, bit for bit, on the bars of its window alone.

The compiler's cache does not see a change made here from the files that call it: after one, delete
`__pycache__/*.nb*` beside this file. Loops are written so that it finds vectors in them: one store each, and slices
rather than `i - lag`, as an index that may be negative is none it can step by.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from foldsmith.features.compiled import entry, inner

TILE = 1024
"""Rows of a block that a kernel takes at a time."""
REACH = 96
"""Rows before a tile that its view holds, at least what any window needs: see `warmup` in the catalogue."""
FLOOR = 1e-6
"""A true range that divides is taken to be at least this part of the close."""


@inner
def _blank(n: int, lag: int) -> Any:
    """Room for n values, of which the first `lag` are 0."""
    out = np.empty(n)
    for i in range(min(lag, n)):
        out[i] = 0.0
    return out


@inner
def lagged_sum(x: Any, y: Any, lag: int) -> Any:
    """out[i] = x[i] + y[i - lag], and 0 in the first `lag` rows."""
    n = max(len(x) - lag, 0)
    out = _blank(len(x), lag)
    near, far, both = x[lag:], y[:n], out[lag:]
    for i in range(n):
        both[i] = near[i] + far[i]
    return out


@inner
def _three(x: Any, lag: int) -> Any:
    """out[i] = x[i] + x[i - lag] + x[i - 2 lag], and 0 in the first 2 lag rows."""
    n = max(len(x) - 2 * lag, 0)
    out = _blank(len(x), 2 * lag)
    a, b, all_ = x[2 * lag :], x[lag:], out[2 * lag :]
    for i in range(n):
        all_[i] = (a[i] + b[i]) + x[i]
    return out


@inner
def _four(x: Any, lag: int) -> Any:
    """out[i] = x[i] + x[i - lag] + x[i - 2 lag] + x[i - 3 lag], and 0 in the first 3 lag rows."""
    n = max(len(x) - 3 * lag, 0)
    out = _blank(len(x), 3 * lag)
    a, b, c, all_ = x[3 * lag :], x[2 * lag :], x[lag:], out[3 * lag :]
    for i in range(n):
        all_[i] = (a[i] + b[i]) + (c[i] + x[i])
    return out


@inner
def window_sum(x: Any, width: int) -> Any:
    """out[i] = x[i - width + 1] + ... + x[i]; the first width - 1 values mean nothing."""
    power, span, rest = x, 1, width
    # As few passes as the factors of the width allow: 48 is 4 of 4 of 3.
    while rest % 4 == 0:
        power, span, rest = _four(power, span), 4 * span, rest // 4
    while rest % 3 == 0:
        power, span, rest = _three(power, span), 3 * span, rest // 3
    total, have = power, 0
    while True:
        # `power` holds sums of `span` values, `total` those of the newest `have`.
        if rest & 1:
            total = power if have == 0 else lagged_sum(total, power, have)
            have += span
        rest >>= 1
        if rest == 0:
            return total
        power, span = lagged_sum(power, power, span), 2 * span


@inner
def twice(sums: Any, width: int) -> Any:
    """Window sums of 2 * width from those of width."""
    return lagged_sum(sums, sums, width)


@inner
def _lagged_max(x: Any, lag: int) -> Any:
    n = max(len(x) - lag, 0)
    out = np.empty(len(x))
    for i in range(min(lag, len(x))):
        out[i] = x[i]
    near, far, both = x[lag:], x[:n], out[lag:]
    for i in range(n):
        a, b = near[i], far[i]
        both[i] = a if a > b else b
    return out


@inner
def window_max(x: Any, width: int) -> Any:
    """out[i] = max(x[i - width + 1], ..., x[i]); the first width - 1 values mean nothing."""
    most, span = x, 1
    while 2 * span <= width:
        most = _lagged_max(most, span)
        span *= 2
    return _lagged_max(most, width - span) if width > span else most


@inner
def _lagged_min(x: Any, lag: int) -> Any:
    n = max(len(x) - lag, 0)
    out = np.empty(len(x))
    for i in range(min(lag, len(x))):
        out[i] = x[i]
    near, far, both = x[lag:], x[:n], out[lag:]
    for i in range(n):
        a, b = near[i], far[i]
        both[i] = a if a < b else b
    return out


@inner
def window_min(x: Any, width: int) -> Any:
    """out[i] = min(x[i - width + 1], ..., x[i]); the first width - 1 values mean nothing."""
    least, span = x, 1
    while 2 * span <= width:
        least = _lagged_min(least, span)
        span *= 2
    return _lagged_min(least, width - span) if width > span else least


@inner
def _joined(x: Any, newer: Any, older: Any, a: int, b: int, squares: bool, ages: bool) -> Any:
    """Moments of a + b values from those of the newest a and of the b before them: see `moments`."""
    n = max(len(x) - a, 0)
    total, square, aged = _blank(len(x), a), newer[1], newer[2]
    now, before = x[a:], x[:n]
    s, s_old, out = newer[0][a:], older[0][:n], total[a:]
    for i in range(n):
        out[i] = s[i] + s_old[i] + b * (before[i] - now[i])
    if squares:
        square = _blank(len(x), a)
        q, q_old, out = newer[1][a:], older[1][:n], square[a:]
        for i in range(n):
            away = before[i] - now[i]
            out[i] = q[i] + q_old[i] + away * (2 * s_old[i] + b * away)
    if ages:
        aged = _blank(len(x), a)
        age = b * a + b * (b - 1) / 2
        m, m_old, out = newer[2][a:], older[2][:n], aged[a:]
        for i in range(n):
            out[i] = m[i] + m_old[i] + a * s_old[i] + age * (before[i] - now[i])
    return total, square, aged


@inner
def moments(x: Any, width: int, squares: bool, ages: bool) -> Any:
    """Sums of y, y^2 and j y over the last `width` values, y = x[i - j] - x[i]; the first width - 1 mean nothing.

    About the newest value: equal values then leave exactly nothing. The second and the third are made if asked for.
    """
    zero = np.zeros(len(x))
    total = power = (zero, zero, zero)
    have, span = 0, 1
    while True:
        if width & span:
            total = power if have == 0 else _joined(x, total, power, have, span, squares, ages)
            have += span
        if 2 * span > width:
            return total
        power = _joined(x, power, power, span, span, squares, ages)
        span *= 2


@inner
def twice_moments(x: Any, made: Any, width: int) -> Any:
    """`moments` of 2 * width from those of width."""
    return _joined(x, made, made, width, width, True, True)


@inner
def wma(x: Any, made: Any, period: int) -> Any:
    """Mean of x with weights 1 to `period`, the newest the heaviest, from its `moments` over `period`."""
    out = np.empty(len(x))
    total, _, aged = made
    for i in range(len(out)):
        out[i] = x[i] + (period * total[i] - aged[i]) / (period * (period + 1) / 2)
    return out


@inner
def differences(x: Any) -> Any:
    """out[i] = x[i] - x[i - 1], and 0 for the first, which no window of a feature reaches."""
    out = _blank(len(x), 1)
    near, out1 = x[1:], out[1:]
    for i in range(len(out1)):
        out1[i] = near[i] - x[i]
    return out


@inner
def lagged_product(x: Any, lag: int) -> Any:
    """out[i] = x[i] x[i - lag], and 0 in the first `lag` rows."""
    n = max(len(x) - lag, 0)
    out = _blank(len(x), lag)
    near, far, both = x[lag:], x[:n], out[lag:]
    for i in range(n):
        both[i] = near[i] * far[i]
    return out


@inner
def true_range(high: Any, low: Any, close: Any) -> Any:
    """max(high, close before) - min(low, close before); 0 for the first bar, which has no bar before."""
    out = _blank(len(close), 1)
    high, low, out1 = high[1:], low[1:], out[1:]
    for i in range(len(out1)):
        before = close[i]
        most, least = high[i], low[i]
        most = most if most > before else before
        least = least if least < before else before
        out1[i] = most - least
    return out


@entry
def average_true_range(prices: Any, starts: Any, out: Any) -> None:
    """Fill `out` (n,) with wilder_14 of the true range of each block, 0 before it is known."""
    period = 14
    for k in range(len(starts) - 1):
        begin, end = starts[k], starts[k + 1]
        ranges = true_range(prices[1][begin:end], prices[2][begin:end], prices[3][begin:end])
        row = out[begin:end]
        for i in range(min(period, len(row))):
            row[i] = 0.0
        if len(row) <= period:
            continue
        mean = 0.0
        for i in range(1, period + 1):
            mean += ranges[i]
        mean /= period
        row[period] = mean
        row, ranges, weight = row[period + 1 :], ranges[period + 1 :], 1.0 / period
        for i in range(len(row)):
            mean += weight * (ranges[i] - mean)
            row[i] = mean


@inner
def units(ranges: Any, close: Any, first: int, stop: int) -> Any:
    """Rows [first, stop) of the average true range `ranges`, but at least FLOOR times the view's closes."""
    out = ranges[first:stop].copy()
    for i in range(len(out)):
        least = FLOOR * close[i]
        out[i] = out[i] if out[i] > least else least
    return out


@inner
def carry(rows: Any, lag: int, before: int, stop: int) -> None:
    """Move the last `lag` values of the view before, of length `before`, to the front; none: 0 up to `stop`."""
    for k in range(len(rows)):
        row, old = rows[k, :stop], rows[k, before - lag : before]
        # Forwards: what is moved may overlap where it goes, but only from behind.
        for i in range(len(old)):
            row[i] = old[i]
        if before == 0:
            for i in range(len(row)):
                row[i] = 0.0


@inner
def _seeded(x: Any, weight: float, period: int, first: int, until: int, out: Any) -> None:
    """Begin a smoothed series as the mean of `period` values from `first` on, and go on to row `until`."""
    start = first + period - 1
    if len(x) <= start:
        return
    mean = 0.0
    # About the first value: equal values then leave exactly that.
    for i in range(first, start + 1):
        mean += x[i] - x[first]
    mean = x[first] + mean / period
    out[start] = mean
    for i in range(start + 1, min(until, len(x))):
        mean += weight * (x[i] - mean)
        out[i] = mean


@inner
def smooth(x: Any, weights: Any, periods: Any, firsts: Any, lag: int, before: int, out: Any) -> None:
    """Four smoothed series at once, m_i = m_{i-1} + weight (x_i - m_{i-1}): one alone would wait for itself.

    x : four series of the view, of which any may be an earlier row of `out`; `out` (4, >= n) : what was made of the
    view before, if there was one (`before` is its length, `lag` the rows that both have), and what is made now. Each
    series begins as the mean of its first `period` values from `first` on; earlier values are 0 and mean nothing.
    """
    n = len(x[0])
    carry(out, lag, before, n)
    begin = lag
    if before == 0:
        for k in range(4):
            begin = max(begin, firsts[k] + periods[k])
        for k in range(4):
            _seeded(x[k], weights[k], periods[k], firsts[k], begin, out[k, :n])
    if begin >= n:
        return
    a, b, c, d = out[0, begin:n], out[1, begin:n], out[2, begin:n], out[3, begin:n]
    p, q, r, s = x[0][begin:], x[1][begin:], x[2][begin:], x[3][begin:]
    w0, w1, w2, w3 = weights
    m0, m1, m2, m3 = out[0, begin - 1], out[1, begin - 1], out[2, begin - 1], out[3, begin - 1]
    for i in range(len(a)):
        m0 += w0 * (p[i] - m0)
        a[i] = m0
        m1 += w1 * (q[i] - m1)
        b[i] = m1
        m2 += w2 * (r[i] - m2)
        c[i] = m2
        m3 += w3 * (s[i] - m3)
        d[i] = m3
