"""How far back the models of a run look, and what does not go with models that read windows of bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from foldsmith.config import ValidationSettings
from foldsmith.errors import SettingError
from foldsmith.models.catalogue import BY_NAME, MODELS, model_class, window_of
from foldsmith.runs.store import Run
from foldsmith.stages.horizon import HorizonTable, load_recipe
from foldsmith.validation.cross_validate import NONE

NOTHING: Mapping[str, Any] = MappingProxyType({})


def longest_window(models: Sequence[str], params: Mapping[str, Any] = NOTHING) -> int:
    """Bars of the longest window that one of these models reads; 0 where all, the user's own among them, read single
    bars.
    """
    return max((window_of(name, params) for name in models if name in MODELS), default=0)


def checked_window(
    dataset: Run,
    models: Sequence[str],
    settings: ValidationSettings,
    features: Mapping[str, tuple[str, ...]],
    params: Mapping[str, Any] = NOTHING,
) -> int:
    """`longest_window`; SettingError for settings that do not go with it, MissingExtraError without torch.

    features : what a model sees, for those that do not see all of the dataset.
    """
    readers = [name for name in models if name in BY_NAME]
    if not readers:
        return 0
    for name in readers:
        model_class(name)
    if settings.select != NONE:
        raise SettingError(
            f"--select {settings.select} does not apply to {readers[0]}, which reads windows of bars and not rows of "
            "features. Name the features instead: --features, or cross-validate it in a run of its own."
        )
    recipe = load_recipe(dataset)
    for name in readers:
        fitted = [each for each in features.get(name, recipe.names) if each in recipe.fitted]
        if fitted:
            raise SettingError(
                f"{name} reads windows of features that the dataset holds, and {fitted[0]} is fitted inside each fold. "
                f"Leave it out: --features {name}=core"
            )
    return longest_window(readers, params)


def refuse_joined(names: Iterable[str]) -> None:
    """SettingError where base models of several runs or horizons are to be joined and one reads windows."""
    reader = next((name for name in names if name in BY_NAME), None)
    if reader is not None:
        raise SettingError(
            f"predictions of {reader}, which reads windows of bars, cannot be joined with those of other runs or "
            "horizons. Cross-validate its companions beside it: run_cv.py --models "
            f"{reader},lightgbm, and give that one run."
        )


def window_lines(tables: Iterable[HorizonTable]) -> list[str]:
    """What a command says of rows that windows cost; nothing where no model reads one."""
    return [
        f"horizon {table.horizon}: {table.windowless:,} of {table.windowless + len(table.data):,} rows have no whole "
        f"window of {table.window} bars and are left out for every model"
        for table in tables
        if table.window
    ]


def window_facts(table: HorizonTable) -> dict[str, Any]:
    """What results say of windows; nothing where no model reads one."""
    if not table.window:
        return {}
    return {"window_bars": table.window, "rows_without_window": table.windowless}
