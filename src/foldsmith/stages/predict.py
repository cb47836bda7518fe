"""Predictions on any bars, from a model's run folder alone: no dataset, no cross-validation run."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl

from foldsmith.contracts import UTC_MICROSECONDS
from foldsmith.evaluation.metrics import most_probable_signal
from foldsmith.intervals import Instants, as_instants
from foldsmith.market.readers import read_bars
from foldsmith.runs.store import Run, Workspace
from foldsmith.stages.features_file import load_as_recorded
from foldsmith.stages.horizon import bar_inputs, feature_matrix
from foldsmith.stages.joined_model import Known, at_rows, known_at, read_join
from foldsmith.stages.market_bars import market_bars
from foldsmith.stages.model_store import RECIPE, Predictor, read_model
from foldsmith.stages.models_file import revived
from foldsmith.stages.prepare import bar_features
from foldsmith.stages.recipe import Recipe
from foldsmith.validation.cross_validate import Probabilities


def predict_bars(
    workspace: Workspace, model: Run, bars: Path, file_format: str | None = None
) -> pl.DataFrame:
    """One row for each bar whose features are known: datetime (decision time, UTC), probabilities, signal.

    For a model that reads windows, for each bar whose whole window is known.

    The bars are read, cleaned, sampled and turned into features by the model's own recipe, so that each row equals, to
    the bit, what an evaluation of the same bars scored. Of the recipe's features those are made that the model, or a
    base model of it, sees; one that a user wrote by the file in `workspace`, which must be the one that the model was
    made with, as must that of a model that a user wrote. A last bar that is not over yet is left out, as is one that a
    base model on other bars says nothing of.
    """
    model.verify([f"model/{RECIPE}"])
    predictor = revived(workspace, read_model(model, "model"))
    join = read_join(model)
    if join is None:
        recipe = Recipe.read(model.path / "model" / RECIPE)
        known = _on_bars(workspace, recipe, predictor, tuple(predictor.bases), bars, file_format)
        closes, base = known.closes, known.P
    else:
        parts = [
            _on_bars(workspace, part.recipe, predictor, part.names, bars, file_format) for part in join.parts
        ]
        found = at_rows(tuple(predictor.bases), parts[0].closes, parts, join.max_age)
        closes, base = parts[0].closes[found.there], found.P[found.there]
    return predictions_of(closes, predictor.combine(base))


def predictions_of(closes: Instants, P: Probabilities) -> pl.DataFrame:
    """Decision times and probabilities (n, 3) as the table of `predict_bars`."""
    return pl.DataFrame(
        {
            "datetime": pl.Series(closes, dtype=pl.Int64).cast(UTC_MICROSECONDS),
            "prob_short": P[:, 0],
            "prob_neutral": P[:, 1],
            "prob_long": P[:, 2],
            "signal": most_probable_signal(P),
        }
    )


def _on_bars(
    workspace: Workspace,
    recipe: Recipe,
    predictor: Predictor,
    models: tuple[str, ...],
    bars: Path,
    file_format: str | None,
) -> Known:
    """What these base models say of raw bars, sampled and turned into features by their own recipe."""
    mine = predictor.part(models)
    names = mine.needed(recipe.features)
    own = load_as_recorded(workspace, [each for each in recipe.own_features if each.name in names])
    raw = read_bars(
        bars,
        file_format=file_format,
        timezone=recipe.timezone,
        stamp=recipe.stamp,
        symbol=recipe.symbol,
    )
    market = market_bars(raw.frame, recipe.instrument, recipe.bars, rules=recipe.rules, roll=recipe.roll)
    features = bar_features(market, (*names, *mine.fitted), own)
    matrix = feature_matrix(features, names)
    inputs = bar_inputs(features, market.bars["block"], mine.fitted)
    closes, block = as_instants(market.bars["close_time"]), market.bars["block"]
    return known_at(predictor, models, closes, matrix, names, inputs, block)


def as_csv(predictions: pl.DataFrame) -> str:
    """The table as CSV text, times in ISO 8601."""
    return predictions.with_columns(pl.col("datetime").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_csv()


def as_parquet(predictions: pl.DataFrame) -> bytes:
    """The table as the bytes of a Parquet file."""
    content = io.BytesIO()
    predictions.write_parquet(content)
    return content.getvalue()
