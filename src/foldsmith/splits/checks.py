"""What every split asks of label intervals, bars and lengths before it uses them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from foldsmith import intervals
from foldsmith.errors import DataError, SettingError
from foldsmith.intervals import EmbargoFrom, Instants

_FIRST_DAY = 86_400_000_000
"""A day in microseconds."""


@dataclass(frozen=True)
class ShareOfBars:
    """A length said as a share of the bars of the full series, rounded down, as Lopez de Prado's embargo of 1% is.

    It is counted on `bars`; where t0 is a bar number and no bars are given, on all numbers from the first t0 to the
    last. A bare 0.01 is refused, because it does not say of what.

    >>> PurgedKFold(4, t0=np.arange(20), t1=np.arange(20) + 2, embargo=ShareOfBars(0.1)).lengths["embargo"]
    2
    """

    share: float

    def __post_init__(self) -> None:
        if isinstance(self.share, bool) or not isinstance(self.share, int | float) or not 0 < self.share < 1:
            raise SettingError(f"ShareOfBars({self.share!r}): a share lies between 0 and 1, such as 0.01.")


def checked_intervals(t0: Any, t1: Any) -> tuple[Instants, Instants]:
    """t0 and t1 as instants; DataError unless equally long, ordered in time and not ending before they begin."""
    start, end = intervals.as_instants(t0, "t0"), intervals.as_instants(t1, "t1")
    if len(start) != len(end):
        raise DataError(f"t0 has {len(start)} entries and t1 has {len(end)}; both need one per row.")
    if (start[1:] < start[:-1]).any():
        row = int(np.flatnonzero(start[1:] < start[:-1])[0]) + 1
        raise DataError(f"t0 goes back in time at row {row}; sort the rows by decision time first.")
    if (end < start).any():
        row = int(np.flatnonzero(end < start)[0])
        raise DataError(f"the label of row {row} ends before it begins (t1 < t0).")
    return start, end


def checked_bars(bars: Any) -> Instants | None:
    """Closes of the full series as instants; DataError unless they rise, since bars are counted by looking them up."""
    if bars is None:
        return None
    instants = intervals.as_instants(bars, "bars")
    if (instants[1:] <= instants[:-1]).any():
        row = int(np.flatnonzero(instants[1:] <= instants[:-1])[0]) + 1
        raise DataError(
            f"bars must rise without repeats and do not at entry {row}; give the close of every bar, in order."
        )
    return instants


def checked_length(length: Any, name: str, t0: Any, bars: Instants | None) -> Any:
    """A purge or embargo length that can be counted: not negative, not None, and in a unit that t0 has.

    A share becomes the whole number of bars it stands for; SettingError if that is none, because such an embargo would
    pass for one and hold nothing back.
    """
    if isinstance(length, ShareOfBars):
        return _shared(length, name, t0, bars)
    if length is None or isinstance(length, bool | float):
        raise SettingError(
            f"{name}={length!r}: give a timedelta, a whole number of bars (0 for none), or ShareOfBars(0.01)."
        )
    whole = intervals.counts_bars(length)
    size = int(length) if whole else intervals.as_span(length, name)
    if size < 0:
        raise SettingError(f"{name}={length!r} is negative; 0 is the least.")
    if whole and size > 0 and bars is None and not _are_bar_numbers(t0):
        raise SettingError(
            f"{name}={length} bars cannot be counted without `bars=`, the closes of the full series; "
            "pass them, or give a timedelta."
        )
    return length


def checked_settings(embargo: Any, purge: Any, t0: Any, bars: Any) -> dict[str, Any]:
    """What `intervals.barred` needs, refused on the same grounds by every split."""
    instants = checked_bars(bars)
    return {
        "embargo": checked_length(embargo, "embargo", t0, instants),
        "margin": checked_length(purge, "purge", t0, instants),
        "bars": instants,
    }


def checked_anchor(embargo_from: Any) -> EmbargoFrom:
    """Where an embargo begins; SettingError for anything else."""
    if embargo_from not in get_args(EmbargoFrom):
        raise SettingError(f"embargo_from={embargo_from!r}; {' and '.join(get_args(EmbargoFrom))} are known.")
    return embargo_from  # type: ignore[no-any-return]


def checked_count(value: Any, name: str, least: int, most: int, why: str) -> int:
    """A whole number within its limits."""
    if not intervals.counts_bars(value) or not least <= value <= most:
        raise SettingError(f"{name}={value}: {why}; a whole number from {least} to {most} is needed.")
    return int(value)


def _shared(length: ShareOfBars, name: str, t0: Any, bars: Instants | None) -> int:
    if bars is None and not _are_bar_numbers(t0):
        raise SettingError(
            f"{name}={length} cannot be counted without `bars=`, the closes of the full series; pass them."
        )
    count = _numbers_of(intervals.as_instants(t0, "t0")) if bars is None else len(bars)
    # 100 * 0.29 is 28.99 and some: shares are meant as written.
    whole = int(count * length.share + 1e-9)
    if whole == 0:
        raise SettingError(
            f"{name}={length} of {count} bars is less than one bar; give bars, or a larger share."
        )
    return whole


def _numbers_of(t0: Instants) -> int:
    """How many bar numbers there are from the first t0 to the last."""
    return int(t0[-1] - t0[0]) + 1 if len(t0) else 0


def _are_bar_numbers(t0: Any) -> bool:
    """Whether t0 counts bars: integers too small to be microseconds since 1970 (of any day but its first)."""
    values = t0.to_numpy() if hasattr(t0, "to_numpy") else np.asarray(t0)
    if values.dtype.kind not in "iu" or len(values) == 0:
        return values.dtype.kind in "iu"
    return max(-int(values.min()), int(values.max())) < _FIRST_DAY
