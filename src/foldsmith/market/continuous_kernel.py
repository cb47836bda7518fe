"""The one pass over bars that chooses the front contract, compiled: forward in time, so that it cannot look ahead."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

VOLUME, OPEN_INTEREST, CALENDAR = 0, 1, 2
PROOF = 30
"""Bars of a contract, none of the front's among them, that show that the front has ended."""


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def follow(contract: Any, instants: Any, session: Any, amount: Any, gone: Any, rule: int) -> Any:
    """Which bars are the front's; `front_contract` says by what rules.

    contract : rank by expiry, from 0; instants : sorted; session : number of the session; amount : volume, or open
    interest (NaN where unknown); gone : first session of each contract in which `calendar` has left it.
    """
    count = len(gone)
    keep = np.zeros(len(contract), np.bool_)
    last_session = np.full(count, -1, np.int64)
    # Of the session now, of the last that had bars, and of the one before.
    blank = np.nan if rule == OPEN_INTEREST else 0.0
    now, last, earlier = np.full(count, blank), np.full(count, blank), np.full(count, blank)
    # Bars since the front's last one, and the stretch without the front that they were counted in.
    silent, stretch = np.zeros(count, np.int64), np.full(count, -1, np.int64)
    # The front, the last one that was proven, and bars of the front since it took over.
    front, held, own = -1, -1, PROOF
    parallel, guessed, quiet = False, True, 0
    before = -1
    i = 0
    while i < len(contract):
        stop = i + 1
        while stop < len(contract) and instants[stop] == instants[i]:
            stop += 1
        if session[i] != before:
            if before >= 0:
                for c in range(count):
                    earlier[c], last[c], now[c] = last[c], now[c], blank
                guessed = guessed and parallel
                chosen, guessed = at_open(
                    front,
                    last_session,
                    before,
                    session[i],
                    earlier if rule == OPEN_INTEREST else last,
                    gone,
                    rule,
                    guessed,
                )
                if chosen != front:
                    front, held, own = chosen, chosen, PROOF
            before = session[i]
            quiet += 1
        # Who trades at this instant.
        has_front, has_held, new, nearest = False, False, -1, -1
        for k in range(i, stop):
            c = contract[k]
            has_front |= c == front
            has_held |= c == held
            if nearest < 0 or c < nearest:
                nearest = c
        if front < 0:
            front, held, own, has_front = nearest, nearest, PROOF, True
        elif own < PROOF and has_held:
            front, own, has_front, parallel = held, PROOF, True, True
        elif not has_front:
            left = session[i] >= gone[front]
            vacant = not parallel or last_session[front] < session[i] - 1 or left
            proven = False
            for k in range(i, stop):
                c = contract[k]
                shown = stretch[c] == quiet and silent[c] >= PROOF
                if c > front and (new < 0 or c < new) and (shown or (vacant and last_session[c] < 0)):
                    new, proven = c, shown or left
            if new >= 0:
                front, has_front, own = new, True, PROOF if proven else 0
                if proven:
                    held = new
                quiet += 1
        # Take it in.
        quiet += has_front
        parallel |= stop - i > 1
        for k in range(i, stop):
            c = contract[k]
            if c == front:
                keep[k] = True
                own += 1
                if own >= PROOF:
                    held = front
            elif not has_front and c > front:
                if stretch[c] != quiet:
                    silent[c], stretch[c] = 0, quiet
                silent[c] += 1
            parallel |= c < front
            last_session[c] = session[i]
            if rule == VOLUME:
                now[c] += amount[k]
            elif not np.isnan(amount[k]):
                now[c] = amount[k]
        i = stop
    return keep


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def at_open(
    front: int, last_session: Any, before: int, session: int, amount: Any, gone: Any, rule: int, guessed: bool
) -> tuple[int, bool]:
    """The front from the open of a session on, and whether it is still a guess."""
    absent = last_session[front] != before
    if absent:
        mine = -np.inf
    elif rule == CALENDAR:
        mine = -float(front) if session < gone[front] else -np.inf
    else:
        # An unknown open interest says nothing: the front stays.
        mine = np.inf if np.isnan(amount[front]) else amount[front]
    best, chosen = mine, front
    for c in range(0 if guessed else front + 1, len(gone)):
        there = last_session[c] == before or (rule == CALENDAR and not absent and last_session[c] >= 0)
        if c == front or not there or (rule == CALENDAR and session >= gone[c]):
            continue
        score = -float(c) if rule == CALENDAR else (0.0 if np.isnan(amount[c]) else amount[c])
        if score > best:
            best, chosen = score, c
    return chosen, guessed and mine == np.inf
