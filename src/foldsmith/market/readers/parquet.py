"""Bars from a Parquet file; and the column names of Parquet and Arrow files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from foldsmith.errors import DataError
from foldsmith.market.readers.columns import Table, fill_volume, find_columns, one_symbol, to_numbers

if TYPE_CHECKING:
    from foldsmith.market.readers.unpack import File

PARQUET, ARROW = b"PAR1", b"ARROW1"


def column_names(path: Path) -> list[str]:
    """The columns of a Parquet or Arrow file; DataError for one that is not whole."""
    with path.open("rb") as stream:
        arrow = stream.read(len(ARROW)) == ARROW
    with whole(path.name, "Arrow" if arrow else "Parquet"):
        return list(pl.read_ipc_schema(path) if arrow else pl.read_parquet_schema(path))


def read_parquet(file: File) -> Table:
    """Read the wanted columns and the key-value metadata; DataError for a file that is not whole."""
    path = _on_disk(file)
    with whole(path.name, "Parquet"):
        there = list(pl.read_parquet_schema(path))
        time, names = find_columns(there, path.name, also=("symbol",))
        frame = pl.read_parquet(path, columns=[time, *names], glob=False).rename(names)
        metadata = pl.read_parquet_metadata(path)
    metadata.pop("ARROW:schema", None)
    table = rows_table(frame, time, file, metadata)
    return table if "contract" in table.frame.columns else one_symbol(table)


def read_arrow(file: File) -> Table:
    """Read the wanted columns of an Arrow file, also called feather."""
    path = _on_disk(file)
    with whole(path.name, "Arrow"):
        time, names = find_columns(list(pl.read_ipc_schema(path)), path.name)
        frame = pl.read_ipc(path, columns=[time, *names]).rename(names)
    return rows_table(frame, time, file)


def rows_table(frame: pl.DataFrame, time: str, file: File, metadata: dict[str, str] | None = None) -> Table:
    """The table of a frame whose rows are numbered from 1 in messages."""

    def place(row: int) -> str:
        return f"row {row + 1}"

    frame, said = fill_volume(to_numbers(frame, file.source, place))
    return Table(frame, time, file.source, place, metadata or {}, said=said)


@contextmanager
def whole(name: str, kind: str) -> Iterator[None]:
    """What polars raises on a spoilt file, a panic included, as a DataError."""
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, OverflowError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{name} is no whole {kind} file ({reason}); was the copy or download cut short?"
        ) from None


def _on_disk(file: File) -> Path:
    data = file.data
    if isinstance(data, bytes):
        raise DataError(f"{file.source} is packed; unpack it yourself: its format packs its own columns.")
    return data
