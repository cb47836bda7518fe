"""The same seed gives the same bytes: for any number of workers, again, and in another folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from tests.crash.desk import FOLDS, TUNED, Desk, Workspaces, counted

from foldsmith.runs.manifest import Manifest, read

pytestmark = pytest.mark.crash

FAMILIES = ("--models", "lightgbm,logistic,xgboost,random_forest")


def contents(runs: Iterable[tuple[Desk, int]], *words: object) -> list[Manifest]:
    """Manifests of CV runs made in these workspaces by these numbers of workers."""
    made = []
    for number, (desk, workers) in enumerate(runs):
        name = f"run_{number}_{len(words)}"
        desk.done("cv", *FOLDS, *words, "--workers", workers, "--output-name", name)
        made.append(read(desk.workspace.stacking / name))
    return made


def test_one_two_and_four_workers_twice_and_elsewhere_make_equal_cv_runs(
    workspaces: Workspaces, tmp_path: Path, record_property: Any
) -> None:
    """Tuned searches over four families of models; CatBoost, which is slow, is tried once more without."""
    here = workspaces.fresh("dataset", tmp_path / "here")
    there = workspaces.fresh("dataset", tmp_path / "another folder" / "with a longer name é")
    tuned = contents([(here, n) for n in (1, 2, 4, 1, 2, 4)] + [(there, 2)], *FAMILIES, *TUNED)
    plain = contents([(there, 4), (here, 1)], "--models", "catboost")
    for made in (tuned, plain):
        for manifest in made:
            assert manifest.files == made[0].files, manifest.id
            assert manifest.content == made[0].content, manifest.id
    counted(record_property, {"CV runs of equal bytes": len(tuned) + len(plain)})
