"""The same seed gives the same bytes: for any number of workers, again, and in another folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.crash.desk import FOLDS, TUNED, Workspaces, counted

from foldsmith.runs.manifest import Manifest, read

pytestmark = pytest.mark.crash

MODELS = ("--models", "lightgbm,logistic,xgboost,random_forest,catboost")


def test_one_two_and_four_workers_twice_and_elsewhere_make_equal_cv_runs(
    workspaces: Workspaces, tmp_path: Path, record_property: Any
) -> None:
    """A tuned search over every family of models."""
    here = workspaces.fresh("dataset", tmp_path / "here")
    there = workspaces.fresh("dataset", tmp_path / "another folder" / "with a longer name é")
    made: dict[str, Manifest] = {}
    for desk, workers, turn in (
        *((here, workers, turn) for workers in (1, 2, 4) for turn in (1, 2)),
        (there, 2, 1),
    ):
        name = f"by_{workers}_turn_{turn}"
        desk.done("cv", *FOLDS, *TUNED, *MODELS, "--workers", workers, "--output-name", name)
        made[f"{desk.path.name} {name}"] = read(desk.workspace.stacking / name)
    (first, *others) = made.values()
    for name, manifest in made.items():
        assert manifest.files == first.files, name
        assert manifest.content == first.content, name
    counted(record_property, {"CV runs of equal bytes": 1 + len(others)})
