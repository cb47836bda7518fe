"""What the rules met so far: counts and examples, and which rows their actions leave out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from foldsmith.errors import DataError
from foldsmith.intervals import Mask
from foldsmith.market.findings import Finding, iso
from foldsmith.market.readers.columns import NUMBERS

EXAMPLES = 5
"""Rows that are kept of each rule as examples; the counts are always whole."""


class Tally:
    """Findings of rules under their actions, in the order of the rules.

    actions : {rule: drop, count, sort, refuse or off}, every rule's.
    """

    def __init__(self, actions: Mapping[str, str]) -> None:
        self.actions = actions
        self._found: dict[str, Finding] = {}

    @property
    def findings(self) -> dict[str, Finding]:
        """One `Finding` per rule that was looked for, in the order of the rules."""
        return {name: self._found[name] for name in self.actions if name in self._found}

    def looks_for(self, rule: str) -> bool:
        """Whether the rule is on."""
        return self.actions[rule] != "off"

    def meet(self, rule: str, frame: pl.DataFrame, mask: Mask) -> Mask:
        """Note the rows of `frame` that a rule meets; return those that its action leaves out.

        Raises DataError if the rule is told to refuse and meets a row.
        """
        action = self.actions[rule]
        if action == "off":
            return np.zeros(len(mask), dtype=np.bool_)
        count = int(np.count_nonzero(mask))
        # Most rules meet nothing, and a table without rows takes its time too: a served bar is cleaned by 14 of them.
        rows = frame[np.flatnonzero(mask)[:EXAMPLES]].iter_rows(named=True) if count else iter(())
        self.note(rule, count, [_example(row) for row in rows])
        return mask if action == "drop" else np.zeros(len(mask), dtype=np.bool_)

    def note(self, rule: str, count: int, examples: list[dict[str, Any]]) -> None:
        """Note how often a rule was met, with examples (each with the instant `at`, microseconds UTC)."""
        action = self.actions[rule]
        if action == "off":
            return
        if action == "refuse" and count:
            raise DataError(
                f"rule {rule} met {count:,} time{'s' if count > 1 else ''}, first at {iso(examples[0]['at'])}, and is "
                f"told to refuse; mend the file, or leave {rule}=refuse out of --rules."
            )
        self._found[rule] = Finding(count, action, tuple(examples[:EXAMPLES]))


def _example(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of bars as an example: its instant, its numbers, and its contract if it has one."""
    # Whole microseconds: seconds as a float would round.
    moment = row["datetime"]
    at = round(moment.replace(microsecond=0).timestamp()) * 1_000_000 + moment.microsecond
    numbers = {name: None if row[name] is None else _told(row[name]) for name in NUMBERS}
    contract = {} if row.get("contract") is None else {"contract": row["contract"]}
    return {"at": at, **numbers, **contract}


def _told(value: float) -> float | str:
    """A number as JSON can hold it."""
    return float(value) if np.isfinite(value) else str(float(value))
