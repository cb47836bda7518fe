"""The one pass over base bars that resampling makes, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def one_pass(
    opens: Any,
    block: Any,
    prices: tuple[Any, Any, Any, Any],
    volume: Any,
    edges: Any,
    session_open: Any,
    session_close: Any,
    timeframe: int,
) -> tuple[Any, ...]:
    """First row, start, end, open, high, low, close and volume of each resampled bar.

    Rows edges[k] to edges[k + 1] are those of session k. See `resample` for what a bin is.
    """
    open_, high, low, close = prices
    # At most one bar per bin of each session.
    size = 0
    for k in range(len(session_open)):
        size += (session_close[k] - session_open[k]) // timeframe + 1
    size = min(size, len(opens))
    first = np.empty(size, np.int64)
    start = np.empty(size, np.int64)
    end = np.empty(size, np.int64)
    o, h, lo = np.empty(size), np.empty(size), np.empty(size)
    c, v = np.empty(size), np.empty(size)
    bar = -1
    for k in range(len(edges) - 1):
        # The last bin of the session before cannot hold a bar of this one.
        bin_start = bin_end = np.int64(-1) << 62
        for i in range(edges[k], edges[k + 1]):
            at = opens[i]
            new_bin = at >= bin_end
            if new_bin or block[i] != block[i - 1]:
                if new_bin:
                    bar += 1
                    bin_start = session_open[k] + (at - session_open[k]) // timeframe * timeframe
                    bin_end = bin_start + timeframe
                    start[bar] = bin_start
                else:
                    # A block begins inside the bin and its bar opens late. The part before is overwritten: nobody
                    # knew at its last row that it was over.
                    start[bar] = at
                end[bar] = min(bin_end, session_close[k])
                first[bar] = i
                o[bar], h[bar], lo[bar], c[bar], v[bar] = open_[i], high[i], low[i], close[i], volume[i]
            else:
                h[bar] = max(h[bar], high[i])
                lo[bar] = min(lo[bar], low[i])
                c[bar] = close[i]
                v[bar] += volume[i]
    n = bar + 1
    return first[:n], start[:n], end[:n], o[:n], h[:n], lo[:n], c[:n], v[:n]
