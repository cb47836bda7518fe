"""The ensembles by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from foldsmith.ensembles.base import Ensemble
from foldsmith.ensembles.blending import Blending
from foldsmith.ensembles.meta_labelling import MetaLabelling
from foldsmith.ensembles.stacking import Stacking
from foldsmith.ensembles.voting import Voting
from foldsmith.errors import SettingError

ENSEMBLES: dict[str, type[Ensemble]] = {
    "stacking": Stacking,
    "blending": Blending,
    "voting": Voting,
    "meta_labelling": MetaLabelling,
}


def ensemble_class(name: str) -> type[Ensemble]:
    """The class of a name; SettingError for an unknown one."""
    if name not in ENSEMBLES:
        near = get_close_matches(name, ENSEMBLES, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise SettingError(f"unknown ensemble {name!r}; there are {', '.join(ENSEMBLES)}.{hint}")
    return ENSEMBLES[name]


def make_ensemble(name: str, meta_learner: str | None, *, models: Sequence[str], seed: int) -> Ensemble:
    """A new ensemble over these base models.

    >>> make_ensemble("voting", None, models=["xgboost", "lightgbm"], seed=1).get_params()
    {'meta_learner': None, 'models': ['xgboost', 'lightgbm'], 'seed': 1}
    """
    return ensemble_class(name)(meta_learner, models=models, seed=seed)


def load_ensemble(name: str, files: Mapping[str, bytes]) -> Ensemble:
    """A saved ensemble from its files; DataError for files that are none."""
    return ensemble_class(name).from_files(files)
