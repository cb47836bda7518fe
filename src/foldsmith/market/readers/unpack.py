"""A file of bars as it comes: plain, gzipped, zstd or zipped. Unpacked in memory, within limits, never on the disk."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from foldsmith.errors import DataError
from foldsmith.market.readers.parquet import ARROW, PARQUET, column_names

HEAD = 65_536
"""Bytes of a file's beginning that readers are chosen by."""
MOST = 4 << 30
TIMES, FREE = 200, 64 << 20
"""A file may unpack to `TIMES` its size, or to `FREE` bytes if that is more, and never to more than `MOST`."""

_GZIP, _ZSTD, _ZIP = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04"
_EMPTY_ZIP = b"PK\x05\x06"
_ENDINGS = {".gz": _GZIP, ".zst": _ZSTD, ".zip": _ZIP}
_SLICE = 4096
"""Packed bytes handed to zstd at once: a hostile slice unpacks to 32,768 times its size."""
_FIRST_BLOCK = 256 * 1024
"""Packed bytes that surely hold a whole first block, the least that can be unpacked."""
_CHUNK = 16 << 20


@dataclass(frozen=True)
class File:
    """One file of bars.

    path : where it lies, or the zip it lies in; member : its name in the zip; head : its first bytes, unpacked,
    of Parquet and Arrow their magic and then a line of column names.
    """

    path: Path
    head: bytes
    packing: bytes = b""
    member: str = ""

    @property
    def name(self) -> str:
        """The name its maker gave it, which may say a date or a contract."""
        return PurePosixPath(self.member).name if self.member else self.path.name

    @property
    def source(self) -> str:
        """What messages call it."""
        return f"{self.path.name} ({self.name})" if self.member else self.path.name

    @property
    def data(self) -> Path | bytes:
        """Where to read it from: the disk, if it lies there as it is."""
        return self.content() if self.packing else self.path

    def content(self) -> bytes:
        """All of it, unpacked; DataError where it unpacks to more than is allowed, or is not whole."""
        limit = allowed(self.path.stat().st_size)
        parts, size = [], 0
        with _readable(self.source):
            for part in self._parts():
                size += len(part)
                if size > limit:
                    raise _too_large(self.source, limit)
                parts.append(part)
        return b"".join(parts)

    def _parts(self) -> Iterator[bytes]:
        if self.packing == _ZIP:
            yield from _member_parts(self.path, self.member)
            return
        with self.path.open("rb") as stream:
            if self.packing == _GZIP:
                yield from _chunks(gzip.GzipFile(fileobj=stream))
            elif self.packing == _ZSTD:
                yield from _zstd_parts(stream)
            else:
                yield from _chunks(stream)


def allowed(packed: int) -> int:
    """Bytes that a file of `packed` bytes may unpack to.

    >>> allowed(1_000_000) == 200_000_000
    True
    """
    return min(MOST, max(FREE, TIMES * packed))


def open_files(path: Path) -> list[File]:
    """The file at `path`, or the files in the zip at `path`, each with its head."""
    with path.open("rb") as stream:
        raw = stream.read(_FIRST_BLOCK)
    for ending, magic in _ENDINGS.items():
        if path.name.lower().endswith(ending) and not raw.startswith((magic, _EMPTY_ZIP)):
            raise DataError(
                f"{path.name} cannot be unpacked (it does not begin as a {ending} file does); was the download "
                "cut short, or the file renamed?"
            )
    if raw.startswith((_ZIP, _EMPTY_ZIP)):
        return _zipped(path)
    if raw.startswith((_GZIP, _ZSTD)):
        with _readable(path.name):
            gzipped = raw.startswith(_GZIP)
            head = zlib.decompressobj(31).decompress(raw, HEAD) if gzipped else _zstd_head(raw)
        if not head:
            raise DataError(f"{path.name} unpacks to nothing; was the download or export cut short?")
        return [File(path, head, _GZIP if gzipped else _ZSTD)]
    if raw.startswith((PARQUET, ARROW)):
        magic = PARQUET if raw.startswith(PARQUET) else ARROW
        names = ",".join(column_names(path))
        return [File(path, magic + b"\n" + names.encode(errors="replace"))]
    return [File(path, raw[:HEAD])]


def _zipped(path: Path) -> list[File]:
    from zipfile import ZipFile

    with _readable(path.name), ZipFile(path) as pack:
        found = [
            item for item in pack.infolist()
            if not item.is_dir() and not item.filename.startswith("__MACOSX") and item.file_size
        ]  # fmt: skip
        limit = allowed(path.stat().st_size)
        if sum(item.file_size for item in found) > limit:
            raise _too_large(path.name, limit)
        files = []
        for item in found:
            _check_member(item.compress_type, item.flag_bits)
            with pack.open(item) as stream:
                head = stream.read(HEAD)
            if head.startswith((_GZIP, _ZSTD, _ZIP)):
                raise ValueError(f"{item.filename} in it is packed too; unpack the zip and give the folder")
            files.append(File(path, head, _ZIP, item.filename))
    if not files:
        raise DataError(f"{path.name} is a zip without a file in it; was the download cut short?")
    return files


def _check_member(method: int, flags: int) -> None:
    if flags & 1:
        raise ValueError("it is encrypted; unpack it yourself")
    if method not in (0, 8):
        raise ValueError(f"compression method {method} is none that is read; unpack it yourself")


def _member_parts(path: Path, member: str) -> Iterator[bytes]:
    from zipfile import ZipFile

    with ZipFile(path) as pack, pack.open(member) as stream:
        yield from _chunks(stream)


def _chunks(stream: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    while part := stream.read(_CHUNK):
        yield part


def _zstd_parts(stream: IO[bytes]) -> Iterator[bytes]:
    """Frame after frame; EOFError where the last one is not whole, which the library would not say."""
    import zstandard

    decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    frame: zstandard.ZstdDecompressionObj | None = None
    data = b""
    try:
        while data := data or stream.read(_SLICE):
            frame = frame or decompressor.decompressobj()
            yield frame.decompress(data)
            data = frame.unused_data
            if frame.eof:
                frame = None
    except zstandard.ZstdError as error:
        raise OSError(str(error)) from None
    if frame is not None:
        raise EOFError("it ends before it is whole")


def _zstd_head(raw: bytes) -> bytes:
    parts = b""
    try:
        for part in _zstd_parts(io.BytesIO(raw)):
            parts += part
            if len(parts) >= HEAD:
                break
    except EOFError:
        pass  # only the beginning was handed over
    return parts[:HEAD]


@contextmanager
def _readable(source: str) -> Iterator[None]:
    """What unpacking libraries raise on spoilt files, as a DataError."""
    from zipfile import BadZipFile

    try:
        yield
    except DataError:
        raise
    except (
        OSError,
        EOFError,
        ValueError,
        RuntimeError,
        KeyError,
        zlib.error,
        struct.error,
        BadZipFile,
    ) as error:
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        hint = "." if "unpack" in reason else "; was the download cut short?"
        raise DataError(f"{source} cannot be unpacked ({reason}){hint}") from None


def _too_large(source: str, limit: int) -> DataError:
    return DataError(
        f"{source} unpacks to more than {limit / 2**20:,.0f} MiB, which is more than bars of its size do; if it is "
        "sound, unpack it yourself and give the unpacked file."
    )
