"""Tables on disk: Parquet with a contract, checked on write and on read, and metadata that travels in the file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from foldsmith.contracts import Contract
from foldsmith.errors import DataError, MissingError

METADATA_KEY = "foldsmith"


def write_table(
    frame: pl.DataFrame,
    path: Path,
    contract: Contract | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write `frame` as Parquet after checking its contract; `metadata` (JSON-able) goes into the file itself.

    The bytes depend on nothing but the table and the metadata: no time, path or row-group size of the moment.
    """
    if contract is not None:
        contract.check(frame, path.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(metadata or {}, sort_keys=True, separators=(",", ":"), allow_nan=False)
    frame.write_parquet(
        path, compression="zstd", compression_level=1, statistics=False, metadata={METADATA_KEY: text}
    )


def read_table(
    path: Path, contract: Contract | None = None, columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """Read a Parquet table and check its contract; MissingError or DataError in one sentence."""
    if not path.is_file():
        raise MissingError(f"{path} is not there.")
    try:
        frame = pl.read_parquet(path, columns=list(columns) if columns is not None else None)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise DataError(
            f"{path} cannot be read as Parquet ({_first_line(error)}); is it cut short?"
        ) from error
    return frame if contract is None else contract.check(frame, path.name)


def read_metadata(path: Path) -> dict[str, Any]:
    """The metadata that `write_table` put into the file."""
    try:
        text = pl.read_parquet_metadata(path).get(METADATA_KEY, "{}")
        found = json.loads(text)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        raise DataError(f"the metadata of {path} cannot be read ({_first_line(error)}).") from error
    if not isinstance(found, dict):
        raise DataError(f"the metadata of {path} is {type(found).__name__}, not a table of names and values.")
    return found


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
