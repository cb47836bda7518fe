from __future__ import annotations

import errno
from pathlib import Path

import pytest

from foldsmith.runs import rename
from foldsmith.runs.rename import TURNS, rename_without_replacing


@pytest.fixture(params=["kernel", "in turn, no such call", "in turn, flag refused"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The kernel's own exclusive rename, and the fallback where there is none."""
    if request.param != "kernel":
        number = errno.ENOSYS if "call" in request.param else errno.EINVAL
        monkeypatch.setattr(rename, "_native", lambda source, target: number)
    return str(request.param)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != TURNS)


def test_a_free_name_is_taken(tmp_path: Path, way: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_text("kept")
    rename_without_replacing(tmp_path / "a", tmp_path / "b")
    assert names(tmp_path) == ["b"]
    assert (tmp_path / "b" / "file").read_text() == "kept"


@pytest.mark.parametrize("there", ["empty folder", "full folder", "file", "dangling link"])
def test_nothing_is_ever_replaced_not_even_an_empty_folder(tmp_path: Path, way: str, there: str) -> None:
    (tmp_path / "a").mkdir()
    target = tmp_path / "b"
    if there == "file":
        target.write_text("mine")
    elif there == "dangling link":
        target.symlink_to("nowhere")
    else:
        target.mkdir()
        if there == "full folder":
            (target / "file").write_text("mine")
    before = target.lstat()
    with pytest.raises(FileExistsError):
        rename_without_replacing(tmp_path / "a", target)
    assert names(tmp_path) == ["a", "b"]
    assert target.lstat().st_ino == before.st_ino


def test_a_missing_source_is_an_error(tmp_path: Path, way: str) -> None:
    with pytest.raises(FileNotFoundError):
        rename_without_replacing(tmp_path / "a", tmp_path / "b")


def test_the_plain_rename_that_is_not_used_would_replace_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a").rename(tmp_path / "b")
    assert names(tmp_path) == ["b"]
