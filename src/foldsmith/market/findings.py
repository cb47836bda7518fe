"""What cleaning and marking found: counts with a first example, ready for a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

SHOWN = 50
"""Instants of rolls and holes that `as_dict` lists; the counts are always whole."""


@dataclass(frozen=True)
class Finding:
    """How often a rule was met, what it did (drop, count, sort), and the first few examples.

    An example has `at`, its instant (microseconds UTC), and maybe the numbers and the contract of the row.
    """

    count: int
    action: str
    examples: tuple[Mapping[str, Any], ...] = ()

    @property
    def first(self) -> int | None:
        """The first instant at which the rule was met, microseconds UTC, or None."""
        return int(self.examples[0]["at"]) if self.examples else None

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form; instants in ISO 8601."""
        examples = [{**example, "at": iso(example["at"])} for example in self.examples]
        return {"count": self.count, "action": self.action, "examples": examples}


@dataclass(frozen=True)
class Findings:
    """Result of cleaning: rows read, rows kept, and one `Finding` per rule, in the rules' order."""

    rows: int
    kept: int
    rules: Mapping[str, Finding] = field(default_factory=dict)

    @property
    def dropped(self) -> int:
        """Rows left out by all rules together."""
        return self.rows - self.kept

    def __getitem__(self, rule: str) -> Finding:
        return self.rules[rule]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form: rows, kept, dropped, then each rule by name."""
        counts = {"rows": self.rows, "kept": self.kept, "dropped": self.dropped}
        return counts | {name: finding.as_dict() for name, finding in self.rules.items()}


@dataclass(frozen=True)
class Hole:
    """Scheduled trading without a bar: the close of one bar, the open of the next, the minutes lost."""

    start: int
    end: int
    minutes: float


@dataclass(frozen=True)
class Roll:
    """One contract replaced by another.

    at : open of the new contract's first bar; measured_at : open of the last bar before it that both contracts have;
    offset, ratio : the new contract's close there less, and over, the old one's. None where there is no such bar.
    """

    at: int
    old: str | None
    new: str | None
    offset: float | None = None
    ratio: float | None = None
    measured_at: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form; instants in ISO 8601."""
        return {
            "at": iso(self.at),
            "from": self.old,
            "to": self.new,
            "offset": self.offset,
            "ratio": self.ratio,
            "measured_at": None if self.measured_at is None else iso(self.measured_at),
        }


@dataclass(frozen=True)
class Blocks:
    """Where blocks of bars end: contract changes and holes."""

    rolls: tuple[Roll, ...]
    holes: tuple[Hole, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form: counts, and the first instants of each kind."""
        return {
            "rolls": {"count": len(self.rolls), "at": [roll.as_dict() for roll in self.rolls[:SHOWN]]},
            "holes": {
                "count": len(self.holes),
                "minutes": round(sum(hole.minutes for hole in self.holes), 3),
                "at": [
                    {"from": iso(hole.start), "to": iso(hole.end), "minutes": round(hole.minutes, 3)}
                    for hole in self.holes[:SHOWN]
                ],
            },
        }


def iso(instant: int) -> str:
    """An instant (microseconds UTC) as ISO 8601 text."""
    seconds, micros = divmod(int(instant), 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros).isoformat()
