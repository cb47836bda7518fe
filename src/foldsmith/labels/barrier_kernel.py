"""First touches of a pair of barriers, compiled.

For one bar the first touch is found by binary lifting: with M_l[i] the highest high of the 2^l bars from i on (and the
lowest low likewise), a walker that stands at p and knows that no bar before p touches moves on by 2^l whenever
M_l[p] stays inside the barriers, from the largest l down. That is log2(max_bars) tests without a branch to mispredict.
The tables are made for a chunk of bars at a time, so that they stay in the cache; beyond 64 bars they are kept
for every 64th bar only.

Prices are compared on the tick grid: a whole number of ticks U is reached by a high exactly if floor(high) reaches it,
so highs rounded down and lows rounded up to int32 lose nothing, also where a price is off the grid.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

SLACK = 1e-6
"""Ticks by which a price may miss the grid and still be on it: what dividing a decimal price leaves behind."""

KEPT, WARM_UP, NO_VOLATILITY, END_OF_DATA, CROSSES_BLOCK, NO_ROOM = 0, 1, 2, 3, 4, 5
"""What becomes of a bar; the reasons for which it is dropped are tried in this order."""

BLIND = -2
"""Outcome of a bar whose minutes do not show the touch that the bar shows."""

_NEVER = np.int32(-(2**31))
_ALWAYS = np.int32(2**31 - 1)
_STRIDE = 64  # bars between two entries of the coarse tables
_FINE = 6  # log2 of it


@njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def _ticks(price: Any, tick: Any) -> Any:
    exact = price / tick
    whole = np.rint(exact)
    return whole if abs(exact - whole) <= SLACK else exact


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def in_ticks(open_: Any, high: Any, low: Any, tick: float) -> tuple[Any, Any, Any]:
    """Opens in ticks (float64), highs rounded down and lows rounded up to whole ticks (int32)."""
    n = len(open_)
    o, h, lo = np.empty(n), np.empty(n, np.int32), np.empty(n, np.int32)
    for i in range(n):
        o[i] = _ticks(open_[i], tick)
        h[i] = np.int32(np.floor(_ticks(high[i], tick)))
        lo[i] = np.int32(np.ceil(_ticks(low[i], tick)))
    return o, h, lo


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def fates(sigma: Any, block: Any, max_bars: int) -> Any:
    """KEPT or the reason to drop each bar, as far as it can be told without its barriers."""
    n = len(sigma)
    fate = np.empty(n, np.uint8)
    end = n
    for t in range(n - 1, -1, -1):
        # `end` is the first bar after t that is of another block.
        if t + 1 < n and block[t] != block[t + 1]:
            end = t + 1
        if np.isnan(sigma[t]):
            fate[t] = WARM_UP
        elif sigma[t] <= 0:
            fate[t] = NO_VOLATILITY
        elif t + max_bars >= n:
            fate[t] = END_OF_DATA
        elif t + max_bars >= end:
            fate[t] = CROSSES_BLOCK
        else:
            fate[t] = KEPT
    return fate


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _set_barriers(
    at: int, stop: int, opens: Any, sigma: Any, up: float, down: float, fate: Any, upper: Any, lower: Any
) -> None:
    """Barriers of bars [at, stop) in whole ticks, at least one tick from the entry, rounded outward."""
    for t in range(at, stop):
        entry = opens[t + 1]
        unit = entry * sigma[t]
        above = np.ceil(entry + max(up * unit, 1.0) - SLACK)
        below = np.floor(entry - max(down * unit, 1.0) + SLACK)
        if fate[t] == KEPT and not below >= 1.0:
            fate[t] = NO_ROOM
        upper[t - at] = above
        lower[t - at] = below


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _fill_tables(at: int, size: int, levels: int, high: Any, low: Any, tops: Any, bottoms: Any) -> None:
    """tops[l, i] = max of the 2^l highs from bar at + i on, of `size` bars; what lies beyond always touches."""
    for i in range(size):
        tops[0, i] = high[at + i]
        bottoms[0, i] = low[at + i]
    tops[0, size:] = _ALWAYS
    bottoms[0, size:] = _NEVER
    for level in range(1, levels):
        _double(
            tops[level - 1], tops[level], bottoms[level - 1], bottoms[level], 1 << (level - 1), tops.shape[1]
        )


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _double(top: Any, top2: Any, bottom: Any, bottom2: Any, step: int, width: int) -> None:
    whole = max(width - step, 0)
    for i in range(whole):
        top2[i] = max(top[i], top[i + step])
    for i in range(whole):
        bottom2[i] = min(bottom[i], bottom[i + step])
    top2[whole:width] = _ALWAYS
    bottom2[whole:width] = _NEVER


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _lift(count: int, level: int, top: Any, bottom: Any, upper: Any, lower: Any, place: Any) -> None:
    """Move each walker on by 2^level where that many bars from its place on stay inside its barriers."""
    step = np.uint32(1 << level)
    for k in range(count):
        p = place[k]
        inside = (top[p] < upper[k]) & (bottom[p] > lower[k])
        place[k] = p + step * np.uint32(inside)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _lift_far(
    count: int,
    levels: int,
    tops: Any,
    bottoms: Any,
    head_top: Any,
    head_bottom: Any,
    upper: Any,
    lower: Any,
    place: Any,
) -> None:
    """Walkers with nothing in their first 64 bars go to the next coarse entry, and from one to another."""
    for k in range(count):
        p = place[k]
        u, d = upper[k], lower[k]
        if (head_top[p] < u) & (head_bottom[p] > d):
            q = np.uint32((p + np.uint32(_STRIDE - 1)) >> np.uint32(_FINE))
            for level in range(levels - 1, -1, -1):
                inside = (tops[level, q] < u) & (bottoms[level, q] > d)
                q += np.uint32(inside) << np.uint32(level)
            place[k] = q << np.uint32(_FINE)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _minutes(
    first: int, stop: int, open_: Any, high: Any, low: Any, tick: float, upper: Any, lower: Any
) -> tuple[int, float]:
    """Outcome of the base bars [first, stop): (y, price of a fill at an open, else 0); y = 0 if none can tell."""
    for i in range(first, stop):
        at = _ticks(open_[i], tick)
        if at >= upper:
            return 1, open_[i]
        if at <= lower:
            return -1, open_[i]
        above = _ticks(high[i], tick) >= upper
        below = _ticks(low[i], tick) <= lower
        if above and below:
            return 0, 0.0
        if above:
            return 1, 0.0
        if below:
            return -1, 0.0
    return BLIND, 0.0


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def walk(
    ticks: Any,
    prices: Any,
    minutes: Any,
    ranges: Any,
    times: Any,
    sigma: Any,
    fate: Any,
    max_bars: int,
    up: float,
    down: float,
    tick: float,
    grid: Any,
    kept: int,
    tally: Any,
) -> tuple[Any, ...]:
    """Label every bar whose fate is KEPT; `fate` is updated where a barrier finds no room.

    ticks : of `in_ticks`; prices : open and close of the bars; minutes : open, high, low of the base bars; ranges :
    first and stop of each bar in them; times : close of each bar; grid : (a, b) so that k ticks cost k * a / b.
    up, down : widths in units of sigma, the square root of max_bars included. kept : the most labels there can be;
    0 for none, only the tally. tally : int64 (7,), to which short, neutral, long, ambiguous, gap fills, and bars whose
    minutes contradict them, with the row of the first such bar, are added.
    """
    opens, high, low = ticks
    open_, close = prices
    minute_open, minute_high, minute_low = minutes
    first, stop = ranges
    n = len(opens)
    near = max_bars <= _STRIDE
    fine = 0
    while fine < _FINE and (1 << fine) < max_bars:
        fine += 1
    coarse = 0
    while not near and (_STRIDE << coarse) < max_bars:
        coarse += 1
    chunk = 1024 if near else max(2048, min(max_bars, 8192))
    width = chunk + max_bars + 1
    levels = fine if near else _FINE + 1
    tops = np.empty((max(levels, 1), width), np.int32)
    bottoms = np.empty((max(levels, 1), width), np.int32)
    coarse_width = width // _STRIDE + 2
    far_tops = np.empty((max(coarse, 1), coarse_width), np.int32)
    far_bottoms = np.empty((max(coarse, 1), coarse_width), np.int32)
    exact_upper, exact_lower = np.empty(chunk), np.empty(chunk)
    upper, lower = np.empty(chunk, np.int32), np.empty(chunk, np.int32)
    place = np.empty(chunk, np.uint32)

    t0, t1 = np.empty(kept, np.int64), np.empty(kept, np.int64)
    y, unclear = np.empty(kept, np.int8), np.empty(kept, np.bool_)
    bar = np.empty(kept, np.int64)
    entry, above, below = np.empty(kept), np.empty(kept), np.empty(kept)
    exit_long, exit_short = np.empty(kept), np.empty(kept)
    row = 0
    for at in range(0, n - max_bars, chunk):
        end = min(at + chunk, n - max_bars)
        count = end - at
        _set_barriers(at, end, opens, sigma, up, down, fate, exact_upper, exact_lower)
        for k in range(count):
            # No price reaches 2^30 ticks, so a barrier beyond is as good as none.
            upper[k] = np.int32(min(exact_upper[k], 2.0**30))
            lower[k] = np.int32(max(exact_lower[k], -1.0))
            place[k] = np.uint32(k)
        _fill_tables(at + 1, min(chunk + max_bars, n - at - 1), levels, high, low, tops, bottoms)
        if coarse:
            for q in range(coarse_width):
                there = q * _STRIDE < width
                far_tops[0, q] = tops[_FINE, q * _STRIDE] if there else _ALWAYS
                far_bottoms[0, q] = bottoms[_FINE, q * _STRIDE] if there else _NEVER
            for level in range(1, coarse):
                _double(
                    far_tops[level - 1],
                    far_tops[level],
                    far_bottoms[level - 1],
                    far_bottoms[level],
                    1 << (level - 1),
                    coarse_width,
                )
            _lift_far(count, coarse, far_tops, far_bottoms, tops[_FINE], bottoms[_FINE], upper, lower, place)
        for level in range(fine - 1, -1, -1):
            _lift(count, level, tops[level], bottoms[level], upper, lower, place)
        for k in range(count):
            t = at + k
            if fate[t] != KEPT:
                continue
            last = t + max_bars
            j: Any = at + 1 + np.int64(place[k])
            in_time = j <= last
            j = j if in_time else last
            hit_up = in_time & (high[j] >= upper[k])
            hit_down = in_time & (low[j] <= lower[k])
            touched = hit_up | hit_down
            j = j if touched else last
            at_open = touched & ((opens[j] >= exact_upper[k]) | (opens[j] <= exact_lower[k]))
            price_up = exact_upper[k] * grid[0] / grid[1]
            price_down = exact_lower[k] * grid[0] / grid[1]
            label: Any = np.int64(hit_up) - np.int64(hit_down)
            price = price_up if hit_up else (price_down if hit_down else close[j])
            gap = at_open
            ambiguous = False
            if at_open:
                label = 1 if opens[j] >= exact_upper[k] else -1
                price = open_[j]
            elif hit_up & hit_down:
                label, fill = _minutes(
                    first[j],
                    stop[j],
                    minute_open,
                    minute_high,
                    minute_low,
                    tick,
                    exact_upper[k],
                    exact_lower[k],
                )
                if label == BLIND:
                    if tally[5] == 0:
                        tally[6] = j
                    tally[5] += 1
                    label = 0
                ambiguous = label == 0
                gap = fill > 0
                price = fill if gap else (price_up if label > 0 else price_down)
            tally[label + 1] += 1
            tally[3] += ambiguous
            tally[4] += gap
            if kept:
                t0[row], t1[row] = times[t], times[j]
                y[row], unclear[row], bar[row] = label, ambiguous, t
                entry[row], above[row], below[row] = open_[t + 1], price_up, price_down
                exit_long[row] = price
                exit_short[row] = price_up if ambiguous else price
                row += 1
    return (
        t0[:row],
        t1[:row],
        y[:row],
        bar[:row],
        entry[:row],
        above[:row],
        below[:row],
        exit_long[:row],
        exit_short[:row],
        unclear[:row],
    )
