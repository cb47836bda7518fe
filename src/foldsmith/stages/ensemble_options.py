"""What an ensemble is asked to do beside its name and its meta-learner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from foldsmith.config import CALIBRATIONS, UNSAID, stated
from foldsmith.errors import SettingError

EXACT, BACKWARD = JOINS = ("exact", "backward")
"""How rows of another run are found: of the same decision time, or the last decided by then, within an age."""
MOST_MINUTES = 7 * 24 * 60


@dataclass(frozen=True)
class EnsembleOptions:
    """How base predictions are joined, and whether the ensemble's own probabilities are calibrated.

    calibrate_ensemble : "none" or a name in `models.calibrators`. with_horizons : other horizons of the first CV run,
    whose predictions are joined. join, max_age_minutes : which row of another run a row sees; an age goes with
    "backward". min_coverage : the least share of the first run's rows that all joined runs must have.
    """

    calibrate_ensemble: str = field(default="none", metadata=UNSAID)
    with_horizons: tuple[int, ...] = field(default=(), metadata=UNSAID)
    join: str = field(default=EXACT, metadata=UNSAID)
    max_age_minutes: int | None = field(default=None, metadata=UNSAID)
    min_coverage: float = field(default=0.5, metadata=UNSAID)

    def __post_init__(self) -> None:
        for flag, word, known in (
            ("--calibrate-ensemble", self.calibrate_ensemble, CALIBRATIONS),
            ("--join", self.join, JOINS),
        ):
            if word not in known:
                raise SettingError(f"{flag} {word!r:.40} is unknown; there are {', '.join(known)}.")
        if (self.join == BACKWARD) != (self.max_age_minutes is not None):
            raise SettingError(
                "--join backward and --max-age-minutes go together: give the age, such as 60, beyond which a "
                "prediction is too old, or leave both out."
            )
        age = self.max_age_minutes
        if age is not None and (type(age) is not int or not 1 <= age <= MOST_MINUTES):
            raise SettingError(
                f"--max-age-minutes {age!r:.40} cannot be used; give 1 to {MOST_MINUTES:,} minutes."
            )
        share = self.min_coverage
        if type(share) not in (int, float) or not 0 < share <= 1:
            raise SettingError(
                f"--min-coverage {share!r:.40} is no share; give a number above 0 and up to 1."
            )

    @property
    def max_age(self) -> int:
        """In microseconds; 0 where only the same decision time will do."""
        return 0 if self.max_age_minutes is None else self.max_age_minutes * 60_000_000

    @classmethod
    def from_manifest(cls, known: Mapping[str, Any]) -> EnsembleOptions:
        """As a run's manifest states them."""
        values = stated(cls, known)
        if "with_horizons" in values:
            values["with_horizons"] = tuple(map(int, values["with_horizons"]))
        return cls(**values)


PLAIN = EnsembleOptions()
