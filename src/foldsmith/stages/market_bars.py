"""From raw bars to the bars of a timeframe: cleaned, marked, and only those that are over; no disk is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from foldsmith.contracts import BARS
from foldsmith.errors import DataError
from foldsmith.intervals import Instants, as_instants
from foldsmith.market.clean import clean
from foldsmith.market.findings import Blocks, Findings
from foldsmith.market.instruments import Instrument
from foldsmith.market.roll_rule import DEFAULT_ROLL, RollRule
from foldsmith.market.rolls import mark_blocks
from foldsmith.market.sampling import sample
from foldsmith.market.sessions import Schedule, schedule
from foldsmith.market.timeframe import Timeframe

BARS_IN_NONE = "base_bars_in_no_bar"
"""What findings call base bars of parts that a roll or a hole cut off, or of a last bar that is not over."""


@dataclass(frozen=True)
class MarketBars:
    """Bars of one symbol as the mathematics takes them.

    base : the bars of the raw file, cleaned; bars : of the timeframe; first, stop : rows of `base` inside each bar.
    """

    base: pl.DataFrame
    timeframe: Timeframe
    bars: pl.DataFrame
    first: Instants
    stop: Instants
    findings: dict[str, Any]

    @property
    def closes(self) -> Instants:
        """Close of every bar, microseconds UTC: the clock that embargoes are counted on."""
        return as_instants(self.bars["close_time"])


def market_bars(
    raw: pl.DataFrame,
    instrument: Instrument,
    timeframe: Timeframe,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    rules: Mapping[str, str] | None = None,
    roll: RollRule = DEFAULT_ROLL,
) -> MarketBars:
    """Clean raw bars, mark blocks at rolls and holes, and make the bars that are over; nothing here looks at a disk."""
    if start is not None:
        raw = raw.filter(pl.col("datetime") >= start)
    if end is not None:
        raw = raw.filter(pl.col("datetime") < end)
    if raw.is_empty():
        raise DataError("no bar is left between --start and --end; look at the dates of the raw file.")
    base, calendar, findings = clean_bars(raw, instrument, rules=rules, roll=roll)
    bars, first, stop = sample(base, timeframe, calendar, instrument.point_value)
    outside = base.height - int((stop - first).sum())
    if outside:
        findings["blocks"][BARS_IN_NONE] = {"count": outside}
    return MarketBars(base.select(list(BARS.columns)), timeframe, bars, first, stop, findings)


def clean_bars(
    raw: pl.DataFrame,
    instrument: Instrument,
    *,
    rules: Mapping[str, str] | None = None,
    roll: RollRule = DEFAULT_ROLL,
) -> tuple[pl.DataFrame, Schedule, dict[str, Any]]:
    """Raw bars cleaned and marked, the sessions they lie in, and what was found."""
    base, calendar, cleaning, blocks = clean_and_mark(raw, instrument, rules=rules, roll=roll)
    return base, calendar, {"cleaning": cleaning.as_dict(), "blocks": blocks.as_dict()}


def clean_and_mark(
    raw: pl.DataFrame,
    instrument: Instrument,
    *,
    rules: Mapping[str, str] | None = None,
    roll: RollRule = DEFAULT_ROLL,
) -> tuple[pl.DataFrame, Schedule, Findings, Blocks]:
    """What `clean_bars` gives, its findings as they are: all rolls, not only those that are listed."""
    instants = as_instants(raw["datetime"])
    calendar = schedule(instrument.calendar, int(instants.min()), int(instants.max()))
    cleaned, findings = clean(raw, instrument, calendar, rules=rules, roll=roll)
    # Where no contract was left out, no two of them have a bar in common to measure a roll by.
    others = raw if findings["overlapping_contract"].count else None
    base, blocks = mark_blocks(cleaned, calendar, instrument.max_gap_minutes, others)
    return base, calendar, findings, blocks
