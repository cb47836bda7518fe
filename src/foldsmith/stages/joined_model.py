"""An ensemble over several datasets, as it is saved and as it predicts: each base model on bars of its own.

join.json says which base models see which dataset and how old a prediction may be. The first dataset's recipe is
recipe.json, as for every model; that of the k-th is recipe_{k}.json. A row is predicted at the decision times of the
first dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.dataset import BarInputs, Dataset
from foldsmith.errors import DataError
from foldsmith.intervals import Instants, Rows, as_instants
from foldsmith.models.windows import whole_windows
from foldsmith.runs.store import Run, Workspace, read_json, write_json
from foldsmith.stages.horizon import bar_history, bar_inputs, feature_matrix, known_rows
from foldsmith.stages.join import align
from foldsmith.stages.model_store import RECIPE, Predictor
from foldsmith.stages.recipe import Recipe
from foldsmith.stages.tables import read_table
from foldsmith.stages.trained import parent_datasets
from foldsmith.validation.cross_validate import Probabilities

JOIN = "join.json"
MOST_PARTS = 100
"""Datasets of an ensemble; a file that claims more is damaged."""


@dataclass(frozen=True)
class Part:
    """Base models that see one dataset, its recipe, and the last instant of a label that they were fitted on."""

    names: tuple[str, ...]
    recipe: Recipe
    fitted_until: int


@dataclass(frozen=True)
class Join:
    """The parts, that of the rows and labels first, and how old a prediction may be, in microseconds."""

    parts: tuple[Part, ...]
    max_age: int

    def write(self, folder: Path) -> None:
        """Beside the model; the first recipe is written by whoever writes a model."""
        write_json(
            folder / JOIN,
            {
                "max_age_microseconds": self.max_age,
                "parts": [
                    {"models": list(part.names), "fitted_until": part.fitted_until} for part in self.parts
                ],
            },
        )
        for number, part in enumerate(self.parts[1:], 2):
            part.recipe.write(folder / _recipe_file(number))


def _recipe_file(number: int) -> str:
    return RECIPE if number == 1 else f"recipe_{number}.json"


def read_join(model: Run) -> Join | None:
    """How a saved model joins datasets, hashes checked; None for one that sees a single one at one horizon."""
    if f"model/{JOIN}" not in model.manifest.files:
        return None
    model.verify([f"model/{JOIN}"])
    path = model.path / "model" / JOIN
    found: dict[str, Any] = read_json(path)
    try:
        max_age, parts = found["max_age_microseconds"], found["parts"]
        named = [(tuple(part["models"]), part["fitted_until"]) for part in parts]
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{path} does not say how datasets are joined ({error!r:.60}); train it again."
        ) from error
    names = [name for models, _ in named for name in models]
    if (
        not 1 <= len(named) <= MOST_PARTS
        or not all(models for models, _ in named)
        or not all(isinstance(name, str) for name in names)
        or len(set(names)) != len(names)
        or not all(type(until) is int and abs(until) < 2**63 for _, until in named)
        or type(max_age) is not int
        or not 0 <= max_age < 2**53
    ):
        raise DataError(f"{path} does not say how datasets are joined; train the ensemble again.")
    recipes = [_recipe_file(number) for number in range(1, len(named) + 1)]
    model.verify([f"model/{recipe}" for recipe in recipes])
    return Join(
        tuple(
            Part(models, Recipe.read(model.path / "model" / recipe), until)
            for (models, until), recipe in zip(named, recipes, strict=True)
        ),
        max_age,
    )


@dataclass(frozen=True)
class Known:
    """What some base models say at the bars where their features are known: decision times (n,), P (n, 3 k)."""

    names: tuple[str, ...]
    closes: Instants
    P: Probabilities


@dataclass(frozen=True)
class AtRows:
    """Base probabilities (n, 3 m) at some rows, which rows have them all, and the earliest decision seen in each."""

    P: Probabilities
    there: npt.NDArray[np.bool_]
    begin: Instants


def at_rows(order: Sequence[str], t0: Instants, known: Sequence[Known], max_age: int) -> AtRows:
    """Put what the parts know side by side, in the order that the ensemble was fitted on."""
    there, begin = np.ones(len(t0), dtype=np.bool_), t0.copy()
    found: dict[str, Probabilities] = {}
    for part in known:
        at = align(t0, part.closes, max_age)
        seen = np.maximum(at, 0)
        there &= at >= 0
        if len(part.closes):
            begin = np.where(at >= 0, np.minimum(begin, part.closes[seen]), begin)
        for number, name in enumerate(part.names):
            columns = part.P[:, 3 * number : 3 * number + 3]
            found[name] = columns[seen] if len(columns) else np.zeros((len(t0), 3), dtype=np.float32)
    if set(found) != set(order):
        raise DataError("the saved ensemble joins other base models than it was fitted on; train it again.")
    return AtRows(np.hstack([found[name] for name in order]), there, begin)


def known_at(
    predictor: Predictor,
    names: Sequence[str],
    closes: Instants,
    matrix: npt.NDArray[np.float32],
    columns: Sequence[str],
    inputs: BarInputs | None,
    block: pl.Series,
    window: tuple[int, int] | None = None,
) -> Known:
    """Predictions of these base models at every bar whose features are known and that closes within `window`.

    block : of each bar. Where a base model reads windows of bars, those with a whole one alone.
    """
    known = known_rows(matrix, inputs)
    part = predictor.part(names)
    history = bar_history(matrix, tuple(columns), block) if part.window else None
    if history is not None:
        known &= whole_windows(matrix, history.block, part.window)
    if window is not None:
        known &= (closes >= window[0]) & (closes <= window[1])
    rows = np.flatnonzero(known)
    order = tuple(part.bases)
    if len(rows) == 0:
        return Known(order, closes[rows], np.empty((0, 3 * len(order)), dtype=np.float32))
    P = part.base_probabilities(
        matrix[rows],
        columns,
        None if inputs is None else inputs.take(rows),
        None if history is None else history.take(rows),
    )
    return Known(order, closes[rows], P)


def on_datasets(join: Join, predictor: Predictor, datasets: Sequence[Run], held: Dataset) -> AtRows:
    """Base probabilities at rows of the first dataset; rows that a base model was fitted up to are not there."""
    if len(datasets) != len(join.parts):
        raise DataError(
            f"the ensemble joins {len(join.parts)} datasets and was made from {len(datasets)}; train it again."
        )
    first = predictor.part(join.parts[0].names)
    known = [Known(tuple(first.bases), held.t0, first.base_probabilities(held.X, held.names, held.inputs))]
    window = int(held.t0.min()) - join.max_age, int(held.t0.max())
    known += [
        _on_dataset(dataset, predictor, part, window)
        for dataset, part in zip(datasets[1:], join.parts[1:], strict=True)
    ]
    found = at_rows(tuple(predictor.bases), held.t0, known, join.max_age)
    until = max(part.fitted_until for part in join.parts)
    return AtRows(found.P, found.there & (held.t0 > until), found.begin)


def _on_dataset(dataset: Run, predictor: Predictor, part: Part, window: tuple[int, int]) -> Known:
    dataset.verify(["bars.parquet", "features.parquet"])
    bars = read_table(dataset.path / "bars.parquet", columns=["close_time", "block"])
    features = read_table(dataset.path / "features.parquet")
    mine = predictor.part(part.names)
    columns = mine.needed(part.recipe.features)
    matrix = feature_matrix(features, columns)
    inputs = bar_inputs(features, bars["block"], mine.fitted)
    closes = as_instants(bars["close_time"])
    return known_at(predictor, part.names, closes, matrix, columns, inputs, bars["block"], window)


def scored_rows(
    workspace: Workspace,
    model: Run,
    predictor: Predictor,
    data: Dataset,
    rows: Rows,
    say: Callable[[str], None],
) -> tuple[Rows, Probabilities]:
    """Those of the rows that a model can predict (all, but for one that joins datasets); base probabilities there."""
    join, held = read_join(model), data.take(rows)
    if join is None:
        return rows, predictor.base_probabilities(held.X, held.names, held.inputs, held.history)
    found = on_datasets(join, predictor, parent_datasets(workspace, model), held)
    there = int(found.there.sum())
    if there == 0:
        raise DataError(
            f"no row of run {model.id} has a prediction of every base model; were its datasets made of other bars?"
        )
    if there < len(rows):
        say(f"{there:,} of {len(rows):,} rows have predictions of every base model; the others are left out")
    return rows[found.there], found.P[found.there]
