"""TOML that a user writes, read with suspicion."""

from __future__ import annotations

import tomllib
from typing import Any

from foldsmith.errors import SettingError

LARGEST = 2**63
"""TOML promises whole numbers of 64 bits; Python would take any, and choke on printing them."""


def parse_toml(text: str, source: str) -> dict[str, Any]:
    """The tables of a TOML text; SettingError, naming `source`, for what is none or holds an endless number."""
    try:
        found = tomllib.loads(text)
        if _has_endless(found):
            raise ValueError("a whole number has more than 64 bits")
    except (ValueError, RecursionError) as error:
        raise SettingError(f"{source} cannot be read as TOML: {error}.") from None
    return found


def _has_endless(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_endless, value.values()))
    if isinstance(value, list):
        return any(map(_has_endless, value))
    return isinstance(value, int) and not -LARGEST <= value < LARGEST
