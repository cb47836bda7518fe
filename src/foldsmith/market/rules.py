"""The rules of cleaning by name: what each looks for, what it does, and what else it may be told to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from foldsmith.errors import SettingError

ACTIONS = {
    "drop": "leaves the rows out",
    "count": "keeps the rows and counts them",
    "sort": "puts the rows in order",
    "refuse": "refuses the file",
    "off": "does not look",
}
"""What a rule may do with the rows that it meets."""


@dataclass(frozen=True)
class Rule:
    """What a rule looks for, in words; what it does unless told otherwise; and what it may be told to do."""

    looks_for: str
    action: str
    actions: tuple[str, ...]


_NEEDED = ("drop", "refuse")
_FREE = ("drop", "count", "refuse", "off")
_SEEN = ("count", "refuse", "off")

RULES: dict[str, Rule] = {
    "out_of_order": Rule("a row before a row above it", "sort", ("sort", "refuse")),
    "shifted_columns": Rule(
        "an impossible or far row whose numbers, moved by some columns, are a bar near the one before",
        "drop",
        ("drop", "refuse", "off"),
    ),
    "missing_value": Rule("a price or the volume is empty, NaN or infinite", "drop", _NEEDED),
    "non_positive_price": Rule("a price of 0 or less", "drop", _NEEDED),
    "negative_volume": Rule("a volume below 0", "drop", _NEEDED),
    "inconsistent_ohlc": Rule("high below another price, or low above one", "drop", _NEEDED),
    "weekend_bar": Rule(
        "a bar in a closure of a day or more, 4 hours or more after it began", "drop", _NEEDED
    ),
    "outside_session": Rule("a bar at another time at which the market is closed", "drop", _NEEDED),
    "traded_closure": Rule(
        "a closure with 30 bars or more: the clock or the calendar is likely wrong there", "count", _SEEN
    ),
    "repeated_block": Rule("10 rows or more that stand in the file a second time, together", "count", _SEEN),
    "duplicate": Rule("an equal row is there, further down", "drop", _NEEDED),
    "conflicting_duplicate": Rule(
        "that time and contract again, further down, with other values", "drop", _NEEDED
    ),
    "overlapping_contract": Rule("a bar of a contract that is not the front one then", "drop", _NEEDED),
    "bad_print": Rule(
        "a price far out of the bounds of the last hour's bars, on no more volume than theirs", "drop", _FREE
    ),
    "off_tick_price": Rule("a price off the grid of tick_size", "count", _FREE),
    "zero_volume": Rule("a bar without volume", "count", _FREE),
    "missing_minutes": Rule("a scheduled minute without a bar", "count", _SEEN),
}
"""Every rule of `foldsmith.market.clean.clean`, in the order in which they are applied."""


def parse_rules(text: str) -> dict[str, str]:
    """What the user wants done, {rule: action}, from text such as `bad_print=count,zero_volume=drop`.

    Raises SettingError for text that is none, a rule that is unknown or named twice, and an action that the
    rule cannot do.

    >>> parse_rules("bad_print=count")
    {'bad_print': 'count'}
    """
    wanted: dict[str, str] = {}
    for part in (part.strip() for part in text.split(",")):
        if not part:
            continue
        name, mark, action = (piece.strip() for piece in part.partition("="))
        if not mark:
            raise SettingError(f"--rules {part!r:.60} is none; write NAME=ACTION, such as zero_volume=drop.")
        if name in wanted:
            raise SettingError(f"--rules names {name} twice, with {wanted[name]} and {action}; name it once.")
        wanted[name] = action
    check_rules(wanted)
    return wanted


def check_rules(wanted: Mapping[str, str]) -> None:
    """Raise SettingError for a rule that is unknown or an action that it cannot do."""
    for name, action in wanted.items():
        if name not in RULES:
            near = get_close_matches(name, RULES, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise SettingError(f"rule {name!r:.60} is unknown{hint}; there are {', '.join(RULES)}.")
        if action not in RULES[name].actions:
            why = "" if "off" in RULES[name].actions else "; what it meets cannot be used as a bar"
            raise SettingError(
                f"rule {name} cannot {action!r:.40}; it can {' or '.join(RULES[name].actions)}{why}."
            )


def actions_of(wanted: Mapping[str, str]) -> dict[str, str]:
    """What every rule does: as wanted, else as it does by itself."""
    return {name: wanted.get(name, rule.action) for name, rule in RULES.items()}
