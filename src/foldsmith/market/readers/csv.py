"""Bars from text: a line a bar, its values separated by commas, semicolons or tabs, with or without a header line."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from foldsmith.errors import DataError
from foldsmith.market.readers.columns import (
    NUMBERS,
    OPTIONAL,
    TIMES,
    TRADE_NUMBERS,
    Table,
    fill_volume,
    find_columns,
    one_symbol,
    to_numbers,
)

if TYPE_CHECKING:
    from foldsmith.market.readers.unpack import File

DELIMITERS = (",", ";", "\t")
_SHOWN_LINES = 20
_NO_TEXT = re.compile(rb"[\x00-\x08]|^\x1f\x8b|^\x28\xb5\x2f\xfd")
"""Control characters, as packed data has them: polars would unpack it without limit."""
_SEPARATED = r"[/.-]"
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S%.f", " %I:%M %p", " %I:%M:%S %p")
_CUT = "the last line of {} does not end with a line break; if the file was cut short there, its last bar is wrong"


def read_csv(
    file: File, *, volume_needed: bool = True, times: Sequence[str] = TIMES, also: Sequence[str] = ()
) -> Table:
    """Read the wanted columns of a text with a header line; DataError names column, line and value that misfit.

    What is wanted is what `find_columns` says; a column `symbol` may name one symbol.
    """
    header, delimiter = header_of(file)
    also = ("symbol", *also)
    time, names = find_columns(header, file.source, volume_needed=volume_needed, times=times, also=also)
    table = read_text(file, header, delimiter, time, names, skip=1)
    return table if "contract" in table.frame.columns else one_symbol(table)


def read_day_first(file: File) -> Table:
    """Dates as 31/01/2024, 31.01.2024 or 31-01-24."""
    return _dated(read_csv(file), "%d/%m", "the day")


def read_month_first(file: File) -> Table:
    """Dates as 01/31/2024, 01.31.2024 or 01-31-24."""
    return _dated(read_csv(file), "%m/%d", "the month")


def read_text(
    file: File,
    columns: Sequence[str],
    delimiter: str,
    time: str,
    names: dict[str, str],
    *,
    skip: int = 0,
) -> Table:
    """Read `time` and the columns of `names` from lines whose values are called `columns`, after `skip` lines.

    Numbers are read as float64; where that fails, as text, so that the message can say which cell misfits.
    """
    if _NO_TEXT.search(file.head):
        raise DataError(f"{file.source} is no text, or is packed twice; give it as text in UTF-8.")
    # Names in a file may be there twice; what is wanted is not.
    times = Counter(columns)
    unique = [name if times[name] == 1 else f"{place}:{name}" for place, name in enumerate(columns)]
    data = file.data
    numbers = {
        column: pl.Float64 for column, name in names.items() if name in (*NUMBERS, *TRADE_NUMBERS, *OPTIONAL)
    }
    try:
        frame = _scan(data, unique, delimiter, skip, numbers)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        frame = _scan_text(file.source, data, unique, delimiter, skip)
    frame = frame.select([time, *names]).rename(names)

    def place(row: int) -> str:
        return f"line {row + 1 + skip}"

    frame, said = fill_volume(to_numbers(frame, file.source, place))
    # Packed files are known to be whole.
    if isinstance(data, Path) and not _ends_with_break(data):
        said += (_CUT.format(file.source),)
    return Table(frame, time, file.source, place, said=said)


def lines_of(head: bytes, count: int = _SHOWN_LINES) -> list[str]:
    """The first whole lines of a file's head, for telling what it is; none if it is no text."""
    text = head.decode("utf-8-sig", errors="replace")
    lines = re.split(r"\r?\n", text)
    if len(lines) > 1:
        lines = lines[:-1]
    return lines[:count]


def names_of(head: bytes) -> list[str]:
    """The names in the first line, lower case: of a text, or of a Parquet or Arrow file."""
    lines = lines_of(head, 2)
    if lines and lines[0] in ("PAR1", "ARROW1"):
        lines = re.split("\n", head.decode(errors="replace"))[1:2]
    if not lines:
        return []
    delimiter = max(DELIMITERS, key=lines[0].count)
    return [name.strip().strip('"').lower() for name in lines[0].split(delimiter)]


def first_value(head: bytes, column: int = 0) -> str:
    """The value of a column in the line after the header, or nothing."""
    lines = lines_of(head, 2)
    if len(lines) < 2:
        return ""
    values = lines[1].split(max(DELIMITERS, key=lines[0].count))
    return values[column].strip().strip('"') if column < len(values) else ""


def written_so(head: bytes, pattern: re.Pattern[str]) -> bool:
    """Whether the first line and most of those after it are written so; a damaged one is told later, by its place."""
    lines = lines_of(head)
    fits = [pattern.fullmatch(line) is not None for line in lines]
    return bool(fits) and fits[0] and sum(fits) * 2 > len(fits)


def _dated(table: Table, order: str, first: str) -> Table:
    """Times with the order of day and month known; dots and dashes are read as slashes."""
    series = table.frame[table.time].str.strip_chars()
    series = series.str.replace(rf"^(\d{{1,2}}){_SEPARATED}(\d{{1,2}}){_SEPARATED}", "$1/$2/")
    short = bool(len(series)) and re.match(r"^\d+/\d+/\d{2}(\D|$)", series[0] or "") is not None
    year = "/%y" if short else "/%Y"
    return replace(
        table,
        frame=table.frame.with_columns(series.alias(table.time)),
        layouts=tuple(order + year + time for time in _TIMES),
        said=(*table.said, f"dates are read with {first} first, as --format says"),
    )


def header_of(file: File) -> tuple[list[str], str]:
    """Names in the first line, and what separates them."""
    try:
        line = file.head.split(b"\n", 1)[0].decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{file.source} is no text in UTF-8; export it again as UTF-8.") from None
    line = line.rstrip("\r\n")
    if not line.strip():
        raise DataError(f"{file.source} begins with an empty line; its first line must name the columns.")
    delimiter = max(DELIMITERS, key=line.count)
    return [name.strip('"') for name in line.split(delimiter)], delimiter


def _scan(
    data: Path | bytes,
    columns: Sequence[str],
    delimiter: str,
    skip: int,
    types: Mapping[str, type[pl.DataType]],
) -> pl.DataFrame:
    return pl.read_csv(
        io.BytesIO(data) if isinstance(data, bytes) else data,
        has_header=False,
        separator=delimiter,
        skip_lines=skip,
        # All columns, also those not wanted: else values too many in a line would go unseen.
        schema={column: types.get(column, pl.String) for column in columns},
        low_memory=False,
        glob=False,
    )


def _scan_text(
    source: str, data: Path | bytes, columns: Sequence[str], delimiter: str, skip: int
) -> pl.DataFrame:
    try:
        return _scan(data, columns, delimiter, skip, {})
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{source} cannot be read as lines of {len(columns)} values separated by {delimiter!r}: "
            f"{_odd_line(data, len(columns), delimiter, skip) or reason}. Does every line have as many values as the "
            "header, and is the file whole?"
        ) from None


def _odd_line(data: Path | bytes, count: int, delimiter: str, skip: int) -> str:
    """Which line has another number of values, in words; quotes are looked through."""
    content = data if isinstance(data, bytes) else data.read_bytes()
    for number, line in enumerate(content.split(b"\n")[skip:], start=skip + 1):
        found = line.count(delimiter.encode()) + 1
        if line.strip() and found != count:
            return f"line {number} has {found}"
    return ""


def _ends_with_break(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(-1, 2)
        return stream.read(1) in (b"\n", b"\r")
