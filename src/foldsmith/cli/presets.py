"""Named settings of phase 1: some that come with the program, and those of the workspace's own presets.toml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foldsmith.cli.command import given
from foldsmith.errors import SettingError
from foldsmith.toml import parse_toml

if TYPE_CHECKING:
    from foldsmith.runs.store import Workspace

FILE = "presets.toml"
LIMIT = 1 << 20

PRESETS: dict[str, dict[str, str]] = {
    "default": {"timeframe": "5m", "horizons": "5,10,15,20"},
    "scalp": {"timeframe": "1m", "horizons": "5,15,30"},
    "swing": {"timeframe": "1h", "horizons": "6,12,24"},
    "more-test": {"train-ratio": "0.6", "val-ratio": "0.15", "test-ratio": "0.25"},
}
"""Flags of `pipeline run` by name, without their dashes."""

ALLOWED = (
    "timeframe", "format", "timezone", "stamp", "rules", "roll", "roll-days", "start", "end", "horizons",
    "train-ratio", "val-ratio", "test-ratio", "k-up", "k-down", "max-bars", "features", "label",
    "barrier-volatility", "min-barrier-cost", "trend-min-bars", "trend-threshold", "barrier-objective",
    "assumed-edge",
)  # fmt: skip


def known_presets(workspace: Workspace) -> dict[str, dict[str, str]]:
    """The presets there are; one of the workspace goes before one of the same name that comes with the program."""
    return {**PRESETS, **_read(workspace.root / FILE)}


def preset_lines(workspace: Workspace) -> Iterator[str]:
    """One line a preset: its name and its flags."""
    own = _read(workspace.root / FILE)
    for name, flags in known_presets(workspace).items():
        words = " ".join(f"--{key} {value}" for key, value in flags.items())
        yield f"{name:<12} {words}{f'  ({FILE})' if name in own else ''}"


def with_preset(
    ctx: click.Context, workspace: Workspace, name: str | None, flags: Mapping[str, Any]
) -> dict[str, Any]:
    """The flags of `pipeline run`, those that were not typed taken from the preset."""
    if name is None:
        return dict(flags)
    known = known_presets(workspace)
    if name not in known:
        raise SettingError(f"unknown preset {name!r:.60}; there are {', '.join(known)}.")
    params = {param.opts[0].removeprefix("--"): param for param in ctx.command.params}
    found = dict(flags)
    for key, value in known[name].items():
        param = params[key]
        if not given(ctx, str(param.name)):
            found[str(param.name)] = param.type_cast_value(ctx, value)
    return found


def _read(path: Path) -> dict[str, dict[str, str]]:
    if not path.exists():
        return {}
    from foldsmith.runs.files import read_small

    try:
        text = read_small(path, LIMIT).decode()
    except UnicodeDecodeError as error:
        raise SettingError(f"{path} is not UTF-8 text ({error}); save it as such.") from error
    found = parse_toml(text, str(path))
    return {name: _checked(path, name, flags) for name, flags in found.items()}


def _checked(path: Path, name: str, flags: Any) -> dict[str, str]:
    if not isinstance(flags, dict):
        raise SettingError(f"{path}: {name} is no table; write [{name}] and one flag a line.")
    made: dict[str, str] = {}
    for key, value in flags.items():
        key = key.replace("_", "-")  # as in a file of --config
        if key not in ALLOWED:
            raise SettingError(
                f"{path}: preset {name} has an unknown flag {key!r:.60}; there are {', '.join(ALLOWED)}."
            )
        if isinstance(value, list):
            value = ",".join(map(str, value))
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise SettingError(f"{path}: {key} of preset {name} is {value!r:.60}; give text or a number.")
        made[key] = str(value)
    return made
