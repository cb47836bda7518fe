"""Slow, obvious twins of foldsmith.intervals and foldsmith.splits: every row against every row."""

from __future__ import annotations

from collections.abc import Sequence


def meet(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether two closed intervals share an instant: neither ends before the other begins."""
    return not (a[1] < b[0] or b[1] < a[0])


def overlapping(t0: Sequence[int], t1: Sequence[int], rows: Sequence[int], others: Sequence[int]) -> int:
    """Pairs of a row and another row whose labels overlap."""
    return sum(meet((t0[i], t1[i]), (t0[j], t1[j])) for i in rows for j in others)


def later(instant: int, length: int, bars: Sequence[int] | None) -> float:
    """The instant of the `length`-th bar after `instant`; endless if there is none."""
    if bars is None or length == 0:
        return instant + length
    after = [bar for bar in bars if bar > instant]
    return after[length - 1] if length <= len(after) else float("inf")


def earlier(instant: int, length: int, bars: Sequence[int] | None) -> float:
    """The instant of the `length`-th bar before `instant`; endless if there is none."""
    if bars is None or length == 0:
        return instant - length
    before = [bar for bar in bars if bar < instant][::-1]
    return before[length - 1] if length <= len(before) else float("-inf")


def training_rows(
    t0: Sequence[int],
    t1: Sequence[int],
    tests: Sequence[Sequence[int]],
    embargo: int,
    margin: int = 0,
    bars: Sequence[int] | None = None,
) -> list[int]:
    """Rows that no test block holds, overlaps (widened by `margin`) or precedes within `embargo`."""
    left = []
    for row in range(len(t0)):
        free = True
        for test in tests:
            start = min(t0[i] for i in test)
            end = max(t1[i] for i in test)
            widened = (earlier(start, margin, bars), later(end, margin, bars))
            in_purge = not (t1[row] < widened[0] or widened[1] < t0[row])
            in_embargo = end < t0[row] <= later(end, embargo, bars)
            free = free and not in_purge and not in_embargo and row not in test
        if free:
            left.append(row)
    return left
