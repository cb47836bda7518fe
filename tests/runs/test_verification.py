from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.runs.test_registry import Small, edited

from foldsmith.runs.manifest import read
from foldsmith.runs.store import Workspace
from foldsmith.runs.verification import added_files, problems_of_run


def test_whole_runs_have_no_problem_evaluations_and_hidden_files_or_not(workspace: Workspace) -> None:
    made = Small(workspace)
    (made.model / ".note").write_text("x")
    (made.model / "evaluations" / ".x.partial").mkdir()
    (made.model / "train.log").write_text("x")
    (made.model / "report.html").write_text("x")
    for path in (made.dataset, made.cv, made.model, made.evaluation):
        assert problems_of_run(path, workspace.ledger) == []
        assert problems_of_run(path, None) == []


def test_every_changed_missing_and_added_file_is_named_not_only_the_first(workspace: Workspace) -> None:
    made = Small(workspace)
    (made.cv / "metrics.json").write_text("changed")
    (made.cv / "model" / "model.json").unlink()
    (made.cv / "model" / "more.json").write_text("x")
    (made.cv / "link").symlink_to("metrics.json")
    found = problems_of_run(made.cv, workspace.ledger)
    assert [problem.split(" of run")[0].split(" was added")[0] for problem in found] == [
        "metrics.json",
        "model/model.json",
        "link",
        "model/more.json",
    ]
    assert all("\n" not in problem for problem in found)


@pytest.mark.parametrize(
    "add",
    [
        lambda model: (model / "evaluations" / "notes.txt").write_text("x"),
        lambda model: (
            (model / "evaluations" / "mine").mkdir() or (model / "evaluations" / "mine" / "x").write_text("x")
        ),
        lambda model: (model / "evaluations" / "link").symlink_to(model),
    ],
)
def test_what_is_no_evaluation_is_named_among_them(
    workspace: Workspace, add: Callable[[Path], object]
) -> None:
    made = Small(workspace)
    add(made.model)
    (named,) = added_files(made.model, read(made.model))
    assert named.startswith("evaluations/")


def test_a_manifest_that_was_edited_is_found_by_the_ledger_alone(workspace: Workspace) -> None:
    made = Small(workspace)
    edited(made.cv, seed=7)
    (problem,) = problems_of_run(made.cv, workspace.ledger)
    assert "manifest.json was changed" in problem
    assert problems_of_run(made.cv, None) == []
    (made.cv / "manifest.json").unlink()
    (problem,) = problems_of_run(made.cv, workspace.ledger)
    assert "manifest.json" in problem
