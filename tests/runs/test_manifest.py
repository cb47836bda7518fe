from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.oracles.runs import content_of
from tests.runs.made_runs import FROZEN, describe, fill

from foldsmith.errors import DataError, FoldsmithError, IntegrityError, MissingError
from foldsmith.runs import manifest as manifest_module
from foldsmith.runs.manifest import (
    MANIFEST,
    Manifest,
    Parent,
    check_relative,
    content_hash,
    read,
    verify,
    write,
)

A, B = "a" * 64, "b" * 64


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run's folder with its manifest."""
    made = tmp_path / "run"
    made.mkdir()
    fill(made)
    write(made, describe(made, "run", parents=[Parent(kind="dataset", id="d", content=A)]))
    return made


def rewrite(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the manifest as an editor would, its own content hash left alone."""
    content = json.loads((folder / MANIFEST).read_text())
    content = change(content) or content
    (folder / MANIFEST).write_text(json.dumps(content))


def test_a_manifest_reads_back_and_its_hash_is_that_of_its_bytes(folder: Path) -> None:
    manifest = describe(
        folder,
        "run",
        seed=2**63,
        fingerprint=A,
        wall_seconds=1.23456,
        extra={"text": "é\n", "list": [1, 0.1, None]},
        parents=[Parent(kind="raw", id="MES_1m.csv", content=B)],
    )
    digest = write(folder, manifest)
    assert read(folder) == manifest
    assert digest == hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    assert manifest.wall_seconds == 1.235
    assert set(manifest.files) == {"metrics.json", "model/model.json"}
    assert manifest.code.version
    assert {"numpy", "polars"} <= set(manifest.packages)
    verify(folder)


def test_the_content_hash_is_that_of_the_slow_twin(folder: Path) -> None:
    parents = [Parent(kind="dataset", id="d", content=B), Parent(kind="cv", id="c", content=A)]
    assert describe(folder, "run", parents=parents).content == content_of(folder, [A, B])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(
    files=st.dictionaries(
        st.sampled_from(
            [
                *("log", "b/.hidden/x", ".lock", "b/manifest.json", "é/ü", "A", "a-b", "a.b"),
                "a",
                "b/c",
                "b/d.log",
                "x.log",
                "report.html",
                "b/report.html",
                "evaluations/e",
                "b/evaluations/e",
                "evaluations.json",
            ]
        ),
        st.binary(max_size=8),
    ),
    parents=st.lists(st.sampled_from([A, B])),
)
def test_the_content_hash_of_any_folder_is_that_of_the_slow_twin(
    tmp_path: Path, files: dict[str, bytes], parents: list[str]
) -> None:
    folder = tmp_path / "any"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    made = describe(folder, "any", parents=[Parent(kind="cv", id="x", content=parent) for parent in parents])
    assert made.content == content_of(folder, parents)


def test_nothing_but_content_moves_the_content_hash(folder: Path, tmp_path: Path) -> None:
    first = describe(folder, "run")
    other = tmp_path / "elsewhere"
    other.mkdir()
    fill(other)
    (other / "train.log").write_text("12:00 begun")
    (other / "report.html").write_text("<html>")
    (other / "evaluations").mkdir()
    (other / "evaluations" / "test.json").write_text("{}")
    (other / ".units").mkdir()
    (other / ".units" / "x").write_text("working file")
    second = describe(
        other,
        "other-id",
        command=["x"],
        created=FROZEN + timedelta(days=1),
        wall_seconds=9.0,
        parameters={"seed": 3},
        seed=4,
    )
    assert second.content == first.content
    assert "train.log" in second.files
    assert not any(path.startswith(".") for path in second.files)


@pytest.mark.parametrize("what", ["bytes", "name", "extra file", "parent", "one file less"])
def test_content_moves_the_content_hash(folder: Path, what: str) -> None:
    first = describe(folder, "run")
    parents = []
    if what == "bytes":
        (folder / "metrics.json").write_text("other")
    elif what == "name":
        (folder / "metrics.json").rename(folder / "metric.json")
    elif what == "extra file":
        (folder / "empty").touch()
    elif what == "parent":
        parents = [Parent(kind="dataset", id="d", content=A)]
    else:
        (folder / "metrics.json").unlink()
    assert describe(folder, "run", parents=parents).content != first.content


@pytest.mark.parametrize(
    "strange", ["link", "link to folder", "pipe", "newline", "backslash", "not utf-8", "drive"]
)
def test_a_folder_that_holds_more_than_plain_files_is_not_described(folder: Path, strange: str) -> None:
    if strange == "link":
        (folder / "x").symlink_to("/etc/passwd")
    elif strange == "link to folder":
        (folder / "x").symlink_to("/etc")
    elif strange == "pipe":
        os.mkfifo(folder / "x")
    else:
        name = {"newline": b"a\nb", "backslash": b"a\\b", "not utf-8": b"a\xff", "drive": b"c:x"}[strange]
        open(os.fsencode(folder) + b"/" + name, "wb").close()
    with pytest.raises(DataError):
        describe(folder, "run")


@pytest.mark.parametrize("values", [{"a": float("nan")}, {"a": (1, 2)}, {1: "a"}, {"a": Path("x")}])
def test_parameters_that_do_not_survive_json_are_refused(folder: Path, values: dict[Any, Any]) -> None:
    with pytest.raises(DataError):
        describe(folder, "run", parameters=values)
    with pytest.raises(DataError):
        describe(folder, "run", extra=values)


@pytest.mark.parametrize("path", ["metrics.json", "model/model.json"])
@pytest.mark.parametrize(
    "harm", ["a bit", "cut", "longer", "gone", "link", "folder is a link", "pipe", "folder"]
)
def test_verify_names_the_file_that_differs(folder: Path, path: str, harm: str) -> None:
    target = folder / path
    content = target.read_bytes()
    if harm == "a bit":
        target.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    elif harm == "cut":
        target.write_bytes(content[:-1])
    elif harm == "longer":
        target.write_bytes(content + b"\n")
    elif harm == "link":
        target.rename(folder / ".true")
        target.symlink_to(folder / ".true")
    elif harm == "folder is a link":
        if "/" not in path:
            return
        target.parent.rename(folder / ".true")
        target.parent.symlink_to(folder / ".true")
    else:
        target.unlink()
        if harm == "pipe":
            os.mkfifo(target)
        elif harm == "folder":
            target.mkdir()
    with pytest.raises(IntegrityError, match=path.split("/")[0]) as caught:
        verify(folder)
    assert "\n" not in str(caught.value)
    with pytest.raises(IntegrityError):
        verify(folder, [path])
    verify(folder, [name for name in ("metrics.json", "model/model.json") if name != path])


@pytest.mark.parametrize("path", ["added.json", "../run/metrics.json", "/etc/passwd", MANIFEST, ""])
def test_nothing_vouches_for_a_file_that_is_not_listed(folder: Path, path: str) -> None:
    (folder / "added.json").write_text("{}")
    with pytest.raises(IntegrityError, match="nothing vouches for it"):
        verify(folder, [path])


HOSTILE_PATHS = [
    "../x",
    "/etc/passwd",
    "a/../../x",
    "./a",
    "a//b",
    "a/",
    "",
    "..",
    "a\\b",
    "c:/x",
    "a\0b",
    "a\nb",
    ".hidden",
    "a/.lock",
    MANIFEST,
]


@pytest.mark.parametrize("path", HOSTILE_PATHS)
def test_a_listed_path_outside_the_run_is_refused(folder: Path, path: str) -> None:
    def change(content: dict[str, Any]) -> None:
        content["files"][path] = A
        content["content"] = content_hash(content["files"], [A])

    rewrite(folder, change)
    with pytest.raises(DataError, match="files"):
        read(folder)


@given(st.text(max_size=20))
def test_a_path_that_passes_lies_inside(path: str) -> None:
    try:
        check_relative(path)
    except ValueError:
        return
    assert os.path.normpath(f"/root/run/{path}") == f"/root/run/{path}"


Change = Callable[[dict[str, Any]], Any]
CHANGES: dict[str, Change] = {
    "no field": lambda content: content.pop("parents") and None,
    "unknown field": lambda content: content.update(surprise=1),
    "a hash too short": lambda content: content["files"].update({"metrics.json": "ab"}),
    "a hash in capitals": lambda content: content["files"].update({"metrics.json": "A" * 64}),
    "a hash with a newline": lambda content: content["files"].update({"metrics.json": "a" * 64 + "\n"}),
    "unknown kind": lambda content: content.update(kind="virus"),
    "time without zone": lambda content: content.update(created="2026-01-01T00:00:00"),
    "number as text": lambda content: content.update(seed="3"),
    "negative time": lambda content: content.update(wall_seconds=-1),
    "files as list": lambda content: content.update(files=[]),
    "deep": lambda content: content.update(extra={"a": json.loads("[" * 900 + "]" * 900)}),
    "an array": lambda content: [content],
    "a number": lambda content: 3,
    "format of the future": lambda content: content.update(format=99),
    "format as text": lambda content: content.update(format="1"),
    "no format": lambda content: content.pop("format") and None,
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_hostile_manifest_is_refused_in_one_sentence(folder: Path, what: str) -> None:
    rewrite(folder, CHANGES[what])
    if what == "deep":  # nested within bounds: some interpreters read it, none falls over it
        with suppress(DataError, IntegrityError):
            read(folder)
        return
    with pytest.raises((DataError, IntegrityError)) as caught:
        read(folder)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 800


@pytest.mark.parametrize("what", ["files", "parents", "content"])
def test_a_list_of_files_changed_behind_its_content_hash_is_found(folder: Path, what: str) -> None:
    def change(content: dict[str, Any]) -> None:
        if what == "files":
            content["files"]["metrics.json"] = A
        elif what == "parents":
            content["parents"][0]["content"] = B
        else:
            content["content"] = A

    rewrite(folder, change)
    with pytest.raises(IntegrityError, match="was changed: its content hash"):
        read(folder)


def test_a_manifest_that_is_missing_huge_linked_or_a_pipe(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / MANIFEST).rename(folder / "kept")
    with pytest.raises(MissingError, match="is not there"):
        read(folder)
    (folder / MANIFEST).symlink_to(folder / "kept")
    with pytest.raises(DataError, match="ordinary file"):
        read(folder)
    (folder / MANIFEST).unlink()
    os.mkfifo(folder / MANIFEST)
    with pytest.raises(DataError, match="ordinary file"):
        read(folder)
    (folder / MANIFEST).unlink()
    (folder / "kept").rename(folder / MANIFEST)
    monkeypatch.setattr(manifest_module, "MAX_MANIFEST_BYTES", 100)
    with pytest.raises(DataError, match="more than 100 bytes"):
        read(folder)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(data=st.data())
def test_a_manifest_harmed_anywhere_is_read_the_same_or_refused(folder: Path, data: st.DataObject) -> None:
    """Bytes cut, swapped or inserted at random: never another error, never a path that leaves the folder."""
    saved = folder.parent / "saved"
    if not saved.exists():
        shutil.copy(folder / MANIFEST, saved)
    content = bytearray(saved.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        how = data.draw(st.sampled_from(["cut", "swap", "insert", "drop"]))
        if how == "cut":
            del content[max(at, 1) :]
        elif how == "swap":
            content[at] = data.draw(st.integers(0, 255))
        elif how == "insert":
            content[at:at] = data.draw(st.binary(min_size=1, max_size=5))
        elif len(content) > 1:
            del content[at]
    (folder / MANIFEST).write_bytes(bytes(content))
    try:
        found = read(folder)
    except FoldsmithError as error:
        assert "\n" not in str(error)  # noqa: PT017 - it may be read as well
        return
    assert isinstance(found, Manifest)
    assert set(found.files) == {"metrics.json", "model/model.json"}
    try:
        verify(folder, manifest=found)
    except IntegrityError:
        return
