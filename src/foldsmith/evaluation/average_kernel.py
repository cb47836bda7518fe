"""A walk over bars that holds the mean of all active signals, compiled. Imports numba: import it where it is used."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from foldsmith.evaluation.walk_kernel import AT_CLOSE, AT_OPEN, INSIDE, NO_ENTRY, NONE, SLACK, left_in

TARGET = 7
"""Why contracts were traded at an open: the target had moved."""


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def whole_mean(sizes: Any, active: Any, count: int) -> int:
    """Mean size of the first `count` active signals as a whole number, halves towards 0; 0 of none."""
    if count == 0:
        return 0
    total = 0.0
    for a in range(count):
        total += sizes[active[a]]
    whole = int(np.ceil(abs(total) / count - 0.5))
    return whole if total > 0 else -whole


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def towards(position: int, target: int) -> int:
    """Contracts that take a position nearer to 0 as far as its target asks; never any that open one."""
    if position > 0:
        return min(position, max(target, 0)) - position
    return max(position, min(target, 0)) - position


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def walk_mean(
    prices: Any,
    ends: Any,
    signals: Any,
    barriers: Any,
    told: Any,
    tick: float,
    use_barriers: bool,
    overnight: bool,
    reason: Any,
    fills: Any,
) -> int:
    """Fill `reason` (int64, one a signal) and `fills`; returns how many fills there are.

    Arguments are as of `walk_kernel.walk`, sizes being real numbers within the limit. fills : bar, price, contracts
    bought (below 0 sold), why, latest decision; room for a fill a bar and one a signal.
    """
    ends_session, ends_block = ends
    decision, sizes, last = signals
    fill_bar, fill_price, fill_size, fill_why, fill_row = fills
    n, made, s = len(prices[0]), 0, 0
    active = np.empty(len(decision), np.int64)
    left_price = np.empty(len(decision), np.float64)
    left_why = np.empty(len(decision), np.int64)
    left_at = np.empty(len(decision), np.int64)
    count, position, target = 0, 0, 0
    slack = SLACK * tick
    for i in range(n):
        if target != position:
            fill_bar[made], fill_price[made], fill_size[made] = i, prices[0][i], target - position
            fill_why[made], fill_row[made] = TARGET, s - 1
            made += 1
            position = target
        for a in range(count):
            j = active[a]
            side = 1 if sizes[j] > 0 else -1
            left_price[a], left_why[a], left_at[a] = left_in(
                i, j, side, prices, ends, last[j], barriers, told, slack, use_barriers, overnight
            )
        for place in (AT_OPEN, INSIDE, AT_CLOSE):
            a = 0
            while a < count:
                if left_why[a] == 0 or left_at[a] != place:
                    a += 1
                    continue
                price, why = left_price[a], left_why[a]
                # At an open and at a close there is one price: who leaves there leaves together. Inside a bar nobody
                # knows who was first, and decisions leave one after the other, the earliest first.
                kept = a
                for b in range(a, count):
                    leaves = left_why[b] != 0 and left_at[b] == place and (b == a or place != INSIDE)
                    if leaves:
                        reason[active[b]] = left_why[b]
                    else:
                        active[kept], left_price[kept] = active[b], left_price[b]
                        left_why[kept], left_at[kept] = left_why[b], left_at[b]
                        kept += 1
                count = kept
                change = towards(position, whole_mean(sizes, active, count))
                if change != 0:
                    fill_bar[made], fill_price[made], fill_size[made] = i, price, change
                    fill_why[made], fill_row[made] = why, s - 1
                    made += 1
                    position += change
        while s < len(decision) and decision[s] == i:
            if sizes[s] == 0:
                reason[s] = NONE
            elif i == n - 1 or ends_block[i] or (overnight and ends_session[i]):
                reason[s] = NO_ENTRY
            else:
                active[count] = s
                count += 1
            s += 1
        target = whole_mean(sizes, active, count)
    return made
