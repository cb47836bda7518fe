"""Bars from a Parquet file."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from foldsmith.errors import DataError
from foldsmith.market.readers.columns import Table, find_columns, to_numbers


def read_parquet(path: Path) -> Table:
    """Read the wanted columns and the key-value metadata; DataError for a file that is not whole."""
    try:
        there = list(pl.read_parquet_schema(path))
        time, names = find_columns(there, path.name)
        frame = pl.read_parquet(path, columns=[time, *names]).rename(names)
        metadata = pl.read_parquet_metadata(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            f"{path.name} is no whole Parquet file ({str(error).splitlines()[0]}); was the copy or download "
            "cut short?"
        ) from None
    metadata.pop("ARROW:schema", None)

    def place(row: int) -> str:
        return f"row {row + 1}"

    return Table(to_numbers(frame, path.name, place), time, path.name, place, metadata)
