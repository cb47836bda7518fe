"""Bars from JSON: a list of records, each checked before it is believed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import polars as pl

from foldsmith.errors import DataError
from foldsmith.market.readers.columns import Table
from foldsmith.market.readers.parquet import rows_table
from foldsmith.market.readers.unpack import File


def parse(file: File) -> Any:
    """The file's content; DataError where it is no JSON."""
    try:
        return json.loads(file.content())
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{file.source} is no whole JSON ({reason}); was the download cut short?") from None


def records_table(rows: Sequence[Any], names: Sequence[str], file: File) -> Table:
    """A table of rows of one time, text or epoch number, and then numbers or null."""
    for number, row in enumerate(rows, start=1):
        if not (
            isinstance(row, list)
            and len(row) == len(names)
            and _is(row[0], (str, int))
            and all(value is None or _is(value, (int, float)) for value in row[1:])
        ):
            raise DataError(
                f"{file.source}: row {number} is {str(row)[:80]}; a time and {len(names) - 1} numbers are needed "
                f"({', '.join(names)})."
            )
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    try:
        frame = pl.DataFrame(
            {
                name: _column(values, text=place == 0)
                for place, (name, values) in enumerate(zip(names, columns, strict=True))
            }
        )
    except OverflowError:
        raise DataError(
            f"{file.source} holds a number too large for any price or time; is it whole?"
        ) from None
    return rows_table(frame, names[0], file)


def _column(values: Sequence[Any], *, text: bool) -> pl.Series:
    if not text:
        return pl.Series([None if value is None else float(value) for value in values], dtype=pl.Float64)
    if all(isinstance(value, int) and abs(value) < 2**63 for value in values):
        return pl.Series(values, dtype=pl.Int64)
    return pl.Series([str(value) for value in values], dtype=pl.String)


def _is(value: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)
