"""The continuous series of raw bars as one table, adjusted or not, and where it rolls."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from foldsmith.market.continuous import adjusted
from foldsmith.market.findings import Roll, iso
from foldsmith.market.instruments import Instrument
from foldsmith.market.readers import read_bars
from foldsmith.market.readers.columns import NUMBERS
from foldsmith.market.roll_rule import RollRule
from foldsmith.stages.market_bars import clean_and_mark


@dataclass(frozen=True)
class Continuous:
    """Cleaned bars of one contract at a time, as a raw file has them; its rolls; and what was assumed of the file."""

    bars: pl.DataFrame
    rolls: tuple[Roll, ...]
    assumptions: tuple[str, ...]


def continuous(
    path: Path,
    instrument: Instrument,
    *,
    roll: RollRule,
    method: str,
    anchor: str,
    file_format: str | None = None,
    timezone: str | None = None,
    stamp: str | None = None,
) -> Continuous:
    """Read raw bars, clean them as phase 1 does, and move their prices by `adjusted`'s `method` and `anchor`.

    The table has datetime (UTC, the bar's open), open, high, low, close, volume and contract.
    """
    raw = read_bars(path, file_format=file_format, timezone=timezone, stamp=stamp, symbol=instrument.symbol)
    base, _, _, blocks = clean_and_mark(raw.frame, instrument, roll=roll)
    bars = adjusted(base.select("datetime", *NUMBERS, "contract"), blocks.rolls, method, anchor)
    return Continuous(bars, blocks.rolls, raw.assumptions)


def roll_line(roll: Roll) -> str:
    """A roll in words: when, of what, and how far the new contract lies from the old one."""
    line = f"{iso(roll.at)}  {roll.old} -> {roll.new}"
    if roll.measured_at is None:
        return f"{line}  no bar of both before"
    return f"{line}  offset {roll.offset:.10g}  ratio {roll.ratio:.10g}  measured at {iso(roll.measured_at)}"


def as_csv(bars: pl.DataFrame) -> bytes:
    """The table as CSV text, times in ISO 8601."""
    return bars.with_columns(pl.col("datetime").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_csv().encode()


def as_parquet(bars: pl.DataFrame) -> bytes:
    """The table as the bytes of a Parquet file."""
    content = io.BytesIO()
    bars.write_parquet(content)
    return content.getvalue()
