"""The trading rule of a report: the most probable class unless neutral, one position at a time."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.errors import DataError, SettingError
from foldsmith.evaluation.metrics import most_probable_signal as most_probable_signal
from foldsmith.evaluation.significance import mean_test, sharpe_ratio
from foldsmith.intervals import Instants, Rows, as_instants

Floats = npt.NDArray[np.float64]

PERIODS_PER_YEAR = 252


@dataclass(frozen=True)
class Backtest:
    """What the rule did; `backtest` explains the columns and the summary."""

    trades: pl.DataFrame
    daily: pl.DataFrame
    summary: dict[str, Any]


def backtest(
    signal: Any,
    labels: pl.DataFrame,
    *,
    sessions: pl.DataFrame,
    tick_size: float,
    tick_value: float,
    commission: float,
    slippage_ticks: float,
    periods_per_year: int = PERIODS_PER_YEAR,
) -> Backtest:
    """Trade signals, one contract and one position at a time, each held until its label ends.

        gross = side (exit - entry) / tick_size * tick_value
        cost  = 2 commission + 2 slippage_ticks * tick_value,    net = gross - cost

    signal : (n,) of -1, 0, 1, one per row of `labels` (contracts.LABELS, in time order); entry at `entry`,
    exit at `exit_long` or `exit_short` at the close of `label_end`. A signal at t0 before the open
    position's label_end is skipped and counted; one at exactly label_end trades. sessions : the bars of the
    segment, every close from the first decision to the last label end, with `close_time` and `session`
    (trading day); other columns are ignored. tick_value and commission (per contract and side) in the
    instrument's currency; slippage_ticks per side.

    Returns `trades` (datetime, label_end, side, entry, exit, gross, cost, net, bars, session), `daily` (one
    row per trading day of `sessions`: session, trades, gross, cost, net and the running sums equity_gross,
    equity_net; a trade counts on the day of its EXIT, a day without one is 0), and `summary`, JSON-able,
    null where undefined: trades, signals, skipped, gross, cost, net, win_rate (net above 0), gross_per_trade
    with its t test, daily Sharpe ratio before and after costs, annualised by sqrt(periods_per_year), with
    standard error and PSR per day, max_drawdown of daily net equity, exposure (share of bars in position),
    bars_per_trade, and under `yardsticks` the same rule with every signal long, every signal short, and no
    trade. Errors: DataError, SettingError.
    """
    costs = Costs(tick_size, tick_value, commission, slippage_ticks)
    market = Market.read(labels, sessions)
    side = _check_signal(signal, labels.height)
    taken, skipped = one_at_a_time(side, market.t0, market.t1)
    trades = trades_of(market, costs, side, taken)
    daily = daily_table(trades, market.days)
    summary = summary_of(trades, daily, skipped, market.n_bars, periods_per_year)
    yardsticks: dict[str, Any] = {"always_flat": {"trades": 0, "gross": 0.0, "cost": 0.0, "net": 0.0}}
    for name, every in (("always_long", 1), ("always_short", -1)):
        same = np.full(labels.height, every, dtype=np.int8)
        rows, passed = one_at_a_time(same, market.t0, market.t1)
        other = trades_of(market, costs, same, rows)
        yardsticks[name] = summary_of(
            other, daily_table(other, market.days), passed, market.n_bars, periods_per_year
        )
    return Backtest(trades, daily, summary | {"yardsticks": yardsticks})


def daily_profit(
    signal: Any,
    labels: pl.DataFrame,
    *,
    sessions: pl.DataFrame,
    tick_size: float,
    tick_value: float,
    commission: float,
    slippage_ticks: float,
) -> pl.DataFrame:
    """`daily` of `backtest` alone, without its yardsticks: for many models at once."""
    costs = Costs(tick_size, tick_value, commission, slippage_ticks)
    market = Market.read(labels, sessions)
    side = _check_signal(signal, labels.height)
    taken, _ = one_at_a_time(side, market.t0, market.t1)
    return daily_table(trades_of(market, costs, side, taken), market.days)


@dataclass(frozen=True)
class Costs:
    """What trading costs; SettingError for what cannot be."""

    tick_size: float
    tick_value: float
    commission: float
    slippage_ticks: float

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            limit = "above 0" if name.startswith("tick") else "at least 0"
            if not np.isfinite(value) or value < 0 or (value == 0 and name.startswith("tick")):
                raise SettingError(f"{name}={value} must be {limit}; see the instrument's settings.")

    @property
    def per_trade(self) -> float:
        """Of one contract, both sides."""
        return 2 * self.commission + 2 * self.slippage_ticks * self.tick_value


@dataclass(frozen=True)
class Market:
    """Labels and bars as arrays, checked once; first and last: number of the bar that closes at t0 and at t1."""

    labels: pl.DataFrame
    t0: Instants
    t1: Instants
    first: Rows
    last: Rows
    session: pl.Series
    n_bars: int

    @classmethod
    def read(cls, labels: pl.DataFrame, sessions: pl.DataFrame) -> Market:
        """From tables as `backtest` takes them; DataError."""
        for frame, names, what in (
            (labels, ("datetime", "label_end", "entry", "exit_long", "exit_short"), "labels"),
            (sessions, ("close_time", "session"), "sessions"),
        ):
            missing = [name for name in names if name not in frame.columns]
            if missing:
                has = ", ".join(frame.columns)
                raise DataError(f"column {missing[0]!r} is missing from {what}; it has {has}.")
        t0, t1 = as_instants(labels["datetime"], "datetime"), as_instants(labels["label_end"], "label_end")
        closes = as_instants(sessions["close_time"], "close_time")
        if (np.diff(t0) <= 0).any() or (t1 < t0).any() or (np.diff(closes) <= 0).any():
            raise DataError(
                "labels and bars must rise in time without repeats, and no label may end before t0."
            )
        first, last = (_bar_numbers(closes, instants) for instants in (t0, t1))
        return cls(labels, t0, t1, first, last, sessions["session"], len(closes))

    @property
    def days(self) -> pl.Series:
        """Every trading day once, in order."""
        return self.session.unique().sort()


def _bar_numbers(closes: Instants, instants: Instants) -> Rows:
    at = np.searchsorted(closes, instants)
    known = at < len(closes)
    known[known] = closes[at[known]] == instants[known]
    if not known.all():
        first = np.datetime64(int(instants[~known][0]), "us")
        raise DataError(
            f"no bar closes at {first} UTC, where a label begins or ends ({int((~known).sum())} such); "
            f"`sessions` must hold every bar from the first decision to the last label end."
        )
    return at.astype(np.int64)


def _check_signal(signal: Any, n: int) -> npt.NDArray[np.int8]:
    side = np.asarray(signal)
    if side.shape != (n,) or not np.isin(side, (-1, 0, 1)).all():
        raise DataError(f"signal has shape {side.shape} for {n} labels; it holds -1, 0 or 1 for each.")
    return side.astype(np.int8)


def one_at_a_time(side: npt.NDArray[np.int8], t0: Instants, t1: Instants) -> tuple[Rows, int]:
    """Rows that trade, and how many signals were skipped because a position was open."""
    wanted = np.flatnonzero(side)
    taken = []
    free = None
    for row, start, end in zip(wanted.tolist(), t0[wanted].tolist(), t1[wanted].tolist(), strict=True):
        if free is None or start >= free:
            taken.append(row)
            free = end
    return np.asarray(taken, dtype=np.int64), len(wanted) - len(taken)


def trades_of(market: Market, costs: Costs, side: npt.NDArray[np.int8], taken: Rows) -> pl.DataFrame:
    """`trades` of `backtest` for rows that trade."""
    rows = market.labels.select("datetime", "label_end", "entry", "exit_long", "exit_short")[taken]
    sides = side[taken]
    entry = rows["entry"].to_numpy()
    leave = np.where(sides > 0, rows["exit_long"].to_numpy(), rows["exit_short"].to_numpy())
    gross = sides * (leave - entry) / costs.tick_size * costs.tick_value
    return pl.DataFrame(
        {
            "datetime": rows["datetime"],
            "label_end": rows["label_end"],
            "side": sides,
            "entry": entry,
            "exit": leave,
            "gross": gross,
            "cost": np.full(len(taken), costs.per_trade),
            "net": gross - costs.per_trade,
            "bars": market.last[taken] - market.first[taken],
            "session": market.session[market.last[taken]],
        }
    )


def daily_table(trades: pl.DataFrame, days: pl.Series) -> pl.DataFrame:
    """Trades (`session`, gross, cost, net) summed by trading day."""
    # Summed in the order of the trades, in one thread: a parallel sum may differ in its last bits.
    day = np.searchsorted(days.to_numpy(), trades["session"].to_numpy())
    sums = {
        name: np.bincount(day, weights=trades[name].to_numpy(), minlength=len(days))
        for name in ("gross", "cost", "net")
    }
    return pl.DataFrame(
        {
            "session": days,
            "trades": np.bincount(day, minlength=len(days)),
            **sums,
            "equity_gross": np.cumsum(sums["gross"]),
            "equity_net": np.cumsum(sums["net"]),
        }
    )


def summary_of(
    trades: pl.DataFrame, daily: pl.DataFrame, skipped: int, n_bars: int, periods_per_year: int
) -> dict[str, Any]:
    """`summary` of `backtest` without yardsticks."""
    n = trades.height
    gross, net, side = trades["gross"].to_numpy(), trades["net"].to_numpy(), trades["side"].to_numpy()
    test = mean_test(gross)
    bars = int(trades["bars"].sum())
    return {
        "signals": n + skipped,
        "trades": n,
        "skipped": skipped,
        "long_trades": int((side > 0).sum()),
        "short_trades": int((side < 0).sum()),
        "days": daily.height,
        "days_traded": int((daily["trades"] > 0).sum()),
        "gross": float(gross.sum()),
        "cost": float(trades["cost"].to_numpy().sum()),
        "net": float(net.sum()),
        "win_rate": float((net > 0).mean()) if n else None,
        "win_rate_gross": float((gross > 0).mean()) if n else None,
        "gross_per_trade": float(gross.mean()) if n else None,
        "net_per_trade": float(net.mean()) if n else None,
        "gross_per_trade_se": test.standard_error if test else None,
        "gross_t": test.t if test else None,
        "gross_p": test.p if test else None,
        **_sharpes(daily, periods_per_year),
        "max_drawdown": _max_drawdown(daily["equity_net"].to_numpy()),
        "exposure": bars / n_bars if n_bars else None,
        "bars_per_trade": bars / n if n else None,
    }


def _sharpes(daily: pl.DataFrame, periods_per_year: int) -> dict[str, float | int | None]:
    net, gross = sharpe_ratio(daily["net"].to_numpy()), sharpe_ratio(daily["gross"].to_numpy())
    year = float(np.sqrt(periods_per_year))
    return {
        "sharpe_daily": net.sharpe if net else None,
        "sharpe_daily_se": net.standard_error if net else None,
        "sharpe_annual": net.sharpe * year if net else None,
        "sharpe_annual_gross": gross.sharpe * year if gross else None,
        "psr": net.probability if net else None,
        "skewness": net.skewness if net else None,
        "kurtosis": net.kurtosis if net else None,
        "periods_per_year": periods_per_year,
    }


def _max_drawdown(equity: Floats) -> float:
    """Largest fall of equity from its highest point so far, the start at 0 counted; in currency."""
    if len(equity) == 0:
        return 0.0
    peak = np.maximum.accumulate(np.maximum(equity, 0.0))
    return float((peak - equity).max())
