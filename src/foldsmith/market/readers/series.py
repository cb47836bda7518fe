"""One series from a file, from a zip, or from a folder of files by contract or by month."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from foldsmith.errors import DataError, MissingError, SettingError
from foldsmith.market.readers import databento, histdata
from foldsmith.market.readers.catalogue import FORMATS, format_of
from foldsmith.market.readers.clock import bar_length, to_open, to_utc
from foldsmith.market.readers.columns import OPTIONAL, Table, assign
from foldsmith.market.readers.contracts import contract_in
from foldsmith.market.readers.ticks import joined
from foldsmith.market.readers.unpack import File, open_files

_WILD = "*?["
_ENOUGH = 30
"""Spacings between bars that show how long they are."""
_SAID = 12
"""Sentences and names that are said; what is left out is counted."""


@dataclass(frozen=True)
class Part:
    """One file of a series: its bars, at the times that it says, in UTC."""

    file: File
    format: str
    table: Table
    frame: pl.DataFrame
    said: tuple[str, ...]

    @property
    def instants(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Times of the bars, microseconds UTC."""
        return self.frame["datetime"].to_physical().to_numpy()


def files_at(path: Path) -> list[Path]:
    """The file, those in the folder, or those that a pattern such as `raw/MES *.txt` fits, in order of name."""
    if path.is_dir():
        found = [item for item in path.iterdir() if item.is_file() and not item.name.startswith(".")]
    elif any(mark in path.name for mark in _WILD) and not path.exists():
        found = [item for item in path.parent.glob(path.name) if item.is_file()]
    else:
        found = [path]
    if not found:
        raise MissingError(f"no file is in {path}; put files of bars there, one a contract or a month.")
    for item in found:
        _check_there(item)
    return sorted(found)


def read_series(
    path: Path, file_format: str | None, timezone: str | None, stamp: str | None, bar_seconds: int | None
) -> tuple[pl.DataFrame, tuple[str, ...], dict[str, str]]:
    """Bars of all files at `path`, what was assumed, and the metadata of a single Parquet file."""
    files = [file for item in files_at(path) for file in open_files(item)]
    beside = [file for file in files if _holds_no_bars(file)]
    if len(beside) == len(files):
        beside = []  # to be refused by their reader
    parts = [_read(file, file_format, timezone) for file in files if file not in beside]
    if len(parts) > 1:
        _check_together(parts, path.name)
        parts = _with_equal_columns(parts)
    first = parts[0].table
    if first.trades:
        if stamp == "close":
            raise SettingError(
                f"--stamp close does not go with {first.source}: it holds trades, and a trade has no end."
            )
        frame = _joined_trades(parts, path.name)
    else:
        # A column that only some files have, such as open interest, is empty in the others.
        frame = pl.concat([part.frame for part in parts]) if len(parts) > 1 else parts[0].frame
    known = None if first.vendor is None else first.stamp
    closes = (stamp or known) == "close"
    length = _length(parts, bar_seconds) if closes else None
    series, stamped = to_open(frame["datetime"], stamp, known, length)
    metadata = first.metadata if len(parts) == 1 else {}
    said = (*_sentences(parts), *stamped)
    if beside:
        said += (
            f"left out: {', '.join(file.name for file in beside[:_SAID])}, which vendors put beside bars",
        )
    return frame.with_columns(series.alias("datetime")), said, metadata


def _joined_trades(parts: Sequence[Part], name: str) -> pl.DataFrame:
    """Minutes of all files in order of time; two files may share the minute that they were cut in, and no more."""
    ordered = sorted(parts, key=lambda part: int(part.instants[0]))
    frame = pl.concat([part.frame for part in ordered])
    whole = joined(frame)
    contracts = frame["contract"].n_unique() if "contract" in frame.columns else 1
    if frame.height - whole.height > (len(parts) - 1) * contracts:
        raise DataError(
            f"{name} holds files with trades of the same minutes ({frame.height - whole.height:,} minutes twice); keep "
            "each trade in one file."
        )
    return whole


def _holds_no_bars(file: File) -> bool:
    return histdata.is_report(file.head) or file.name in databento.NOTES


def _read(file: File, file_format: str | None, timezone: str | None) -> Part:
    name = file_format or format_of(file)
    table = FORMATS[name].read(file)
    instants, said = to_utc(table, timezone)
    frame = table.frame.select(instants.alias("datetime"), *assign(table.frame.columns))
    contract = contract_in(file.name)
    if "contract" not in frame.columns and contract is not None:
        frame = frame.with_columns(contract=pl.lit(contract))
    overrule = "" if file_format else "; --format overrules this"
    taken = () if table.vendor is None else (f"read as {table.vendor}{overrule}",)
    # Of the table only what it says is needed from here on: its columns, times as text included, may be let go.
    return Part(file, name, replace(table, frame=table.frame.clear()), frame, (*taken, *table.said, *said))


def _check_together(parts: Sequence[Part], name: str) -> None:
    """Raise DataError for files that are no one series."""
    first = parts[0]
    for part in parts[1:]:
        if part.format != first.format:
            raise DataError(
                f"{name} holds files of several formats ({first.file.source}: {first.format}, {part.file.source}: "
                f"{part.format}); keep files of one format there."
            )
        if part.table.trades != first.table.trades:
            raise DataError(
                f"{name} holds bars and trades ({first.file.source}, {part.file.source}); keep one kind there."
            )
        if ("contract" in part.frame.columns) != ("contract" in first.frame.columns):
            raise DataError(
                f"{name} holds files with and without a contract ({first.file.source}, {part.file.source}); name each "
                "after its contract, such as MES 03-24.txt."
            )
    _check_lengths(parts, name)
    if "contract" not in first.frame.columns:
        _check_apart(parts, name)


def _with_equal_columns(parts: Sequence[Part]) -> list[Part]:
    """The parts without those of `OPTIONAL` that not every file has; a sentence says so."""
    lacking = [
        name for name in OPTIONAL if 0 < sum(name in part.frame.columns for part in parts) < len(parts)
    ]
    said = tuple(f"column {name} is left out: not every file has it" for name in lacking)
    return [
        replace(part, frame=part.frame.drop(lacking, strict=False), said=(*part.said, *said))
        for part in parts
    ]


def _check_lengths(parts: Sequence[Part], name: str) -> None:
    """Bars of one file that are all longer than those of another; a file of few bars shows nothing."""
    lengths: dict[int, str] = {}
    for part in parts:
        steps = np.diff(np.unique(part.instants))
        if len(steps) >= _ENOUGH:
            lengths.setdefault(int(np.gcd.reduce(steps)), part.file.source)
    if len(lengths) > 1:
        (short, one), *_, (long, other) = sorted(lengths.items())
        raise DataError(
            f"{name} holds bars of several lengths ({one}: {short / 6e7:g} minutes, {other}: {long / 6e7:g}); keep "
            "bars of one length there."
        )


def _check_apart(parts: Sequence[Part], name: str) -> None:
    """Files of no contract follow one another: where two overlap, nobody can say which is right."""
    spans = sorted((int(part.instants.min()), int(part.instants.max()), part.file.source) for part in parts)
    for (_, last, one), (begin, _, other) in pairwise(spans):
        if begin <= last and not parts[0].table.trades:
            raise DataError(
                f"{one} and {other} in {name} hold bars of the same time and no contract; name each file after its "
                "contract, such as MES 03-24.txt, or keep one of them."
            )


def _length(parts: Sequence[Part], bar_seconds: int | None) -> int:
    """Length of a bar in microseconds: as told, as the vendor's only one, or the most common spacing."""
    if bar_seconds:
        return bar_seconds * 1_000_000
    told = parts[0].table.bar_seconds
    steps = np.concatenate([np.diff(np.unique(part.instants)) for part in parts])
    if not told:
        if len(steps) == 0:
            return bar_length(parts[0].instants)
        return bar_length(np.concatenate([[0], np.cumsum(steps)]))
    length = told * 1_000_000
    if len(steps) >= _ENOUGH and np.gcd.reduce(steps) > length:
        raise DataError(
            f"{parts[0].file.source}: no two bars are less than {np.gcd.reduce(steps) / 6e7:g} minutes apart, and "
            f"{parts[0].table.vendor} are {told / 60:g} long; write them as CSV with a header, and say --stamp."
        )
    return length


def _sentences(parts: Sequence[Part]) -> tuple[str, ...]:
    """What the files say of themselves, each sentence once and not too many; and which files they are."""
    said = list(dict.fromkeys(sentence for part in parts for sentence in part.said))
    if len(said) > _SAID:
        said[_SAID:] = [f"and {len(said) - _SAID} more such remarks on single files"]
    if len(parts) == 1:
        return tuple(said)
    contracts: list[str] = []
    if "contract" in parts[0].frame.columns:
        contracts = (
            pl.concat([part.frame["contract"] for part in parts]).drop_nulls().unique().sort().to_list()
        )
    listed = (
        f" of {', '.join(contracts[:_SAID])}{' ...' if len(contracts) > _SAID else ''}" if contracts else ""
    )
    return (*said, f"{len(parts)} files are read as one series{listed}")


def _check_there(path: Path) -> None:
    if not path.is_file():
        folder = path.parent
        there = (
            sorted(item.name for item in folder.iterdir() if item.is_file())[:10] if folder.is_dir() else []
        )
        listing = f"There are: {', '.join(there)}." if there else "The folder is empty or not there."
        raise MissingError(f"no file {path}. {listing}")
    try:
        size = path.stat().st_size
        with path.open("rb"):
            pass
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error.strerror}. Look at its permissions.") from None
    if size == 0:
        raise DataError(f"{path.name} is empty (0 bytes); was the download or export cut short?")
