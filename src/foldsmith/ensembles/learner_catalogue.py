"""The meta-learners by name."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from foldsmith.ensembles.classifier_learners import LightGBMMetaLearner, RidgeMetaLearner
from foldsmith.ensembles.meta_learners import GreedyMetaLearner, LogisticMetaLearner, MetaLearner
from foldsmith.errors import SettingError

META_LEARNERS: dict[str, type[MetaLearner]] = {
    "logistic": LogisticMetaLearner,
    "greedy": GreedyMetaLearner,
    "ridge": RidgeMetaLearner,
    "lightgbm": LightGBMMetaLearner,
}


def meta_learner_class(
    name: str, known: Mapping[str, type[MetaLearner]] = META_LEARNERS
) -> type[MetaLearner]:
    """The class of a name, of those that an ensemble takes; SettingError for another one."""
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise SettingError(f"unknown meta-learner {name!r}; there are {', '.join(known)}.{hint}")
    return known[name]
