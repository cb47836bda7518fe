"""Slow, obvious twins of foldsmith.intervals and foldsmith.splits: every row against every row."""

from __future__ import annotations

from collections.abc import Sequence


def meet(a: tuple[int, int], b: tuple[int, int], closed: str = "both") -> bool:
    """Whether two intervals share an instant: neither ends before the other begins.

    Half-open ones that end where they begin are taken for the instant they begin at.
    """
    if closed == "left":
        a, b = ((c, max(d, c + 1)) for c, d in (a, b))
        return not (a[1] <= b[0] or b[1] <= a[0])
    return not (a[1] < b[0] or b[1] < a[0])


def overlapping(
    t0: Sequence[int], t1: Sequence[int], rows: Sequence[int], others: Sequence[int], closed: str = "both"
) -> int:
    """Pairs of a row and another row whose labels overlap."""
    return sum(meet((t0[i], t1[i]), (t0[j], t1[j]), closed) for i in rows for j in others)


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


def why_barred(
    row: int,
    t0: Sequence[int],
    t1: Sequence[int],
    test: Sequence[int],
    embargo: int,
    margin: int = 0,
    bars: Sequence[int] | None = None,
    closed: str = "both",
    embargo_from: str = "test_label_end",
) -> str | None:
    """Why a row may not train beside one test block: "purge", "embargo" or None."""

    def last(i: int) -> int:
        return t1[i] if closed == "both" else max(t0[i], t1[i] - 1)

    start, end = min(t0[i] for i in test), max(last(i) for i in test)
    anchor = end if embargo_from == "test_label_end" else max(t0[i] for i in test)
    widened = (earlier(start, margin, bars), later(end, margin, bars))
    if row in test or not (last(row) < widened[0] or widened[1] < t0[row]):
        return "purge"
    return "embargo" if anchor < t0[row] <= later(anchor, embargo, bars) else None


def training_rows(
    t0: Sequence[int],
    t1: Sequence[int],
    tests: Sequence[Sequence[int]],
    embargo: int,
    margin: int = 0,
    bars: Sequence[int] | None = None,
    closed: str = "both",
    embargo_from: str = "test_label_end",
) -> list[int]:
    """Rows that no test block holds, overlaps (widened by `margin`) or precedes within `embargo`."""
    settings = (embargo, margin, bars, closed, embargo_from)
    return [
        row for row in range(len(t0)) if not any(why_barred(row, t0, t1, test, *settings) for test in tests)
    ]
