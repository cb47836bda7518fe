"""What a proof leaves: its name, what it did in numbers, and whether it held."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from foldsmith.errors import FoldsmithError

HELD, BROKEN, BLIND, NOT_RUN = OUTCOMES = ("held", "broken", "blind", "could not run")
"""BLIND: what was planted for a proof to see, it did not see; so that it held would say nothing."""


@dataclass(frozen=True)
class Proof:
    """One proof. Every outcome but HELD is a failure.

    group : what kind of proof; counts : what was done, by name; said : in words, why it failed where it did; planted :
    what was planted, and in how many places it was seen.
    """

    group: str
    name: str
    outcome: str
    said: str
    counts: Mapping[str, int] = field(default_factory=dict)
    planted: str = ""

    @property
    def held(self) -> bool:
        """Whether it ran, saw what was planted, and held."""
        return self.outcome == HELD

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as they are written to JSON."""
        return asdict(self) | {"counts": dict(self.counts)}


def judged(
    group: str,
    name: str,
    *,
    problems: Iterable[str],
    unseen: Iterable[str] = (),
    did: str,
    counts: Mapping[str, int],
    planted: str = "",
) -> Proof:
    """A proof that ran: BROKEN with problems, else BLIND where something planted went unseen, else HELD."""
    wrong, missed = list(problems), list(unseen)
    outcome = BROKEN if wrong else BLIND if missed else HELD
    said = did if outcome == HELD else _few(wrong or missed)
    return Proof(group, name, outcome, said, dict(counts), planted)


def attempted(group: str, name: str, prove: Callable[[], Proof]) -> Proof:
    """The proof that `prove` makes; one that could not run is a failure, and says why."""
    try:
        return prove()
    except Exception as error:  # noqa: BLE001 - whatever stopped it, a proof that did not run must not pass
        return failed_to_run(group, name, error)


def failed_to_run(group: str, name: str, error: Exception) -> Proof:
    """A proof that an error stopped."""
    told = str(error) if isinstance(error, FoldsmithError) else f"{type(error).__name__}: {error}"
    return Proof(group, name, NOT_RUN, " ".join(told.split())[:600])


def _few(sentences: list[str], most: int = 4) -> str:
    more = f"; and {len(sentences) - most} more" if len(sentences) > most else ""
    return "; ".join(sentences[:most]) + more
