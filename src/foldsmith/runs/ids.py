"""Names of runs: made from the clock and four random digits, or chosen by the user and checked.

A run id is `{YYYYMMDD_HHMMSS_microseconds}_{4 hex}` in UTC; a trainer's has `{model}_h{H}_` before it. The
digits make a clash unlikely; that two runs never share a name is the work of `foldsmith.runs.claim`, not of
chance.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from foldsmith.errors import SettingError

MAX_NAME = 128
SUFFIXES = 0x10000
"""How many ids share one prefix and one microsecond."""

RUN_ID = re.compile(
    r"(?P<prefix>(?:[A-Za-z0-9_][A-Za-z0-9_.-]*_)?)(?P<time>[0-9]{8}_[0-9]{6}_[0-9]{6})_(?P<suffix>[0-9a-f]{4})",
    re.ASCII,
)
"""A made id, with the named parts prefix (may be empty, else ends with `_`), time and suffix."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)


def new_run_id(now: datetime, entropy: int) -> str:
    """The id of a run begun at `now` (any zone; stored as UTC), with the lowest 16 bits of `entropy` as its
    suffix.

    >>> new_run_id(datetime(2026, 1, 31, 14, 5, 9, 42, tzinfo=UTC), 0xbeef)
    '20260131_140509_000042_beef'
    """
    return f"{now.astimezone(UTC):%Y%m%d_%H%M%S_%f}_{entropy % SUFFIXES:04x}"


def next_run_id(run_id: str) -> str:
    """The id to try when `run_id` is taken: its suffix plus one, after ffff comes 0000.

    >>> next_run_id("xgboost_h20_20260131_140509_000042_ffff")
    'xgboost_h20_20260131_140509_000042_0000'
    """
    if RUN_ID.fullmatch(run_id) is None:
        raise SettingError(f"{run_id!r} is no run id; one ends like 20260131_140509_000042_beef.")
    return f"{run_id[:-4]}{(int(run_id[-4:], 16) + 1) % SUFFIXES:04x}"


def is_name(name: str) -> bool:
    """Whether `check_name` lets a name pass."""
    return len(name) <= MAX_NAME and _NAME.fullmatch(name) is not None


def check_name(name: str, what: str) -> str:
    """Return a name that the user gave if it can be a folder in the workspace, else raise SettingError.

    `what` says in the message what the name is for, such as `--output-name`.
    """
    shown = name if len(name) <= 60 else f"{name[:60]}..."
    if not name:
        raise SettingError(f"{what} is empty; give a name of letters, digits, '_', '-' and '.'.")
    if len(name) > MAX_NAME:
        raise SettingError(f"{what} {shown!r} has {len(name)} characters; at most {MAX_NAME} are allowed.")
    if name[0] in ".-":
        raise SettingError(
            f"{what} {shown!r} starts with {name[0]!r}; start it with a letter, a digit or '_'."
        )
    if _NAME.fullmatch(name) is None:
        strange = next(character for character in name if _NAME.fullmatch(f"_{character}") is None)
        raise SettingError(
            f"{what} {shown!r} holds {strange!r}; a name, not a path, is needed: letters, digits, '_', '-' "
            "and '.'."
        )
    return name
