from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest
from tests.runs.made_runs import FROZEN, FROZEN_ID, fill, frozen_claim, make_run

from foldsmith.errors import FoldsmithError, MissingError, SettingError, TakenError
from foldsmith.runs import claim as claim_module
from foldsmith.runs.claim import Claim, claim, partial_folder, partials, reopen
from foldsmith.runs.ids import RUN_ID
from foldsmith.runs.lock import LOCK, is_held
from foldsmith.runs.manifest import read
from foldsmith.runs.store import Workspace, open_run, published

fork = multiprocessing.get_context("fork")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def everything_about(folder: Path) -> dict[Path, tuple[int, int, int, bytes]]:
    """Times, inode and bytes of a folder and all that lies in it."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        state = path.stat()
        content = path.read_bytes() if path.is_file() else b""
        found[path] = (state.st_mtime_ns, state.st_ctime_ns, state.st_ino, content)
    return found


def left_by_the_dead(parent: Path, name: str | None = None) -> str:
    """The id of a run that another process began, filled and did not live to finish."""
    reader, writer = fork.Pipe()

    def begin() -> None:
        claimed = frozen_claim(parent, name=name)
        fill(claimed.path)
        writer.send(claimed.id)
        os._exit(1)

    process = fork.Process(target=begin)
    process.start()
    process.join()
    return str(reader.recv())


def stop(claimed: Claim, error: BaseException) -> None:
    """A run that goes wrong when its files are half written."""
    fill(claimed.path)
    raise error


def test_a_run_is_hidden_until_it_is_published_whole(workspace: Workspace) -> None:
    with claim(workspace.runs, prefix="xgboost_h20_") as claimed:
        assert RUN_ID.fullmatch(claimed.id)
        assert claimed.id.startswith("xgboost_h20_")
        assert names(workspace.runs) == [f".{claimed.id}.partial"]
        assert is_held(claimed.path)
        final = make_run(workspace, claimed)
    assert final == workspace.runs / claimed.id
    assert names(workspace.runs) == [claimed.id]
    assert names(final) == ["manifest.json", "metrics.json", "model"]
    assert read(final).id == claimed.id


def test_a_taken_id_is_counted_up_not_drawn_again(workspace: Workspace) -> None:
    (workspace.runs / FROZEN_ID).mkdir()
    partial_folder(workspace.runs, FROZEN_ID[:-1] + "1").mkdir()
    (workspace.runs / (FROZEN_ID[:-1] + "2")).write_text("a file takes a name as well")
    draws: list[int] = []

    def entropy() -> int:
        draws.append(0xFFF0)
        return draws[-1]

    claimed = claim(workspace.runs, clock=lambda: FROZEN, entropy=entropy)
    assert claimed.id == FROZEN_ID[:-1] + "3"
    assert draws == [0xFFF0]
    claimed.abandon()
    assert names(workspace.runs) == sorted([FROZEN_ID, f".{FROZEN_ID[:-1]}1.partial", FROZEN_ID[:-1] + "2"])


def test_when_every_suffix_is_taken_it_says_so(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim_module, "SUFFIXES", 3)
    for _ in range(3):
        frozen_claim(workspace.runs).publish()
    with pytest.raises(TakenError, match=r"all 3 ids like 20260131.* are taken.*clock"):
        frozen_claim(workspace.runs)
    assert len(names(workspace.runs)) == 3


def test_a_chosen_name_that_is_published_is_refused_and_untouched(workspace: Workspace) -> None:
    final = make_run(workspace, claim(workspace.runs, name="mine"))
    before = everything_about(final)
    folder_before = workspace.runs.stat().st_mtime_ns
    with pytest.raises(TakenError, match=r"^mine exists in .* untouched; choose another name\.$"):
        claim(workspace.runs, name="mine")
    assert everything_about(final) == before
    assert len(before) == 5
    assert workspace.runs.stat().st_mtime_ns == folder_before
    assert names(workspace.runs) == ["mine"]


@pytest.mark.parametrize("kind", ["empty folder", "file", "dangling link"])
def test_a_chosen_name_is_taken_by_anything_at_all(workspace: Workspace, kind: str) -> None:
    target = workspace.runs / "mine"
    if kind == "file":
        target.write_text("x")
    elif kind == "dangling link":
        target.symlink_to("nowhere")
    else:
        target.mkdir()
    with pytest.raises(TakenError, match=r"untouched"):
        claim(workspace.runs, name="mine")
    assert names(workspace.runs) == ["mine"]


def test_a_chosen_name_being_made_now_is_refused_with_its_owner(workspace: Workspace) -> None:
    first = claim(workspace.runs, name="mine")
    fill(first.path)
    with pytest.raises(TakenError, match=rf"is being made .* by process {os.getpid()} on"):
        claim(workspace.runs, name="mine")
    with pytest.raises(TakenError, match=rf"is being made by process {os.getpid()} on"):
        reopen(workspace.runs, "mine")
    assert make_run(workspace, first).is_dir()


def test_a_chosen_name_whose_owner_died_is_refused_and_can_be_resumed(workspace: Workspace) -> None:
    assert left_by_the_dead(workspace.runs, "mine") == "mine"
    with pytest.raises(TakenError, match=r"was begun .* not finished .* resume it by that id"):
        claim(workspace.runs, name="mine")
    claimed = reopen(workspace.runs, "mine")
    assert claimed.resumable
    assert (claimed.path / "metrics.json").read_text() == "content" * 100
    make_run(workspace, claimed)
    assert names(workspace.runs) == ["mine"]


@pytest.mark.parametrize("name", ["../../etc", "", ".hidden", "a/b", "x" * 129])
def test_a_name_that_leaves_the_folder_is_refused(workspace: Workspace, name: str) -> None:
    with pytest.raises(SettingError):
        claim(workspace.runs, name=name)
    with pytest.raises(SettingError):
        reopen(workspace.runs, name)
    assert names(workspace.runs) == []


def test_a_made_id_passes_over_a_run_left_by_the_dead(workspace: Workspace) -> None:
    dead = left_by_the_dead(workspace.runs)
    with frozen_claim(workspace.runs) as claimed:
        assert (dead, claimed.id) == (FROZEN_ID, FROZEN_ID[:-1] + "1")
        make_run(workspace, claimed)
    assert partials(workspace.runs) == [dead]


def test_an_error_leaves_nothing_or_a_run_to_resume(workspace: Workspace) -> None:
    with pytest.raises(KeyboardInterrupt), claim(workspace.runs) as claimed:
        stop(claimed, KeyboardInterrupt())
    assert names(workspace.runs) == []
    with (
        pytest.raises(ValueError, match=r"mine"),
        claim(workspace.runs, name="kept", resumable=True) as claimed,
    ):
        stop(claimed, ValueError("mine"))
    assert names(workspace.runs) == [".kept.partial"]
    assert not is_held(claimed.path)
    with reopen(workspace.runs, "kept") as again:
        assert (again.path / "metrics.json").exists()
        make_run(workspace, again)
    assert names(workspace.runs) == ["kept"]


def test_a_block_that_ends_without_publishing_leaves_nothing(workspace: Workspace) -> None:
    with claim(workspace.runs) as claimed:
        fill(claimed.path)
    assert names(workspace.runs) == []
    with pytest.raises(RuntimeError, match=r"already"):
        claimed.publish()


def test_what_is_not_there_cannot_be_resumed_and_the_message_says_what_can(workspace: Workspace) -> None:
    with pytest.raises(MissingError, match=r"no unfinished run mine .* no run there can be resumed"):
        reopen(workspace.runs, "mine")
    with pytest.raises(MissingError, match=r"no unfinished run mine"):
        reopen(workspace.root / "nowhere", "mine")
    left_by_the_dead(workspace.runs, "other")
    live = claim(workspace.runs, name="living")
    with pytest.raises(MissingError, match=r"those that can be resumed are other\.$"):
        reopen(workspace.runs, "mine")
    live.abandon()
    make_run(workspace, claim(workspace.runs, name="done"))
    with pytest.raises(TakenError, match=r"done .* is finished; there is nothing to resume"):
        reopen(workspace.runs, "done")


def test_a_folder_killed_before_its_lock_was_written_can_be_taken_over(workspace: Workspace) -> None:
    partial_folder(workspace.runs, "mine").mkdir()
    with pytest.raises(TakenError, match=r"not finished \(an unknown process ended\)"):
        claim(workspace.runs, name="mine")
    reopen(workspace.runs, "mine").abandon()
    assert names(workspace.runs) == []


@pytest.mark.parametrize("stranger", ["empty folder", "file"])
def test_a_name_that_a_stranger_takes_before_publishing_is_not_replaced(
    workspace: Workspace, stranger: str
) -> None:
    claimed = claim(workspace.runs, name="mine", resumable=True)
    final = workspace.runs / "mine"
    if stranger == "file":
        final.write_text("theirs")
    else:
        final.mkdir()
    before = final.stat().st_ino
    with pytest.raises(TakenError, match=r"appeared while run mine was being made"), claimed:
        make_run(workspace, claimed)
    assert final.stat().st_ino == before
    assert (partial_folder(workspace.runs, "mine") / "metrics.json").exists()


def test_a_finished_run_whose_name_a_stranger_took_is_kept_though_not_resumable(workspace: Workspace) -> None:
    final = workspace.runs / "mine"
    with (
        pytest.raises(TakenError, match=r"the run is kept in .* rename \.mine\.partial to mine\.$"),
        claim(workspace.runs, name="mine") as claimed,
    ):
        publish_beside_a_stranger(workspace, claimed)
    final.rmdir()
    claimed.path.rename(final)  # what the message says to do
    open_run(workspace.runs, "mine", workspace.ledger).verify()


def publish_beside_a_stranger(workspace: Workspace, claimed: Claim) -> None:
    (workspace.runs / claimed.id).mkdir()
    make_run(workspace, claimed)


def test_a_forked_worker_that_comes_out_of_the_block_leaves_its_parents_run_alone(
    workspace: Workspace,
) -> None:
    with frozen_claim(workspace.runs) as claimed:
        fill(claimed.path)

        def leave() -> None:
            try:
                with claimed:
                    raise ValueError("in the worker")
            except ValueError:
                os._exit(3)

        process = fork.Process(target=leave)
        process.start()
        process.join()
        assert process.exitcode == 3
        assert is_held(claimed.path)
        make_run(workspace, claimed)
    assert names(workspace.runs) == [FROZEN_ID]


def test_a_name_given_up_at_this_moment_is_not_said_to_exist(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim_module, "_try_claim", lambda parent, run_id: None)
    with pytest.raises(TakenError, match=r"mine was being made .* was given up; run again"):
        claim(workspace.runs, name="mine")


def test_a_lock_that_is_a_link_is_nobodys_to_take(workspace: Workspace) -> None:
    folder = partial_folder(workspace.runs, "mine")
    folder.mkdir()
    (folder / LOCK).symlink_to(workspace.root / "precious")
    with pytest.raises(TakenError, match=r"is being made"):
        claim(workspace.runs, name="mine")
    with pytest.raises(FoldsmithError, match=r"cannot resume run mine .* a link stands where"):
        reopen(workspace.runs, "mine")
    assert not (workspace.root / "precious").exists()


def test_only_folders_that_can_be_runs_are_listed_as_partial(workspace: Workspace) -> None:
    for name in (".partial", "..partial", ".a b.partial", "x.partial", ".whole.partial", ".x.0.abandoned"):
        (workspace.runs / name).mkdir()
    (workspace.runs / ".file.partial").write_text("")
    (workspace.runs / ".link.partial").symlink_to(workspace.root)
    assert partials(workspace.runs) == ["whole"]
    assert partials(workspace.runs / ".file.partial") == partials(workspace.root / "nowhere") == []


def test_a_missing_or_unwritable_folder_is_told_in_one_sentence(workspace: Workspace) -> None:
    with pytest.raises(MissingError, match=r"is not there; create it"):
        claim(workspace.root / "nowhere")
    (workspace.root / "file").write_text("")
    with pytest.raises(FoldsmithError, match=r"a file stands where a folder is needed"):
        claim(workspace.root / "file")


def test_the_lock_of_a_run_published_by_a_process_that_died_there_and_then_is_no_part_of_it(
    workspace: Workspace,
) -> None:
    final = make_run(workspace, claim(workspace.runs, name="mine"))
    (final / LOCK).write_text("{}")  # what a kill between the rename and the last step leaves
    assert published(workspace.runs) == ["mine"]
    run = open_run(workspace.runs, "mine", workspace.ledger)
    run.verify()
    assert LOCK not in run.manifest.files
