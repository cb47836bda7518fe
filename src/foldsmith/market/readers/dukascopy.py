"""Dukascopy: epoch milliseconds, or `31.01.2024 14:30:00.000` under the heading `Gmt time`; UTC, stamped at the open.

Prices are those of one side, the bid unless the ask was asked for. Epoch times under `timestamp` have no mark of
their own; with a volume they are read as any other text.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from foldsmith.market.readers.columns import PRICES, TIMES, Table
from foldsmith.market.readers.csv import first_value, names_of, read_csv
from foldsmith.market.readers.unpack import File

_TITLES = ("gmt time", "time (utc)")
_LAYOUTS = ("%d.%m.%Y %H:%M:%S%.f", "%Y.%m.%d %H:%M:%S%.f")


def sniff(head: bytes, path: Path) -> bool:  # noqa: ARG001
    """Their heading of the time, or epoch milliseconds and the four prices alone."""
    names = names_of(head)
    if names[:1] and names[0] in _TITLES:
        return names[1:5] == list(PRICES)
    return names == ["timestamp", *PRICES] and first_value(head).isdigit() and len(first_value(head)) == 13


def read(file: File) -> Table:
    """A volume of 0 where there is none."""
    titled = names_of(file.head)[0] in _TITLES
    table = read_csv(file, volume_needed=False, times=_TITLES if titled else TIMES)
    vendor = "Dukascopy's bars (UTC, stamped at their open, prices of one side)"
    return replace(table, vendor=vendor, stamp="open", layouts=_LAYOUTS if titled else ())
