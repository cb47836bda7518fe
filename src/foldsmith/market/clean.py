"""From raw bars to bars one can compute on: each rule has a name, and what it did is counted.

A price that moved far is never dropped for that: whether a spike is real cannot be told from the bar. What is
dropped is what cannot be a bar of this market: no number, no price, no order between open, high, low and
close, or a time at which the market is closed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from foldsmith.errors import DataError
from foldsmith.intervals import Instants
from foldsmith.market.clock_check import check_clock
from foldsmith.market.findings import Finding, Findings, first_of, iso
from foldsmith.market.front import front_contract
from foldsmith.market.instruments import Instrument
from foldsmith.market.readers.clock import bar_length
from foldsmith.market.readers.columns import NUMBERS, OPTIONAL, PRICES
from foldsmith.market.sessions import Schedule

MAX_BROKEN_SHARE = 0.05
"""Share of rows with impossible values above which a file is refused."""
TRADED_BARS = 30
"""Bars in one closure above which they are no stray prints."""
CAUSES = {
    "missing_value": "Are rows filled in for minutes without trades? Leave them out of the file.",
    "non_positive_price": "The prices are likely in another column, or the file is damaged.",
    "negative_volume": "The file likely holds quotes and not trades; export trades.",
    "inconsistent_ohlc": "The columns are likely in another order than named.",
}
"""What a file is likely to suffer from when a rule is broken too often."""
_TICK_TOLERANCE = 1e-4
"""Part of a tick by which a price may miss the grid: room for decimals stored as binary numbers."""


def clean(raw: pl.DataFrame, instrument: Instrument, schedule: Schedule) -> tuple[pl.DataFrame, Findings]:
    """Sort, drop what cannot be, count what is odd; say when each bar is known and of which day it is.

    `raw` has datetime (UTC, the open), open, high, low, close, volume and maybe contract and trades, as
    `read_bars` gives it. Rules, in this order; a row meets at most one that drops:

    out_of_order           before a row above it: sorted
    missing_value          a price or the volume is empty, NaN or infinite: dropped
    non_positive_price     dropped
    negative_volume        dropped
    inconsistent_ohlc      high below another price, or low above: dropped
    outside_session        the market is closed at the bar's open: dropped
    traded_closure         sessions (not rows) before which the closed market has 30 bars or more: the clock
                           or the calendar is likely wrong there, or these are extended hours; kept
    duplicate              an equal row is there: dropped
    conflicting_duplicate  that time and contract again with other values: the last in the file stays
    overlapping_contract   another contract of more volume trades then: dropped (see `front_contract`)
    off_tick_price         a price off the grid of `tick_size`: kept
    zero_volume            kept
    missing_minutes        scheduled minutes between the first and the last bar without one

    Returns the bars with `close_time` (open + bar length, at most the session's close; the length is the most
    common spacing), `contract` (empty if not given) and `session` (trading day), and the findings. Raises
    DataError if more than 5% of rows hold impossible values, if no bar is left, or if the clock cannot be
    right.
    """
    if raw.is_empty():
        raise DataError("there are no bars to clean.")
    frame, out_of_order = _sorted(raw)
    rules: dict[str, Finding] = {"out_of_order": out_of_order}
    length = bar_length(frame["datetime"].to_physical().to_numpy())
    frame = _drop_broken(frame, rules)
    instants = frame["datetime"].to_physical().to_numpy()
    check_clock(instants, length, schedule)
    session = schedule.locate(instants)
    outside = session < 0
    rules["outside_session"] = _finding(outside, instants, "dropped")
    rules["traded_closure"] = _traded_closures(instants[outside], schedule)
    frame, session = _keep(frame, session, ~outside)
    frame, session = _drop_repeats(frame, session, rules)
    front = front_contract(frame, session)
    rules["overlapping_contract"] = _finding(~front, frame["datetime"].to_physical().to_numpy(), "dropped")
    frame, session = _keep(frame, session, front)
    frame = _with_times(frame, session, length, schedule)
    _count_oddities(frame, instrument, schedule, rules)
    return frame, Findings(raw.height, frame.height, rules)


def uncovered(frame: pl.DataFrame, schedule: Schedule) -> tuple[Instants, Instants]:
    """Rows i whose bar is followed by scheduled time without a bar, and that time in microseconds.

    The time runs from the close of bar i to the open of bar i + 1, less what lies outside the sessions.
    """
    opens = frame["datetime"].to_physical().to_numpy()[1:]
    closes = frame["close_time"].to_physical().to_numpy()[:-1]
    rows = np.flatnonzero(opens > closes)
    lost = schedule.open_time(closes[rows], opens[rows])
    return rows[lost > 0], lost[lost > 0]


def _sorted(raw: pl.DataFrame) -> tuple[pl.DataFrame, Finding]:
    names = ["datetime", *NUMBERS, *(name for name in ("contract", *OPTIONAL) if name in raw.columns)]
    frame = raw.select(names).rechunk()
    if "contract" not in names:
        frame = frame.with_columns(pl.lit(None, dtype=pl.String).alias("contract"))
    instants = frame["datetime"].to_physical().to_numpy()
    late = np.r_[False, instants[1:] < np.maximum.accumulate(instants)[:-1]]
    if late.any():
        # Stable: of equal times, the last in the file stays last.
        frame = frame.sort("datetime", maintain_order=True)
    return frame, _finding(late, instants, "sorted")


def _drop_broken(frame: pl.DataFrame, rules: dict[str, Finding]) -> pl.DataFrame:
    prices = [pl.col(name) for name in PRICES]
    tests = {
        "missing_value": pl.any_horizontal(
            (~pl.col(name).is_finite()).fill_null(value=True) for name in NUMBERS
        ),
        "non_positive_price": pl.min_horizontal(prices) <= 0,
        "negative_volume": pl.col("volume") < 0,
        "inconsistent_ohlc": (pl.col("high") < pl.max_horizontal("open", "low", "close"))
        | (pl.col("low") > pl.min_horizontal("open", "close")),
    }
    masks = frame.select(**tests)
    instants = frame["datetime"].to_physical().to_numpy()
    broken = np.zeros(frame.height, dtype=np.bool_)
    for name in tests:
        mask = masks[name].fill_null(value=False).to_numpy() & ~broken
        rules[name] = _finding(mask, instants, "dropped")
        broken |= mask
    count = int(broken.sum())
    if count > MAX_BROKEN_SHARE * frame.height:
        worst = max(tests, key=lambda name: rules[name].count)
        first = rules[worst].first
        raise DataError(
            f"{count:,} of {frame.height:,} rows ({count / frame.height:.0%}) hold impossible values, more "
            f"than {MAX_BROKEN_SHARE:.0%}; mostly {worst.replace('_', ' ')}, first at {iso(first or 0)}. "
            f"{CAUSES[worst]}"
        )
    return frame.filter(pl.Series(~broken)) if count else frame


def _traded_closures(strays: Instants, schedule: Schedule) -> Finding:
    """Sessions before which a closed market traded on: more than a stray print or two."""
    _, first, counts = np.unique(
        np.searchsorted(schedule.open, strays), return_index=True, return_counts=True
    )
    many = counts >= TRADED_BARS
    return Finding(int(many.sum()), "kept", int(strays[first[many][0]]) if many.any() else None)


def _drop_repeats(frame: pl.DataFrame, session: Any, rules: dict[str, Finding]) -> tuple[pl.DataFrame, Any]:
    """Of rows with the same time and contract keep the last, and say whether the others were equal to it."""
    instants = frame["datetime"].to_physical().to_numpy()
    same = np.diff(instants) == 0
    equal, other = np.zeros(len(instants), dtype=np.bool_), np.zeros(len(instants), dtype=np.bool_)
    if same.any():
        rows = np.flatnonzero(np.r_[False, same] | np.r_[same, False])
        part = frame[rows].with_columns(pl.Series("row", rows))
        group = ["datetime", "contract"]
        last = part.select(
            "row",
            dropped=pl.col("row") < pl.col("row").max().over(group),
            equal=pl.all_horizontal(pl.col(name) == pl.col(name).last().over(group) for name in NUMBERS),
        ).filter("dropped")
        equal[last.filter("equal")["row"].to_numpy()] = True
        other[last.filter(~pl.col("equal"))["row"].to_numpy()] = True
    rules["duplicate"] = _finding(equal, instants, "dropped")
    rules["conflicting_duplicate"] = _finding(other, instants, "dropped")
    return _keep(frame, session, ~(equal | other))


def _keep(frame: pl.DataFrame, session: Any, mask: Any) -> tuple[pl.DataFrame, Any]:
    return (frame, session) if mask.all() else (frame.filter(pl.Series(mask)), session[mask])


def _with_times(frame: pl.DataFrame, session: Any, length: int, schedule: Schedule) -> pl.DataFrame:
    instants = frame["datetime"].to_physical().to_numpy()
    closes = np.minimum(instants + length, schedule.close[session])
    return frame.select(
        "datetime",
        pl.Series("close_time", closes).cast(pl.Datetime("us", "UTC")),
        *NUMBERS,
        "contract",
        pl.Series("session", schedule.day[session]),
        *(name for name in OPTIONAL if name in frame.columns),
    )


def _count_oddities(
    frame: pl.DataFrame, instrument: Instrument, schedule: Schedule, rules: dict[str, Finding]
) -> None:
    instants = frame["datetime"].to_physical().to_numpy()
    off = np.zeros(frame.height, dtype=np.bool_)
    for name in PRICES:
        ticks = frame[name].to_numpy() / instrument.tick_size
        off |= np.abs(ticks - np.rint(ticks)) > _TICK_TOLERANCE
    rules["off_tick_price"] = _finding(off, instants, "kept")
    rules["zero_volume"] = _finding(frame["volume"].to_numpy() == 0, instants, "kept")
    rows, lost = uncovered(frame, schedule)
    closes = frame["close_time"].to_physical().to_numpy()
    first = int(closes[rows[0]]) if len(rows) else None
    rules["missing_minutes"] = Finding(int(lost.sum()) // 60_000_000, "absent", first)


def _finding(mask: Any, instants: Instants, action: str) -> Finding:
    return Finding(int(np.count_nonzero(mask)), action, first_of(instants, mask))
