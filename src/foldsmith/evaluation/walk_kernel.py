"""A walk over bars that opens and closes lots, compiled. Imports numba: import it where it is used."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

BARRIER, AMBIGUOUS, TIME, SESSION, ROLL, END = 1, 2, 3, 4, 5, 6
"""Why a lot was closed; the first that applies."""
SKIPPED, NO_ENTRY, NONE = -1, -2, 0
"""Why a signal made no lot: one was open (or no room was left), no bar to enter at, nothing was signalled."""
SLACK = 1e-6
"""Ticks by which a price may miss the grid: what decimal prices leave behind."""

AT_OPEN, INSIDE, AT_CLOSE = 0, 1, 2
"""Where in a bar a signal is left."""


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def left_in(
    i: int,
    j: int,
    side: int,
    prices: Any,
    ends: Any,
    last: int,
    barriers: Any,
    told: Any,
    slack: float,
    use_barriers: bool,
    overnight: bool,
) -> tuple[float, int, int]:
    """Price, reason (0: it is not) and place in bar i at which signal j of `side` is left; arguments as of `walk`."""
    open_, high, low, close = prices
    ends_session, ends_block = ends
    upper, lower = barriers
    told_bar, told_long, told_short = told
    if use_barriers:
        above, below = high[i] >= upper[j] - slack, low[i] <= lower[j] + slack
        if open_[i] >= upper[j] - slack or open_[i] <= lower[j] + slack:
            return open_[i], BARRIER, AT_OPEN
        if above and below:
            price = told_long[j] if side > 0 else told_short[j]
            if told_bar[j] != i or np.isnan(price):
                price = lower[j] if side > 0 else upper[j]
            return price, AMBIGUOUS, INSIDE
        if above:
            return upper[j], BARRIER, INSIDE
        if below:
            return lower[j], BARRIER, INSIDE
    why = 0
    if i >= last:
        why = TIME
    elif ends_block[i]:
        why = ROLL
    elif overnight and ends_session[i]:
        why = SESSION
    elif i == len(open_) - 1:
        why = END
    return close[i], why, AT_CLOSE


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def walk(
    prices: Any,
    ends: Any,
    signals: Any,
    barriers: Any,
    told: Any,
    tick: float,
    use_barriers: bool,
    net: bool,
    most: int,
    overnight: bool,
    out: Any,
) -> None:
    """Fill `out` = (contracts int64, exit bar int64, exit price float64, reason int64), one row a signal.

    prices : open, high, low, close (n,) of bars; ends : bool (n,) twice, the last bar of a session and of a block.
    signals : decision bar (sorted), signed contracts, last bar a lot may be held; barriers : upper, lower; told : bar
    and the prices at which a long and a short left it, used where that bar reaches both barriers (NaN: the stop).
    A bar is over before what is decided at its close: exits of bar i come before decisions of bar i.
    """
    ends_session, ends_block = ends
    decision, wanted, last = signals
    contracts, exit_bar, exit_price, reason = out
    n = len(prices[0])
    active = np.empty(len(decision), np.int64)
    count, s = 0, 0
    # Contracts of open lots by side: with each within `most` the net is too, whichever lot closes first.
    long, short = 0, 0
    slack = SLACK * tick
    for i in range(n):
        kept = 0
        for a in range(count):
            j = active[a]
            side = 1 if contracts[j] > 0 else -1
            price, why, _ = left_in(
                i, j, side, prices, ends, last[j], barriers, told, slack, use_barriers, overnight
            )
            if why == 0:
                active[kept] = j
                kept += 1
            else:
                exit_bar[j], exit_price[j], reason[j] = i, price, why
                long -= max(contracts[j], 0)
                short -= max(-contracts[j], 0)
        count = kept
        while s < len(decision) and decision[s] == i:
            if wanted[s] == 0:
                reason[s] = NONE
            elif i == n - 1 or ends_block[i] or (overnight and ends_session[i]):
                reason[s] = NO_ENTRY
            else:
                side = 1 if wanted[s] > 0 else -1
                room = most if count == 0 else 0
                if net:
                    room = most - (long if side > 0 else short)
                taken = min(abs(wanted[s]), room)
                if taken <= 0:
                    reason[s] = SKIPPED
                else:
                    contracts[s] = side * taken
                    long += max(contracts[s], 0)
                    short += max(-contracts[s], 0)
                    active[count] = s
                    count += 1
            s += 1
