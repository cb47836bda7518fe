from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.runs.made_runs import in_processes

from foldsmith.errors import DataError, FoldsmithError, IntegrityError
from foldsmith.runs import ledger_file
from foldsmith.runs.audits import Audited, audits, record
from foldsmith.runs.ledger import Anchor, Ledger, Look, LookCount, Published, Removed
from foldsmith.runs.ledger_file import SCHEMA

fork = multiprocessing.get_context("fork")
MARK = ".ledger.sqlite.begun"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a ledger will be; its folder is not made yet."""
    return tmp_path / "experiments" / "ledger.sqlite"


def trial(number: int = 0, **changed: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"run_id": "run", "fingerprint": "data", "model": "xgboost", "horizon": 20}
    given |= {"fold": "0", "number": number, "params": {"depth": 3}, "value": 0.5, "state": "complete"}
    return given | changed


def look(ledger: Ledger, **changed: Any) -> LookCount:
    given: dict[str, Any] = {"run_id": "run", "content": "c", "fingerprint": "data"}
    return ledger.record_look(**(given | {"split": "test", "horizon": 20} | changed))


def filled(path: Path) -> Ledger:
    """A ledger with entries of every kind: begun, 5 trials, 3 looks, published, removed, tag."""
    ledger = Ledger(path)
    ledger.record_trials([trial(number) for number in range(5)])
    for _ in range(3):
        look(ledger)
    ledger.record_published("run", "model", "c", "m")
    ledger.record_removed("run", "model", "c")
    ledger.record_tag("run", "good", True)
    return ledger


def directly(path: Path, script: str) -> None:
    """Change the file as somebody would who goes around this program."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def one_sentence(error: BaseException, path: Path) -> str:
    text = str(error)
    assert str(path) in text
    assert "\n" not in text
    assert len(text) < 700
    return text


CALLS: dict[str, Callable[[Ledger], Any]] = {
    "trials": lambda ledger: ledger.record_trials([trial()]),
    "look": look,
    "published": lambda ledger: ledger.record_published("run", "model", "c", "m"),
    "trial count": lambda ledger: ledger.trial_count("data"),
    "looks": lambda ledger: ledger.looks(),
    "hashes": lambda ledger: ledger.manifest_hashes("run"),
    "all published": lambda ledger: ledger.published(),
    "removed": lambda ledger: ledger.removed(),
    "tag": lambda ledger: ledger.record_tag("run", "good", True),
    "tags": lambda ledger: ledger.tags(),
    "audit": lambda ledger: record(ledger, [Audited("run", "c", True, {"held": 1}, (), "1", "s")]),
    "audits": audits,
    "anchor": lambda ledger: ledger.anchor(),
    "check anchor": lambda ledger: ledger.check_anchor("run", Anchor("x", 1, "x")),
    "check": lambda ledger: ledger.check(),
}


def test_reading_where_nothing_was_recorded_is_empty_and_makes_nothing(path: Path) -> None:
    ledger = Ledger(path)
    assert ledger.trial_count("data") == 0
    assert ledger.looks() == []
    assert ledger.manifest_hashes("run") == ()
    assert ledger.published() == []
    assert ledger.removed() == []
    assert ledger.tags() == {}
    ledger.check()
    ledger.check_anchor("run", Anchor("x", 1, "x"))
    ledger.record_trials([])
    assert not path.parent.exists()


def test_only_the_ledger_and_its_mark_lie_there_afterwards(path: Path) -> None:
    filled(path).check()
    assert sorted(os.listdir(path.parent)) == [MARK, "ledger.sqlite"]
    assert path.read_bytes()[18:20] == b"\2\2"  # WAL, in the file's own header


def test_looks_are_counted_once_a_call_per_dataset_and_split_and_per_run(path: Path) -> None:
    ledger = Ledger(path, now=lambda: "now")
    assert look(ledger) == LookCount(of_dataset=1, of_run=1)
    assert look(ledger) == LookCount(2, 2)
    assert look(ledger, run_id="other", content="d") == LookCount(3, 1)
    assert look(ledger, split="validation") == LookCount(1, 1)
    assert look(ledger, fingerprint="other data") == LookCount(1, 1)
    assert look(ledger, horizon=5) == LookCount(4, 3)
    assert len(ledger.looks()) == 6
    assert ledger.looks(content="d") == [Look("other", "d", "data", "test", 20, "now")]
    assert [found.horizon for found in ledger.looks(fingerprint="data", split="test")] == [20, 20, 20, 5]
    assert ledger.looks(fingerprint="none") == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.sampled_from(["test", "validation"])))
)
def test_look_counts_are_those_of_a_plain_list(tmp_path: Path, made: list[tuple[str, str, str]]) -> None:
    where = tmp_path / str(time.monotonic_ns()) / "ledger.sqlite"
    ledger, seen = Ledger(where), list[tuple[str, str, str]]()
    for content, fingerprint, split in made:
        seen.append((content, fingerprint, split))
        alike = [one for one in seen if one[1:] == (fingerprint, split)]
        found = look(ledger, content=content, fingerprint=fingerprint, split=split)
        assert found == (len(alike), sum(one[0] == content for one in alike))
    assert [one[1:4] for one in ledger.looks()] == seen


def test_trials_count_per_dataset_and_horizon(path: Path) -> None:
    ledger = Ledger(path)
    ledger.record_trials(trial(number, horizon=horizon) for number in range(3) for horizon in (5, 20))
    ledger.record_trials([trial(0, fold="1"), trial(0, model="lightgbm"), trial(0, fingerprint="other")])
    assert ledger.trial_count("data") == 8
    assert ledger.trial_count("data", 20) == 5
    assert ledger.trial_count("data", 5) == 3
    assert ledger.trial_count("data", 6) == 0
    assert ledger.trial_count("other") == 1


def test_a_trial_made_again_by_a_resumed_run_counts_once_and_one_that_differs_counts(path: Path) -> None:
    ledger = Ledger(path)
    ledger.record_trials([trial(0), trial(1, value=None, state="pruned")])
    ledger.record_trials([trial(0), trial(1, value=None, state="pruned"), trial(2)])
    assert ledger.trial_count("data") == 3
    # A chosen name whose run was deleted and made anew, with other settings.
    ledger.record_trials([trial(0, value=0.25), trial(1, params={"depth": 9})])
    assert ledger.trial_count("data") == 5


def test_a_bad_trial_is_refused_and_none_of_its_batch_is_entered(path: Path) -> None:
    ledger = Ledger(path)
    lacking = trial(1)
    del lacking["fold"]
    with pytest.raises(DataError, match=r"lacks 'fold'; it has run_id"):
        ledger.record_trials([trial(0), lacking])
    with pytest.raises(DataError, match=r"trial 4 cannot be stored"):
        ledger.record_trials([trial(0), trial(4, params={"x": float("nan")})])
    assert not path.exists()
    ledger.record_trials([trial(0, strange="passed over")])
    assert ledger.trial_count("data") == 1


def test_the_hash_of_a_published_manifest_is_kept_oldest_first(path: Path) -> None:
    ledger = Ledger(path)
    ledger.record_published("run", "model", "c", "first")
    ledger.record_published("other", "cv", "c", "x")
    ledger.record_published("run", "model", "c", "second")
    assert ledger.manifest_hashes("run") == ("first", "second")
    assert ledger.manifest_hashes("ru%") == ()
    assert ledger.manifest_hashes("run' OR '1'='1") == ()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entries SET body = 'x'",
        "DELETE FROM entries",
        "DELETE FROM entries WHERE id = 1",
        "DELETE FROM entries WHERE id = (SELECT MAX(id) FROM entries)",
        "REPLACE INTO entries SELECT * FROM entries WHERE id = 1",
        "INSERT OR REPLACE INTO entries SELECT * FROM entries WHERE id = 1",
        "INSERT OR IGNORE INTO entries SELECT * FROM entries WHERE id = 1",
        "INSERT INTO entries SELECT * FROM entries WHERE id = 1 ON CONFLICT (id) DO UPDATE SET body = 'x'",
        "UPDATE OR IGNORE entries SET id = id + 100",
    ],
)
def test_the_file_itself_refuses_every_change_but_an_addition(path: Path, change: str) -> None:
    filled(path)
    with closing(sqlite3.connect(path)) as connection:
        before = connection.execute("SELECT * FROM entries").fetchall()
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(change)
        connection.rollback()
        assert connection.execute("SELECT * FROM entries").fetchall() == before


HARM = {
    "guard gone": "DROP TRIGGER entries_kept",
    "guard of the same name that guards nothing": "DROP TRIGGER entries_kept; CREATE TRIGGER entries_kept BEFORE "
    "DELETE ON entries WHEN 0 BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    "guard of the same name on another table": "DROP TRIGGER entries_kept; CREATE TABLE x (id); CREATE TRIGGER "
    "entries_kept BEFORE DELETE ON x BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    "guard that drops what comes": "CREATE TRIGGER more BEFORE INSERT ON entries "
    "BEGIN SELECT RAISE(IGNORE); END",
    "table gone": "DROP TABLE entries",
    "table made anew": "CREATE TABLE y AS SELECT * FROM entries; DROP TABLE entries; "
    "ALTER TABLE y RENAME TO entries",
    "column added": "ALTER TABLE entries ADD COLUMN more TEXT",
    "index gone": "DROP INDEX entries_of_data",
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("harm", HARM)
def test_a_ledger_whose_tables_or_guards_were_changed_is_refused(path: Path, harm: str, call: str) -> None:
    filled(path)
    directly(path, HARM[harm])
    with pytest.raises(IntegrityError, match=r"is damaged or was changed \((its|somebody)") as caught:
        CALLS[call](Ledger(path))
    one_sentence(caught.value, path)


def test_the_schema_of_a_format_does_not_change() -> None:
    """Ledgers of format 2 are on users' disks: whoever changes the schema raises FORMAT and reads the old."""
    spelled = "\n".join(SCHEMA.values())
    assert ledger_file.FORMAT == 2
    assert hashlib.sha256(spelled.encode()).hexdigest()[:16] == "eeedbc47a2cd4af0"


def harmed(path: Path, kind: str) -> None:
    whole = path.read_bytes()
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("not a database\n" * 100)
    elif kind == "cut":
        path.write_bytes(whole[: len(whole) // 2 + 100])
    elif kind == "cut at a page":
        path.write_bytes(whole[:-4096])
    elif kind == "header alone":
        path.write_bytes(whole[:100])
    elif kind == "zeros":
        path.write_bytes(bytes(len(whole)))
    elif kind == "noise":
        path.write_bytes(whole[:4096] + random.Random(1).randbytes(len(whole) - 4096))
    else:
        path.unlink()
        if kind == "folder":
            path.mkdir()
        elif kind == "dangling link":
            path.symlink_to("nowhere")
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            directly(path, "CREATE TABLE entries (id INTEGER PRIMARY KEY); PRAGMA user_version = 2")


KINDS = ("empty", "text", "cut", "cut at a page", "header alone", "zeros", "noise", "folder", "dangling link")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", [*KINDS, "pipe", "foreign database"])
def test_a_damaged_or_foreign_file_is_refused_in_one_sentence_and_left_alone(
    path: Path, kind: str, call: str
) -> None:
    filled(path)
    harmed(path, kind)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(IntegrityError, match=r"damaged or was changed .* Restore it .* move away") as caught:
        CALLS[call](Ledger(path))
    one_sentence(caught.value, path)
    assert os.path.lexists(path)
    if before is not None:
        assert path.read_bytes() == before


def test_a_ledger_of_another_format_says_which(path: Path) -> None:
    filled(path)
    directly(path, "PRAGMA user_version = 1")
    with pytest.raises(DataError, match=r"has format 1 and this version reads 2; use the version"):
        look(Ledger(path))


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("gone", ["deleted", "moved", "deleted with its mark, its log left"])
def test_a_ledger_that_is_gone_is_missed_and_not_begun_anew(path: Path, gone: str, call: str) -> None:
    filled(path)
    if gone == "moved":
        path.rename(path.with_name("elsewhere"))
    else:
        path.unlink()
    if "log left" in gone:
        (path.parent / MARK).unlink()
        (path.parent / "ledger.sqlite-wal").write_bytes(b"x")
    with pytest.raises(IntegrityError, match=r"is gone \(.*Restore it .* delete .* to begin a new") as caught:
        CALLS[call](Ledger(path))
    one_sentence(caught.value, path)
    assert not path.exists()


def test_a_new_one_is_begun_when_the_user_has_done_what_the_message_says(path: Path) -> None:
    filled(path)
    path.unlink()
    (path.parent / MARK).unlink()
    assert look(Ledger(path)) == LookCount(1, 1)
    assert (path.parent / MARK).exists()


def test_the_mark_is_made_good_where_a_kill_came_before_it(path: Path) -> None:
    filled(path)
    (path.parent / MARK).unlink()
    assert look(Ledger(path)) == LookCount(4, 4)
    assert (path.parent / MARK).exists()


def around_the_guards(path: Path, script: str) -> None:
    """Change entries as somebody would who takes the guards away and puts them back."""
    guards = [name for name in SCHEMA if name.startswith("entries_") and "TRIGGER" in SCHEMA[name]]
    without = ";".join(f"DROP TRIGGER {name}" for name in guards)
    directly(path, ";".join([without, script, *(SCHEMA[name] for name in guards)]))


@pytest.mark.parametrize("entry", [1, 2, 5, 11])
def test_check_finds_an_entry_that_was_taken_out_from_under_the_guards(path: Path, entry: int) -> None:
    ledger = filled(path)
    around_the_guards(path, f"DELETE FROM entries WHERE id = {entry}")
    with pytest.raises(IntegrityError, match=rf"entry {entry} is gone"):
        ledger.check()
    around_the_guards(path, f"UPDATE entries SET id = id - 1 WHERE id > {entry}")
    with pytest.raises(IntegrityError, match=rf"entry {entry}, .* was changed"):
        ledger.check()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(
    entry=st.integers(1, 12),
    change=st.sampled_from(
        [
            "run_id = run_id || 's'",
            "fingerprint = 'other'",
            "body = body || ' '",
            "kind = 'trial '",
            "at = '1999'",
            "hash = replace(hash, substr(hash, 9, 1), 'x')",
        ]
    ),
)
def test_check_finds_any_entry_that_was_edited(tmp_path: Path, entry: int, change: str) -> None:
    where = tmp_path / str(time.monotonic_ns()) / "ledger.sqlite"
    ledger = filled(where)
    ledger.check()
    around_the_guards(where, f"UPDATE entries SET {change} WHERE id = {entry}")
    with pytest.raises(IntegrityError, match=rf"entry {entry}, .* or one before it was changed"):
        ledger.check()


def test_the_chain_is_that_of_a_plain_loop(path: Path) -> None:
    filled(path).check()
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT * FROM entries ORDER BY id").fetchall()
    before = "0" * 64
    for _, kind, run_id, fingerprint, body, at, found in rows:
        text = json.dumps([before, kind, run_id, fingerprint, body, at])
        before = hashlib.sha256(text.encode()).hexdigest()
        assert found == before


def test_entries_cut_off_at_the_end_are_missed_by_the_runs_published_after_them(path: Path) -> None:
    ledger = filled(path)
    anchor = ledger.anchor()
    ledger.record_published("later", "model", "c", "m2")
    ledger.record_tag("later", "good", True)
    ledger.check_anchor("later", anchor)
    ledger.check_anchor("from another ledger", anchor._replace(ledger="0" * 32))
    cut = "DELETE FROM entries WHERE id > {}"
    for more in (0, -1, -5):
        around_the_guards(path, cut.format(anchor.entries + more))
        ledger.check()  # what is left is whole in itself
        with pytest.raises(IntegrityError, match="when run later was published are gone or others"):
            ledger.check_anchor("later", anchor)
    # Entries of others in their place do not help.
    ledger.record_trials([trial(number) for number in range(9)])
    ledger.record_published("later", "model", "c", "m2")
    with pytest.raises(IntegrityError, match="are gone or others"):
        ledger.check_anchor("later", anchor)


def test_two_ledgers_are_never_alike(tmp_path: Path) -> None:
    anchors = {Ledger(tmp_path / name / "ledger.sqlite", now=lambda: "now").anchor() for name in "ab"}
    assert len(anchors) == 2
    assert {anchor.entries for anchor in anchors} == {1}


def test_tags_are_those_last_given(path: Path) -> None:
    ledger = Ledger(path)
    for run_id, tag, present in (
        ("a", "x", True), ("b", "x", True), ("a", "w", True), ("b", "x", False), ("a", "x", True), ("c", "x", False),
    ):  # fmt: skip
        ledger.record_tag(run_id, tag, present)
    assert ledger.tags() == {"a": ("w", "x")}
    ledger.record_tag("b", "x", True)
    assert ledger.tags() == {"a": ("w", "x"), "b": ("x",)}


def test_published_and_removed_are_told_oldest_first(path: Path) -> None:
    ledger = Ledger(path, now=lambda: "now")
    ledger.record_published("b", "cv", "c1", "m1")
    ledger.record_published("a", "model", "c2", "m2", "elsewhere")
    ledger.record_removed("b", "cv", "c1")
    assert ledger.published() == [
        Published("b", "cv", "c1", "m1", "now"),
        Published("a", "model", "c2", "m2", "now", "elsewhere"),
    ]
    assert ledger.removed() == [Removed("b", "cv", "c1", "now")]


def test_check_finds_a_changed_byte(path: Path) -> None:
    ledger = filled(path)
    content = path.read_bytes()
    at = content.rindex(b"xgboost")
    path.write_bytes(content[:at] + b"xgb00st" + content[at + 7 :])
    with pytest.raises(IntegrityError, match=r"damaged or was changed"):
        ledger.check()


@pytest.mark.parametrize("column", ["kind", "run_id", "body", "at"])
def test_a_text_that_became_bytes_is_told(path: Path, column: str) -> None:
    ledger = filled(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        guards = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in guards:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(f"UPDATE entries SET {column} = CAST({column} AS BLOB) WHERE id = 2")
        for _, made in guards:
            connection.execute(made)
    with pytest.raises(IntegrityError, match="entry 2 is no text"):
        ledger.check()


def test_64_processes_that_begin_the_ledger_at_once_lose_no_entry_and_no_number(path: Path) -> None:
    def work(number: int) -> str:
        ledger = Ledger(path)
        ledger.record_trials([trial(number), trial(number, fold="1")])
        ledger.record_published(f"run{number}", "model", "c", f"m{number}")
        return str(look(ledger, run_id=f"run{number}", content=str(number % 2)).of_dataset)

    found = in_processes(64, work)
    assert sorted(map(int, found)) == list(range(1, 65))
    ledger = Ledger(path)
    assert ledger.trial_count("data") == 128
    assert {one.run_id for one in ledger.looks()} == {f"run{number}" for number in range(64)}
    assert all(ledger.manifest_hashes(f"run{number}") == (f"m{number}",) for number in range(64))
    ledger.check()
    assert sorted(os.listdir(path.parent)) == [MARK, "ledger.sqlite"]


def test_threads_of_one_process_lose_nothing_either(path: Path) -> None:
    ledger, found = Ledger(path), list[int]()

    def work() -> None:
        found.extend(look(ledger).of_dataset for _ in range(10))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(1, 81))


def test_readers_never_wait_for_a_writer_and_never_see_half_a_batch(path: Path) -> None:
    ledger = filled(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        body = '{"content":"x","kind":"x","manifest":"x"}'
        writer.execute("INSERT INTO entries VALUES (NULL, 'published', 'x', '', ?, 'x', 'x')", (body,))
        assert ledger.manifest_hashes("x") == ()
        writer.execute("COMMIT")
        assert ledger.manifest_hashes("x") == ("x",)


def test_a_process_that_holds_it_too_long_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = filled(path)
    monkeypatch.setattr(ledger_file, "BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(FoldsmithError, match=r"another process has held it for 0\.1 s; wait") as caught:
            look(ledger)
        one_sentence(caught.value, path)


def test_what_was_acknowledged_before_a_kill_is_there_after_it(path: Path) -> None:
    """SIGKILL at random moments, four writers at a time; each notes a number once its entry is accepted."""
    draw, accepted = random.Random(11), path.parents[1] / "accepted"
    accepted.mkdir()

    def write_for_ever(name: str) -> None:
        with open(accepted / name, "ab", buffering=0) as notes:
            for number in range(10**9):
                Ledger(path).record_trials([trial(number, run_id=name), trial(number, run_id=name, fold="1")])
                notes.write(f"{number}\n".encode())

    for turn in range(8):
        writers = [fork.Process(target=write_for_ever, args=(f"{turn}-{one}",)) for one in range(4)]
        for writer in writers:
            writer.start()
        until = time.monotonic() + 30
        while len(os.listdir(accepted)) < 4 * (turn + 1) and time.monotonic() < until:
            time.sleep(0.002)
        for writer in writers:
            time.sleep(draw.uniform(0.0, 0.04))
            os.kill(writer.pid or 0, signal.SIGKILL)
        for writer in writers:
            writer.join()
        Ledger(path).check()
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT run_id, json_extract(body, '$.number') AS number, COUNT(*) FROM entries WHERE kind = 'trial' "
            "GROUP BY run_id, number"
        ).fetchall()
    assert {count for _, _, count in rows} == {2}  # a batch whole or not at all
    entered = {(name, number) for name, number, _ in rows}
    noted = {(file.name, int(line)) for file in accepted.iterdir() for line in file.read_text().split()}
    assert noted <= entered
    assert len(entered - noted) <= 32  # at most the one entry under way, per writer
    assert len(noted) > 8


def test_a_kill_while_it_is_begun_leaves_none_or_a_whole_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = ("rename_without_replacing", "fsync_path", "write_whole")
    for name in steps:
        where = path.parent / name / "ledger.sqlite"

        def begin(name: str = name, where: Path = where) -> None:
            setattr(ledger_file, name, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
            look(Ledger(where))

        process = fork.Process(target=begin)
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert where.exists() == (name != steps[0])
        assert look(Ledger(where)) == LookCount(1, 1)
        Ledger(where).check()


def test_a_full_disk_while_it_is_begun_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(ledger_file, "rename_without_replacing", full)
        with pytest.raises(FoldsmithError, match=r"cannot begin the ledger .* the disk is full") as caught:
            look(Ledger(path))
    one_sentence(caught.value, path)
    assert os.listdir(path.parent) == []
    assert look(Ledger(path)) == LookCount(1, 1)


def test_a_file_where_its_folder_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "experiments").write_text("")
    with pytest.raises(FoldsmithError, match=r"cannot begin the ledger .* move it away"):
        look(Ledger(tmp_path / "experiments" / "ledger.sqlite"))
    assert Ledger(tmp_path / "experiments" / "ledger.sqlite").looks() == []
    with pytest.raises(FoldsmithError, match=r"a file stands where a folder is needed"):
        look(Ledger(tmp_path / "experiments" / "deeper" / "ledger.sqlite"))


READ_ONLY = """
import sys
from pathlib import Path
from foldsmith.errors import FoldsmithError
from foldsmith.runs.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
print(len(ledger.looks()), ledger.trial_count("data"), ledger.manifest_hashes("run"))
try:
    ledger.record_published("x", "model", "c", "m")
except FoldsmithError as error:
    print(error)
"""


def test_a_ledger_on_a_disk_mounted_read_only_can_be_read(path: Path) -> None:
    filled(path)
    unshare = shutil.which("unshare")
    if not sys.platform.startswith("linux") or unshare is None:
        pytest.skip("a private mount needs Linux and `unshare`")
    script = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" || exit 77; exec "$0" -c "$2" "$3"'
    command = [unshare, "-rm", "sh", "-c", script, sys.executable, str(path.parent), READ_ONLY, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    read, told = done.stdout.splitlines()
    assert read == "3 5 ('m',)", done.stderr
    assert "cannot be opened for writing" in told


@pytest.mark.parametrize("name", ["a b", "50%", "q?mode=memory", "x#y", "é", "'"])
def test_a_workspace_of_any_name_has_its_own_ledger(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / "ledger.sqlite"
    assert look(Ledger(path)) == LookCount(1, 1)
    assert path.is_file()
    assert look(Ledger(path)) == LookCount(2, 2)
