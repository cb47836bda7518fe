"""How signals are traded: how large, what becomes of one while another is open, at what cost, and until when."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Any

from foldsmith.errors import SettingError

SIZINGS = ("fixed", "probability", "meta")
OVERLAPS = ("skip", "net", "average")
MOST_CONTRACTS = 10_000


@dataclass(frozen=True)
class TradingRule:
    """The rule of a report, unless told otherwise: one contract, one position at a time, until the label ends.

    sizing : "fixed" trades `contracts` at each signal; "probability" and "meta" trade from none to `contracts`, see
    `evaluation.sizing.bet_size`. overlap : "skip" passes over signals while a position is open; "net" makes each a
    lot of its own, as long as those of its side, and with them the net position, stay within `contracts`; "average"
    holds the mean size of all signals that are not over, see `evaluation.walk_average`. slippage : ticks a side in
    calm, usual and wild times (terciles of the volatility on training rows), None for the instrument's own.
    flat_overnight : leave at the close of the session's last bar. Raises SettingError.
    """

    sizing: str = "fixed"
    contracts: int = 1
    overlap: str = "skip"
    slippage: tuple[float, float, float] | None = None
    flat_overnight: bool = False

    def __post_init__(self) -> None:
        for name, value, known in (("sizing", self.sizing, SIZINGS), ("overlap", self.overlap, OVERLAPS)):
            if value not in known:
                raise SettingError(f"{name} {value!r:.40} is unknown; there are {', '.join(known)}.")
        if not 1 <= self.contracts <= MOST_CONTRACTS:
            raise SettingError(f"contracts={self.contracts} must be from 1 to {MOST_CONTRACTS:,}.")
        ticks = () if self.slippage is None else self.slippage
        if self.slippage is not None and (
            len(ticks) != 3 or not all(isfinite(t) and 0 <= t <= 1e6 for t in ticks)
        ):
            raise SettingError(
                f"slippage {ticks} cannot be used; give three numbers of ticks a side, from 0 up, for calm, usual and "
                "wild times, such as 0.5,1,2."
            )

    def as_dict(self) -> dict[str, Any]:
        """What is not the default, as plain values."""
        mine, usual = asdict(self), asdict(TradingRule())
        found = {name: value for name, value in mine.items() if value != usual[name]}
        return found | ({"slippage": list(self.slippage)} if self.slippage is not None else {})

    @classmethod
    def from_dict(cls, known: Any) -> TradingRule:
        """The inverse of `as_dict`, which may hold other names too."""
        stated = {field.name: known[field.name] for field in fields(cls) if field.name in known}
        if stated.get("slippage") is not None:
            stated["slippage"] = tuple(float(ticks) for ticks in stated["slippage"])
        return cls(**stated)

    @property
    def name(self) -> str:
        """One rule, one name; empty for the default."""
        return json.dumps(self.as_dict(), sort_keys=True) if self.as_dict() else ""

    @property
    def words(self) -> str:
        """The rule in sentences, as a report says it."""
        size = {
            "fixed": f"{self.contracts} contract{'s' if self.contracts > 1 else ''}",
            "probability": f"up to {self.contracts} contracts, by the probability of its side against three classes",
            "meta": f"up to {self.contracts} contracts, by the probability that its side is right",
        }[self.sizing]
        overlap = {
            "skip": "one position at a time; signals while one is open are skipped",
            "net": f"each signal a lot of its own, those of a side within {self.contracts} together",
            "average": "the position is the mean size of all signals that are not over, in whole contracts",
        }[self.overlap]
        said = f"The most probable class is traded unless it is neutral: {size}, {overlap}. In at the next open, "
        said += "out where the label ends" + (" or the session does." if self.flat_overnight else ".")
        if self.slippage is not None:
            ticks = ", ".join(f"{one:g}" for one in self.slippage)
            said += f" Slippage is {ticks} ticks a side in calm, usual and wild times (volatility at the decision)."
        return said


DEFAULT_RULE = TradingRule()
