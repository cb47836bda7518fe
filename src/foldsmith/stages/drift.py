"""Drift of a trained model's features and predictions: its training rows against bars that came after its dataset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foldsmith.contracts import prediction_contract
from foldsmith.errors import DataError, SettingError
from foldsmith.evaluation.drift import drift_table
from foldsmith.intervals import as_instants
from foldsmith.market.readers import read_bars
from foldsmith.runs.store import Run, Workspace
from foldsmith.stages.features_file import load_as_recorded
from foldsmith.stages.horizon import bar_inputs, feature_matrix, known_rows, load_closes, load_horizons
from foldsmith.stages.joined_model import read_join
from foldsmith.stages.market_bars import market_bars
from foldsmith.stages.model_store import RECIPE, read_model
from foldsmith.stages.models_file import revived
from foldsmith.stages.prepare import bar_features
from foldsmith.stages.raw_bars import raw_file
from foldsmith.stages.recipe import Recipe
from foldsmith.stages.tables import read_table
from foldsmith.stages.trained import parent_dataset

PROBABILITIES = ("prob_short", "prob_neutral", "prob_long")


@dataclass(frozen=True)
class Drift:
    """Entries of `evaluation.drift.drift_table`, and the rows behind them: of training, of validation, new ones."""

    features: list[dict[str, Any]]
    predictions: list[dict[str, Any]]
    training_rows: int
    validation_rows: int
    new_rows: int

    @property
    def worst(self) -> float:
        """The largest population stability index."""
        return max(float(entry["psi"]) for entry in (*self.features, *self.predictions))

    def as_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        return {
            "rows": {
                "training": self.training_rows,
                "validation": self.validation_rows,
                "new": self.new_rows,
            },
            "features": self.features,
            "predictions": self.predictions,
        }


def drift(workspace: Workspace, model: Run, bars: Path | None, file_format: str | None = None) -> Drift:
    """Compare the rows a model was trained on with bars that close after the last of its dataset.

    bars : a file as `predict` reads it, the symbol's raw file where None. Features are compared with those of the
    training rows. Predictions are compared with those of the validation rows, as they were stored: on rows that it was
    fitted on a model is surer than it will ever be again. Features that folds fit are not compared: their inputs are.

    Raises SettingError for an ensemble that joins several datasets, DataError where no bar is new.
    """
    if read_join(model) is not None:
        raise SettingError(
            f"run {model.id} joins several datasets; look at the drift of a run on one of them."
        )
    recipe = Recipe.read(model.path / "model" / RECIPE)
    predictor = revived(workspace, read_model(model, "model"))
    dataset, horizon = parent_dataset(workspace, model), int(model.manifest.extra["horizon"])
    from foldsmith.stages.evaluate import _settings

    table = load_horizons(dataset, (horizon,), _settings(model))[horizon]
    names = predictor.needed(recipe.features)
    rows = table.segments.named()["training"]
    train = table.data.take(rows).select(names)
    until = int(load_closes(dataset)[-1])

    path = raw_file(workspace, recipe.symbol) if bars is None else bars
    raw = read_bars(
        path,
        file_format=file_format,
        timezone=recipe.timezone,
        stamp=recipe.stamp,
        symbol=recipe.symbol,
    )
    market = market_bars(raw.frame, recipe.instrument, recipe.bars, rules=recipe.rules, roll=recipe.roll)
    own = load_as_recorded(workspace, [each for each in recipe.own_features if each.name in names])
    features = bar_features(market, (*names, *predictor.fitted), own)
    matrix = feature_matrix(features, names)
    inputs = bar_inputs(features, market.bars["block"], predictor.fitted)
    new = np.flatnonzero(known_rows(matrix, inputs) & (as_instants(market.bars["close_time"]) > until))
    if len(new) == 0:
        raise DataError(
            f"no bar of {path.name} with all features known closes after the last of the model's dataset "
            f"({market.bars['close_time'][-1]} is the last there); give --bars with newer ones."
        )
    P = predictor.predict_proba(matrix[new], names, None if inputs is None else inputs.take(new))
    stored = "predictions/validation.parquet"
    model.verify([stored])
    before = read_table(model.path / stored, prediction_contract()).select(PROBABILITIES).to_numpy()
    return Drift(
        drift_table(train.X, matrix[new], names) if names else [],
        drift_table(before, P, PROBABILITIES),
        len(rows),
        len(before),
        len(new),
    )
