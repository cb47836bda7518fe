"""Roll rules by name, checked; a light module, so that a command can list them without loading what they do."""

from __future__ import annotations

from dataclasses import dataclass

from foldsmith.errors import SettingError

ROLLS = ("volume", "open-interest", "calendar")
ROLL_DAYS = 5
"""Sessions before the last trading day at which `calendar` rolls, unless told otherwise."""
MAX_ROLL_DAYS = 60


@dataclass(frozen=True)
class RollRule:
    """When a later contract replaces the front; `days` goes with `calendar` alone, None there being 5.

    >>> RollRule().name, RollRule("calendar").sessions_before, RollRule("calendar", 8).sessions_before
    ('volume', 5, 8)
    """

    name: str = "volume"
    days: int | None = None

    def __post_init__(self) -> None:
        if self.name not in ROLLS:
            raise SettingError(f"--roll {self.name!r:.40} is unknown; there are {', '.join(ROLLS)}.")
        if self.days is None:
            return
        if self.name != "calendar":
            raise SettingError(
                f"--roll-days does not apply to --roll {self.name}; it goes with calendar. Leave it out."
            )
        # Also read back from files, where it may be anything.
        if type(self.days) is not int or not 0 <= self.days <= MAX_ROLL_DAYS:
            raise SettingError(
                f"--roll-days {self.days!r:.40} is out of range; give 0 to {MAX_ROLL_DAYS} sessions before the last "
                "trading day."
            )

    @property
    def words(self) -> str:
        """The rule in words.

        >>> RollRule("calendar").words
        'calendar, 5 sessions before the last trading day'
        """
        if self.name != "calendar":
            return self.name
        return f"calendar, {self.sessions_before} sessions before the last trading day"

    @property
    def sessions_before(self) -> int:
        """Sessions between the roll of `calendar` and the last trading day."""
        return ROLL_DAYS if self.days is None else self.days


DEFAULT_ROLL = RollRule()
