"""What closes a bar: a length of time, or a number of trades, of contracts, or a value that has been traded."""

from __future__ import annotations

import re
from dataclasses import dataclass

from foldsmith.errors import SettingError
from foldsmith.market.sessions import DAY

TIME = "time"
SUMS = ("tick", "volume", "dollar")
"""Kinds of bars that a sum closes: of trades, of contracts, of traded value."""
MOST = 1e15
"""No sum of a bar is larger: beyond, a double no longer counts in ones."""
SLOT_SECONDS = 1800
"""Width of a time of day, where bars open at no fixed ones."""
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_FORMS = "5m or 1h, or tick:500, volume:20000 or dollar:5e6"


@dataclass(frozen=True)
class Timeframe:
    """What closes a bar.

    kind : `time`, or one of `SUMS`; size : microseconds of a time bar, at most a day; trades of a `tick` bar,
    contracts of a `volume` bar, currency of a `dollar` bar.
    """

    kind: str
    size: float

    def __post_init__(self) -> None:
        if self.kind not in (TIME, *SUMS):
            raise SettingError(
                f"bars of kind {self.kind!r} are unknown; there are {TIME}, {', '.join(SUMS)}."
            )
        if not 0 < self.size <= (DAY if self.kind == TIME else MOST):
            raise SettingError(
                f"timeframe: {self.kind} bars of size {self.size:g} are out of range; a bar of time is longer than "
                f"nothing and at most 1d, and a sum is above 0 and at most {MOST:g}."
            )

    @property
    def microseconds(self) -> int | None:
        """Length of a bar; None where a sum closes it."""
        return int(self.size) if self.kind == TIME else None

    @property
    def slot_seconds(self) -> int:
        """Seconds that count as one time of day: bars of time open at the same second each day, others do not."""
        return 1 if self.kind == TIME else SLOT_SECONDS


def parse_timeframe(text: str) -> Timeframe:
    """A timeframe from text such as 30s, 5m, 1h or 1d (at most a day), tick:500, volume:20000 or dollar:5e6.

    A bar of 1d is one session. Raises SettingError for anything else.

    >>> parse_timeframe("5m"), parse_timeframe("dollar:5e6")
    (Timeframe(kind='time', size=300000000), Timeframe(kind='dollar', size=5000000.0))
    """
    plain = text.strip().lower()
    summed = re.fullmatch(rf"({'|'.join(SUMS)}):\s*(\d{{1,15}}(?:\.\d{{1,15}})?(?:e\+?\d{{1,2}})?)", plain)
    if summed is not None:
        size = float(summed[2])
        if summed[1] == "tick" and size != int(size):
            raise SettingError(
                f"timeframe {text!r} is no whole number of trades; write one, such as tick:500."
            )
        return Timeframe(summed[1], size)
    match = re.fullmatch(r"(\d{1,6})\s*([a-z]+)", plain)
    if match is None or match[2] not in _UNITS:
        raise SettingError(f"timeframe {text!r:.60} is none; write {_FORMS}.")
    length = int(match[1]) * _UNITS[match[2]] * 1_000_000
    if not 0 < length <= DAY:
        raise SettingError(
            f"timeframe {text!r} is out of range; a bar is longer than nothing and at most 1d."
        )
    return Timeframe(TIME, length)
