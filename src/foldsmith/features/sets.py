"""Sets of features by name, and which features a list of names stands for.

A name is that of a set, of a family or of one feature, fitted ones (family `hmm`) included. A workspace adds sets of
its own, and features of its own, in `features.toml`; their names are given here as arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from foldsmith.errors import SettingError
from foldsmith.features.catalogue import FEATURES, families, members
from foldsmith.features.fitted import FAMILY, FITTED

DEFAULT_SET = "core"
EVERYTHING = "all"

SETS: dict[str, tuple[str, ...]] = {
    "core": ("price", "momentum", "volatility", "trend", "volume", "seasonal", "time"),
    "price-only": ("price", "momentum", "volatility", "trend"),
    "price-time": ("price", "momentum", "volatility", "trend", "time"),
    "minimal": (
        "return_1", "return_12", "return_48", "session_position", "momentum_12", "rsi_14", "close_volatility_48",
        "volatility_ratio_6_48", "ema_distance_24", "volume_z_48", "time_sin", "time_cos",
    ),
    "regimes": ("core", FAMILY),
}  # fmt: skip
"""Families and single features by the name of a set. Besides these, each family is a set by its own name, and `all` is
every feature that a dataset can hold: all but those that each fold fits. `core` is what a dataset holds unless told
otherwise: it never grows, so that datasets of today keep their content when families are added."""

Words = Sequence[str]


def set_names(own: Mapping[str, Words] | None = None) -> tuple[str, ...]:
    """Names that stand for several features: sets, `all`, families, then the workspace's own sets."""
    return (*SETS, EVERYTHING, *families(), FAMILY, *(own or {}))


def resolve(
    words: Words, *, own_sets: Mapping[str, Words] | None = None, own_features: Words = ()
) -> tuple[str, ...]:
    """The features that names stand for, each once, in catalogue order; the workspace's own follow in their order, and
    last come those that each fold fits.

    Raises SettingError for a name that is unknown or given twice, and for none at all.

    >>> resolve(["time", "return_1"])
    ('return_1', 'time_sin', 'time_cos', 'session_minutes', 'day_of_week', 'cash_hours')
    """
    sets = own_sets or {}
    if not words:
        raise SettingError(f"no feature is named; give sets or features, such as {DEFAULT_SET}.")
    twice = next((word for index, word in enumerate(words) if word in words[:index]), None)
    if twice is not None:
        raise SettingError(f"feature set {twice!r:.60} is named twice.")
    wanted: set[str] = set()
    for word in words:
        inner = sets.get(word, (word,))
        wanted |= {name for part in inner for name in _features(part, sets, own_features)}
    return tuple(name for name in (*FEATURES, *own_features, *FITTED) if name in wanted)


def shortest(names: Words) -> tuple[str, ...]:
    """Names that `resolve` to these features: one set if there is one of exactly these, else families and the rest.

    >>> shortest(resolve(["price", "momentum", "volatility", "trend"]))
    ('price-only',)
    """
    wanted = set(names)
    for word in (*SETS, EVERYTHING):
        if set(resolve([word])) == wanted:
            return (word,)
    found: list[str] = []
    for family in (*families(), FAMILY):
        inside = _members(family)
        found += [family] if wanted.issuperset(inside) else [name for name in inside if name in wanted]
    return (*found, *(name for name in names if name not in FEATURES and name not in FITTED))


def holding(
    name: str, own_sets: Mapping[str, Words] | None = None, own_features: Words = ()
) -> tuple[str, ...]:
    """Names of the sets that a feature is in."""
    return tuple(
        word
        for word in set_names(own_sets)
        if name in resolve([word], own_sets=own_sets, own_features=own_features)
    )


def _members(family: str) -> tuple[str, ...]:
    return tuple(FITTED) if family == FAMILY else members(family)


def _features(word: str, own_sets: Mapping[str, Words], own_features: Words) -> Sequence[str]:
    if word == EVERYTHING:
        return list(FEATURES)
    if word in SETS:
        return [name for part in SETS[word] for name in _features(part, {}, ())]
    if word in families() or word == FAMILY:
        return _members(word)
    if word in FEATURES or word in FITTED or word in own_features:
        return [word]
    raise SettingError(
        f"unknown feature or set {word!r:.60}; there are the sets {', '.join(set_names(own_sets))}, and the features "
        "that `foldsmith features list` shows."
    )
