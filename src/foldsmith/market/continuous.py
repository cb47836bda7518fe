"""One contract at a time where a file holds several: the roll rules, and the adjusted series.

Every choice is made from bars before the one it is made for. See `front_contract`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.errors import DataError, SettingError
from foldsmith.intervals import Mask
from foldsmith.market.continuous_kernel import CALENDAR, OPEN_INTEREST, VOLUME, follow
from foldsmith.market.expiry import Month, check_expiry, roll_days
from foldsmith.market.findings import Roll, iso
from foldsmith.market.instruments import Instrument
from foldsmith.market.readers.columns import PRICES
from foldsmith.market.readers.contracts import month_of
from foldsmith.market.roll_rule import RollRule
from foldsmith.market.sessions import Schedule

_CODES = {"volume": VOLUME, "open-interest": OPEN_INTEREST, "calendar": CALENDAR}
METHODS = ("none", "difference", "ratio")
ANCHORS = ("forward", "back")


def front_contract(
    frame: pl.DataFrame,
    session: npt.NDArray[np.int64],
    instrument: Instrument,
    schedule: Schedule,
    rule: RollRule,
) -> Mask:
    """Which rows are bars of the front contract; each choice uses earlier bars alone.

    `frame` is sorted by datetime; `session` numbers the session of each row. Contracts are in order of their months,
    and where a name tells none, of their first bars.

    At the open of a session a later contract replaces the front, never an earlier one:

    volume         if its volume in the last session that had bars exceeds the front's; of several, the largest
    open-interest  the same of open interest, of the session before that: an exchange publishes it a day late
    calendar       if the front's last trading day is `days` sessions away or fewer: the nearest one seen whose is not

    A front without a bar in that session loses to any that has one. Inside a session:

    splice   while a file has shown one contract at a time, in order, it is kept as it is: a new contract is the front
             from its first bar on. If the old one trades again before the new one has had 30 bars, it is the front
             again. The same where the front has had no bar for a whole session; and for good where `calendar` has
             left it.
    ended    a later contract is the front after 30 bars of it in a session without one of the front's among them

    The first bar's contract (of several, the nearest) is a guess; the first choice at an open may be an earlier one.

    Raises SettingError for `calendar` and an instrument without a rule of expiry, DataError for contracts without a
    month there, and for `open-interest` without that column.
    """
    _check(frame, instrument, rule)
    runs = frame["contract"].fill_null("").rle().struct.unnest()
    lengths = runs["len"].to_numpy().astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    instants = frame["datetime"].to_physical().to_numpy()
    names, months = _in_order(runs["value"], instants[starts])
    gone = _gone(names, months, instrument, schedule, rule)
    rank = runs.select(pl.col("value").replace_strict(names, range(len(names)), return_dtype=pl.Int64))[
        "value"
    ].to_numpy()
    if (np.diff(rank) > 0).all() and (instants[starts[1:]] > instants[starts[1:] - 1]).all():
        return np.ones(frame.height, dtype=np.bool_)
    amount = frame["open_interest" if rule.name == "open-interest" else "volume"]
    return np.asarray(
        follow(
            np.repeat(rank, lengths),
            instants,
            session,
            amount.cast(pl.Float64).fill_null(float("nan")).to_numpy(),
            gone,
            _CODES[rule.name],
        )
    )


def _check(frame: pl.DataFrame, instrument: Instrument, rule: RollRule) -> None:
    if rule.name == "calendar":
        check_expiry(instrument.symbol)
    if rule.name == "open-interest" and "open_interest" not in frame.columns:
        raise DataError(
            "--roll open-interest: the bars have no column open_interest (or openinterest, oi). Take --roll volume."
        )


def _in_order(contracts: pl.Series, instants: npt.NDArray[np.int64]) -> tuple[list[str], list[Month | None]]:
    """Names of contracts in order of expiry, and their months; a later contract never moves those seen before it."""
    found = pl.DataFrame({"name": contracts, "at": instants}).unique(
        "name", keep="first", maintain_order=True
    )
    days = found["at"].cast(pl.Datetime("us")).dt.date()
    names: list[str] = []
    months: list[Month | None] = []
    for name, day in zip(found["name"], days, strict=True):
        month = month_of(name, day)
        later = (k for k, other in enumerate(months) if month and other and other > month)
        place = next(later, len(names))
        names.insert(place, name)
        months.insert(place, month)
    return names, months


def _gone(
    names: Sequence[str],
    months: Sequence[Month | None],
    instrument: Instrument,
    schedule: Schedule,
    rule: RollRule,
) -> npt.NDArray[np.int64]:
    """For each contract the number of the first session in which the calendar has left it."""
    if rule.name != "calendar":
        return np.full(len(names), np.iinfo(np.int64).max)
    known = [month for month in months if month is not None]
    if len(known) < len(names):
        name = names[months.index(None)]
        what = f"contract {name!r:.40} names no month" if name else "there are bars without a contract"
        raise DataError(
            f"--roll calendar: {what}, such as MES 12-25, MESZ25 or MES 202512; name it so, or take --roll volume."
        )
    days = roll_days(instrument, known, rule.sessions_before)
    return np.searchsorted(schedule.day, np.array(days, dtype="M8[D]")).astype(np.int64)


def adjusted(bars: pl.DataFrame, rolls: Sequence[Roll], method: str, anchor: str = "forward") -> pl.DataFrame:
    """Bars with prices moved so that they do not jump at rolls; features, labels and P&L are never made of these.

    With o_i and r_i the offset and the ratio (new contract / old) of roll i, measured before it:

    difference, forward   p - sum of o_i over rolls up to the bar
    difference, back      p + sum of o_i over rolls after it
    ratio, forward        p / product of r_i over rolls up to the bar
    ratio, back           p * product of r_i over rolls after it

    `forward` keeps the first contract's level: a price depends on nothing later. `back` keeps the latest contract's
    level, so each price knows rolls to come: for charts only. Raises DataError where a roll has no measured offset.
    """
    if method not in METHODS or anchor not in ANCHORS:
        raise SettingError(
            f"adjustment {method!r:.40}, {anchor!r:.40} is unknown; there are {', '.join(METHODS)}, and "
            f"{' and '.join(ANCHORS)}."
        )
    if method == "none" or not rolls:
        return bars
    steps = _steps(rolls, method)
    # Of each bar, how many rolls lie at or before its open.
    passed = np.searchsorted(
        [roll.at for roll in rolls], bars["datetime"].to_physical().to_numpy(), side="right"
    )
    join = np.cumsum if method == "difference" else np.cumprod
    neutral = 0.0 if method == "difference" else 1.0
    if anchor == "forward":
        factor = np.r_[neutral, join(steps)][passed]
    else:
        factor = np.r_[join(steps[::-1])[::-1], neutral][passed]
    prices = bars.select(PRICES).to_numpy()
    moved: Any
    if method == "difference":
        moved = prices - factor[:, None] if anchor == "forward" else prices + factor[:, None]
    else:
        moved = prices / factor[:, None] if anchor == "forward" else prices * factor[:, None]
    return bars.with_columns(pl.Series(name, moved[:, k]) for k, name in enumerate(PRICES))


def _steps(rolls: Sequence[Roll], method: str) -> npt.NDArray[np.float64]:
    """The offset or the ratio of each roll."""
    steps = []
    for roll in rolls:
        step = roll.offset if method == "difference" else roll.ratio
        if step is None:
            raise DataError(
                f"--adjust {method}: how far {roll.new} lies from {roll.old} is not known, which it replaces at "
                f"{iso(roll.at)}: there is no bar of both before. Give bars of each contract that overlap, or say "
                "--adjust none."
            )
        steps.append(step)
    return np.array(steps)
