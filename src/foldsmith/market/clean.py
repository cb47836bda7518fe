"""From raw bars to bars one can compute on: each rule has a name, and what it did is counted and shown.

What is dropped is what cannot be a bar of this market: no number, no price, no order between open, high, low and
close, a time at which the market is closed, a print that nothing around it bears out. A price that moved far is
never dropped for that alone. `foldsmith.market.rules` lists the rules and what each may be told to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from foldsmith.errors import DataError
from foldsmith.intervals import Instants, Mask
from foldsmith.market.clock_check import HOUR, check_clock
from foldsmith.market.continuous import front_contract
from foldsmith.market.findings import Findings
from foldsmith.market.impossible import drop_impossible
from foldsmith.market.instruments import Instrument
from foldsmith.market.readers.clock import bar_length
from foldsmith.market.readers.columns import NUMBERS, OPTIONAL, PRICES
from foldsmith.market.repeats import repeats
from foldsmith.market.resample import frozen
from foldsmith.market.roll_rule import DEFAULT_ROLL, RollRule
from foldsmith.market.rules import actions_of, check_rules
from foldsmith.market.sessions import DAY, Schedule
from foldsmith.market.tally import EXAMPLES, Tally

TRADED_BARS = 30
"""Bars in one closure above which they are no stray prints."""
WEEKEND_AFTER = 4 * HOUR
"""Time after the last close of a week from which on a bar is no late print of that session."""
_TICK_TOLERANCE = 1e-4
"""Part of a tick by which a price may miss the grid: room for decimals stored as binary numbers."""


def clean(
    raw: pl.DataFrame,
    instrument: Instrument,
    schedule: Schedule,
    *,
    rules: Mapping[str, str] | None = None,
    roll: RollRule = DEFAULT_ROLL,
) -> tuple[pl.DataFrame, Findings]:
    """Sort, drop what cannot be, count what is odd; say when each bar is known and of which day it is.

    `raw` has datetime (UTC, the open), open, high, low, close, volume and maybe contract and those of `OPTIONAL`, as
    `read_bars` gives it. The rules of `rules.RULES` are applied in their order, and a row meets at most one that
    drops; `rules` says {rule: action} for those that shall do otherwise than by themselves, and `roll` which of
    several contracts is the front (see `front_contract`).

    Returns the bars with `close_time` (open + bar length, at most the session's close; the length is the most
    common spacing), `contract` (empty if not given) and `session` (trading day), and the findings. Raises
    DataError if more than 5% of rows hold impossible values, if no bar is left, if the clock cannot be right,
    or if a rule that is told to refuse meets a row; SettingError for an action that a rule cannot do.
    """
    check_rules(rules or {})
    if raw.is_empty():
        raise DataError("there are no bars to clean.")
    tally = Tally(actions_of(rules or {}))
    frame = _sorted(raw, tally)
    length = bar_length(frame["datetime"].to_physical().to_numpy())
    frame = drop_impossible(frame, tally)
    instants = frame["datetime"].to_physical().to_numpy()
    check_clock(instants, length, schedule)
    session = schedule.locate(instants)
    frame, session = _keep(frame, session, ~_closed(frame, session, schedule, tally))
    frame, session = _keep(frame, session, ~repeats(frame, tally))
    behind = ~front_contract(frame, session, instrument, schedule, roll)
    frame, session = _keep(frame, session, ~tally.meet("overlapping_contract", frame, behind))
    odd = _bad_prints(frame, session, length, tally) | _odd(frame, instrument, tally)
    frame, session = _keep(frame, session, ~odd)
    if frame.is_empty():
        raise DataError("no bar is left after cleaning; look at the rules that drop, and at the file.")
    frame = _with_times(frame, session, length, schedule)
    _count_missing(frame, schedule, tally)
    return frame, Findings(raw.height, frame.height, tally.findings)


def uncovered(frame: pl.DataFrame, schedule: Schedule) -> tuple[Instants, Instants]:
    """Rows i whose bar is followed by scheduled time without a bar, and that time in microseconds.

    The time runs from the close of bar i to the open of bar i + 1, less what lies outside the sessions.
    """
    opens = frame["datetime"].to_physical().to_numpy()[1:]
    closes = frame["close_time"].to_physical().to_numpy()[:-1]
    rows = np.flatnonzero(opens > closes)
    lost = schedule.open_time(closes[rows], opens[rows])
    return rows[lost > 0], lost[lost > 0]


def _sorted(raw: pl.DataFrame, tally: Tally) -> pl.DataFrame:
    """The rows in order of time; where they were not, with their place in the file as `row`."""
    names = ["datetime", *NUMBERS, *(name for name in ("contract", *OPTIONAL) if name in raw.columns)]
    frame = raw.select(names).rechunk()
    if "contract" not in names:
        frame = frame.with_columns(pl.lit(None, dtype=pl.String).alias("contract"))
    instants = frame["datetime"].to_physical().to_numpy()
    late = np.r_[False, instants[1:] < np.maximum.accumulate(instants)[:-1]]
    tally.meet("out_of_order", frame, late)
    # Stable: of equal times, the last in the file stays last.
    return frame.with_row_index("row").sort("datetime", maintain_order=True) if late.any() else frame


def _closed(frame: pl.DataFrame, session: Any, schedule: Schedule, tally: Tally) -> Mask:
    """Rows to leave out because the market is closed then."""
    outside = session < 0
    instants = frame["datetime"].to_physical().to_numpy()
    weekend = np.zeros(len(outside), dtype=np.bool_)
    if outside.any():
        after = np.searchsorted(schedule.open, instants[outside])
        inner = np.clip(after, 1, len(schedule.open) - 1)
        began = schedule.close[inner - 1]
        weekend[outside] = (schedule.open[inner] - began > DAY) & (instants[outside] - began >= WEEKEND_AFTER)
        _count_traded(instants[outside], after, tally)
    else:
        tally.note("traded_closure", 0, [])
    return tally.meet("weekend_bar", frame, weekend) | tally.meet(
        "outside_session", frame, outside & ~weekend
    )


def _count_traded(strays: Instants, after: Any, tally: Tally) -> None:
    """Note the closures in which a market traded on: more than a stray print or two."""
    _, first, counts = np.unique(after, return_index=True, return_counts=True)
    many = counts >= TRADED_BARS
    traded = [
        {"at": int(strays[row]), "rows": int(count)}
        for row, count in zip(first[many], counts[many], strict=True)
    ]
    tally.note("traded_closure", len(traded), traded)


def _keep(frame: pl.DataFrame, session: Any, mask: Any) -> tuple[pl.DataFrame, Any]:
    return (frame, session) if mask.all() else (frame.filter(pl.Series(mask)), session[mask])


def _bad_prints(frame: pl.DataFrame, session: Any, length: int, tally: Tally) -> Mask:
    if not tally.looks_for("bad_print"):
        return np.zeros(frame.height, dtype=np.bool_)
    # Compiled code comes with 0.9 s of import, so only where there is work for it.
    from foldsmith.market.bad_prints import bad_prints

    changed = frame["contract"].ne_missing(frame["contract"].shift(1)).to_numpy()
    bad = bad_prints(
        frozen(frame["datetime"].to_physical()),
        tuple(frozen(frame[name]) for name in PRICES),
        frozen(frame["volume"]),
        np.ascontiguousarray(session),
        np.cumsum(changed),
        length,
    )
    return tally.meet("bad_print", frame, bad)


def _odd(frame: pl.DataFrame, instrument: Instrument, tally: Tally) -> Mask:
    """Rows of odd prices or volumes that are told to go."""
    off = np.zeros(frame.height, dtype=np.bool_)
    for name in PRICES if tally.looks_for("off_tick_price") else ():
        ticks = frame[name].to_numpy() / instrument.tick_size
        off |= np.abs(ticks - np.rint(ticks)) > _TICK_TOLERANCE
    return tally.meet("off_tick_price", frame, off) | tally.meet(
        "zero_volume", frame, frame["volume"].to_numpy() == 0
    )


def _with_times(frame: pl.DataFrame, session: Any, length: int, schedule: Schedule) -> pl.DataFrame:
    instants = frame["datetime"].to_physical().to_numpy()
    closes = np.minimum(instants + length, schedule.close[session])
    return frame.select(
        "datetime",
        pl.Series("close_time", closes).cast(pl.Datetime("us", "UTC")),
        *NUMBERS,
        "contract",
        pl.Series("session", schedule.day[session]),
        *(["trades"] if "trades" in frame.columns else []),  # bars may be made of them
    )


def _count_missing(frame: pl.DataFrame, schedule: Schedule, tally: Tally) -> None:
    rows, lost = uncovered(frame, schedule)
    closes = frame["close_time"].to_physical().to_numpy()
    widest = np.sort(np.argsort(-lost, kind="stable")[:EXAMPLES])
    holes = [{"at": int(closes[rows[k]]), "minutes": int(lost[k]) // 60_000_000} for k in widest]
    tally.note("missing_minutes", int(lost.sum()) // 60_000_000, holes)
