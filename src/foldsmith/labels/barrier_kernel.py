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
def in_ticks(open_: Any, high: Any, low: Any, tick: float, ticks: Any) -> None:
    """Fill `ticks`: opens in ticks (float64), highs rounded down and lows rounded up to whole ticks (int32)."""
    o, h, lo = ticks
    for i in range(len(open_)):
        o[i] = _ticks(open_[i], tick)
    for i in range(len(high)):
        h[i] = np.int32(np.floor(high[i] / tick + SLACK))
    for i in range(len(low)):
        lo[i] = np.int32(np.ceil(low[i] / tick - SLACK))


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
    opens: Any,
    sigma: Any,
    up: float,
    down: float,
    least: float,
    fate: Any,
    exact: Any,
    whole: Any,
    place: Any,
) -> None:
    """Barriers in ticks, at least `least` from the entry and rounded outward, of bars whose next opens are `opens`."""
    exact_upper, exact_lower = exact
    upper, lower = whole
    for k in range(len(fate)):
        unit = opens[k] * sigma[k]
        exact_upper[k] = np.ceil(opens[k] + max(up * unit, least) - SLACK)
        exact_lower[k] = np.floor(opens[k] - max(down * unit, least) + SLACK)
    for k in range(len(fate)):
        # No price reaches 2^30 ticks, so a barrier beyond is as good as none.
        upper[k] = np.int32(min(exact_upper[k], 2.0**30))
        lower[k] = np.int32(max(exact_lower[k], -1.0))
        place[k] = np.uint32(k)
    for k in range(len(fate)):
        fate[k] = NO_ROOM if (fate[k] == KEPT) & (lower[k] < 1) else fate[k]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _fill_tables(at: int, size: int, levels: int, high: Any, low: Any, tops: Any, bottoms: Any) -> None:
    """tops[l, i] = max of the 2^l highs from bar at + i on, of `size` bars; what lies beyond always touches."""
    tops[0, :size] = high[at : at + size]
    bottoms[0, :size] = low[at : at + size]
    tops[0, size:] = _ALWAYS
    bottoms[0, size:] = _NEVER
    for level in range(1, levels):
        _double(
            tops[level - 1], tops[level], bottoms[level - 1], bottoms[level], 1 << (level - 1), tops.shape[1]
        )


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _double(top: Any, top2: Any, bottom: Any, bottom2: Any, step: int, width: int) -> None:
    # Slices rather than i + step: an index that may be negative keeps the compiler from using vectors.
    whole = max(width - step, 0)
    near, far, both = top[:whole], top[step:], top2[:whole]
    for i in range(whole):
        both[i] = max(near[i], far[i])
    near, far, both = bottom[:whole], bottom[step:], bottom2[:whole]
    for i in range(whole):
        both[i] = min(near[i], far[i])
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
def _minutes(first: int, stop: int, minutes: Any, tick: float, upper: Any, lower: Any) -> tuple[int, float]:
    """Outcome of the base bars [first, stop): (y, price of a fill at an open, else 0); y = 0 if none can tell."""
    open_, high, low = minutes
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
def _decide(
    max_bars: int,
    high: Any,
    low: Any,
    opens: Any,
    close: Any,
    exact: Any,
    whole: Any,
    grid: Any,
    place: Any,
    made: Any,
) -> None:
    """From walkers at rest to labels, as if no bar reached both barriers; such bars get a code above 2.

    All of it in loops without branches: which barrier is reached is a coin toss that no processor predicts.
    """
    exact_upper, exact_lower = exact
    upper, lower = whole
    code, label, price_up, price_down, exit_long, exit_short, unclear = made
    for k in range(len(code)):
        last = np.uint32(k + max_bars - 1)
        j = min(place[k], last)
        in_time = place[k] <= last
        hit_up = in_time & (high[j] >= upper[k])
        hit_down = in_time & (low[j] <= lower[k])
        touched = hit_up | hit_down
        at_open = touched & ((opens[j] >= exact_upper[k]) | (opens[j] <= exact_lower[k]))
        place[k] = j if touched else last
        code[k] = np.uint8(hit_up) + np.uint8(2) * np.uint8(hit_down) + np.uint8(4) * np.uint8(at_open)
    for k in range(len(code)):
        label[k] = np.int8(code[k] & 1) - np.int8((code[k] >> 1) & 1)
        unclear[k] = False
        price_up[k] = exact_upper[k] * grid[0] / grid[1]
        price_down[k] = exact_lower[k] * grid[0] / grid[1]
    for k in range(len(code)):
        exit_long[k] = close[place[k]]
    for k in range(len(code)):
        at_barrier = price_up[k] if code[k] & 1 else price_down[k]
        exit_long[k] = at_barrier if code[k] != 0 else exit_long[k]
        exit_short[k] = exit_long[k]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _settle(
    at: int,
    tick: float,
    opens: Any,
    open_: Any,
    minutes: Any,
    ranges: Any,
    fate: Any,
    exact: Any,
    place: Any,
    made: Any,
    tally: Any,
) -> None:
    """Settle what `_decide` left open: fills at an open, and bars that reach both barriers, by their minutes."""
    exact_upper, exact_lower = exact
    code, label, price_up, price_down, exit_long, exit_short, unclear = made
    for k in range(len(code)):
        if code[k] <= 2 or fate[k] != KEPT:
            continue
        j = at + 1 + np.int64(place[k])
        if code[k] >= 4:
            side, fill = (1 if opens[j] >= exact_upper[k] else -1), open_[j]
        else:
            side, fill = _minutes(ranges[0][j], ranges[1][j], minutes, tick, exact_upper[k], exact_lower[k])
        if side == BLIND:
            tally[6] = j if tally[5] == 0 else tally[6]
            tally[5] += 1
            side = 0
        label[k] = side
        unclear[k] = side == 0
        exit_long[k] = fill if fill > 0 else (price_up[k] if side > 0 else price_down[k])
        exit_short[k] = price_up[k] if side == 0 else exit_long[k]
        tally[3] += side == 0
        tally[4] += fill > 0


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _store(row: int, at: int, times: Any, open_: Any, fate: Any, place: Any, made: Any, out: Any) -> int:
    """Append the kept labels to the columns, which hold one row more than there can be labels."""
    _, label, price_up, price_down, exit_long, exit_short, unclear = made
    t0, t1, y, bar, entry, upper, lower, long_, short, ambiguous = out
    start = row
    for k in range(len(fate)):
        # Always written, and overwritten if not kept.
        bar[row] = at + k
        t0[row] = times[at + k]
        t1[row] = times[at + 1 + np.int64(place[k])]
        entry[row] = open_[at + k + 1]
        row += fate[k] == KEPT
    row = start
    for k in range(len(fate)):
        upper[row], lower[row] = price_up[k], price_down[k]
        long_[row], short[row] = exit_long[k], exit_short[k]
        y[row], ambiguous[row] = label[k], unclear[k]
        row += fate[k] == KEPT
    return row


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _coarsen(levels: int, top: Any, bottom: Any, tops: Any, bottoms: Any) -> None:
    """The tables of every 64th bar: tops[l, q] = max of the 2^l times 64 highs from bar 64 q on."""
    for q in range(tops.shape[1]):
        there = q * _STRIDE < len(top)
        tops[0, q] = top[q * _STRIDE] if there else _ALWAYS
        bottoms[0, q] = bottom[q * _STRIDE] if there else _NEVER
    for level in range(1, levels):
        _double(
            tops[level - 1], tops[level], bottoms[level - 1], bottoms[level], 1 << (level - 1), tops.shape[1]
        )


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
    least: float,
    tick: float,
    grid: Any,
    out: Any,
    store: bool,
    tally: Any,
) -> None:
    """Label every bar whose fate is KEPT; `fate` is updated where a barrier finds no room.

    ticks : of `in_ticks`; prices : open and close of the bars; minutes : open, high, low of the base bars; ranges :
    first and stop of each bar in them; times : close of each bar; grid : (a, b) so that k ticks cost k * a / b. up,
    down : widths in units of sigma, the square root of max_bars included; least : ticks. out : columns of the labels
    in the order of their contract, one row more than there can be labels; left alone unless `store`. tally : int64
    (7,), to which short, neutral, long, ambiguous, gap fills, and bars whose minutes contradict them, with the row of
    the first such bar, are added.
    """
    opens, high, low = ticks
    open_, close = prices
    n = len(opens)
    # So many levels that the windows of all of them together span max_bars.
    fine = coarse = 0
    while fine < _FINE and (1 << fine) < max_bars:
        fine += 1
    while (_STRIDE << coarse) < max_bars:
        coarse += 1
    levels = fine + 1 if coarse else max(fine, 1)
    size = 1024 if coarse == 0 else max(2048, min(max_bars, 8192))
    width = size + max_bars + 1
    tops, bottoms = np.empty((levels, width), np.int32), np.empty((levels, width), np.int32)
    shape = (max(coarse, 1), width // _STRIDE + 2)
    far_tops, far_bottoms = np.empty(shape, np.int32), np.empty(shape, np.int32)
    floats = np.empty((6, size))
    row = 0
    for at in range(0, n - max_bars, size):
        end = min(at + size, n - max_bars)
        count = end - at
        exact = floats[0, :count], floats[1, :count]
        whole = np.empty(count, np.int32), np.empty(count, np.int32)
        made = (
            np.empty(count, np.uint8),
            np.empty(count, np.int8),
            floats[2, :count],
            floats[3, :count],
            floats[4, :count],
            floats[5, :count],
            np.empty(count, np.bool_),
        )
        place = np.empty(count, np.uint32)
        fates_here = fate[at:end]
        _set_barriers(
            opens[at + 1 : end + 1], sigma[at:end], up, down, least, fates_here, exact, whole, place
        )
        _fill_tables(at + 1, min(size + max_bars, n - at - 1), levels, high, low, tops, bottoms)
        if coarse:
            _coarsen(coarse, tops[_FINE], bottoms[_FINE], far_tops, far_bottoms)
            _lift_far(
                count, coarse, far_tops, far_bottoms, tops[_FINE], bottoms[_FINE], whole[0], whole[1], place
            )
        for level in range(fine - 1, -1, -1):
            _lift(count, level, tops[level], bottoms[level], whole[0], whole[1], place)
        _decide(
            max_bars, tops[0], bottoms[0], opens[at + 1 :], close[at + 1 :], exact, whole, grid, place, made
        )
        _settle(at, tick, opens, open_, minutes, ranges, fates_here, exact, place, made, tally)
        short = long_ = events = 0
        for k in range(count):
            kept = fates_here[k] == KEPT
            events += kept
            short += kept & (made[1][k] < 0)
            long_ += kept & (made[1][k] > 0)
        tally[0] += short
        tally[1] += events - short - long_
        tally[2] += long_
        if store:
            row = _store(row, at, times, open_, fates_here, place, made, out)
