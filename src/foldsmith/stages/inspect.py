"""Look at any file of bars before anything is made of it: how it is read, what it holds, what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from foldsmith.errors import SettingError, TakenError
from foldsmith.market.coverage import Profile, coverage, price_step, profile
from foldsmith.market.findings import iso
from foldsmith.market.instruments import MOST, Instrument
from foldsmith.market.readers import ENDINGS, RawBars, read_bars
from foldsmith.market.readers.contracts import product_of
from foldsmith.market.roll_rule import RollRule
from foldsmith.report.inspection import GENERATOR, render_inspection
from foldsmith.runs.files import write_whole
from foldsmith.stages.market_bars import clean_bars
from foldsmith.stages.raw_bars import findings_lines

_CONTRACTS = 6
"""Contracts that the summary names; the page names all."""
_ASSUMED = 4
"""Assumptions that the summary shows; the page shows all."""


@dataclass(frozen=True)
class Inspection:
    """What was found in a file of bars."""

    path: Path
    raw: RawBars
    instrument: Instrument
    guessed: bool
    profile: Profile
    days: pl.DataFrame
    findings: dict[str, Any]

    @property
    def covered(self) -> float:
        """Share of the scheduled minutes, from the first session to the last, that bars lie over."""
        return float(self.days["covered"].sum()) / float(self.days["scheduled"].sum())

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the reader took for granted, and what stands in for an instrument that is not known."""
        if not self.guessed:
            return self.raw.assumptions
        guessed = (
            f"the name of {self.path.name} says no known instrument: taken as a market that never closes, with steps "
            f"of {self.instrument.tick_size:g}; name one with --symbol"
        )
        return (*self.raw.assumptions, guessed)


def inspect(
    path: Path,
    known: Mapping[str, Instrument],
    symbol: str | None,
    *,
    file_format: str | None,
    timezone: str | None,
    stamp: str | None,
    rules: Mapping[str, str],
    roll: RollRule,
) -> Inspection:
    """Read and clean the bars at `path` as phase 1 would, and describe them; nothing is written.

    known : instruments by symbol; symbol : one of them, None to have it told from the contracts or the file's name.
    Raises what reading and cleaning raise: DataError for a file that phase 1 would refuse.
    """
    raw = read_bars(path, file_format=file_format, timezone=timezone, stamp=stamp, symbol=symbol)
    told = symbol or _symbol_of(path, raw.frame, known)
    instrument = known[told] if told else _unknown(path, raw.frame)
    if told is None:  # whose tick is not known either
        rules = {"off_tick_price": "off", **rules}
    base, schedule, findings = clean_bars(raw.frame, instrument, rules=rules, roll=roll)
    return Inspection(path, raw, instrument, told is None, profile(base), coverage(base, schedule), findings)


def _symbol_of(path: Path, frame: pl.DataFrame, known: Mapping[str, Instrument]) -> str | None:
    """The known symbol that the contracts, or else the beginning of the file's name, are of."""
    contracts = frame["contract"].drop_nulls().unique().to_list() if "contract" in frame.columns else []
    products = sorted({product_of(contract) for contract in contracts})
    if len(products) > 1:
        raise SettingError(
            f"{path.name} holds bars of {', '.join(products[:8])}; name the one to look at with --symbol."
        )
    named = [name for name in products if name in known] or _symbols_in(path.name, known)
    return named[0] if len(named) == 1 else None


def _symbols_in(name: str, known: Mapping[str, Instrument]) -> list[str]:
    """Known symbols that are words of a file's name, as in `CME_MINI_NQ1!, 5.csv`; only the first word if it is one."""
    words = re.split(r"[^A-Za-z0-9!]+", name)
    found = [word for word in (re.sub(r"\d!$", "", word) for word in words) if word in known]
    return found[:1] if words[0] in found[:1] else list(dict.fromkeys(found))


def _unknown(path: Path, frame: pl.DataFrame) -> Instrument:
    step = price_step(
        frame.drop_nulls().filter(pl.all_horizontal(pl.col("open", "high", "low", "close").is_finite()))
    )
    tick = step if 0 < step <= MOST else 1e-6
    return Instrument(path.name.split(".")[0] or "bars", path.name, "24x7", tick, tick)


def summary(found: Inspection) -> Iterator[str]:
    """What was found on one screen."""
    bars, days = found.profile, found.days
    length = f"{bars.length / 60e6:g} minutes"
    yield f"{found.path.name}: {bars.bars:,} bars of {length}, kept of {found.raw.frame.height:,} rows"
    yield from (f"  assumed: {sentence}" for sentence in found.assumptions[:_ASSUMED])
    if len(found.assumptions) > _ASSUMED:
        yield f"  and {len(found.assumptions) - _ASSUMED} more assumptions, on the page"
    traded = found.instrument
    yield f"instrument  {traded.symbol}, hours of {traded.calendar}, tick {traded.tick_size:g}"
    yield f"time        {_at(bars.first)} to {_at(bars.last)} UTC"
    yield f"prices      {bars.low:,.10g} to {bars.high:,.10g} in steps of {bars.step:g}"
    yield f"volume      {bars.volume:,.0f}"
    empty = int((days["bars"] == 0).sum())
    yield f"coverage    {found.covered:.2%} of the minutes of {days.height:,} sessions, {empty:,} of them without a bar"
    if bars.contracts:
        names = [f"{name} ({rows:,})" for name, rows, *_ in bars.contracts[:_CONTRACTS]]
        more = len(bars.contracts) - len(names)
        yield f"contracts   {', '.join(names)}{f' and {more} more' if more else ''}"
    yield from list(findings_lines(found.findings))[1:] or ["  no rule of cleaning was met"]


def page_of(found: Inspection) -> str:
    """The page of an inspection."""
    bars = found.profile
    return render_inspection(
        found.path.name,
        facts={
            "bars": bars.bars,
            "length": f"{bars.length / 60e6:g} minutes",
            "instrument": found.instrument.symbol,
            "hours": found.instrument.calendar,
            "from": f"{_at(bars.first)} UTC",
            "to": f"{_at(bars.last)} UTC",
            "prices": f"{bars.low:,.10g} to {bars.high:,.10g}",
            "step": f"{bars.step:g}",
            "volume": f"{bars.volume:,.0f}",
            "covered": f"{found.covered:.2%}",
        },
        assumptions=found.assumptions,
        contracts=[(name, rows, _at(first), _at(last)) for name, rows, first, last in bars.contracts],
        days=found.days,
        findings=found.findings,
    )


def write_page(found: Inspection, output: Path) -> None:
    """Write the page; a file of that name is replaced only if it is such a page too, else TakenError."""
    if output.exists():
        try:
            with output.open(encoding="utf-8") as file:
                ours = f'content="{GENERATOR}"' in file.read(400)
        except (OSError, UnicodeDecodeError):
            ours = False
        if not ours:
            raise TakenError(f"{output} is there and is no page of an inspection; choose another --output.")
    write_whole(output, page_of(found).encode())


def default_output(path: Path) -> Path:
    """The page's name in the current folder: the file's, without what says its format."""
    name = path.name
    for ending in sorted(ENDINGS, key=len, reverse=True):
        name = name.removesuffix(ending)
    return Path(re.sub(r"[^\w.\- ]", "_", f"inspection_{name or 'bars'}.html"))


def _at(instant: int) -> str:
    return iso(instant)[:16].replace("T", " ")
