"""Returns, the shape of a bar, and where the close stands in recent ranges, compiled."""

from __future__ import annotations

from typing import Any

from foldsmith.features.compiled import entry, inner
from foldsmith.features.elementwise import cut
from foldsmith.features.windows import REACH, TILE, window_max, window_min

LAGS = (1, 3, 6, 12, 24, 48)


@entry
def price(prices: Any, logs: Any, session: Any, starts: Any, out: Any) -> None:
    """Fill `out` (17, n), rows in catalogue order. Block k is rows starts[k] to starts[k + 1].

    prices, logs : open, high, low and close, and their natural logs, (n,) each; session : day number, (n,).
    """
    for k in range(len(starts) - 1):
        for at in range(starts[k], starts[k + 1], TILE):
            first, stop = max(at - REACH, starts[k]), min(at + TILE, starts[k + 1])
            part = cut(logs, first, stop)
            for j in range(len(LAGS)):
                _change(part[3], part[3], LAGS[j], out[j, first:stop])
            _change(part[0], part[3], 1, out[6, first:stop])
            _change(part[1], part[2], 0, out[7, first:stop])
            _shape(cut(prices, first, stop), first, stop, out)
            most, least = window_max(part[1], 48), window_min(part[2], 48)
            _change(part[3][47:], most[47:], 0, out[12, first + 47 : max(first + 47, stop)])
            _change(part[3][47:], least[47:], 0, out[13, first + 47 : max(first + 47, stop)])
        _session(logs, session, starts[k], starts[k + 1], out)


@inner
def _change(x: Any, y: Any, lag: int, row: Any) -> None:
    """row[i] = x[i] - y[i - lag] from row `lag` on."""
    x, row = x[lag:], row[lag:]
    for i in range(len(row)):
        row[i] = x[i] - y[i]


@inner
def _shape(prices: Any, first: int, stop: int, out: Any) -> None:
    open_, high, low, close = prices
    row = out[8, first:stop]
    for i in range(len(row)):
        span = high[i] - low[i]
        part = (close[i] - open_[i]) / span
        row[i] = part if span > 0 else 0.0
    row = out[9, first:stop]
    for i in range(len(row)):
        span = high[i] - low[i]
        part = ((close[i] - low[i]) - (high[i] - close[i])) / span
        row[i] = part if span > 0 else 0.0
    row = out[10, first:stop]
    for i in range(len(row)):
        span, o, c = high[i] - low[i], open_[i], close[i]
        part = (high[i] - (o if o > c else c)) / span
        row[i] = part if span > 0 else 0.0
    row = out[11, first:stop]
    for i in range(len(row)):
        span, o, c = high[i] - low[i], open_[i], close[i]
        part = ((o if o < c else c) - low[i]) / span
        row[i] = part if span > 0 else 0.0


@inner
def _session(logs: Any, session: Any, begin: int, end: int, out: Any) -> None:
    open_, high, low, close = logs[0][begin:end], logs[1][begin:end], logs[2][begin:end], logs[3][begin:end]
    day, back, place, span = session[begin:end], out[14, begin:end], out[15, begin:end], out[16, begin:end]
    first = most = least = 0.0
    for i in range(len(back)):
        if i == 0 or day[i] != day[i - 1]:
            first, most, least = open_[i], high[i], low[i]
        most = high[i] if high[i] > most else most
        least = low[i] if low[i] < least else least
        back[i] = close[i] - first
        span[i] = most - least
        part = (close[i] - least) / (most - least)
        place[i] = part if most > least else 0.5
