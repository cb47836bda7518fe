from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import time
from pathlib import Path

import pytest
from tests.runs.made_runs import Faults, describe, disk_full, fill, frozen_claim, in_processes, killed
from tests.runs.test_claim import left_by_the_dead
from tests.runs.test_registry import Small, listed, make, parent_of

from foldsmith.errors import FoldsmithError
from foldsmith.runs.claim import claim, partial_folder, reopen
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.lock import LOCK, Lock
from foldsmith.runs.manifest import write
from foldsmith.runs.registry import FINISHED, gone_runs
from foldsmith.runs.removal import SETTLED_SECONDS, Policy, carry_out, plan_clean
from foldsmith.runs.store import Workspace

fork = multiprocessing.get_context("fork")
EVERYTHING = Policy(keep_last=0, partial=True)


def quiet(_: str) -> None:
    """Nobody listens."""


def clean(workspace: Workspace, policy: Policy = EVERYTHING, now: float | None = None) -> list[Path]:
    """Plan and remove; the folders of the runs that went."""
    plan = plan_clean(workspace, policy, now)
    assert carry_out(workspace, plan, quiet) == 0
    return [run.path for run in plan.runs]


def there(workspace: Workspace) -> set[Path]:
    """Folders of all runs, unfinished ones too."""
    return {run.path for run in listed(workspace)}


def everything(folder: Path) -> list[str]:
    """Every path below a folder, the ledger's own files aside."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if "ledger" not in path.name)


def test_a_plan_changes_nothing_and_goes_from_evaluations_to_datasets(workspace: Workspace) -> None:
    made = Small(workspace)
    before = everything(workspace.root)
    plan = plan_clean(workspace, EVERYTHING)
    assert [run.path for run in plan.runs] == [made.evaluation, made.model, made.cv, made.dataset]
    assert everything(workspace.root) == before
    sizes = {path: sum(f.stat().st_size for f in path.rglob("*") if f.is_file()) for path in plan.sizes}
    assert plan.sizes == sizes
    assert plan.bytes == sum(sizes[path] for path in (made.model, made.cv, made.dataset))
    shown = json.loads(json.dumps(plan.as_dict()))
    assert [run["kind"] for run in shown["remove"]] == ["evaluation", "model", "cv", "dataset"]
    assert plan_clean(workspace, Policy()).is_empty


def test_what_is_removed_is_entered_in_the_ledger_and_missed_by_nobody(workspace: Workspace) -> None:
    made = Small(workspace)
    known = {(run.id, run.kind, run.content) for run in listed(workspace)}
    said: list[str] = []
    assert carry_out(workspace, plan_clean(workspace, EVERYTHING), said.append) == 0
    assert said == [
        f"removed {kind} {path}"
        for kind, path in (
            ("evaluation", made.evaluation), ("model", made.model), ("cv", made.cv), ("dataset", made.dataset),
        )
    ]  # fmt: skip
    assert everything(workspace.root) == [
        "data",
        "data/datasets",
        "data/stacking",
        "experiments",
        "experiments/runs",
    ]
    ledger = Ledger(workspace.ledger)
    assert {entry[:3] for entry in ledger.removed()} == known
    assert gone_runs(ledger, listed(workspace)) == []
    ledger.check()


def test_the_last_runs_and_all_they_were_made_from_stay(workspace: Workspace) -> None:
    made = Small(workspace)
    other = make(workspace, "dataset", workspace.datasets, 10, extra={"symbol": "MES"})
    model = make(
        workspace,
        "model",
        workspace.runs,
        11,
        parents=[parent_of(other)],
        extra={"symbol": "MES", "model": "x", "horizon": 5},
    )
    make(
        workspace, "cv", workspace.stacking, 12, "newer", parents=[parent_of(other)], extra={"symbol": "MES"}
    )
    # The evaluation is the last of its kind, so its model stays, with its CV run and dataset.
    assert clean(workspace, Policy(keep_last=1)) == []
    shutil.rmtree(made.evaluation)
    assert clean(workspace, Policy(keep_last=1)) == [made.model, made.cv, made.dataset]
    assert there(workspace) == {other, model, workspace.stacking / "newer"}


def test_a_tag_keeps_a_run_and_its_chain(workspace: Workspace) -> None:
    made = Small(workspace)
    Ledger(workspace.ledger).record_tag("base", "good", True)
    clean(workspace)
    assert there(workspace) == {made.cv, made.dataset}


def test_a_live_owner_is_never_touched_and_a_dead_one_only_when_asked(workspace: Workspace) -> None:
    made = Small(workspace)
    with frozen_claim(workspace.runs) as live:
        fill(live.path)
        dead = left_by_the_dead(workspace.runs, "dead")
        assert clean(workspace, Policy(keep_last=0)) == [made.evaluation, made.model]
        # What the live run is made from is not known: datasets and CV runs stay.
        left = partial_folder(workspace.runs, dead)
        assert there(workspace) == {live.path, left, made.cv, made.dataset}
        assert clean(workspace) == [left]
        assert there(workspace) == {live.path, made.cv, made.dataset}
        assert (live.path / "metrics.json").exists()
        assert live.publish().is_dir()


def test_a_model_that_is_being_evaluated_stays(workspace: Workspace) -> None:
    made = Small(workspace)
    with claim(made.model / "evaluations", prefix="test_"):
        assert clean(workspace) == [made.evaluation]
    assert clean(workspace) == [made.model, made.cv, made.dataset]


def test_a_cv_run_that_can_be_resumed_keeps_its_dataset(workspace: Workspace) -> None:
    data = make(workspace, "dataset", workspace.datasets)
    known = parent_of(data)
    workspace.stacking.mkdir(parents=True)
    left = partial_folder(workspace.stacking, left_by_the_dead(workspace.stacking, "dead"))
    settings = {"dataset": known.id, "content": known.content, "models": ["xgboost"], "horizons": [5]}
    (left / ".settings.json").write_text(json.dumps(settings))
    assert clean(workspace, Policy(keep_last=0)) == []
    assert clean(workspace) == [left, data]


def test_a_run_killed_just_before_its_last_rename_is_not_missed_when_it_goes(workspace: Workspace) -> None:
    claimed = claim(workspace.runs, name="mine", resumable=True)
    fill(claimed.path)
    manifest = describe(claimed.path, "mine")
    ledger = Ledger(workspace.ledger)
    ledger.record_published("mine", "model", manifest.content, write(claimed.path, manifest))
    claimed.release()
    assert gone_runs(ledger, listed(workspace)) == []
    clean(workspace)
    assert there(workspace) == set()
    assert gone_runs(ledger, listed(workspace)) == []
    assert [entry.run_id for entry in ledger.removed()] == ["mine"]


def test_what_came_into_use_while_the_plan_was_read_stays(workspace: Workspace) -> None:
    made = Small(workspace)
    plan = plan_clean(workspace, EVERYTHING)
    newer = make(workspace, "model", workspace.runs, 9, parents=[parent_of(made.dataset)])
    Ledger(workspace.ledger).record_tag(newer.name, "final", True)
    Ledger(workspace.ledger).record_tag("base", "good", True)
    said: list[str] = []
    assert carry_out(workspace, plan, said.append) == 2
    assert there(workspace) == {newer, made.dataset, made.cv}
    assert f"left {made.cv}: tagged good" in said
    # A run that another process took over since, or holds now, is left too.
    dead = partial_folder(workspace.runs, left_by_the_dead(workspace.runs, "dead"))
    plan = plan_clean(workspace, EVERYTHING)
    with reopen(workspace.runs, "dead"):
        assert carry_out(workspace, plan, said.append) == 1
    assert dead.is_dir()
    lone = make(workspace, "model", workspace.runs, 20)
    plan = plan_clean(workspace, Policy(keep_last=0))
    lock = Lock.take(lone)
    assert lock is not None
    assert carry_out(workspace, plan, said.append) == 1
    assert said[-1] == f"left {lone}: another process removes it"
    lock.release()
    assert clean(workspace, Policy(keep_last=0)) == [lone]


def test_two_that_clean_at_once_remove_each_run_once(workspace: Workspace) -> None:
    for number in range(12):
        make(workspace, "model", workspace.runs, number)

    def one(_: int) -> str:
        carry_out(workspace, plan_clean(workspace, EVERYTHING), quiet)
        return "done"

    assert in_processes(3, one) == ["done"] * 3
    assert clean(workspace) == []
    assert everything(workspace.runs) == []
    assert gone_runs(Ledger(workspace.ledger), []) == []


# --- kills and full disks -----------------------------------------------------------------------------------------


def prepared(root: Path) -> Workspace:
    """Two models of one dataset, one with an evaluation, and an unfinished run."""
    workspace = Workspace(root)
    data = make(workspace, "dataset", workspace.datasets)
    model = make(workspace, "model", workspace.runs, 1, parents=[parent_of(data)])
    make(workspace, "evaluation", model / "evaluations", 2, parents=[parent_of(model)])
    kept = make(workspace, "model", workspace.runs, 3, "kept", parents=[parent_of(data)])
    claim(workspace.runs, name="dead", resumable=True).release()
    Ledger(workspace.ledger).record_tag(kept.name, "good", True)
    return workspace


def test_a_kill_at_any_step_hides_nothing_and_the_next_clean_ends_the_work(tmp_path: Path) -> None:
    whole = prepared(tmp_path / "whole")
    counted = Faults(10**9, disk_full)
    with pytest.MonkeyPatch.context() as patch:
        counted.install(patch)
        clean(whole)
    assert {"open", "pwrite", "rename", "unlink", "rmdir", "fsync"} <= set(counted.steps)
    template = prepared(tmp_path / "template")
    before = {run.id: run.content for run in listed(template)}
    for at in range(len(counted.steps)):
        workspace = Workspace(tmp_path / str(at))
        shutil.copytree(template.root, workspace.root)

        def clean_and_die(at: int = at, workspace: Workspace = workspace) -> None:
            with pytest.MonkeyPatch.context() as patch:
                Faults(at, killed).install(patch)
                clean(workspace)

        process = fork.Process(target=clean_and_die)
        process.start()
        process.join()
        assert process.exitcode == -9, (at, counted.steps[at])
        # What is in sight is whole, and what is not was entered as removed.
        runs = listed(workspace)
        for run in runs:
            if run.state == FINISHED:
                assert run.content == before[run.id]
                assert all((run.path / name).is_file() for name in ("metrics.json", "model/model.json"))
        assert gone_runs(Ledger(workspace.ledger), runs) == []
        assert "kept" in {run.id for run in runs}
        # What is left of a folder shows by its lock that nobody works on it.
        for aside in workspace.runs.glob("**/.[!d]*.abandoned"):
            assert (aside / LOCK).exists() or not list(aside.iterdir())
        # The rest of a folder that was killed while it was deleted, its lock gone already, goes when it has aged.
        clean(workspace, now=time.time() + SETTLED_SECONDS + 1)
        assert everything(workspace.root) == everything(whole.root), (at, counted.steps[at])
        assert gone_runs(Ledger(workspace.ledger), listed(workspace)) == []
        shutil.rmtree(workspace.root)


def test_a_disk_that_fails_is_told_in_one_sentence_and_loses_nothing(tmp_path: Path) -> None:
    template = prepared(tmp_path / "template")
    for at in range(0, 40, 3):
        workspace = Workspace(tmp_path / str(at))
        shutil.copytree(template.root, workspace.root)
        with pytest.MonkeyPatch.context() as patch:
            faults = Faults(at, disk_full, lasting=True)
            faults.install(patch, spared=("unlink", "rmdir"))
            try:
                carry_out(workspace, plan_clean(workspace, EVERYTHING), quiet)
            except FoldsmithError as error:
                told = str(error)
            else:
                told = "the disk is full; free some space"  # no step was left to fail
        assert "the disk is full; free some space" in told
        assert "\n" not in told
        assert gone_runs(Ledger(workspace.ledger), listed(workspace)) == []
        clean(workspace)
        assert {path.name for path in there(workspace)} == {"kept", *os.listdir(workspace.datasets)}


def test_nothing_goes_that_could_not_be_entered_in_the_ledger(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Small(workspace)
    before = everything(workspace.root)

    def fails(*_: object) -> None:
        raise FoldsmithError("the disk is full")

    plan = plan_clean(workspace, EVERYTHING)
    monkeypatch.setattr(Ledger, "record_removed", fails)
    with pytest.raises(FoldsmithError, match="the disk is full"):
        carry_out(workspace, plan, quiet)
    monkeypatch.undo()
    assert set(everything(workspace.root)) - set(before) <= {
        str((made.evaluation / LOCK).relative_to(workspace.root))
    }
    assert clean(workspace) == [made.evaluation, made.model, made.cv, made.dataset]


# --- what kills left, links, and folders of the user's own --------------------------------------------------------


def test_rubbish_goes_when_nobody_works_on_it(workspace: Workspace) -> None:
    made = Small(workspace)
    gone_process = fork.Process(target=quiet, args=("",))
    gone_process.start()
    gone_process.join()
    assert gone_process.pid is not None

    def half_written(folder: Path, process: int) -> Path:
        path = folder / f".x.json.{process}.0123abcd.writing"
        path.write_text("half")
        return path

    def set_aside(folder: Path, locked: bool) -> Path:
        path = folder / ".mine.0.abandoned"
        (path / "model").mkdir(parents=True)
        (path / "model" / "model.json").write_text("half")
        if locked:
            (path / LOCK).write_text("{}")
        return path

    dead = [
        half_written(workspace.ledger.parent, gone_process.pid),
        half_written(workspace.runs, gone_process.pid),
        half_written(made.model / "model", gone_process.pid),
        half_written(made.evaluation, gone_process.pid),
        half_written(workspace.datasets, gone_process.pid),
        set_aside(workspace.stacking, locked=False),
        set_aside(made.model / "evaluations", locked=False),
    ]
    live = half_written(workspace.stacking, os.getpid())
    log = workspace.ledger.parent / f".ledger.sqlite.{gone_process.pid}.0123abcd.writing-wal"
    log.write_text("half")
    for name in (".x.writing", ".x.y.0123abcd.writing", "x.5.0123abcd.writing", ".mine.abandoned"):
        (workspace.runs / name).mkdir()  # none of ours
    # Fresh ones may be somebody's on another host; a folder whose lock is free is nobody's.
    ours = set_aside(workspace.datasets, locked=True)
    assert [item.path for item in plan_clean(workspace, Policy()).rubbish] == [ours]
    held = Lock.take(ours)
    assert held is not None
    assert plan_clean(workspace, Policy()).rubbish == []
    held.release()
    later = time.time() + SETTLED_SECONDS + 1
    plan = plan_clean(workspace, Policy(), later)
    assert {item.path for item in plan.rubbish} == {*dead, log, ours}
    assert all(item.bytes >= 4 for item in plan.rubbish)
    carry_out(workspace, plan, quiet)
    assert not any(path.exists() for path in (*dead, log, ours))
    assert live.exists()
    assert there(workspace) == {made.dataset, made.cv, made.model, made.evaluation}


def test_links_and_what_they_lead_to_are_never_removed(workspace: Workspace, tmp_path: Path) -> None:
    made = Small(workspace)
    outside = tmp_path / "outside"
    outside.mkdir()
    # A run that is a link: kept, and with it all it was made from.
    made.cv.rename(outside / "base")
    made.cv.symlink_to(outside / "base")
    # A link inside a run: the link goes, what it leads to stays.
    (outside / "notes").mkdir()
    (outside / "notes" / "precious").write_text("x")
    ended = fork.Process(target=quiet, args=("",))
    ended.start()
    ended.join()
    (outside / "notes" / f".x.{ended.pid}.0123abcd.writing").write_text("somebody else's")
    (made.model / "notes").symlink_to(outside / "notes")
    (workspace.runs / ".x.0.abandoned").symlink_to(outside / "notes")
    plan = plan_clean(workspace, EVERYTHING, time.time() + 2 * SETTLED_SECONDS)
    assert {run.path: reason for run, reason in plan.kept} == {
        made.cv: "a link; remove it by hand if you mean to",
        made.dataset: "base was made from it",
    }
    assert plan.rubbish == []
    carry_out(workspace, plan, quiet)
    assert there(workspace) == {made.cv, made.dataset}
    assert (outside / "notes" / "precious").exists()
    assert (outside / "base" / "metrics.json").exists()


def test_a_folder_of_runs_that_leads_out_of_the_workspace_is_left_alone(
    workspace: Workspace, tmp_path: Path
) -> None:
    made = Small(workspace)
    workspace.stacking.rename(tmp_path / "outside")
    workspace.stacking.symlink_to(tmp_path / "outside")
    (made.model / "evaluations").rename(tmp_path / "evaluations")
    (made.model / "evaluations").symlink_to(tmp_path / "evaluations")
    left = workspace.stacking / ".mine.0.abandoned"
    left.mkdir()
    plan = plan_clean(workspace, EVERYTHING, time.time() + 2 * SETTLED_SECONDS)
    assert plan.is_empty
    reasons = {run.path: reason for run, reason in plan.kept}
    assert "leads out of the workspace" in reasons[made.cv]
    assert "leads out of the workspace" in reasons[made.evaluation]
    assert reasons[made.model] == f"{made.evaluation.name} was made from it"


def test_runs_in_folders_of_ones_own_are_kept_with_their_origins(workspace: Workspace) -> None:
    made = Small(workspace)
    mine = workspace.root / "mine"
    far = make(workspace, "model", mine, 8, "far", parents=[parent_of(made.dataset)])
    plan = plan_clean(workspace, Policy(keep_last=0, also=(mine,)))
    assert {run.path: reason for run, reason in plan.kept} == {
        far: "in a folder of your own; remove it by hand if you mean to",
        made.dataset: "far was made from it",
    }
    assert plan.not_found == []
    # Without its folder being named, the run is known to be somewhere.
    plan = plan_clean(workspace, Policy(keep_last=0))
    assert [entry.run_id for entry in plan.not_found] == ["far"]


def test_what_is_gone_is_entered_as_removed_when_asked(workspace: Workspace) -> None:
    made = Small(workspace)
    shutil.rmtree(made.cv)
    ledger = Ledger(workspace.ledger)
    plan = plan_clean(workspace, Policy(gone=True))
    assert [entry.run_id for entry in plan.gone] == ["base"]
    assert not plan.is_empty
    carry_out(workspace, plan, quiet)
    assert [entry.run_id for entry in ledger.removed()] == ["base"]
    assert plan_clean(workspace, Policy(gone=True)).is_empty
    assert there(workspace) == {made.dataset, made.model, made.evaluation}


def test_a_ledger_that_cannot_be_asked_stops_the_plan(workspace: Workspace) -> None:
    Small(workspace)
    workspace.ledger.write_bytes(b"no ledger")
    with pytest.raises(FoldsmithError, match="ledger"):
        plan_clean(workspace, EVERYTHING)
