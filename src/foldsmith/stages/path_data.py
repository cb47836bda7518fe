"""Combinatorial paths on disk: one table a model, in the run that made them, checked on write and on read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from foldsmith.contracts import path_contract, path_names, probability_columns
from foldsmith.errors import DataError, SettingError
from foldsmith.runs.store import Run
from foldsmith.stages.scores import probability_matrix
from foldsmith.stages.tables import read_metadata, read_table, write_table
from foldsmith.validation.cross_validate import Probabilities
from foldsmith.validation.path_groups import PathGroups

BASE = "paths/{}_h{}.parquet"
"""In a CV run, by model and horizon."""
ENSEMBLE = "predictions/paths.parquet"
"""In the run of an ensemble."""
EVENT = ("datetime", "label_end", "y_true", "sample_weight")


@dataclass(frozen=True)
class StoredPaths:
    """Paths of one model: rows with `EVENT`, and P, float32 (n_paths, n, 3) in class order -1, 0, 1."""

    groups: PathGroups
    rows: pl.DataFrame
    P: Probabilities


def write_paths(paths: StoredPaths, file: Path, about: Mapping[str, Any]) -> None:
    """Write the table; `about` says what it is made of, by content, and travels in the file."""
    columns = {
        column: paths.P[number, :, code]
        for number, name in enumerate(path_names(paths.groups.n_paths))
        for code, column in enumerate(probability_columns(name))
    }
    frame = paths.rows.select(EVENT).with_columns(**{name: pl.Series(each) for name, each in columns.items()})
    metadata = {**about, "paths": [paths.groups.groups, paths.groups.tested]}
    write_table(frame, file, path_contract(paths.groups.n_paths), metadata)


def read_paths(run: Run, name: str) -> StoredPaths:
    """Read the table `name` of a run, its hash and contract checked; DataError for what is none."""
    run.verify([name])
    kept = read_metadata(run.path / name).get("paths")
    try:
        groups = PathGroups.stored(kept)
    except SettingError as error:
        raise DataError(f"{run.path / name} does not say what paths it holds: {error}") from error
    if groups is None:
        raise DataError(f"{run.path / name} does not say what paths it holds; make the run again.")
    frame = read_table(run.path / name, path_contract(groups.n_paths))
    P = np.stack([probability_matrix(frame, (each,)) for each in path_names(groups.n_paths)])
    return StoredPaths(groups, frame.select(EVENT), P)
