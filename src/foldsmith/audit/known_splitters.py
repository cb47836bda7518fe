"""Splitters that `audit splitters` measures: ours, and those of others as their users would set them up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from foldsmith.audit.splitters import LabelSpans
from foldsmith.splits import CombinatorialPurgedKFold, PurgedKFold, WalkForward

OURS = "foldsmith"
GROUPS, TESTED = 6, 2
"""Of combinatorial splitters: blocks of rows, and how many of them each split tests."""


@dataclass(frozen=True)
class Setting:
    """What all are set up with: folds, rows that a purge by rows holds back, and the embargo in bars."""

    labels: LabelSpans
    n_splits: int
    gap: int
    embargo: int

    @property
    def rows(self) -> Any:
        """As many rows as there are labels; splitters look at nothing else of them."""
        return np.zeros((len(self.labels), 1))

    @property
    def own_options(self) -> dict[str, Any]:
        """As our splitters take them."""
        return {"t0": self.labels.t0, "t1": self.labels.t1, "bars": self.labels.closes}

    @property
    def times(self) -> dict[str, Any]:
        """As purgedcv takes them."""
        import pandas as pd

        return {
            "prediction_times": pd.Series(pd.to_datetime(self.labels.t0, unit="us")),
            "evaluation_times": pd.Series(pd.to_datetime(self.labels.t1, unit="us")),
        }


@dataclass(frozen=True)
class KnownSplitter:
    """A splitter by name; library : what must be installed for it; options : of pip, where its pins are not ours."""

    library: str
    pairs: Callable[[Setting], Iterable[Any]]
    options: str = ""


def _ours(split: Any, s: Setting) -> Iterable[Any]:
    found: Iterable[Any] = split.split(s.rows)
    return found


def _sklearn(s: Setting, name: str, **options: Any) -> Iterable[Any]:
    found: Iterable[Any] = getattr(import_module("sklearn.model_selection"), name)(
        s.n_splits, **options
    ).split(s.rows)
    return found


def _skfolio_cpcv(s: Setting, purged: int) -> Iterable[Any]:
    CombinatorialPurgedCV = import_module("skfolio.model_selection").CombinatorialPurgedCV
    found: Iterable[Any] = CombinatorialPurgedCV(
        GROUPS, TESTED, purged_size=purged, embargo_size=s.embargo
    ).split(s.rows)
    return found


def _skfolio_walk(s: Setting, purged: int) -> Iterable[Any]:
    Walk = import_module("skfolio.model_selection").WalkForward
    size = len(s.labels) // (s.n_splits + 1)
    found: Iterable[Any] = Walk(
        test_size=size, train_size=size - purged, purged_size=purged, expand_train=True
    ).split(s.rows)
    return found


def _purgedcv(s: Setting, name: str, *words: int, embargoed: bool = True) -> Iterable[Any]:
    options = {"embargo_observations": s.embargo} if embargoed and s.embargo else {}
    found: Iterable[Any] = getattr(import_module("purgedcv"), name)(*words, **s.times, **options).split(
        s.rows
    )
    return found


def _mlfinpy(s: Setting, name: str) -> Iterable[Any]:
    import pandas as pd

    times = s.times
    spans = pd.Series(times["evaluation_times"].to_numpy(), index=pd.DatetimeIndex(times["prediction_times"]))
    # Its embargo is a share of the rows.
    share = s.embargo / len(s.labels)
    made = getattr(import_module("mlfinpy.cross_validation.cross_validation"), name)(s.n_splits, spans, share)
    found: Iterable[Any] = made.split(pd.DataFrame(s.rows, index=spans.index))
    return found


KNOWN: dict[str, KnownSplitter] = {
    "PurgedKFold": KnownSplitter(
        OURS, lambda s: _ours(PurgedKFold(s.n_splits, embargo=s.embargo, **s.own_options), s)
    ),
    "CombinatorialPurgedKFold": KnownSplitter(
        OURS,
        lambda s: _ours(CombinatorialPurgedKFold(GROUPS, TESTED, embargo=s.embargo, **s.own_options), s),
    ),
    "WalkForward": KnownSplitter(OURS, lambda s: _ours(WalkForward(s.n_splits, **s.own_options), s)),
    "KFold": KnownSplitter("sklearn", lambda s: _sklearn(s, "KFold")),
    "KFold, shuffled": KnownSplitter("sklearn", lambda s: _sklearn(s, "KFold", shuffle=True, random_state=0)),
    "TimeSeriesSplit": KnownSplitter("sklearn", lambda s: _sklearn(s, "TimeSeriesSplit")),
    "TimeSeriesSplit, gap": KnownSplitter("sklearn", lambda s: _sklearn(s, "TimeSeriesSplit", gap=s.gap)),
    "CombinatorialPurgedCV": KnownSplitter("skfolio", lambda s: _skfolio_cpcv(s, 0)),
    "CombinatorialPurgedCV, purged": KnownSplitter("skfolio", lambda s: _skfolio_cpcv(s, s.gap)),
    "WalkForward, purged": KnownSplitter("skfolio", lambda s: _skfolio_walk(s, s.gap)),
    "PurgedKFold of times": KnownSplitter("purgedcv", lambda s: _purgedcv(s, "PurgedKFold", s.n_splits)),
    "CombinatorialPurgedCV of times": KnownSplitter(
        "purgedcv", lambda s: _purgedcv(s, "CombinatorialPurgedCV", GROUPS, TESTED)
    ),
    "WalkForwardSplit of times": KnownSplitter(
        "purgedcv",
        lambda s: _purgedcv(
            s, "WalkForwardSplit", s.n_splits, len(s.labels) // (s.n_splits + 1), embargoed=False
        ),
    ),
    "PurgedKFold of spans": KnownSplitter(
        "mlfinpy", lambda s: _mlfinpy(s, "PurgedKFold"), options="--no-deps "
    ),
}
"""By name. Those with a gap or purged hold back a number of rows; those of times or spans are given labels' ends."""
