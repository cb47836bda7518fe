"""Bars from a text file with a header line: commas, semicolons or tabs, plain or gzipped."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import polars as pl

from foldsmith.errors import DataError
from foldsmith.market.readers.columns import NUMBERS, Table, find_columns, to_numbers

DELIMITERS = (",", ";", "\t")


def read_csv(path: Path) -> Table:
    """Read the wanted columns by an explicit schema; DataError names column, line and value that misfit."""
    header, delimiter = _header(path)
    time, names = find_columns(header, path.name)
    wanted = [time, *names]
    numbers = {column: pl.Float64 for column, name in names.items() if name in NUMBERS}
    try:
        frame = _scan(path, delimiter, wanted, {time: pl.String, **numbers})
    except (pl.exceptions.PolarsError, OSError):
        # Some cell does not fit: read text, so that the message can say which one.
        frame = _scan_text(path, delimiter, wanted)

    def place(row: int) -> str:
        return f"line {row + 2}"

    frame = to_numbers(frame.rename(names), path.name, place)
    return Table(frame, time, path.name, place)


def _header(path: Path) -> tuple[list[str], str]:
    """Names in the first line, and what separates them."""
    try:
        with gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb") as stream:
            line = stream.readline(65_536).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path.name} is no text in UTF-8; export it again as UTF-8.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path.name} cannot be unpacked ({error}); was the download cut short?") from None
    line = line.rstrip("\r\n")
    if not line.strip():
        raise DataError(f"{path.name} begins with an empty line; its first line must name the columns.")
    delimiter = max(DELIMITERS, key=line.count)
    return [name.strip('"') for name in line.split(delimiter)], delimiter


def _scan(
    path: Path, delimiter: str, wanted: list[str], schema: dict[str, type[pl.DataType]]
) -> pl.DataFrame:
    return pl.read_csv(
        path,
        separator=delimiter,
        columns=wanted,
        schema_overrides=schema,
        infer_schema=False,
        low_memory=False,
    ).select(wanted)


def _scan_text(path: Path, delimiter: str, wanted: list[str]) -> pl.DataFrame:
    try:
        return _scan(path, delimiter, wanted, {})
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{path.name} cannot be read as lines of values separated by {delimiter!r}: {reason}. Does every "
            "line have as many values as the header, and is the file whole?"
        ) from None
