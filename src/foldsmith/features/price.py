"""Returns, the shape of a bar, and where the close stands in recent ranges, compiled."""

from __future__ import annotations

from typing import Any

from numba import njit

from foldsmith.features.windows import window_max, window_min

LAGS = (1, 3, 6, 12, 24, 48)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def price(prices: Any, logs: Any, session: Any, starts: Any, out: Any) -> None:
    """Fill `out` (17, n), rows in catalogue order. Block k is rows starts[k] to starts[k + 1].

    prices, logs : open, high, low and close, and their natural logs, (n,) each; session : day number, (n,).
    """
    for k in range(len(starts) - 1):
        begin, end = starts[k], starts[k + 1]
        _returns(logs[3], begin, end, out)
        _gap(logs, begin, end, out[6])
        _distances(logs, begin, end, out)
        _session(logs, session, begin, end, out)
    _shape(prices, logs, out)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _returns(log_close: Any, begin: int, end: int, out: Any) -> None:
    for k in range(len(LAGS)):
        lag = LAGS[k]
        for i in range(begin + lag, end):
            out[k, i] = log_close[i] - log_close[i - lag]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _gap(logs: Any, begin: int, end: int, row: Any) -> None:
    for i in range(begin + 1, end):
        row[i] = logs[0][i] - logs[3][i - 1]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _shape(prices: Any, logs: Any, out: Any) -> None:
    open_, high, low, close = prices
    for i in range(len(close)):
        out[7, i] = logs[1][i] - logs[2][i]
        span = high[i] - low[i]
        if span > 0:
            top, bottom = max(open_[i], close[i]), min(open_[i], close[i])
            out[8, i] = (close[i] - open_[i]) / span
            out[9, i] = ((close[i] - low[i]) - (high[i] - close[i])) / span
            out[10, i] = (high[i] - top) / span
            out[11, i] = (bottom - low[i]) / span
        else:
            out[8, i] = out[9, i] = out[10, i] = out[11, i] = 0.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _distances(logs: Any, begin: int, end: int, out: Any) -> None:
    width = 48
    most = window_max(logs[1][begin:end], width)
    least = window_min(logs[2][begin:end], width)
    for i in range(begin + width - 1, end):
        out[12, i] = logs[3][i] - most[i - begin]
        out[13, i] = logs[3][i] - least[i - begin]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _session(logs: Any, session: Any, begin: int, end: int, out: Any) -> None:
    first = most = least = 0.0
    for i in range(begin, end):
        if i == begin or session[i] != session[i - 1]:
            first, most, least = logs[0][i], logs[1][i], logs[2][i]
        else:
            most, least = max(most, logs[1][i]), min(least, logs[2][i])
        out[14, i] = logs[3][i] - first
        out[15, i] = (logs[3][i] - least) / (most - least) if most > least else 0.5
        out[16, i] = most - least
