from __future__ import annotations

import hashlib
import json
import os
import shutil

import pytest
from tests.runs.test_registry import Small, edited, make, parent_of

from foldsmith.errors import FoldsmithError
from foldsmith.runs import lineage
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.lineage import BROKEN, GONE, OTHER, SAME, trace
from foldsmith.runs.manifest import Parent
from foldsmith.runs.registry import find_run
from foldsmith.runs.store import Workspace, open_run


def chain_of(workspace: Workspace, run_id: str) -> list[tuple[str, str]]:
    return [(link.named.kind, link.state) for link in trace(workspace, find_run(workspace, run_id))]


def with_raw(workspace: Workspace) -> str:
    """A raw file, a dataset made from it and a model of that; the model's id."""
    workspace.raw.mkdir(parents=True)
    (workspace.raw / "MES_1m.csv").write_text("bars")
    raw = Parent(kind="raw", id="MES_1m.csv", content=hashlib.sha256(b"bars").hexdigest())
    data = make(workspace, "dataset", workspace.datasets, 0, parents=[raw])
    return make(workspace, "model", workspace.runs, 1, parents=[parent_of(data)]).name


def test_a_chain_goes_back_to_the_raw_file_and_names_each_once(workspace: Workspace) -> None:
    made = Small(workspace)
    found = chain_of(workspace, made.evaluation.name)
    assert found == [("evaluation", SAME), ("model", SAME), ("cv", SAME), ("dataset", SAME)]
    assert chain_of(workspace, "base") == [("cv", SAME), ("dataset", SAME)]
    assert chain_of(workspace, with_raw(workspace)) == [("model", SAME), ("dataset", SAME), ("raw", SAME)]


def test_what_became_of_the_raw_file_is_told(workspace: Workspace) -> None:
    model = with_raw(workspace)
    path = workspace.raw / "MES_1m.csv"
    path.write_text("bars and more")
    raw = trace(workspace, find_run(workspace, model))[-1]
    now = hashlib.sha256(b"bars and more").hexdigest()[:12]
    assert (raw.state, raw.note) == (OTHER, f"{path} was changed since: its hash is {now} now")
    path.unlink()
    assert trace(workspace, find_run(workspace, model))[-1].state == GONE
    path.symlink_to("elsewhere")
    assert trace(workspace, find_run(workspace, model))[-1].state == GONE
    path.unlink()
    os.mkfifo(path)
    assert trace(workspace, find_run(workspace, model))[-1].state == BROKEN


def test_what_became_of_a_parent_is_told_and_the_chain_ends_there(workspace: Workspace) -> None:
    made = Small(workspace)
    kept = workspace.root / "kept"
    shutil.copytree(made.cv, kept)

    def cv_link(run_id: str = made.model.name) -> lineage.Link:
        return next(link for link in trace(workspace, find_run(workspace, run_id)) if link.named.kind == "cv")

    assert cv_link().state == SAME
    edited(made.cv, seed=9)
    assert (cv_link().state, cv_link().manifest) == (BROKEN, None)
    shutil.rmtree(made.cv)
    assert (cv_link().state, cv_link().note) == (GONE, "it is in no folder that was looked at")
    known = parent_of(kept)
    Ledger(workspace.ledger).record_removed("base", "cv", known.content)
    assert cv_link().note.startswith("it was removed by `runs clean` on 2")
    # Another run took the name.
    make(workspace, "cv", workspace.stacking, 30, "base")
    assert cv_link().state == OTHER
    assert "holds content" in cv_link().note
    # A run that holds the same under another name stands for it.
    manifest = json.loads((kept / "manifest.json").read_text()) | {"id": "twin"}
    shutil.copytree(kept, workspace.stacking / "twin")
    (workspace.stacking / "twin" / "manifest.json").write_text(json.dumps(manifest))
    link = cv_link()
    assert (link.state, link.path) == (SAME, workspace.stacking / "twin")
    assert link.note == "base is gone or another now; twin holds the same"
    assert link.manifest is not None


def test_a_chain_as_json_says_whether_code_and_packages_are_those_of_now(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Small(workspace)
    (first, *_) = trace(workspace, find_run(workspace, "base"))
    shown = json.loads(json.dumps(first.as_dict()))
    assert shown["code"]["is_the_code_now"] is True
    assert shown["packages_now"] == {}
    monkeypatch.setattr(lineage, "source_hash", lambda: "0" * 64)
    monkeypatch.setattr(
        lineage, "package_versions", lambda: {**shown["packages"], "numpy": "0"} | {"scipy": None}
    )
    again = first.as_dict()
    assert again["code"]["is_the_code_now"] is False
    assert again["packages_now"] == {"numpy": "0", "scipy": None}
    workspace.ledger.write_bytes(b"no ledger")
    with pytest.raises(FoldsmithError, match="ledger"):
        trace(workspace, open_run(made.cv.parent, made.cv.name))
