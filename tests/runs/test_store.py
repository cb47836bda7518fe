from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.oracles.runs import content_of
from tests.runs.made_runs import FROZEN, describe, fill, frozen_claim, in_processes, make_run

from foldsmith.errors import DataError, FoldsmithError, IntegrityError, MissingError, SettingError
from foldsmith.runs.claim import claim, partial_folder
from foldsmith.runs.ids import new_run_id
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.ledger_file import SCHEMA
from foldsmith.runs.manifest import MANIFEST, LedgerState, Parent, build
from foldsmith.runs.store import LISTED, Run, Workspace, ensure_folder, newest_dataset, open_run, published

HOSTILE = [
    "../../etc",
    "..",
    ".",
    "",
    "/etc",
    "a/b",
    "a\\b",
    ".hidden",
    "-rf",
    "a\0b",
    "a\nb",
    "x" * 129,
    "é",
]


def make(workspace: Workspace, name: str, **options: Any) -> Path:
    """A published run of a chosen name among the models."""
    return make_run(workspace, claim(workspace.runs, name=name), **options)


def dataset(workspace: Workspace, symbol: str, minute: int, name: str | None = None) -> str:
    """A published dataset of a symbol, begun and made at that minute; its id."""
    ensure_folder(workspace.datasets)
    moment = FROZEN + timedelta(minutes=minute)
    claimed = claim(workspace.datasets, name=name, clock=lambda: moment, entropy=lambda: 0)
    make_run(workspace, claimed, kind="dataset", extra={"symbol": symbol}, created=moment)
    return claimed.id


def edit(folder: Path, **changed: Any) -> None:
    """Change fields of a manifest as an editor would."""
    content = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(content | changed))


def one_sentence(error: BaseException) -> None:
    assert "\n" not in str(error)
    assert len(str(error)) < 700


def test_the_fixed_places_are_those_of_the_design(workspace: Workspace) -> None:
    places = (workspace.raw, workspace.datasets, workspace.stacking, workspace.runs, workspace.ledger)
    assert [place.relative_to(workspace.root).as_posix() for place in places] == [
        "data/raw",
        "data/datasets",
        "data/stacking",
        "experiments/runs",
        "experiments/ledger.sqlite",
    ]


def test_a_run_opens_as_it_was_published_and_the_ledger_knows_it(workspace: Workspace) -> None:
    final = make(workspace, "mine", seed=3)
    run = workspace.open_run(workspace.runs, "mine")
    assert run == Run(final, run.manifest)
    assert (run.id, run.manifest.seed, run.path) == ("mine", 3, workspace.runs / "mine")
    run.verify()
    run.verify(["metrics.json"])
    (known,) = Ledger(workspace.ledger).manifest_hashes("mine")
    assert len(known) == 64
    assert open_run(workspace.runs, "mine").manifest == run.manifest  # without a ledger


def test_a_ledger_that_was_cut_is_given_away_by_the_runs_published_after(workspace: Workspace) -> None:
    make(workspace, "first")
    ledger = Ledger(workspace.ledger)
    ledger.record_tag("first", "good", True)
    make(workspace, "second", ledger=LedgerState(**ledger.anchor()._asdict()))
    workspace.open_run(workspace.runs, "second")
    guards = [name for name in SCHEMA if "TRIGGER" in SCHEMA[name]]
    drop = ";".join(f"DROP TRIGGER {name}" for name in guards)
    again = ";".join(SCHEMA[name] for name in guards)
    with closing(sqlite3.connect(workspace.ledger)) as connection:
        connection.executescript(f"{drop}; DELETE FROM entries WHERE id > 2; {again}")
    ledger.check()
    workspace.open_run(workspace.runs, "first")
    with pytest.raises(IntegrityError, match="when run second was published are gone or others"):
        workspace.open_run(workspace.runs, "second")
    # Elsewhere, where its ledger is not, nothing contradicts it.
    other = Workspace(workspace.root / "other")
    other.runs.mkdir(parents=True)
    shutil.copytree(workspace.runs / "second", other.runs / "second")
    Ledger(other.ledger).record_tag("x", "y", True)
    other.open_run(other.runs, "second")


@pytest.mark.parametrize("run_id", HOSTILE)
def test_an_id_that_leaves_the_folder_is_refused_before_anything_is_read(
    workspace: Workspace, run_id: str
) -> None:
    etc = workspace.root.parent / "etc"
    make(workspace, "mine").rename(etc)
    with pytest.raises(SettingError, match=r"^the run id") as caught:
        workspace.open_run(workspace.root / "experiments", run_id)
    one_sentence(caught.value)
    assert not workspace.ledger.with_name("etc").exists()


def test_a_run_that_is_not_there_is_told_with_the_newest_that_are(workspace: Workspace) -> None:
    with pytest.raises(MissingError, match=r"run mine is not there in .*; no run is there\.$"):
        open_run(workspace.runs, "mine")
    with pytest.raises(FileNotFoundError, match=r"no run is there"):
        open_run(workspace.root / "nowhere", "mine")
    for number in range(LISTED + 2):
        make(workspace, f"run{number:02}", created=FROZEN + timedelta(hours=number))
    with pytest.raises(MissingError, match=r"newest runs there are run11, run10, .*, run02 and 2 older\.$"):
        open_run(workspace.runs, "mine")
    claimed = frozen_claim(workspace.runs, name="mine")
    with pytest.raises(MissingError, match=r"run mine is not finished: it is being made"):
        open_run(workspace.runs, "mine")
    claimed.abandon()
    (workspace.runs / "mine").mkdir()
    with pytest.raises(MissingError, match=r"run mine has no manifest\.json, so it is no run in") as caught:
        open_run(workspace.runs, "mine")
    one_sentence(caught.value)


def test_a_file_where_the_folder_of_runs_should_be_is_told(workspace: Workspace) -> None:
    file = workspace.root / "file"
    file.write_text("")
    with pytest.raises(MissingError, match=r"no run is there"):
        open_run(file, "mine")
    assert published(file) == []
    with pytest.raises(FoldsmithError, match=r"cannot make the folder .* move it away"):
        ensure_folder(file)
    with pytest.raises(FoldsmithError, match=r"cannot make the folder .* a file stands where"):
        ensure_folder(file / "deeper")
    assert ensure_folder(workspace.datasets) == ensure_folder(workspace.datasets)


@pytest.mark.parametrize("change", [{"parameters": {"horizon": 5}}, {"seed": 7}, {"command": ["other"]}])
def test_a_changed_manifest_is_found_by_the_hash_that_the_ledger_keeps(
    workspace: Workspace, change: dict[str, Any]
) -> None:
    final = make(workspace, "mine")
    edit(final, **change)  # none of these enters the content hash
    with pytest.raises(IntegrityError, match=r"manifest\.json was changed: its hash is .* ledger") as caught:
        workspace.open_run(workspace.runs, "mine")
    one_sentence(caught.value)
    assert open_run(workspace.runs, "mine").manifest.id == "mine"  # what the ledger is for


def test_a_manifest_of_the_same_words_in_another_spelling_is_found_too(workspace: Workspace) -> None:
    final = make(workspace, "mine")
    edit(final)
    with pytest.raises(IntegrityError, match=r"was changed"):
        workspace.open_run(workspace.runs, "mine")


def test_a_run_in_the_place_of_another_is_found(workspace: Workspace) -> None:
    first, second = make(workspace, "first", text="a"), make(workspace, "second", text="b")
    shutil.rmtree(first)
    second.rename(first)
    with pytest.raises(IntegrityError, match=r"holds run second; give the folder its name back"):
        workspace.open_run(workspace.runs, "first")
    edit(first, id="first")
    with pytest.raises(IntegrityError, match=r"was changed"):
        workspace.open_run(workspace.runs, "first")


def test_a_run_copied_from_another_workspace_opens(workspace: Workspace, tmp_path: Path) -> None:
    other = Workspace(tmp_path / "other")
    ensure_folder(other.runs)
    shutil.copytree(make(workspace, "mine"), other.runs / "mine")
    run = other.open_run(other.runs, "mine")
    run.verify()
    assert not other.ledger.exists()


def test_a_name_used_again_after_its_run_was_deleted_opens(workspace: Workspace) -> None:
    shutil.rmtree(make(workspace, "mine", text="a"))
    make(workspace, "mine", text="b")
    workspace.open_run(workspace.runs, "mine").verify()
    assert len(Ledger(workspace.ledger).manifest_hashes("mine")) == 2


def test_a_run_does_not_open_where_the_ledger_is_gone_or_damaged(workspace: Workspace) -> None:
    make(workspace, "mine")
    workspace.ledger.rename(workspace.root / "kept")
    with pytest.raises(IntegrityError, match=r"the ledger .* is gone"):
        workspace.open_run(workspace.runs, "mine")
    workspace.ledger.write_text("x")
    with pytest.raises(IntegrityError, match=r"the ledger .* is damaged"):
        workspace.open_run(workspace.runs, "mine")
    (workspace.root / "kept").replace(workspace.ledger)
    workspace.open_run(workspace.runs, "mine").verify()


def test_a_link_to_a_run_is_the_run_and_is_checked_as_one(workspace: Workspace, tmp_path: Path) -> None:
    final = make(workspace, "mine")
    final.rename(tmp_path / "large disk")
    final.symlink_to(tmp_path / "large disk")
    assert published(workspace.runs) == ["mine"]
    run = workspace.open_run(workspace.runs, "mine")
    run.verify()
    (tmp_path / "large disk" / "metrics.json").write_text("other")
    with pytest.raises(IntegrityError, match=r"metrics\.json of run mine was changed"):
        run.verify()
    (workspace.runs / "alias").symlink_to("mine")
    with pytest.raises(IntegrityError, match=r"holds run mine; give the folder its name back"):
        workspace.open_run(workspace.runs, "alias")


@pytest.mark.parametrize("target", ["nowhere", "loop", "/etc"])
def test_a_link_to_no_run_is_told(workspace: Workspace, target: str) -> None:
    (workspace.runs / "loop").symlink_to(target)
    assert published(workspace.runs) == []
    with pytest.raises(MissingError, match=r"run loop (is a link that leads to no folder|has no manifest)"):
        workspace.open_run(workspace.runs, "loop")


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_manifest_that_is_no_file_is_refused(workspace: Workspace, kind: str, tmp_path: Path) -> None:
    path = make(workspace, "mine") / MANIFEST
    path.rename(tmp_path / "moved")
    if kind == "link":
        path.symlink_to(tmp_path / "moved")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(DataError, match=r"ordinary file"):
        workspace.open_run(workspace.runs, "mine")


def test_published_is_newest_first_whatever_the_names(workspace: Workspace) -> None:
    def begun(hour: int) -> datetime:
        return FROZEN + timedelta(hours=hour)

    made = [
        claim(workspace.runs, prefix="z_h5_", clock=lambda: begun(1)),
        claim(workspace.runs, prefix="a_h5_", clock=lambda: begun(3)),
    ]
    ids = [claimed.id for claimed in made]
    for claimed in reversed(made):
        make_run(workspace, claimed)
    make(workspace, "older", created=begun(0))
    make(workspace, "between", created=begun(2))
    make(workspace, "newest", created=begun(4).astimezone(UTC))
    make(workspace, "unreadable", created=begun(9))
    (workspace.runs / "unreadable" / MANIFEST).write_text("{")
    assert published(workspace.runs) == ["newest", ids[1], "between", ids[0], "older", "unreadable"]


def test_published_passes_over_all_that_is_no_run(workspace: Workspace) -> None:
    final = make(workspace, "mine")
    frozen_claim(workspace.runs).release()
    partial_folder(workspace.runs, "whole").mkdir()
    shutil.copy(final / MANIFEST, partial_folder(workspace.runs, "whole"))
    shutil.copytree(final, workspace.runs / "mine (copy)")
    (workspace.runs / "empty").mkdir()
    (workspace.runs / "file").write_text("")
    assert published(workspace.runs) == ["mine"]
    assert published(workspace.root / "nowhere") == []


def test_the_newest_dataset_of_a_symbol_is_found(workspace: Workspace) -> None:
    with pytest.raises(
        MissingError, match=r"no dataset in .*; there is no dataset yet\. .*--symbols SYMBOL$"
    ):
        newest_dataset(workspace)
    dataset(workspace, "MES", 1)
    second = dataset(workspace, "MES", 2)
    assert newest_dataset(workspace).id == second
    assert newest_dataset(workspace, "MES").id == second
    third = dataset(workspace, "MES", 3, name="a_chosen_name")
    assert newest_dataset(workspace).id == third
    gold = dataset(workspace, "MGC", 0)
    assert newest_dataset(workspace, "MGC").id == gold
    assert newest_dataset(workspace, "MES").id == third


def test_the_errors_of_choosing_a_dataset_say_what_to_do(workspace: Workspace) -> None:
    dataset(workspace, "MES", 1)
    with pytest.raises(
        MissingError, match=r"no dataset of CL .*; there are datasets of MES\. .*--symbols CL$"
    ):
        newest_dataset(workspace, "CL")
    dataset(workspace, "MGC", 2)
    with pytest.raises(SettingError, match=r"holds datasets of MES, MGC; say which with --symbol") as caught:
        newest_dataset(workspace)
    one_sentence(caught.value)


def test_the_newest_dataset_is_not_passed_over_because_it_is_damaged(workspace: Workspace) -> None:
    dataset(workspace, "MES", 1)
    newest = workspace.datasets / dataset(workspace, "MES", 2)
    edit(newest, seed=9)
    with pytest.raises(IntegrityError, match=r"was changed"):
        newest_dataset(workspace)
    (newest / MANIFEST).write_text("{")
    with pytest.raises(DataError, match=r"not the JSON that was written"):
        newest_dataset(workspace, "MES")


def evaluate(workspace: Workspace, model: Run, text: str) -> Run:
    """An evaluation published in a model's own folder, as stages do."""
    folder = ensure_folder(model.path / "evaluations")
    with claim(folder) as claimed:
        (claimed.path / "metrics.json").write_text(text)
        (claimed.path / "report.html").write_text("<html>")
        final = make_run(workspace, claimed, text, kind="evaluation")
    return workspace.open_run(folder, final.name)


def test_evaluations_added_to_a_published_model_leave_it_whole(workspace: Workspace) -> None:
    final = make(workspace, "mine")
    model = workspace.open_run(workspace.runs, "mine")
    content = content_of(final, [])
    first, second = evaluate(workspace, model, "one"), evaluate(workspace, model, "two")
    frozen_claim(final / "evaluations").release()  # one that was killed
    (final / "train.log").write_text("added later")
    (final / "report.html").write_text("<html>")

    again = workspace.open_run(workspace.runs, "mine")
    again.verify()
    model.verify()
    assert again.manifest.content == content == content_of(final, [])
    assert build(final, kind="model", id="x", created=FROZEN, command=[], parameters={}).content == content
    assert published(workspace.runs) == ["mine"]
    assert published(final / "evaluations") == sorted((first.id, second.id), reverse=True)
    assert first.manifest.content != second.manifest.content
    first.verify()
    second.verify()


@pytest.mark.parametrize("path", ["metrics.json", "model/model.json"])
def test_a_tampered_file_is_named_beside_evaluations_too(workspace: Workspace, path: str) -> None:
    final = make(workspace, "mine")
    evaluated = evaluate(workspace, workspace.open_run(workspace.runs, "mine"), "one")
    (final / path).write_text("tampered")
    with pytest.raises(IntegrityError, match=rf"^{path} of run mine was changed"):
        workspace.open_run(workspace.runs, "mine").verify()
    evaluated.verify()
    (evaluated.path / path).write_text("tampered")
    with pytest.raises(IntegrityError, match=rf"^{path} of run {evaluated.id} was changed"):
        workspace.open_run(final / "evaluations", evaluated.id).verify()


def test_a_model_that_many_evaluate_at_once_stays_whole(workspace: Workspace) -> None:
    make(workspace, "mine")
    model = workspace.open_run(workspace.runs, "mine")

    def work(number: int) -> str:
        folder = ensure_folder(model.path / "evaluations")
        with frozen_claim(folder) as claimed:
            fill(claimed.path, f"by {number}")
            make_run(workspace, claimed, f"by {number}", kind="evaluation")
        counts = Ledger(workspace.ledger).record_look(
            run_id="mine", content=model.manifest.content, fingerprint="data", split="test", horizon=20
        )
        return f"{claimed.id} {counts.of_run}"

    found = [line.split() for line in in_processes(16, work)]
    assert len({run_id for run_id, _ in found}) == 16
    assert sorted(int(count) for _, count in found) == list(range(1, 17))
    workspace.open_run(workspace.runs, "mine").verify()
    for run_id, _ in found:
        workspace.open_run(model.path / "evaluations", run_id).verify()


def test_parents_enter_by_content_hash_alone(workspace: Workspace) -> None:
    folder = workspace.root / "folder"
    folder.mkdir()
    fill(folder)
    one = describe(folder, "a", parents=[Parent(kind="dataset", id="x", content="a" * 64)])
    two = describe(folder, "b", parents=[Parent(kind="cv", id=new_run_id(FROZEN, 1), content="a" * 64)])
    other = describe(folder, "b", parents=[Parent(kind="cv", id="x", content="b" * 64)])
    assert one.content == two.content == content_of(folder, ["a" * 64])
    assert other.content != one.content
