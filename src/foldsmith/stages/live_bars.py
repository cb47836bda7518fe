"""Bars as they come, one after the other, made into the bars of a timeframe by the very code of phase 1.

Its bars equal, to the bit, those of `market_bars` of all rows given so far. It looks at the rows of the newest sessions
alone, and takes all of them again wherever that could make a difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.errors import DataError
from foldsmith.intervals import Instants
from foldsmith.market.findings import iso
from foldsmith.market.instruments import Instrument
from foldsmith.market.readers.clock import bar_length
from foldsmith.market.readers.columns import NUMBERS, OPTIONAL, PRICES
from foldsmith.market.readers.contracts import product_of
from foldsmith.market.roll_rule import DEFAULT_ROLL, RollRule
from foldsmith.market.sampling import sample
from foldsmith.market.sessions import check_plausible, schedule
from foldsmith.market.timeframe import Timeframe
from foldsmith.stages.market_bars import clean_and_mark

MOST_BARS = 5_000_000
"""Base bars that are held, some 60 bytes each: ten years of minutes and more."""
RECENT = 200
"""Kept base bars that the newest sessions hold at least: bounds of bad prints look back on 60."""
IN_ORDER = ("datetime", *NUMBERS, "contract", *OPTIONAL)


@dataclass(frozen=True)
class _Seen:
    """What some base bars come to.

    opens, session, block : of those that cleaning kept; bars : of the timeframe; contract : of the last of them;
    overlaps : rows left out because another contract was the front.
    """

    opens: Instants
    session: npt.NDArray[Any]
    block: npt.NDArray[np.int32]
    bars: pl.DataFrame
    contract: str | None
    overlaps: int


class LiveBars:
    """The bars of one symbol so far.

    history : raw bars as `read_bars` gives them, two or more, of which at least one bar of the timeframe is over.
    Raises DataError for what phase 1 would refuse.
    """

    def __init__(
        self,
        history: pl.DataFrame,
        instrument: Instrument,
        timeframe: Timeframe,
        *,
        rules: Mapping[str, str] | None = None,
        roll: RollRule = DEFAULT_ROLL,
    ) -> None:
        self._instrument, self._timeframe, self._rules, self._roll = instrument, timeframe, rules, roll
        names = [name for name in IN_ORDER if name in history.columns]
        rows = history.select(names).sort("datetime", maintain_order=True)
        _check_size(rows.height)
        seen = self._see(rows)
        self.length = bar_length(_instants(rows))
        self.bars = seen.bars
        """Bars of the timeframe that are over, `contracts.BARS`, in order of time."""
        self.contract = seen.contract
        """The contract of the newest bar; None where bars name none."""
        # One contract after the other: whatever contract comes next, rows before the newest sessions do not matter.
        runs = 1 if "contract" not in names else len(rows["contract"].fill_null("").rle())
        kinds = 1 if "contract" not in names else rows["contract"].fill_null("").n_unique()
        self._spliced = runs == kinds and not seen.overlaps
        self._past = rows.clear()
        self._recent, self._opens, self._block = rows, seen.opens, 0
        self.left_out = _others(rows, seen)
        """Opens of the bars given last that cleaning leaves out, microseconds UTC."""
        self._forget(seen)

    @property
    def last(self) -> int:
        """Open of the newest base bar, microseconds UTC."""
        return int(_instants(self._recent.tail(1))[0])

    @property
    def height(self) -> int:
        """Base bars held."""
        return self._past.height + self._recent.height

    def after(self, rows: pl.DataFrame, *, over_hole: bool = False) -> LiveBars:
        """The same with these base bars behind, self left as it is.

        rows : as `history`, in order of time, each of the front contract and after the newest bar. over_hole : whether
        they may begin, or go on, after more missing minutes than `max_gap_minutes`, where phase 1 begins a new block.
        Raises DataError, and says why, for rows that do not follow or cannot be bars.
        """
        if rows.is_empty():
            raise DataError("no bar is given.")
        rows = self._fitted(rows)
        _check_size(self.height + rows.height)
        instants = _instants(rows)
        self._check_follow(instants, over_hole)
        _check_possible(rows)
        found = object.__new__(LiveBars)
        found.__dict__ |= self.__dict__
        recent = pl.concat([self._recent, rows], rechunk=True)
        seen = self._from_recent(recent)
        if seen is None:
            found._past, found._block = self._past.clear(), 0
            recent = pl.concat([self._past, recent], rechunk=True)
            seen = self._see(recent)
            known = seen.bars.head(self.bars.height)
            if not known.equals(self.bars):
                raise DataError(
                    "with these bars, bars that were answered before would have been others; send the bars of one "
                    "contract in order of time."
                )
            found.bars = seen.bars
        else:
            new = seen.bars.filter(pl.col("close_time") > self.bars["close_time"][-1])
            found.bars = pl.concat([self.bars, new], rechunk=True) if new.height else self.bars
        self._check_kept(rows, seen)
        found._recent, found._opens, found.contract = recent, seen.opens, seen.contract
        found.left_out = _others(rows, seen)
        found._forget(seen)
        return found

    def _fitted(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with the columns of the bars so far."""
        columns = self._recent.columns
        named = "contract" in rows.columns and rows["contract"].null_count() < rows.height
        if named != ("contract" in columns) or (named and rows["contract"].null_count()):
            told = "name their contract" if "contract" in columns else "name no contract"
            raise DataError(f"the bars so far {told}, and of these not all do so; send all alike.")
        for contract in rows["contract"].unique() if "contract" in columns else ():
            mine = {self._instrument.symbol, product_of(self.contract or "")}
            if contract != self.contract and product_of(contract) not in mine:
                raise DataError(
                    f"a bar of contract {contract!r:.40} is none of {self._instrument.symbol}, whose bars are of "
                    f"{self.contract!r:.40} so far; send bars of one product."
                )
        schema = self._recent.schema
        return rows.select(
            pl.col(name) if name in rows.columns else pl.lit(None, dtype=schema[name]).alias(name)
            for name in columns
        ).cast(schema)

    def _check_follow(self, instants: Instants, over_hole: bool) -> None:
        check_plausible(int(instants.min()), int(instants.max()))
        before = np.r_[self.last, instants[:-1]]
        early = np.flatnonzero(instants < before + self.length)
        if len(early):
            at, last = int(instants[early[0]]), int(before[early[0]])
            told = "is there already" if at == last else "does not follow"
            raise DataError(
                f"the bar at {iso(at)} {told}: the one before opens at {iso(last)} and is {self.length / 6e7:g} "
                "minutes long; send each bar once, in order of time."
            )
        calendar = schedule(self._instrument.calendar, self.last, int(instants.max()))
        shut = np.flatnonzero(calendar.locate(instants) < 0)
        if len(shut):
            raise DataError(
                f"the bar at {iso(int(instants[shut[0]]))} lies outside the sessions of {calendar.calendar}; is its "
                "time in UTC, and that of the bar's open?"
            )
        lost = calendar.open_time(before + self.length, instants) / 6e7
        hole = np.flatnonzero(lost > self._instrument.max_gap_minutes)
        if len(hole) and not over_hole:
            at = int(hole[0])
            raise DataError(
                f"{lost[at]:,.0f} minutes of trading are missing between {iso(int(before[at]))} and "
                f"{iso(int(instants[at]))}, more than {self._instrument.max_gap_minutes}; send them first, or say "
                'so with "over_hole": true, and features begin anew behind the hole.'
            )

    def _check_kept(self, rows: pl.DataFrame, seen: _Seen) -> None:
        """Raise DataError for a row that was left out because another contract is the front."""
        if "contract" not in rows.columns:
            return
        kept = np.isin(_instants(rows), seen.opens)
        gone = rows.filter(pl.Series(~kept))
        kinds = rows.filter(pl.Series(kept))["contract"].unique().to_list()
        fronts = {*kinds, self.contract} if not kinds else set(kinds)
        strange = next((name for name in gone["contract"] if name not in fronts), None)
        if strange is not None:
            raise DataError(
                f"a bar of contract {strange!r:.40} is not of the front, {seen.contract!r:.40}; send the bars of the "
                "front contract alone."
            )

    def _see(self, raw: pl.DataFrame) -> _Seen:
        base, calendar, cleaning, _ = clean_and_mark(
            raw, self._instrument, rules=self._rules, roll=self._roll
        )
        bars, _, _ = sample(base, self._timeframe, calendar, self._instrument.point_value)
        return _Seen(
            _instants(base),
            base["session"].to_physical().to_numpy(),
            base["block"].to_numpy(),
            bars,
            base["contract"][-1],
            cleaning["overlapping_contract"].count,
        )

    def _from_recent(self, recent: pl.DataFrame) -> _Seen | None:
        """What the newest sessions alone come to; None where all bars so far must be looked at.

        The cleaning of a bar depends on the bars before it through their spacing, the contracts so far, and the bounds
        of the last 60 bars kept. Of those, the spacing and the contracts are compared here. The bounds are those of the
        whole as soon as 61 bars in a row were judged alike, and `RECENT` were.
        """
        if not self._past.height or not self._spliced:
            return None
        if "contract" in recent.columns and recent["contract"][-1] != self.contract:
            return None
        try:
            if bar_length(_instants(recent)) != self.length:
                return None
            seen = self._see(recent)
        except DataError:
            return None  # all of them may be in order where these alone are not
        same = np.array_equal(seen.opens[: len(self._opens)], self._opens)
        if not same or seen.overlaps:
            return None
        block = pl.col("block") + pl.lit(self._block, dtype=pl.Int32)
        bars = seen.bars.with_columns(block)
        return _Seen(seen.opens, seen.session, seen.block + np.int32(self._block), bars, seen.contract, 0)

    def _forget(self, seen: _Seen) -> None:
        """Move to `_past` what lies before the newest session that has `RECENT` kept bars from its begin on."""
        begins = np.flatnonzero(np.diff(seen.session, prepend=seen.session[0] - 1))
        early = begins[(begins > 0) & (begins <= len(seen.opens) - RECENT)]
        if not self._spliced or not len(early):
            return
        at = int(early[-1])
        row = int(np.searchsorted(_instants(self._recent), seen.opens[at], side="left"))
        self._past = pl.concat([self._past, self._recent.head(row)])
        self._recent = self._recent.slice(row).rechunk()
        self._opens, self._block = seen.opens[at:], int(seen.block[at])


def _check_possible(rows: pl.DataFrame) -> None:
    """Raise DataError if a row cannot be a bar, whatever cleaning would make of it."""
    prices = [pl.col(name) for name in PRICES]
    tests = {
        "holds a number that is missing or not finite": pl.any_horizontal(
            pl.col(name).is_finite().not_().fill_null(value=True) for name in NUMBERS
        ),
        "has a price of 0 or less": pl.min_horizontal(prices) <= 0,
        "has a volume below 0": pl.col("volume") < 0,
        "has a high below another of its prices": pl.col("high") < pl.max_horizontal(prices),
        "has a low above another of its prices": pl.col("low") > pl.min_horizontal(prices),
    }
    for said, test in tests.items():
        bad = rows.filter(test)
        if bad.height:
            numbers = ", ".join(f"{name} {bad[name][0]}" for name in NUMBERS)
            raise DataError(
                f"the bar at {iso(int(_instants(bad)[0]))} {said} ({numbers}); look at its source."
            )


def _others(rows: pl.DataFrame, seen: _Seen) -> tuple[int, ...]:
    instants = _instants(rows)
    return tuple(int(at) for at in instants[~np.isin(instants, seen.opens)])


def _instants(rows: pl.DataFrame) -> Instants:
    return rows["datetime"].to_physical().to_numpy()


def _check_size(height: int) -> None:
    if height > MOST_BARS:
        raise DataError(
            f"{height:,} base bars are more than the {MOST_BARS:,} that are held; begin anew from a shorter file."
        )
