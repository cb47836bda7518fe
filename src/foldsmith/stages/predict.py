"""Predictions on any bars, from a model's run folder alone: no dataset, no cross-validation run."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import polars as pl

from foldsmith.evaluation.metrics import most_probable_signal
from foldsmith.market.readers import read_bars
from foldsmith.runs.store import Run, Workspace
from foldsmith.stages.features_file import load_as_recorded
from foldsmith.stages.horizon import bar_inputs, feature_matrix, known_rows
from foldsmith.stages.market_bars import market_bars
from foldsmith.stages.model_store import RECIPE, read_model
from foldsmith.stages.models_file import revived
from foldsmith.stages.prepare import bar_features
from foldsmith.stages.recipe import Recipe


def predict_bars(
    workspace: Workspace, model: Run, bars: Path, file_format: str | None = None
) -> pl.DataFrame:
    """One row for each bar whose features are known: datetime (decision time, UTC), probabilities, signal.

    The bars are read, cleaned, sampled and turned into features by the model's own recipe, so that each row equals, to
    the bit, what an evaluation of the same bars scored. Of the recipe's features those are made that the model, or a
    base model of it, sees; one that a user wrote by the file in `workspace`, which must be the one that the model was
    made with, as must that of a model that a user wrote. A last bar that is not over yet is left out.
    """
    model.verify([f"model/{RECIPE}"])
    recipe = Recipe.read(model.path / "model" / RECIPE)
    predictor = revived(workspace, read_model(model, "model"))
    names = predictor.needed(recipe.features)
    own = load_as_recorded(workspace, [each for each in recipe.own_features if each.name in names])
    raw = read_bars(
        bars,
        file_format=file_format,
        timezone=recipe.timezone,
        stamp=recipe.stamp,
        symbol=recipe.symbol,
    )
    market = market_bars(raw.frame, recipe.instrument, recipe.bars, rules=recipe.rules, roll=recipe.roll)
    features = bar_features(market, (*names, *predictor.fitted), own)
    matrix = feature_matrix(features, names)
    inputs = bar_inputs(features, market.bars["block"], predictor.fitted)
    rows = np.flatnonzero(known_rows(matrix, inputs))
    P = predictor.predict_proba(matrix[rows], names, None if inputs is None else inputs.take(rows))
    return pl.DataFrame(
        {
            "datetime": market.bars["close_time"][rows],
            "prob_short": P[:, 0],
            "prob_neutral": P[:, 1],
            "prob_long": P[:, 2],
            "signal": most_probable_signal(P),
        }
    )


def as_csv(predictions: pl.DataFrame) -> str:
    """The table as CSV text, times in ISO 8601."""
    return predictions.with_columns(pl.col("datetime").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_csv()


def as_parquet(predictions: pl.DataFrame) -> bytes:
    """The table as the bytes of a Parquet file."""
    content = io.BytesIO()
    predictions.write_parquet(content)
    return content.getvalue()
