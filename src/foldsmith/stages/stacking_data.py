"""What a cross-validation run left for ensembles, found, checked and read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from foldsmith.contracts import base_prediction_contract, oof_contract
from foldsmith.errors import DataError, IntegrityError, MissingError
from foldsmith.runs.files import disk_errors_told
from foldsmith.runs.store import Run, Workspace, open_run
from foldsmith.stages.tables import read_metadata, read_table

STACKING = "stacking/stacking_dataset_h{}.parquet"
VALIDATION = "stacking/validation_h{}.parquet"
DEFAULT_FOLDER = Path("data/stacking")


@dataclass(frozen=True)
class Stacking:
    """Stored predictions of one horizon: out of fold, and of the refitted models on validation."""

    data: pl.DataFrame
    validation: pl.DataFrame
    metadata: dict[str, Any]


def load_phase3_stacking_data(
    cv_run_id: str, horizon: int, phase3_base_dir: str | Path = DEFAULT_FOLDER
) -> dict[str, Any]:
    """Read the out-of-fold table of a CV run: `data` (polars, see `contracts.oof_contract`) and its `metadata`.

    Raises FileNotFoundError naming the path that was expected and the runs or horizons there are, and ValueError
    naming the column (or the file) that breaks the contract.

    >>> load_phase3_stacking_data("no_such_run", 20)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    FileNotFoundError: run no_such_run is not there in data/stacking; no run is there.
    """
    folder = Path(phase3_base_dir)
    run = open_run(folder, cv_run_id)
    data, metadata = _read_oof(run, horizon)
    return {"data": data, "metadata": metadata}


def find_cv_run(workspace: Workspace, cv_run_id: str, folder: Path) -> Run:
    """Open a CV run of `folder`, its manifest compared with the workspace's ledger; refuses other kinds of runs."""
    run = workspace.open_run(folder, cv_run_id)
    if run.manifest.kind != "cv":
        raise DataError(f"run {cv_run_id} in {folder} is a {run.manifest.kind} run; a CV run is needed.")
    return run


def read_stacking(run: Run, horizon: int) -> Stacking:
    """Read both tables of one horizon, hashes and contracts checked."""
    data, metadata = _read_oof(run, horizon)
    path = VALIDATION.format(horizon)
    run.verify([path])
    validation = read_table(run.path / path, base_prediction_contract(metadata["models"]))
    return Stacking(data, validation, metadata)


def _read_oof(run: Run, horizon: int) -> tuple[pl.DataFrame, dict[str, Any]]:
    path = STACKING.format(horizon)
    if path not in run.manifest.files:
        pattern = re.compile(re.escape(STACKING).replace(r"\{\}", r"(\d+)"))
        there = sorted(int(found[1]) for name in run.manifest.files if (found := pattern.fullmatch(name)))
        listed = ", ".join(map(str, there)) or "none"
        raise MissingError(
            f"{run.path / path} is not there: CV run {run.path.name} has no horizon {horizon}; it has {listed}."
        )
    # Read first, so that a table somebody broke is told by its column; then compared with its hash.
    with disk_errors_told(f"read {run.path / path}"):
        metadata = _checked(read_metadata(run.path / path), run.path / path, horizon)
        data = read_table(run.path / path, oof_contract(metadata["models"]))
        run.verify([path])
    return data, metadata


def _checked(metadata: dict[str, Any], path: Path, horizon: int) -> dict[str, Any]:
    models = metadata.get("models")
    if not isinstance(models, list) or not models or not all(isinstance(name, str) for name in models):
        raise DataError(f"{path} does not say whose predictions it holds; make the CV run again.")
    if metadata.get("horizon") != horizon:
        raise IntegrityError(f"{path} holds horizon {metadata.get('horizon')!r:.40}, not {horizon}.")
    if not isinstance(metadata.get("validation"), dict) or not isinstance(metadata.get("embargo_bars"), int):
        raise DataError(f"{path} does not say how its folds were kept apart; make the CV run again.")
    return metadata
