"""A trained model beside a feed: base bars in, and of each bar of the model's timeframe that closes, what it says.

A signal equals, to the bit, the row that `predict_bars` gives of a file of all bars so far, as far as a base model's
probabilities of a row do not depend on how many rows are predicted with it (see docs/serving.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from foldsmith.config import default_workers
from foldsmith.errors import DataError, SettingError
from foldsmith.features import FEATURES
from foldsmith.features.fitted import inputs_of
from foldsmith.features.live import compute_from
from foldsmith.intervals import as_instants
from foldsmith.market.readers import read_bars
from foldsmith.runs.store import Run, Workspace
from foldsmith.stages.features_file import load_as_recorded
from foldsmith.stages.horizon import bar_inputs, feature_matrix
from foldsmith.stages.joined_model import known_at, read_join
from foldsmith.stages.live_bars import LiveBars
from foldsmith.stages.model_store import RECIPE, read_model
from foldsmith.stages.models_file import revived
from foldsmith.stages.predict import predictions_of
from foldsmith.stages.recipe import Recipe

CHECKED = 20
"""Bars of a history whose signals are made in both ways before a model is used."""


@dataclass(frozen=True)
class Answer:
    """What came of some bars: one row of `predict_bars` for each bar that closed and whose features are known.

    closed : bars of the timeframe that closed; left_out : opens of base bars that cleaning left out, microseconds UTC.
    """

    signals: pl.DataFrame
    closed: int
    left_out: tuple[int, ...]


class LiveModel:
    """A trained model and the bars so far; begun without any.

    Raises SettingError for an ensemble that joins several datasets, and whatever reading a model raises.
    """

    def __init__(self, workspace: Workspace, model: Run) -> None:
        model.verify()
        if read_join(model) is not None:
            raise SettingError(
                f"run {model.id} joins several datasets, and one feed of bars cannot serve it; use `foldsmith predict`."
            )
        self.run = model
        self.recipe = Recipe.read(model.path / "model" / RECIPE)
        self._predictor = revived(workspace, read_model(model, "model"))
        self.features = self._predictor.needed(self.recipe.features)
        self._own = load_as_recorded(
            workspace, [each for each in self.recipe.own_features if each.name in self.features]
        )
        self._bars: LiveBars | None = None

    @property
    def fitted(self) -> tuple[str, ...]:
        """The features that were fitted with a base model."""
        return self._predictor.fitted

    @property
    def models(self) -> tuple[str, ...]:
        """The base models."""
        return tuple(self._predictor.bases)

    @property
    def bars(self) -> LiveBars | None:
        """The bars so far."""
        return self._bars

    def read(self, path: Path, file_format: str | None = None) -> Answer:
        """Begin with the bars of a file, read as `predict` reads it; see `begin`."""
        raw = read_bars(
            path,
            file_format=file_format,
            timezone=self.recipe.timezone,
            stamp=self.recipe.stamp,
            symbol=self.recipe.symbol,
        )
        return self.begin(raw.frame)

    def begin(self, rows: pl.DataFrame) -> Answer:
        """Begin with these base bars; nothing is kept if DataError is raised.

        The signals of the last `CHECKED` bars are made bar by bar and all at once; DataError if they differ, and then
        the model looks at more than its features at a bar.
        """
        if self._bars is not None:
            raise DataError("the bars have begun already.")
        recipe = self.recipe
        bars = LiveBars(rows, recipe.instrument, recipe.bars, rules=recipe.rules, roll=recipe.roll)
        height = bars.bars.height
        signals = self._signals(bars.bars, 0)
        first = max(0, height - CHECKED)
        for at in range(first, height):
            alone = self._signals(bars.bars.head(at + 1), at)
            if not alone.equals(signals.filter(pl.col("datetime") == bars.bars["close_time"][at])):
                raise DataError(
                    f"the model of run {self.run.id} says of the bar at {bars.bars['close_time'][at]} otherwise bar by "
                    "bar than all at once; use `foldsmith predict`."
                )
        self._bars = bars
        return Answer(signals, height, bars.left_out)

    def add(self, rows: pl.DataFrame, *, over_hole: bool = False) -> Answer:
        """Take the base bars that follow; nothing is changed if DataError is raised. See `LiveBars.after`."""
        if self._bars is None:
            return self.begin(rows)
        bars = self._bars.after(rows, over_hole=over_hole)
        first = self._bars.bars.height
        signals = self._signals(bars.bars, first)
        self._bars = bars
        return Answer(signals, bars.bars.height - first, bars.left_out)

    def _signals(self, bars: pl.DataFrame, first: int) -> pl.DataFrame:
        """What the model says at bars from row `first` on, as `predict_bars` has it."""
        height = bars.height
        none = predictions_of(np.empty(0, dtype=np.int64), np.empty((0, 3), dtype=np.float32))
        if first >= height:
            return none
        fitted = self._predictor.fitted
        names = [*self.features, *inputs_of(fitted)]
        catalogued = list(dict.fromkeys(name for name in names if name in FEATURES))
        # The first new bar's window begins earlier, and never in another block than its own.
        begin = max(0, first - max(0, self._predictor.window - 1))
        made = compute_from(bars, begin, self.recipe.bars.slot_seconds, catalogued, threads=default_workers())
        bars = bars.tail(made.height)
        made = made.with_columns(each.compute(bars) for each in self._own)
        closes = as_instants(bars["close_time"])
        matrix, inputs = feature_matrix(made, self.features), bar_inputs(made, bars["block"], fitted)
        window = int(closes[first - (height - made.height)]), int(closes[-1])
        known = known_at(
            self._predictor, self.models, closes, matrix, self.features, inputs, bars["block"], window
        )
        if len(known.closes) == 0:
            return none
        return predictions_of(known.closes, self._predictor.combine(known.P))
