from __future__ import annotations

import errno
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldsmith.errors import DataError, FoldsmithError, MissingError
from foldsmith.runs.files import (
    canonical_json,
    disk_trouble,
    hash_file,
    hash_raw,
    parse_json,
    read_json,
    write_json,
    write_whole,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_json_reads_back_exactly_and_has_one_spelling(content: Any) -> None:
    spelled = canonical_json(content)
    back = parse_json(spelled, "here")
    assert back == content
    assert canonical_json(back) == spelled


def test_key_order_leaves_no_trace(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": {"d": 0.1, "c": [1, 2]}})
    write_json(tmp_path / "b.json", {"a": {"c": [1, 2], "d": 0.1}, "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert (tmp_path / "a.json").read_text().startswith('{\n  "a": {\n    "c"')
    assert read_json(tmp_path / "a.json") == {"a": {"c": [1, 2], "d": 0.1}, "b": 1}


@pytest.mark.parametrize("content", [float("nan"), [float("inf")], {"a": {1, 2}}, {"a": Path()}, {"a": b"x"}])
def test_what_json_cannot_say_is_refused_and_nothing_written(tmp_path: Path, content: Any) -> None:
    with pytest.raises(DataError, match=r"^x\.json: this cannot be stored as JSON"):
        write_json(tmp_path / "x.json", content)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"a": 1',
        b'{"a": NaN}',
        b"[Infinity]",
        b'{"a": 1, "a": 2}',
        b"\xff\xfe",
        b"[" * 100_000,
        b"1" * 5000,
    ],
)
def test_what_was_not_written_here_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(DataError, match="not the JSON that was written"):
        read_json(tmp_path / "x.json")


def test_large_missing_linked_and_piped_files_are_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "large.json").write_bytes(b" " * 101)
    with pytest.raises(DataError, match="more than 100 bytes"):
        read_json(tmp_path / "large.json", limit=100)
    with pytest.raises(MissingError, match="is not there"):
        read_json(tmp_path / "none.json")
    (tmp_path / "link.json").symlink_to(tmp_path / "large.json")
    with pytest.raises(DataError, match="ordinary file"):
        read_json(tmp_path / "link.json")
    os.mkfifo(tmp_path / "pipe.json")  # a plain open would wait for ever
    with pytest.raises(DataError, match="ordinary file"):
        read_json(tmp_path / "pipe.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(DataError, match="ordinary file"):
        read_json(tmp_path / "folder.json")


def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_json(tmp_path / "x.json", {"old": True})

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FoldsmithError, match="the disk is full; free some space, then run again") as caught:
        write_json(tmp_path / "x.json", {"old": False})
    assert "x.json" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
    assert read_json(tmp_path / "x.json") == {"old": True}


def test_many_threads_that_write_one_file_leave_one_whole(tmp_path: Path) -> None:
    def work(number: int) -> None:
        for _ in range(10):
            write_whole(tmp_path / "x", bytes([number]) * 10_000)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))  # raises what a thread raised
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    content = (tmp_path / "x").read_bytes()
    assert content == content[:1] * 10_000


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FoldsmithError, match="a file stands where a folder is needed"):
        write_whole(tmp_path / "file" / "x", b"")


def test_other_errors_of_the_system_are_not_dressed_up(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "none" / "x", b"")


def test_want_of_space_is_known_by_number_and_by_the_words_libraries_hand_on() -> None:
    assert disk_trouble(OSError(errno.ENOSPC, "x")) is not None
    assert disk_trouble(OSError(errno.EDQUOT, "x")) is not None
    assert (
        disk_trouble(RuntimeError("parquet: underlying IO error: No space left on device (os error 28)"))
        is not None
    )
    assert disk_trouble(RuntimeError("cannot save: No space left on device")) is not None
    assert disk_trouble(OSError("Not enough free space to write 80000000 bytes after offset 128")) is not None
    assert disk_trouble(OSError("1000 requested and 12 written")) is not None
    assert disk_trouble(OSError("12 rows")) is None
    assert disk_trouble(OSError(errno.EACCES, "x")) is None
    assert disk_trouble(ValueError("row 28")) is None
    assert disk_trouble(KeyboardInterrupt()) is None


@given(st.binary(max_size=3000))
def test_a_file_hash_is_sha256_of_its_bytes(content: bytes) -> None:
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        assert hash_file(Path(file.name)) == hashlib.sha256(content).hexdigest()


def test_raw_files_may_lie_elsewhere_behind_a_link(tmp_path: Path) -> None:
    """Raw bars are the user's own and may be on another disk; files of a run are never followed out of it."""
    folder = tmp_path / "contracts"
    folder.mkdir()
    (tmp_path / "bars.csv").write_text("1,2,3")
    (tmp_path / "link.csv").symlink_to(tmp_path / "bars.csv")
    (folder / "a.csv").symlink_to(tmp_path / "bars.csv")
    assert hash_raw(tmp_path / "link.csv") == hash_raw(tmp_path / "bars.csv")
    linked = hash_raw(folder)
    (folder / "a.csv").unlink()
    (folder / "a.csv").write_text("1,2,3")
    assert hash_raw(folder) == linked
    with pytest.raises(DataError, match="ordinary file"):
        hash_file(tmp_path / "link.csv")
