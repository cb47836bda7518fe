"""The base models by name. Their libraries are imported when a model is made or loaded, not before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

from foldsmith.errors import MissingExtraError, SettingError
from foldsmith.models.base import Classifier
from foldsmith.models.baselines import ClassPrior, Momentum
from foldsmith.models.catboost import CatBoost
from foldsmith.models.extra_trees import ExtraTrees
from foldsmith.models.hist_gradient_boosting import HistGradientBoosting
from foldsmith.models.lightgbm import LightGBM
from foldsmith.models.logistic import Logistic
from foldsmith.models.mlp import MLP
from foldsmith.models.parameters import Parameter
from foldsmith.models.random_forest import RandomForest
from foldsmith.models.ridge import Ridge
from foldsmith.models.sequence import SEQUENCES
from foldsmith.models.svm import SVM
from foldsmith.models.xgboost import XGBoost

ROW_MODELS: dict[str, type[Classifier]] = {
    "xgboost": XGBoost,
    "lightgbm": LightGBM,
    "random_forest": RandomForest,
    "logistic": Logistic,
    "catboost": CatBoost,
    "extra_trees": ExtraTrees,
    "hist_gradient_boosting": HistGradientBoosting,
    "ridge": Ridge,
    "svm": SVM,
    "mlp": MLP,
    "class_prior": ClassPrior,
    "momentum": Momentum,
}
"""Those that see one bar at a time."""
MODELS: dict[str, type[Classifier]] = {**ROW_MODELS, **SEQUENCES}

Model = str | type[Classifier]
"""A model by its name here, or as its class: one that a user wrote (`foldsmith.models.own`) has no name here."""

FAMILIES: dict[str, tuple[str, ...]] = {
    "boosters": ("xgboost", "lightgbm", "catboost", "hist_gradient_boosting"),
    "trees": ("random_forest", "extra_trees"),
    "linear": ("logistic", "ridge"),
    "kernel": ("svm",),
    "neural": ("mlp", *SEQUENCES),
    "baselines": ("class_prior", "momentum"),
}
"""Names that stand for several models; every model is in one family."""
EVERY = "all"
YARDSTICKS = "baselines"
"""The family that `all` leaves out: it is there to be beaten, not to be combined."""
BY_NAME = tuple(SEQUENCES)
"""Models that `all` leaves out too: they take many times as long, and their windows cost every model of a run rows."""


def model_class(model: Model, own: Sequence[str] = ()) -> type[Classifier]:
    """The class of a name; SettingError for an unknown one, MissingExtraError if its library is missing.

    A class stands for itself. own : names of models that a user wrote, to be listed beside those here.
    """
    if not isinstance(model, str):
        return model
    name = model
    if name not in MODELS:
        near = get_close_matches(name, (*MODELS, *FAMILIES, *own), n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        yours = f"; of your own {', '.join(own)}" if own else ""
        raise SettingError(
            f"unknown model {name!r:.60}; there are {', '.join(MODELS)}{yours}; of families {', '.join(FAMILIES)}."
            f"{hint}"
        )
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


def family_of(name: str) -> str:
    """The family of a model.

    >>> family_of("svm")
    'kernel'
    """
    return next(family for family, names in FAMILIES.items() if name in names)


def resolve(words: Sequence[str], own: Sequence[str] = ()) -> tuple[str, ...]:
    """The models that names stand for, each once, in the order named.

    A word is a model, a family, or `all`: every family but the baselines, without the models that read windows. A
    family and `all` stand for what is installed, and for none of `own`, the names of models that a user wrote.

    SettingError for an unknown word, one that is said twice, or a family of which nothing is installed;
    MissingExtraError for a model that is named and whose library is missing.

    >>> resolve(["logistic", "linear", "baselines"])
    ('logistic', 'ridge', 'class_prior', 'momentum')
    """
    found: dict[str, None] = {}
    for number, word in enumerate(words):
        if word in words[:number]:
            raise SettingError(f"model {word} is named twice.")
        found.update(dict.fromkeys(_named(word, own)))
    return tuple(found)


def _named(word: str, own: Sequence[str]) -> tuple[str, ...]:
    if word in own:
        return (word,)
    present = installed()
    if word == EVERY:
        return tuple(name for name in present if name not in (*FAMILIES[YARDSTICKS], *BY_NAME))
    if word not in FAMILIES:
        model_class(word, own)
        return (word,)
    names = tuple(name for name in FAMILIES[word] if name in present)
    if not names:
        raise SettingError(
            f"no model of the family {word} is installed; see --list-models for what each needs."
        )
    return names


def left_out(words: Sequence[str]) -> str:
    """What of the models that read windows these words leave out, and why: a sentence, or nothing.

    >>> left_out(["boosters"])
    ''
    """
    names = ", ".join(BY_NAME)
    if EVERY in words and not {"neural", *BY_NAME} & set(words):
        return f"{EVERY} leaves out {names}, which read windows of bars and take long: name them, or the family neural"
    absent = [name for name in BY_NAME if name not in installed()]
    if "neural" in words and absent:
        return f'neural leaves out {", ".join(absent)}: pip install "foldsmith[neural]"'
    return ""


def window_of(model: Model, params: Mapping[str, Any] = MappingProxyType({})) -> int:
    """Bars of the window that a row is to this model with these hyperparameters; 0 for a model of single bars.

    >>> window_of("lightgbm"), window_of("gru", {"length": 8})
    (0, 8)
    """
    kind = MODELS[model] if isinstance(model, str) and model in MODELS else model_class(model)
    return int(params.get("length", kind.parameters["length"].default)) if kind.windowed else 0


def make(model: Model, *, seed: int, threads: int = 1, **params: Any) -> Classifier:
    """A new model by name or class, with hyperparameters over its defaults.

    >>> make("logistic", seed=1, l2=0.01).get_params()
    {'seed': 1, 'l2': 0.01}
    """
    return model_class(model)(seed=seed, threads=threads, **params)


def load_model(model: Model, files: Mapping[str, bytes], *, threads: int = 1) -> Classifier:
    """A saved model from its files; DataError or IntegrityError for files that are none."""
    return model_class(model).from_files(files, threads=threads)


def search_space(model: Model) -> dict[str, Parameter]:
    """The hyperparameters of a model that tuning searches."""
    return {key: entry for key, entry in model_class(model).parameters.items() if entry.search is not None}
