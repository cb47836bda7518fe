"""Hyperparameters as data: default, limits, and the range that tuning searches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from foldsmith.errors import SettingError

Number = int | float


@dataclass(frozen=True)
class Parameter:
    """One hyperparameter: whole if its default is an int.

    low, high : limits, both allowed. search : the part of them that tuning searches, None for never; it holds
        the
    default, so that the defaults can be the first trial. log : search on a logarithmic scale.
    """

    default: Number
    low: Number
    high: Number
    search: tuple[Number, Number] | None = None
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are allowed."""
        return isinstance(self.default, int)


def settle(model: str, table: Mapping[str, Parameter], given: Mapping[str, Any]) -> dict[str, Number]:
    """Defaults overruled by `given`, in the table's order; SettingError for an unknown name or value."""
    for name in given:
        if name not in table:
            near = get_close_matches(name, table, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise SettingError(f"{model} has no parameter {name!r}; it has {', '.join(table)}.{hint}")
    return {name: _value(model, name, entry, given.get(name, entry.default)) for name, entry in table.items()}


def _value(model: str, name: str, entry: Parameter, value: Any) -> Number:
    kind = "a whole number" if entry.whole else "a number"
    number = isinstance(value, int if entry.whole else int | float) and not isinstance(value, bool)
    if not number or not entry.low <= value <= entry.high:
        raise SettingError(
            f"{model}: {name}={value!r:.60} cannot be used; give {kind} from {entry.low} to {entry.high}."
        )
    return int(value) if entry.whole else float(value)


def suggest(table: Mapping[str, Parameter], trial: Any) -> dict[str, Number]:
    """Draw the searched parameters from an Optuna trial, in the table's order."""
    drawn: dict[str, Number] = {}
    for name, entry in table.items():
        if entry.search is None:
            continue
        low, high = entry.search
        draw = trial.suggest_int if entry.whole else trial.suggest_float
        drawn[name] = draw(name, low, high, log=entry.log)
    return drawn


def searched_defaults(table: Mapping[str, Parameter]) -> dict[str, Number]:
    """Defaults of the searched parameters."""
    return {name: entry.default for name, entry in table.items() if entry.search is not None}


def searched(table: Mapping[str, Parameter], params: Mapping[str, Any]) -> bool:
    """Whether these are the searched parameters, all of them and each within its range."""
    ranges = {name: entry.search for name, entry in table.items() if entry.search is not None}
    return ranges.keys() == params.keys() and all(
        isinstance(params[name], int if table[name].whole else (int, float)) and low <= params[name] <= high
        for name, (low, high) in ranges.items()
    )
