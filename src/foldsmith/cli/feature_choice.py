"""`--features` of `cv` and `train`: which features of the dataset each model sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from foldsmith.config import parse_words
from foldsmith.errors import SettingError

if TYPE_CHECKING:
    from foldsmith.runs.store import Run, Workspace
    from foldsmith.stages.crossed import Own
    from foldsmith.stages.recipe import Recipe


def features_by_model(
    workspace: Workspace,
    dataset: Run,
    text: str | None,
    models: Sequence[str],
    own: Own = MappingProxyType({}),
) -> dict[str, tuple[str, ...]]:
    """What each model sees, in the dataset's order, of those that do not see all of it.

    A model that is made for certain features (`sees`) has them unless the text says what it sees.

    text : sets for all models, `core,wavelet`, or by model, `xgboost=core+wavelet,logistic=price`; a model that is not
    named sees all. own : those that the user wrote.
    SettingError for what is neither, and for a feature that the dataset lacks.
    """
    from foldsmith.models.catalogue import model_class

    given = {} if text is None else _words(text, models)
    kinds = {name: own[name].load() if name in own else model_class(name) for name in models}
    made_for = {name: list(kind.sees) for name, kind in kinds.items() if name not in given}
    chosen_words = given | {name: words for name, words in made_for.items() if words}
    if not chosen_words:
        return {}
    from foldsmith.stages.horizon import load_recipe

    recipe = load_recipe(dataset)
    found = {}
    for model, words in chosen_words.items():
        names = _names(workspace, dataset, recipe, words)
        # To ask for all there is changes nothing, and leaves no trace.
        if names != recipe.names:
            found[model] = names
    return found


def _words(text: str, models: Sequence[str]) -> dict[str, list[str]]:
    parts = parse_words(text)
    named = [part for part in parts if "=" in part]
    if not named:
        return dict.fromkeys(models, parts)
    if len(named) < len(parts):
        raise SettingError(
            f"--features {text!r:.60} mixes both ways to say it; write sets for all models, such as core,time, or "
            "by model, such as xgboost=core+time,logistic=price."
        )
    found: dict[str, list[str]] = {}
    for part in parts:
        model, _, words = (piece.strip() for piece in part.partition("="))
        if model not in models or model in found:
            how = "named twice" if model in found else f"no model of this run; there are {', '.join(models)}"
            raise SettingError(f"--features {text!r:.60}: {model!r:.40} is {how}.")
        found[model] = parse_words(words, "+")
    return found


def _names(workspace: Workspace, dataset: Run, recipe: Recipe, words: Sequence[str]) -> tuple[str, ...]:
    from foldsmith.features.sets import shortest
    from foldsmith.stages.features_file import chosen

    wanted: set[str] = set()
    for word in words:
        # A feature that is in the dataset is known, also where its features.toml is not.
        inner = (word,) if word in recipe.names else chosen(workspace, [word])
        missing = [name for name in inner if name not in recipe.names]
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            both = ",".join(dict.fromkeys((*shortest(recipe.names), word)))
            raise SettingError(
                f"--features {word}: {missing[0]}{more} of it is not in dataset {dataset.id}. Make one that has it: "
                f"./pipeline run --symbols {recipe.symbol} --features {both}"
            )
        wanted.update(inner)
    return tuple(name for name in recipe.names if name in wanted)


def spelled(features: Mapping[str, Sequence[str]], models: Sequence[str]) -> str | None:
    """What to type after `--features` for this choice; None where every model sees all."""
    from foldsmith.features.sets import shortest

    if not features:
        return None
    choices = {model: shortest(names) for model, names in features.items()}
    if set(choices) == set(models) and len(set(choices.values())) == 1:
        return ",".join(choices[models[0]])
    return ",".join(f"{model}={'+'.join(words)}" for model, words in choices.items())
