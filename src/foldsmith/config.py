"""Settings of each stage, built once at the edge and checked as a whole.

Each is a frozen record of plain values: what a command was asked to do, and nothing about where or when. They are
stored in manifests as they are, so that a run can say what it was made with. A value that cannot be used raises
SettingError here, before any work is done.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import UTC, datetime
from typing import Any

from foldsmith.errors import SettingError
from foldsmith.labels.scheme import (
    AFTER_COST,
    NEUTRAL,
    OBJECTIVES,
    TREND_SCANNING,
    TRIPLE_BARRIER,
    WEIGHTS,
    LabelScheme,
    check_edge,
)
from foldsmith.market.roll_rule import RollRule
from foldsmith.market.rules import check_rules
from foldsmith.validation.path_groups import PathGroups

DEFAULT_HORIZONS = (5, 10, 15, 20)
DEFAULT_MODELS = ("xgboost", "lightgbm")
DEFAULT_FEATURES = ("core",)
"""Sets of features that a dataset holds."""
EXECUTORS = ("local", "dask", "ray")
"""Where fits run: processes of this machine, or a cluster."""
ENSEMBLE_META_LEARNER = "logistic"
CLASS_WEIGHTS = ("none", "balanced")
CALIBRATIONS = ("none", "temperature", "logistic", "isotonic")
SELECTIONS = ("none", "correlation", "mdi", "mda")
REFIT, BAG = PREDICT_WITH = ("refit", "bag")
"""What a base model of a cross-validation predicts with: a fit of the whole training segment, or its folds' models."""
TAIL_SHARE = 0.2
"""Share of a fold's training rows, the last in time, that early stopping and tuning are scored on."""
VOLATILITY_WINDOW = 48
"""Bars of the rolling volatility that scales the barriers."""
NEUTRAL_SHARE = 1 / 3
"""Share of neutral labels that the chosen barrier width aims at."""
UNSAID = {"unsaid": True}
"""Of a field that is left out of manifests at its default, so that runs which do without it keep their content."""


@dataclass(frozen=True)
class PrepareSettings:
    """Phase 1: how raw bars of one symbol become a dataset.

    `ratios` are the shares of training, validation and test. `k_up` and `k_down` are barrier widths in multiples
    of the volatility over the horizon, both or neither; of a trend scan `trend_threshold` is the like. `label` and
    what follows it are those of `foldsmith.labels.scheme.LabelScheme`. `barrier_objective` says what widths are chosen
    for, and `assumed_edge` is the E of `foldsmith.labels.barrier_payoff`. `max_bars` overrules the vertical barrier of
    one horizon.
    `start` and `end` are instants (UTC); bars with start <= open < end are used. `format` is a key of
    `foldsmith.market.readers.FORMATS`, None to have it told from the content. `rules` says {rule: action} for rules
    of cleaning that shall not do what they do by themselves (`foldsmith.market.rules`); `roll` and `roll_days` are
    those of `foldsmith.market.roll_rule.RollRule`. `features` are names as `foldsmith.features.sets.resolve` takes
    them.
    """

    symbol: str
    timeframe: str = "5m"
    format: str | None = None
    timezone: str | None = None
    stamp: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    horizons: tuple[int, ...] = DEFAULT_HORIZONS
    ratios: tuple[float, float, float] = (0.70, 0.15, 0.15)
    k_up: float | None = None
    k_down: float | None = None
    max_bars: int | None = None
    roll: str = "volume"
    roll_days: int | None = None
    rules: Mapping[str, str] = field(default_factory=dict)
    features: tuple[str, ...] = DEFAULT_FEATURES
    label: str = field(default=TRIPLE_BARRIER, metadata=UNSAID)
    barrier_volatility: str = field(default="close", metadata=UNSAID)
    min_barrier_cost: float = field(default=0.0, metadata=UNSAID)
    trend_min_bars: int | None = field(default=None, metadata=UNSAID)
    trend_threshold: float | None = field(default=None, metadata=UNSAID)
    barrier_objective: str = field(default=NEUTRAL, metadata=UNSAID)
    assumed_edge: float | None = field(default=None, metadata=UNSAID)

    def __post_init__(self) -> None:
        check_rules(self.rules)
        _check_unique(self.features, "feature set")
        self._check_labelling()
        self._check_objective()
        _check_horizons(self.horizons)
        RollRule(self.roll, self.roll_days)
        if min(self.ratios) <= 0 or abs(sum(self.ratios) - 1) > 1e-9:
            raise SettingError(
                f"--train-ratio, --val-ratio and --test-ratio are {self.ratios[0]:g}, {self.ratios[1]:g} and "
                f"{self.ratios[2]:g}; they must be positive and add up to 1, not {sum(self.ratios):g}."
            )
        if (self.k_up is None) != (self.k_down is None):
            raise SettingError(
                "--k-up and --k-down go together: give both, or neither to have the width chosen."
            )
        for flag, width in (("--k-up", self.k_up), ("--k-down", self.k_down)):
            if width is not None and not 0 < width < 100:
                raise SettingError(
                    f"{flag} {width:g} is no barrier width; give a number above 0 and below 100."
                )
        if self.max_bars is not None:
            if len(self.horizons) > 1:
                raise SettingError(
                    f"--max-bars overrules the vertical barrier of one horizon; here are {len(self.horizons)}. "
                    "Name one with --horizons."
                )
            if self.max_bars < 1:
                raise SettingError(f"--max-bars {self.max_bars} is no number of bars; at least 1 is needed.")
        if self.start and self.end and self.start >= self.end:
            raise SettingError(f"--start {self.start:%Y-%m-%d} is not before --end {self.end:%Y-%m-%d}.")

    @property
    def scheme(self) -> LabelScheme:
        """How bars are labelled."""
        made = LabelScheme(self.label, self.barrier_volatility, self.min_barrier_cost)
        return made if self.trend_min_bars is None else replace(made, trend_min_bars=self.trend_min_bars)

    def _check_labelling(self) -> None:
        """Refuse flags that the kind of label at hand would not look at."""
        scheme, trend = self.scheme, self.label == TREND_SCANNING
        for flag, given, wanted in (
            ("--k-up", self.k_up is not None, not trend),
            ("--k-down", self.k_down is not None, not trend),
            ("--barrier-volatility", self.barrier_volatility != "close", not trend),
            ("--min-barrier-cost", self.min_barrier_cost != 0, not trend),
            ("--trend-min-bars", self.trend_min_bars is not None, trend),
            ("--trend-threshold", self.trend_threshold is not None, trend),
        ):
            if given and not wanted:
                raise SettingError(f"{flag} does not apply to --label {self.label}. Leave it out.")
        if self.trend_threshold is not None and not 0 <= self.trend_threshold < 1e6:
            raise SettingError(
                f"--trend-threshold {self.trend_threshold:g} is no size of a t-value; give 0 or more."
            )
        shortest = min(map(self.vertical_barrier, self.horizons), default=0)
        if trend and shortest < scheme.trend_min_bars:
            raise SettingError(
                f"horizon {shortest} is shorter than the shortest trend, {scheme.trend_min_bars} bars; use longer "
                "horizons or a smaller --trend-min-bars."
            )

    def _check_objective(self) -> None:
        """Refuse an objective that the labels at hand do not have, or that widths given by hand would overrule."""
        if self.barrier_objective not in OBJECTIVES:
            raise SettingError(
                f"--barrier-objective {self.barrier_objective!r:.40} is unknown; there are {', '.join(OBJECTIVES)}."
            )
        if self.barrier_objective != AFTER_COST:
            if self.assumed_edge is not None:
                raise SettingError(
                    f"--assumed-edge does not apply to --barrier-objective {self.barrier_objective}. Leave it out, or "
                    f"choose widths with --barrier-objective {AFTER_COST}."
                )
            return
        if self.label != TRIPLE_BARRIER:
            raise SettingError(
                f"--barrier-objective {AFTER_COST} does not apply to --label {self.label}, whose trades end at the "
                "same bar for any width. Leave it out."
            )
        if self.k_up is not None or self.k_down is not None:
            raise SettingError(
                f"--barrier-objective {AFTER_COST} chooses what --k-up and --k-down give. Leave one out."
            )
        if self.assumed_edge is None:
            raise SettingError(
                f"--barrier-objective {AFTER_COST} needs --assumed-edge, the hit rate above one half to choose for, "
                "such as 0.05."
            )
        check_edge(self.assumed_edge)

    def vertical_barrier(self, horizon: int) -> int:
        """Bars until the label of `horizon` times out."""
        return horizon if self.max_bars is None else self.max_bars


@dataclass(frozen=True)
class ValidationSettings:
    """How rows of the training segment are cross-validated; shared by `cv` and by `train` without stored data.

    `embargo_bars` None means one vertical barrier of the horizon at hand (never "none": 0 says that). `sample_weight`
    and `time_decay` are those of `foldsmith.labels.weighting`. A trial of tuning is scored on `tune_splits` purged
    folds of the training rows at hand, for 1 on their purged tail; `prune` gives up trials that fall behind in between.
    `class_weight`, `calibrate` and `select` are those of `validation.cross_validate.Fitting`.
    """

    n_splits: int = 5
    purge_bars: int = 0
    embargo_bars: int | None = None
    tune: bool = False
    n_trials: int = 50
    sample_weight: str = "none"
    seed: int = 42
    time_decay: float = field(default=1.0, metadata=UNSAID)
    tune_splits: int = field(default=1, metadata=UNSAID)
    prune: bool = field(default=False, metadata=UNSAID)
    class_weight: str = field(default="none", metadata=UNSAID)
    calibrate: str = field(default="none", metadata=UNSAID)
    predict_with: str = field(default="refit", metadata=UNSAID)
    select: str = field(default="none", metadata=UNSAID)

    def __post_init__(self) -> None:
        for flag, value, least in (
            ("--n-splits", self.n_splits, 2),
            ("--purge-bars", self.purge_bars, 0),
            ("--embargo-bars", self.embargo_bars, 0),
            ("--n-trials", self.n_trials, 1),
            ("--tune-splits", self.tune_splits, 1),
            ("--seed", self.seed, 0),
        ):
            # Also read back from files, where it may be anything.
            if value is not None and type(value) is not int:
                raise SettingError(f"{flag} {value!r:.40} is no whole number.")
            if value is not None and value < least:
                raise SettingError(f"{flag} {value} is too small; the least is {least}.")
        for flag, word, known in (
            ("--class-weight", self.class_weight, CLASS_WEIGHTS),
            ("--calibrate", self.calibrate, CALIBRATIONS),
            ("--predict-with", self.predict_with, PREDICT_WITH),
            ("--select", self.select, SELECTIONS),
        ):
            if word not in known:
                raise SettingError(f"{flag} {word!r:.40} is unknown; there are {', '.join(known)}.")
        if self.prune and self.tune_splits == 1:
            raise SettingError(
                "--prune gives up trials between the folds they are scored on, and there is one: add --tune-splits 3."
            )
        if self.sample_weight not in WEIGHTS:
            raise SettingError(
                f"--sample-weight {self.sample_weight!r} is unknown; there are {', '.join(WEIGHTS)}."
            )
        if type(self.time_decay) not in (int, float) or not -1 < self.time_decay <= 1:
            raise SettingError(
                f"--time-decay {self.time_decay!r:.40} cannot be used; give the weight of the oldest row beside the "
                "newest, above -1 and up to 1 (1 for none, below 0 to leave out that share of the oldest)."
            )

    def embargo(self, max_bars: int) -> int:
        """Embargo in bars for a label with this vertical barrier."""
        return max_bars if self.embargo_bars is None else self.embargo_bars


@dataclass(frozen=True)
class CrossValidateSettings:
    """Phase 3: which models and horizons, and how they are validated.

    `features` says, for models that shall not see all of the dataset, which features they see, in its order. `paths`
    is (N, K) of `foldsmith.validation.path_groups.PathGroups`, None for folds alone.
    """

    models: tuple[str, ...] = DEFAULT_MODELS
    horizons: tuple[int, ...] = DEFAULT_HORIZONS
    validation: ValidationSettings = ValidationSettings()
    features: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    paths: tuple[int, int] | None = field(default=None, metadata=UNSAID)

    @property
    def path_groups(self) -> PathGroups | None:
        """Groups of the combinatorial paths, None without."""
        return PathGroups.stored(self.paths)

    def __post_init__(self) -> None:
        _check_horizons(self.horizons)
        PathGroups.stored(self.paths)
        for name in self.models:
            if not isinstance(name, str):  # also read back from files, where it may be anything
                raise SettingError(f"model {name!r:.40} is no name.")
        _check_unique(self.models, "model")
        for model, names in self.features.items():
            if model not in self.models or not names:
                raise SettingError(
                    f"--features names {len(names)} features for {model!r:.40}; the models are "
                    f"{', '.join(self.models)}."
                )
            _check_unique(names, "feature")


def parameters(settings: Any) -> dict[str, Any]:
    """A settings record as JSON-able values, for a manifest or a hash.

    Features by model are left out where none were chosen, so that runs without a choice keep their content.
    """
    return {
        item.name: _plain(value)
        for item, value in ((item, getattr(settings, item.name)) for item in fields(settings))
        if (item.metadata != UNSAID or value != item.default) and (item.name, value) != ("features", {})
    }


def stated(record: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a settings record that `values`, from a manifest, states; KeyError if one it must is missing."""
    return {
        item.name: values[item.name]
        for item in fields(record)
        if item.metadata != UNSAID or item.name in values
    }


def parse_list(
    text: str, known: Sequence[str], what: str, every: Sequence[str] | None = None
) -> tuple[str, ...]:
    """Split a comma-separated list; `all` stands for `every` (all known ones). Unknown or repeated ones are refused."""
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if names == ("all",):
        return tuple(known if every is None else every)
    if not names:
        raise SettingError(f"no {what} is named; there are {', '.join(known)} (or all).")
    for name in names:
        if name not in known:
            raise SettingError(f"unknown {what} {name!r}; there are {', '.join(known)} (or all).")
    _check_unique(names, what)
    return names


def parse_words(text: str, separator: str = ",") -> list[str]:
    """The words between separators, without the spaces around them; SettingError for none."""
    words = [part.strip() for part in text.split(separator) if part.strip()]
    if not words:
        raise SettingError(f"{text!r:.60} names nothing; give names with {separator!r} between them.")
    return words


def parse_horizons(text: str, known: Sequence[int] | None = None) -> tuple[int, ...]:
    """Split a comma-separated list of horizons in bars; with `known`, `all` stands for them and others are refused."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if parts == ["all"]:
        return tuple(known if known is not None else DEFAULT_HORIZONS)
    try:
        horizons = tuple(int(part) for part in parts)
    except ValueError:
        raise SettingError(
            f"horizons {text!r} must be whole numbers of bars, such as 5,10,20 (or all)."
        ) from None
    _check_horizons(horizons)
    for horizon in horizons:
        if known is not None and horizon not in known:
            raise SettingError(
                f"horizon {horizon} is not in the dataset; it has {', '.join(map(str, known))}. "
                f"Make one that has it: ./pipeline run --symbols SYMBOL --horizons {horizon}"
            )
    return horizons


def parse_instant(text: str, flag: str) -> datetime:
    """A date or ISO time as an instant; without a zone it is UTC."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise SettingError(
            f"{flag} {text!r} is no date; write 2024-01-31 or 2024-01-31T14:30 (UTC)."
        ) from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def default_workers() -> int:
    """Processes to use unless told otherwise: the cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _check_horizons(horizons: Sequence[int]) -> None:
    if not horizons:
        raise SettingError("no horizon is named; give bars such as 5,10,20 (or all).")
    for horizon in horizons:
        if not 1 <= horizon <= 5000:
            raise SettingError(f"horizon {horizon} is out of range; a label looks 1 to 5000 bars ahead.")
    _check_unique(horizons, "horizon")


def _check_unique(names: Sequence[Any], what: str) -> None:
    twice = [name for index, name in enumerate(names) if name in names[:index]]
    if twice:
        raise SettingError(f"{what} {twice[0]} is named twice.")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if is_dataclass(value):
        return parameters(value)
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
