"""The slow, obvious twin of the choice of the front contract: at each instant the whole past is looked through."""

from __future__ import annotations

from math import isnan
from typing import NamedTuple

PROOF = 30


class Bar(NamedTuple):
    """One row: number of the session, instant, rank of the contract by expiry, volume or open interest."""

    session: int
    instant: int
    contract: int
    amount: float


def fronts(bars: list[Bar], rule: str, gone: dict[int, int] | None = None) -> list[int]:
    """The front contract at each bar; `gone` is the session from which the calendar has left a contract."""
    left = gone or {}
    chosen: list[int] = []
    front = held = -1
    since = 0
    opened = False
    for row, bar in enumerate(bars):
        if row and bars[row - 1].instant == bar.instant:
            chosen.append(front)
            continue
        past = bars[:row]
        here = sorted(other.contract for other in bars if other.instant == bar.instant)
        if not past:
            front = held = here[0]
            since = -PROOF
        elif past[-1].session != bar.session:
            new, opened = _at_open(past, bar.session, front, rule, left, opened)
            if new != front:
                front = held = new
                since = -PROOF
        if since < 0 or _count(past, chosen, front, since) >= PROOF:
            held, since = front, -PROOF
        if held != front and held in here:
            front, since = held, -PROOF
        elif front not in here:
            for contract in here:
                gap = (
                    max(o.session for o in past if o.contract == front) < bar.session - 1
                    if _seen(past, front)
                    else True
                )
                over = bar.session >= left.get(front, bar.session + 1)
                fresh = not _seen(past, contract) and (_one_at_a_time(past) or gap or over)
                ended = _silent(past, bar.session, front, contract) >= PROOF
                if contract > front and (fresh or ended):
                    front, since = contract, row
                    if ended or over:
                        held, since = front, -PROOF
                    break
        chosen.append(front)
    return chosen


def _seen(past: list[Bar], contract: int) -> bool:
    return any(bar.contract == contract for bar in past)


def _count(past: list[Bar], chosen: list[int], front: int, since: int) -> int:
    """Bars of the front since the row at which it took over."""
    return sum(bar.contract == front for bar in past[since:])


def _one_at_a_time(past: list[Bar]) -> bool:
    instants = [bar.instant for bar in past]
    contracts = [bar.contract for bar in past]
    return len(set(instants)) == len(instants) and contracts == sorted(contracts)


def _silent(past: list[Bar], session: int, front: int, contract: int) -> int:
    """Bars of a contract in a session since the front's last bar there."""
    today = [bar for bar in past if bar.session == session]
    last = max((bar.instant for bar in today if bar.contract == front), default=-1)
    return sum(bar.contract == contract and bar.instant > last for bar in today)


def _at_open(
    past: list[Bar], session: int, front: int, rule: str, left: dict[int, int], opened: bool
) -> tuple[int, bool]:
    """The front from the open of a session on, and whether a choice was made: then no earlier contract may follow."""
    numbers = sorted({bar.session for bar in past})
    last = {bar.contract for bar in past if bar.session == numbers[-1]}
    contracts = {bar.contract for bar in past}
    first = [bar for bar in past if bar.session == numbers[0]]
    guess = not opened and not _one_at_a_time(first)
    able = sorted(c for c in contracts if c > front or (guess and c != front))
    if rule == "calendar":
        if front not in last:
            able = [c for c in able if c in last]
        able = [c for c in able if session < left[c]]
        stays = front in last and session < left[front]
        if stays:
            able = [c for c in able if c < front]
        return (able[0] if able else front), True
    able = [c for c in able if c in last]
    if rule == "volume":
        amounts = {
            c: sum(b.amount for b in past if b.contract == c and b.session == numbers[-1]) for c in contracts
        }
    else:
        before = numbers[-2] if len(numbers) > 1 else -1
        known = {c: [b.amount for b in past if b.contract == c and b.session == before and not isnan(b.amount)]
                 for c in contracts}  # fmt: skip
        if front in last and not known[front]:
            return front, not guess
        amounts = {c: known[c][-1] if known[c] else 0.0 for c in contracts}
    mine = amounts[front] if front in last else -1.0
    able = [c for c in able if amounts[c] > mine]
    if not able:
        return front, True
    most = max(amounts[c] for c in able)
    return next(c for c in able if amounts[c] == most), True
