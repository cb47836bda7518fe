"""Packed files: whole ones are read, cut and hostile ones refused before they fill memory, and nothing is written."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pytest
import zstandard
from tests.market.readers.writers import csv_naive, some_bars

from foldsmith.errors import DataError
from foldsmith.market.readers import read_bars, unpack

BARS = some_bars(300)
CONTENT = csv_naive(BARS).content


def put(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as pack:
        for name, data in members.items():
            pack.writestr(name, data)
    return content.getvalue()


PACKED = {
    "MES_1m.csv.gz": gzip.compress(CONTENT, mtime=0),
    "two.csv.gz": gzip.compress(CONTENT[:1000]) + gzip.compress(CONTENT[1000:]),
    "MES_1m.csv.zst": zstandard.compress(CONTENT),
    "two.csv.zst": zstandard.compress(CONTENT[:1000]) + zstandard.compress(CONTENT[1000:]),
    "MES_1m.zip": zipped({"MES_1m.csv": CONTENT}),
    "stored.zip": zipped({"MES_1m.csv": CONTENT}, zipfile.ZIP_STORED),
    # Told by what it is, not by what it is called.
    "MES_1m.csv": gzip.compress(CONTENT),
    "MES_1m.txt": zstandard.compress(CONTENT),
}


@pytest.mark.parametrize("name", PACKED)
def test_whole_ones_are_read(tmp_path: Path, name: str) -> None:
    assert read_bars(put(tmp_path, name, PACKED[name])).frame.equals(BARS)


@pytest.mark.parametrize("name", PACKED)
def test_cut_ones_are_refused_wherever_they_are_cut(tmp_path: Path, name: str) -> None:
    whole = PACKED[name]
    for size in {1, 4, 20, len(whole) // 3, len(whole) // 2, len(whole) - 9, len(whole) - 1}:
        with pytest.raises(DataError, match=r"cut short|no text|UTF-8|no time column|is whole|empty line"):
            read_bars(put(tmp_path, name, whole[:size]))


def bombs() -> dict[str, bytes]:
    """More than is allowed, in few bytes, after a beginning that looks well."""
    size = unpack.FREE + (1 << 20)
    zeros = b"2024-01-08 14:30:00,1,1,1,1,1\n" * (size // 30 + 1)
    content = CONTENT.split(b"\n")[0] + b"\n" + zeros
    return {
        "MES_1m.csv.gz": gzip.compress(content, 9),
        "MES_1m.csv.zst": zstandard.ZstdCompressor(level=19).compress(content),
        "MES_1m.zip": zipped({"a.csv": content}),
        "several.zip": zipped({f"{part}.csv": content[: size // 3] for part in range(4)}),
    }


def test_more_than_is_allowed_is_refused(tmp_path: Path) -> None:
    for name, content in bombs().items():
        assert len(content) < 1_000_000
        with pytest.raises(DataError, match=r"unpacks to more than (64|\d+) MiB.*unpack it yourself"):
            read_bars(put(tmp_path, name, content))


def test_a_frame_that_asks_for_a_huge_window_is_refused(tmp_path: Path) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=30, enable_ldm=True)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    content = packer.compress(CONTENT) + packer.flush()
    with pytest.raises(DataError, match="cannot be unpacked"):
        read_bars(put(tmp_path, "MES_1m.csv.zst", content))


def test_what_is_allowed() -> None:
    assert unpack.allowed(10) == unpack.FREE
    assert unpack.allowed(10**6) == 200 * 10**6
    assert unpack.allowed(10**9) == unpack.MOST


def test_packed_twice_is_refused(tmp_path: Path) -> None:
    content = gzip.compress(gzip.compress(CONTENT))
    for flags in ({}, {"file_format": "ninjatrader"}):
        with pytest.raises(DataError, match=r"no text"):
            read_bars(put(tmp_path, "MES_1m.csv.gz", content), **flags)  # type: ignore[arg-type]


def test_paths_in_a_zip_are_names_and_nothing_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "in" / "side"
    folder.mkdir(parents=True)
    names = ("../../MESH4.csv", "/etc/MESM4.csv", "a/b/MESU4.csv", "C:\\MESZ4.csv")
    path = put(folder, "MES_1m.zip", zipped(dict.fromkeys(names[:3], CONTENT)))
    assert read_bars(path).frame["contract"].unique().sort().to_list() == ["MESH4", "MESM4", "MESU4"]
    assert sorted(tmp_path.rglob("*")) == sorted([tmp_path / "in", folder, path])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda pack: pack.replace(b"PK\x03\x04\x14\x00\x00\x00", b"PK\x03\x04\x14\x00\x01\x00").replace(
            b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00"), "encrypted"),
        (lambda pack: pack.replace(b"\x08\x00", b"\x0c\x00"), "compression method 12"),
        (lambda pack: pack[:200] + b"\xff" * 40 + pack[240:], "cannot be unpacked"),
    ],
)  # fmt: skip
def test_zips_that_cannot_be_read(tmp_path: Path, change: object, reason: str) -> None:
    content = change(PACKED["MES_1m.zip"])  # type: ignore[operator]
    with pytest.raises(DataError, match=reason):
        read_bars(put(tmp_path, "MES_1m.zip", content))
    with pytest.raises(DataError, match="without a file in it"):
        read_bars(put(tmp_path, "MES_1m.zip", zipped({})))
