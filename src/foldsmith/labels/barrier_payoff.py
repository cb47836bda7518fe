"""Barrier widths chosen for what a trader of an assumed skill would keep after costs, on rows that are over by then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from foldsmith.errors import DataError
from foldsmith.intervals import Instants
from foldsmith.labels.scheme import check_edge
from foldsmith.labels.triple_barrier import COLUMNS, Barriers, Floats, PathTable

WIDTHS = tuple(range(50, 5001, 50))
"""Widths that are tried, in thousandths. Each is a pass over all labels, and finer steps would follow noise."""
SESSIONS_PER_YEAR = 252
"""As a backtest counts them. It scales the objective of all widths alike, and so never moves the choice."""
ROUNDING = 1e-12
"""A variance of up to this share of the mean square is rounding, and none."""


@dataclass(frozen=True)
class Costs:
    """What a round trip costs, and what a tick is worth, in the instrument's currency: commission is per side."""

    tick_size: float
    tick_value: float
    commission: float
    slippage_ticks: float
    currency: str = "USD"

    @property
    def round_trip(self) -> float:
        """2 commissions and 2 slippages, as a backtest takes them.

        >>> Costs(0.25, 1.25, 0.62, 1.0).round_trip
        3.74
        """
        return 2 * self.commission + 2 * self.slippage_ticks * self.tick_value


@dataclass(frozen=True)
class Payoff:
    """What barriers of one width pay a trader of an assumed skill; `payoff` has the equations. Currency per trade."""

    width: float
    sharpe: float
    gross: float
    deviation: float
    bars_held: float
    break_even: float | None

    def as_dict(self) -> dict[str, float | None]:
        """By name, for findings.json."""
        return {
            "width": self.width,
            "sharpe": self.sharpe,
            "gross_per_trade": self.gross,
            "deviation": self.deviation,
            "bars_held": self.bars_held,
            "break_even_edge": self.break_even,
        }


@dataclass(frozen=True)
class Choice:
    """The widths chosen, and what each width that was tried would pay, narrowest first."""

    barriers: Barriers
    curve: tuple[Payoff, ...]
    assumed_edge: float
    cost: float
    currency: str

    def as_dict(self) -> dict[str, Any]:
        """As JSON-able values, for findings.json."""
        return {
            "assumed_edge": self.assumed_edge,
            "cost_per_trade": self.cost,
            "currency": self.currency,
            "chosen": self.barriers.up,
            "curve": [each.as_dict() for each in self.curve],
        }


def payoff(
    width: float,
    gain_long: Floats,
    gain_short: Floats,
    bars_held: Floats,
    *,
    edge: float,
    cost: float,
    bars_per_year: float,
) -> Payoff | None:
    """After-cost Sharpe ratio of a trader who is right with probability 1/2 + E, whatever the trade.

        better_i, worse_i = max, min(gain_long_i, gain_short_i)                 in currency, before costs
        gross  = mean_i((1/2 + E) better_i + (1/2 - E) worse_i)                 = 2 E mean|move|
        spread = sqrt(mean_i((1/2 + E) better_i^2 + (1/2 - E) worse_i^2) - gross^2)
        sharpe = (gross - cost) / spread * sqrt(bars_per_year / mean(bars_held))

    A long gains what a short loses, but where a label is ambiguous: there both lose, so no skill pays. break_even is
    the E at which gross is the cost. The mean of bars held stands for the time between trades of one who is always in
    the market. `spread` is the field `deviation`. None where it is 0: no price moves,
    or every label is ambiguous and loses the same.

    Gains of 2 and -2, a hit rate of 3/4: the mean is 1 and the spread sqrt(3).

    >>> payoff(1.0, np.array([2.0, -2.0]), np.array([-2.0, 2.0]), np.array([4.0, 4.0]),
    ...        edge=0.25, cost=0.5, bars_per_year=300.0)
    Payoff(width=1.0, sharpe=2.5, gross=1.0, deviation=1.7320508075688772, bars_held=4.0, break_even=0.125)
    """
    better, worse = np.maximum(gain_long, gain_short), np.minimum(gain_long, gain_short)
    coin, skill = float((better + worse).mean()) / 2, float((better - worse).mean())
    gross = coin + edge * skill
    squares = float(((0.5 + edge) * better**2 + (0.5 - edge) * worse**2).mean())
    variance = squares - gross**2
    if variance <= ROUNDING * squares:
        return None
    spread = float(np.sqrt(variance))
    held = float(bars_held.mean())
    return Payoff(
        width=width,
        sharpe=(gross - cost) / spread * float(np.sqrt(bars_per_year / held)),
        gross=gross,
        deviation=spread,
        bars_held=held,
        break_even=(cost - coin) / skill if skill > 0 else None,
    )


def choose_by_payoff(
    bars: pl.DataFrame,
    base: pl.DataFrame,
    ranges: tuple[Instants, Instants],
    sigma: Floats,
    *,
    horizon: int,
    max_bars: int,
    until: int,
    edge: float,
    costs: Costs,
    least_ticks: float = 1.0,
) -> Choice:
    """The width of symmetric barriers with the highest after-cost Sharpe ratio of an assumed skill (`payoff`).

    Counted are the events whose whole window of `max_bars` bars closes at or before the instant `until` (microseconds
    UTC), labelled as by `triple_barrier`; all later bars are cut off before anything is computed. Tried are all of
    `WIDTHS`; of equal ones the narrowest is taken.

    What is assumed, and is not so: the trader enters at every event, is right as often where moves are small as where
    they are large and whatever the width, and fills at the modelled price. So the answer says at which width costs
    weigh least beside risk, and nothing about whether there is an edge. Of a random walk the best mean move is
    cost / E, twice what breaks even, for then E move = cost maximises (2 E move - cost) / move^2.

    Raises SettingError for an edge out of range; DataError if there is no event, or if no width pays its costs.
    """
    check_edge(edge)
    n = int(np.searchsorted(bars["close_time"].to_physical().to_numpy(), until, side="right"))
    known = ranges[0][:n], ranges[1][:n]
    early = bars.head(n)
    table = PathTable.of(early, base.head(int(known[1][-1]) if n else 0), known, sigma[:n], costs.tick_size)
    per_year = n / max(early["session"].n_unique(), 1) * SESSIONS_PER_YEAR
    curve = []
    for thousandths in WIDTHS:
        width = thousandths / 1000
        columns, counts = table.labels(horizon, max_bars, Barriers(width, width), least_ticks)
        if counts.events:
            made = payoff(
                width,
                *_gains(columns, table.closes, costs),
                edge=edge,
                cost=costs.round_trip,
                bars_per_year=per_year,
            )
            curve += [] if made is None else [made]
        elif thousandths == WIDTHS[0]:
            raise DataError(
                f"no label of horizon {horizon} ends in the training segment: each window of {max_bars} bars there "
                f"crosses a roll or a hole, or begins before volatility is known ({counts.as_dict()}). Use a shorter "
                "horizon or longer data, or fix the widths with --k-up and --k-down."
            )
    return _best(tuple(curve), horizon, edge, costs)


def _gains(columns: tuple[Any, ...], closes: Instants, costs: Costs) -> tuple[Floats, Floats, Floats]:
    """Gain of a long and of a short in currency, before costs, and the bars that each is held."""
    by_name = dict(zip(COLUMNS, columns, strict=True))
    worth = costs.tick_value / costs.tick_size
    held = np.searchsorted(closes, by_name["label_end"]) - by_name["bar"]
    return (
        (by_name["exit_long"] - by_name["entry"]) * worth,
        (by_name["entry"] - by_name["exit_short"]) * worth,
        np.asarray(held, dtype=np.float64),
    )


def _best(curve: tuple[Payoff, ...], horizon: int, edge: float, costs: Costs) -> Choice:
    if not curve:
        raise DataError(
            f"no price moves in any label of horizon {horizon} of the training segment, so no width can be told from "
            "another; look at the raw bars."
        )
    best = max(curve, key=lambda each: (each.sharpe, -each.width))
    cost, currency = costs.round_trip, costs.currency
    if best.gross <= cost:
        needed = min((each.break_even for each in curve if each.break_even is not None), default=None)
        rather = (
            f", --assumed-edge above {needed:.3f} if you do believe in it" if needed and needed < 0.5 else ""
        )
        raise DataError(
            f"no barrier width pays its costs at --assumed-edge {edge:g}: the best for horizon {horizon}, "
            f"{best.width:g}, brings {best.gross:.2f} {currency} a trade and costs {cost:.2f} (Sharpe ratio "
            f"{best.sharpe:.2f} a year). Use a longer horizon or longer bars{rather}, lower costs in instruments.toml, "
            "or --barrier-objective neutral-share."
        )
    return Choice(Barriers(best.width, best.width), curve, edge, cost, currency)
