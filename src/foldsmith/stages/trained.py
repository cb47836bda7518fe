"""What every trained model leaves, and the dataset it comes from."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from foldsmith.contracts import prediction_contract
from foldsmith.dataset import Dataset
from foldsmith.errors import IntegrityError, MissingError
from foldsmith.runs.manifest import Parent
from foldsmith.runs.store import Run, Workspace, write_json
from foldsmith.stages.crossed import events_table
from foldsmith.stages.horizon import load_recipe
from foldsmith.stages.model_store import RECIPE, StoredModel, write_model
from foldsmith.stages.publish import Building
from foldsmith.stages.recipe import Recipe
from foldsmith.stages.tables import write_table


def parent_dataset(workspace: Workspace, run: Run) -> Run:
    """The dataset a run was made from, the first of them: found by id, and refused if its content is another."""
    return parent_datasets(workspace, run)[0]


def parent_datasets(workspace: Workspace, run: Run) -> list[Run]:
    """All datasets a run was made from, in the order that it names them: the first is that of its rows and labels."""
    wanted = [parent for parent in run.manifest.parents if parent.kind == "dataset"]
    if not wanted:
        raise IntegrityError(f"run {run.path.name} names no dataset as its parent; make it again.")
    return [_opened(workspace, run, parent, first=parent is wanted[0]) for parent in wanted]


def _opened(workspace: Workspace, run: Run, wanted: Parent, *, first: bool) -> Run:
    try:
        dataset = workspace.open_run(workspace.datasets, wanted.id)
    except MissingError as error:
        raise MissingError(
            f"run {run.path.name} was made from dataset {wanted.id}, which is gone from {workspace.datasets}; {error}"
        ) from error
    if dataset.manifest.content != wanted.content:
        told = _otherwise(run, dataset) if first else ""
        raise IntegrityError(
            f"run {run.path.name} was made from dataset {wanted.id} with content {wanted.content[:12]}; the dataset "
            f"now there has {dataset.manifest.content[:12]}{told}. Make the run again from it."
        )
    return dataset


def _otherwise(run: Run, dataset: Run) -> str:
    """In what the dataset that is there now was made otherwise than the one a run was made from, as far as it says."""
    kept = next((name for name in sorted(run.manifest.files) if name.endswith(f"/{RECIPE}")), None)
    if kept is None:
        return ""
    run.verify([kept])
    before = Recipe.read(run.path / kept)
    horizon = run.manifest.extra.get("horizon")
    found = before.differences(load_recipe(dataset), horizon)
    return f" ({'; '.join(found[:4])})" if found else " (the same settings, and other bars)"


def write_trained(
    run: Building,
    stored: StoredModel,
    recipe: Recipe,
    held: Dataset,
    probabilities: np.ndarray[Any, np.dtype[np.float32]],
    metrics: dict[str, Any],
) -> None:
    """The files that every trained model leaves."""
    write_model(run.path / "model", stored)
    recipe.write(run.path / "model" / RECIPE)
    write_table(
        predictions_table(held, probabilities),
        run.path / "predictions" / "validation.parquet",
        prediction_contract(),
    )
    write_json(run.path / "metrics.json", metrics)


def predictions_table(data: Dataset, P: np.ndarray[Any, np.dtype[np.float32]]) -> pl.DataFrame:
    """Rows and their probabilities, as `contracts.prediction_contract` has them."""
    return events_table(data).with_columns(
        pl.Series(name, P[:, i]) for i, name in enumerate(("prob_short", "prob_neutral", "prob_long"))
    )
