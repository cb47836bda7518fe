"""The list of features that are fitted inside each fold, and of the hidden Markov models that they read.

Such a feature is a state's filtered probability: P(state at t | bars of the block up to t), under a model whose numbers
come from the training rows of the fold it serves (docs/decisions/0016). So no dataset can hold it: phase 1 stores its
inputs, features of the catalogue, and each fold makes the column. It is named wherever a feature is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from foldsmith.features.catalogue import FEATURES

FAMILY = "hmm"
POINT = 1e-4
"""Added before a log is taken, a basis point: a bar without range is then a small number and no outlier."""


@dataclass(frozen=True)
class MarkovSpec:
    """What a hidden Markov model looks at.

    inputs : features of the catalogue, one observation each; logs : those of them that enter as ln(x + 0.0001);
    states : how many; order : `variance` or `mean`, that of the first input, by which states are numbered from 0, the
    lowest first.
    """

    name: str
    inputs: tuple[str, ...]
    logs: tuple[str, ...]
    states: int
    order: str


@dataclass(frozen=True)
class FittedFeature:
    """One feature that is fitted inside each fold: the probability of state `state` of model `model`.

    warmup : bars of a block until its inputs are known. The other fields are those of `catalogue.Feature`.
    """

    name: str
    family: str
    warmup: int
    memory: str
    equation: str
    degenerate: str
    source: str
    model: str
    state: int


# fmt: off
MARKOV: Mapping[str, MarkovSpec] = MappingProxyType({
    # name, inputs, in logs, states, order
    "volatility_2": MarkovSpec("volatility_2", ("return_1",), (), 2, "variance"),
    "volatility_3": MarkovSpec("volatility_3", ("bar_range",), ("bar_range",), 3, "mean"),
    "trend_3": MarkovSpec("trend_3", ("momentum_12", "volatility_ratio_6_48"), (), 3, "mean"),
})
"""Hidden Markov models by name; states are conditionally independent Gaussians of the inputs."""

# name: (model, state, equation, source)
_TABLE: dict[str, tuple[str, int, str, str]] = {
    "hmm_volatile": (
        "volatility_2", 1, "P(S = 1 | block so far), S of 2 states of r, by variance", "Hamilton 1989"),
    "hmm_calm": (
        "volatility_3", 0, "P(S = 0 | block so far), S of 3 states of ln(ln(h / l) + 0.0001), by mean",
        "Hamilton 1989; Alizadeh et al. 2002"),
    "hmm_turbulent": (
        "volatility_3", 2, "P(S = 2 | block so far), S as in hmm_calm", "Hamilton 1989; Alizadeh et al. 2002"),
    "hmm_down": (
        "trend_3", 0, "P(S = 0 | block so far), S of 3 states of momentum_12 and volatility_ratio_6_48, by mean of "
        "momentum_12", "Hamilton 1989"),
    "hmm_up": (
        "trend_3", 2, "P(S = 2 | block so far), S as in hmm_down", "Hamilton 1989"),
}
# fmt: on


def _feature(name: str) -> FittedFeature:
    model, state, equation, source = _TABLE[name]
    warmup = max(FEATURES[each].warmup for each in MARKOV[model].inputs)
    return FittedFeature(name, FAMILY, warmup, "fitted", equation, "", source, model, state)


FITTED: Mapping[str, FittedFeature] = MappingProxyType({name: _feature(name) for name in _TABLE})
"""Features fitted inside each fold by name, in the order of their columns, which follow those of a dataset."""


def models_of(names: Iterable[str]) -> tuple[str, ...]:
    """The hidden Markov models that these fitted features read, in the order of MARKOV.

    >>> models_of(["hmm_up", "hmm_calm"])
    ('volatility_3', 'trend_3')
    """
    wanted = {FITTED[name].model for name in names}
    return tuple(model for model in MARKOV if model in wanted)


def inputs_of(names: Iterable[str]) -> tuple[str, ...]:
    """The features of the catalogue that these fitted features are made of, in catalogue order.

    >>> inputs_of(["hmm_up", "hmm_volatile"])
    ('return_1', 'momentum_12', 'volatility_ratio_6_48')
    """
    wanted = {each for model in models_of(names) for each in MARKOV[model].inputs}
    return tuple(name for name in FEATURES if name in wanted)
