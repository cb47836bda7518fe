"""The one pass over base bars that makes bars of equal sums, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def one_pass(
    closes: Any,
    block: Any,
    prices: tuple[Any, Any, Any, Any],
    volume: Any,
    counts: Any,
    point_value: float,
    edges: Any,
    session_close: Any,
    threshold: float,
) -> tuple[Any, ...]:
    """First row, end, open, high, low, close and volume of each bar.

    Rows edges[k] to edges[k + 1] are those of session k. What is summed is `counts`, and where `point_value` is
    above 0, counts (h + l + c) / 3 point_value. See `information_bars` for when a bar closes.
    """
    open_, high, low, close = prices
    # As many bars as rows at most; memory that is never written is never taken.
    size = len(closes)
    first, end = np.empty(size, np.int64), np.empty(size, np.int64)
    o, h, lo = np.empty(size), np.empty(size), np.empty(size)
    c, v = np.empty(size), np.empty(size)
    n = 0
    for k in range(len(edges) - 1):
        begin = -1
        top = bottom = total = traded = 0.0
        for i in range(edges[k], edges[k + 1]):
            # What a new block cuts off is forgotten: nobody knew at its last row that it was over.
            if begin < 0 or block[i] != block[i - 1]:
                begin = i
                top, bottom, traded, total = high[i], low[i], volume[i], 0.0
            else:
                top, bottom, traded = max(top, high[i]), min(bottom, low[i]), traded + volume[i]
            amount = counts[i]
            if point_value > 0:
                amount = amount * ((high[i] + low[i] + close[i]) / 3) * point_value
            total += amount
            full = total >= threshold
            if full or i == edges[k + 1] - 1:
                first[n], end[n] = begin, closes[i] if full else session_close[k]
                o[n], h[n], lo[n], c[n], v[n] = open_[begin], top, bottom, close[i], traded
                begin = -1
                n += 1
    return first[:n], end[:n], o[:n], h[:n], lo[:n], c[:n], v[:n]
