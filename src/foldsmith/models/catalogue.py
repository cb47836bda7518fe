"""The base models by name. Their libraries are imported when a model is made or loaded, not before."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any

from foldsmith.errors import MissingExtraError, SettingError
from foldsmith.models.base import Classifier
from foldsmith.models.catboost import CatBoost
from foldsmith.models.lightgbm import LightGBM
from foldsmith.models.logistic import Logistic
from foldsmith.models.parameters import Parameter
from foldsmith.models.random_forest import RandomForest
from foldsmith.models.xgboost import XGBoost

MODELS: dict[str, type[Classifier]] = {
    "xgboost": XGBoost,
    "lightgbm": LightGBM,
    "random_forest": RandomForest,
    "logistic": Logistic,
    "catboost": CatBoost,
}


def model_class(name: str) -> type[Classifier]:
    """The class of a name; SettingError for an unknown one, MissingExtraError if its library is missing."""
    if name not in MODELS:
        near = get_close_matches(name, MODELS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise SettingError(f"unknown model {name!r}; there are {', '.join(MODELS)}.{hint}")
    found = MODELS[name]
    if found.extra is not None and found.library is not None and find_spec(found.library) is None:
        raise MissingExtraError(
            f'{name} needs a library that is not installed: pip install "foldsmith[{found.extra}]"'
        )
    return found


def installed() -> tuple[str, ...]:
    """Names of the models whose library is there."""
    return tuple(
        name
        for name, model in MODELS.items()
        if model.extra is None or find_spec(str(model.library)) is not None
    )


def make(name: str, *, seed: int, threads: int = 1, **params: Any) -> Classifier:
    """A new model by name, with hyperparameters over its defaults.

    >>> make("logistic", seed=1, l2=0.01).get_params()
    {'seed': 1, 'l2': 0.01}
    """
    return model_class(name)(seed=seed, threads=threads, **params)


def load_model(name: str, files: Mapping[str, bytes], *, threads: int = 1) -> Classifier:
    """A saved model from its files; DataError or IntegrityError for files that are none."""
    return model_class(name).from_files(files, threads=threads)


def search_space(name: str) -> dict[str, Parameter]:
    """The hyperparameters of a model that tuning searches."""
    return {key: entry for key, entry in model_class(name).parameters.items() if entry.search is not None}
