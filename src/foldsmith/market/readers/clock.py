"""From a file's clock to ours: UTC, at the bar's open. What a file leaves out is said to the user."""

from __future__ import annotations

import re

import numpy as np
import polars as pl

from foldsmith.errors import DataError, SettingError
from foldsmith.intervals import Instants
from foldsmith.market.readers.columns import Table
from foldsmith.market.sessions import check_plausible

UTC_DTYPE = pl.Datetime("us", "UTC")
# Year first: other orders are ambiguous. %.f takes any number of decimals, also none, and is 5 times slower.
FORMATS = (
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d",
    "%Y/%m/%d %H:%M:%S%.f",
    "%Y/%m/%d %H:%M",
    "%Y%m%d %H%M%S",
    "%Y%m%d %H:%M:%S%.f",
)
OFFSET = r"\s*(?:[Zz]|UTC|[+-]\d{2}:?\d{2})$"
DAY_AND_MONTH = re.compile(r"^\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}")
_DATE = re.compile(r"\d{4}[-/.]?\d{2}[-/.]?\d{2}")
UNITS = (("s", 1e11), ("ms", 1e14), ("us", 1e17), ("ns", 1e20))
"""Epoch numbers of recent decades, by unit: each is below the limit beside it."""


def to_utc(table: Table, timezone: str | None) -> tuple[pl.Series, tuple[str, ...]]:
    """The times of a table in UTC, whatever end of the bar they stand for, and sentences about what was assumed."""
    series = table.frame[table.time]
    if series.null_count():
        row = int(series.is_null().arg_max() or 0)
        raise DataError(
            f"{table.source}: the time is empty at {table.place(row)} ({series.null_count()} in all)."
        )
    dates = series.dtype == pl.Date or (series.dtype == pl.String and _DATE.fullmatch(series[0]) is not None)
    if series.dtype == pl.String:
        series, aware = _parse_text(series, table, timezone)
    else:
        series, aware = _from_typed(series, table)
    said: list[str] = []
    if timezone is not None:
        series = _localise(series.dt.replace_time_zone(None), table, timezone, "--timezone")
        if aware:
            said.append(f"the times carry a zone of their own; --timezone {timezone} overrules it")
        elif table.vendor and table.zone not in (None, timezone):
            said.append(f"--timezone {timezone} overrules the zone of that format, {table.zone}")
    elif aware:
        series = series.dt.convert_time_zone("UTC")
    elif dates and table.vendor:
        series = series.dt.replace_time_zone("UTC")
        said.append("times are dates alone: each bar is placed at 00:00 UTC of its date")
    elif table.zone is None:
        raise DataError(
            f"{table.source}: the times, such as {table.frame[table.time][0]} at {table.place(0)}, carry no zone, and "
            "the format does not say which it is; say --timezone, such as America/New_York or UTC."
        )
    else:
        series = _localise(series, table, table.zone, "its zone")
        if table.vendor is None:
            said.append("the times carry no zone and are taken as UTC; --timezone overrules this")
    series = series.cast(UTC_DTYPE)
    instants = series.to_physical()
    check_plausible(int(instants.min()), int(instants.max()), table.source)  # type: ignore[arg-type]
    return series, tuple(said)


def to_open(
    series: pl.Series, stamp: str | None, known: str | None, length: int | None
) -> tuple[pl.Series, tuple[str, ...]]:
    """Times of bars as their opens, and a sentence where that was assumed or computed.

    `stamp` is what the user says, `known` what the format says, None for neither. `length` of a bar in microseconds is
    the most common spacing unless given.
    """
    said: tuple[str, ...] = ()
    if stamp is None and known is None:
        said = ("bars are taken as stamped at their open; --stamp close overrules this",)
    elif None not in (stamp, known) and stamp != known:
        said = (f"--stamp {stamp} overrules the stamp of that format, {known}",)
    if (stamp or known) == "close":
        length = length or bar_length(series.to_physical().to_numpy())
        series = (series.to_physical() - length).cast(UTC_DTYPE)
        said += (
            f"bars are stamped at their close and {length / 6e7:g} minutes long, so each opens that much earlier",
        )
    return series, said


def bar_length(instants: Instants) -> int:
    """The length of a bar in microseconds: the most common spacing of instants, of equal ones the shorter.

    >>> bar_length(np.array([0, 60, 120, 300, 360]))
    60
    """
    steps = np.diff(instants)
    if (steps <= 0).any():
        steps = np.diff(np.unique(instants))
    if len(steps) == 0:
        raise DataError("fewer than two bars at different times: the length of a bar cannot be told.")
    # Counting beats sorting where one spacing is the rule.
    usual = int(np.median(steps[:1001]))
    if np.count_nonzero(steps == usual) * 2 > len(steps):
        return usual
    values, counts = np.unique(steps, return_counts=True)
    return int(values[counts.argmax()])


def _parse_text(series: pl.Series, table: Table, timezone: str | None) -> tuple[pl.Series, bool]:
    """Times from text, and whether they carry an offset; an offset that `timezone` overrules is cut off."""
    example = str(series[0]).strip()
    # Spaces around are rare, and a copy of all times without them is large.
    if not bool((series.str.len_bytes() == len(example.encode())).all()):
        series = series.str.strip_chars()
    if re.fullmatch(r"\d{9,19}", example):
        numbers = series.cast(pl.Int64, strict=False)
        _refuse_unparsed(numbers, series, table)
        return _from_epoch(numbers, table), True
    if DAY_AND_MONTH.match(example) and not table.layouts:
        raise DataError(
            f"{table.source}: the time {example!r} at {table.place(0)} may have the day or the month first; "
            "say --format csv-day-first or csv-month-first, or write times as 2024-01-31 14:30:00."
        )
    aware = re.search(r"\d{2}:\d{2}.*" + OFFSET, example) is not None
    if aware and timezone is not None:
        series = series.str.replace(OFFSET, "")
    with_zone = aware and timezone is None
    if with_zone:
        series = series.str.replace(r"\s*(?:[Zz]|UTC)$", "+0000")
    best: pl.Series | None = None
    for layout in table.layouts or FORMATS:
        layout += "%#z" if with_zone else ""
        if series[:1].str.to_datetime(layout, time_unit="us", strict=False).null_count():
            continue
        parsed = series.str.to_datetime(layout, time_unit="us", strict=False, cache=False)
        if best is None or parsed.null_count() < best.null_count():
            best = parsed
        if best.null_count() == 0:
            return best, aware
    if best is None:
        raise DataError(
            f"{table.source}: the time {example!r} at {table.place(0)} cannot be read; write times as "
            "2024-01-31 14:30:00."
        )
    _refuse_unparsed(best, series, table)
    return best, aware


def _refuse_unparsed(parsed: pl.Series, series: pl.Series, table: Table) -> None:
    if parsed.null_count():
        row = int(parsed.is_null().arg_max() or 0)
        raise DataError(
            f"{table.source}: the time {series[row]!r} at {table.place(row)} is not written like the first, "
            f"{series[0]!r} ({parsed.null_count()} in all). Mend or remove the line."
        )


def _from_typed(series: pl.Series, table: Table) -> tuple[pl.Series, bool]:
    """Times from a typed column: datetimes, dates, or epoch numbers (which count in UTC)."""
    dtype = series.dtype
    if isinstance(dtype, pl.Datetime):
        return series.dt.cast_time_unit("us"), dtype.time_zone is not None
    if dtype == pl.Date:
        return series.cast(pl.Datetime("us")), False
    if dtype.is_integer():
        numbers = series.cast(pl.Int64, strict=False)
        _refuse_unparsed(numbers, series, table)
        return _from_epoch(numbers, table), True
    raise DataError(f"{table.source}: column {table.time!r} has type {dtype}; datetimes are needed.")


def _from_epoch(numbers: pl.Series, table: Table) -> pl.Series:
    """Epoch numbers in the unit their size tells, as UTC datetimes."""
    largest = max(abs(int(numbers.min())), abs(int(numbers.max())))  # type: ignore[arg-type]
    for unit, limit in UNITS:
        if largest < limit:
            factor = {"s": 1_000_000, "ms": 1_000, "us": 1}.get(unit)
            micros = numbers * factor if factor else numbers // 1_000
            return micros.cast(UTC_DTYPE)
    raise DataError(f"{table.source}: the time {largest} is no epoch number of any known unit.")


def _localise(naive: pl.Series, table: Table, timezone: str, whose: str) -> pl.Series:
    """Clock times of a zone in UTC; times that daylight saving skips or repeats are refused."""
    if timezone == "UTC":
        return naive.dt.replace_time_zone("UTC")
    try:
        local = naive.dt.replace_time_zone(timezone, ambiguous="null", non_existent="null")
    except pl.exceptions.PolarsError:
        raise SettingError(
            f"{whose} {timezone!r} is unknown; write a name of the IANA database, such as America/Chicago."
        ) from None
    if local.null_count():
        row = int(local.is_null().arg_max() or 0)
        raise DataError(
            f"{table.source}: the time {naive[row]} at {table.place(row)} does not exist once in {timezone}: "
            f"clocks change there ({local.null_count()} such rows). Is the file in another zone? Say --timezone, or "
            "export it in UTC."
        )
    return local.dt.convert_time_zone("UTC")
