"""Where a result comes from: profit and direction cell by cell, with the many looks paid for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.errors import DataError
from foldsmith.evaluation.bootstrap import MIN_DAYS
from foldsmith.evaluation.metrics import score
from foldsmith.evaluation.rows import Floats
from foldsmith.intervals import Instants, Rows, as_instants

LEVEL = 0.05
"""Chance that any cell is marked where no cell has an edge."""
MIN_HITS = 200
"""Barrier hits of a cell, with at least 20 of either side, below which its direction scores say nothing."""
MIN_SIDE = 20


@dataclass(frozen=True)
class Cells:
    """One way of parting rows: the names of its cells, and the cell of each row, -1 where it is in none.

    about : what the cells mean, in a sentence.
    """

    names: tuple[str, ...]
    code: Rows
    about: str


def attribution(
    ways: Mapping[str, Cells], t0: Instants, y: Any, P: Any, base_rate: Any, trades: pl.DataFrame
) -> dict[str, Any]:
    """Profit and direction in each cell of each way of parting the rows, and by side; JSON-able.

    A trade belongs to the cell of the row it was decided at. The mean of a cell's trades is tested by trading day, as
    trades of a day share its market and lots may overlap:

        t = m / se,  se^2 = D / (D - 1) sum_d (G_d - n_d m)^2 / n^2,  D - 1 degrees of freedom

    with G_d and n_d the profit and the number of the trades that end on day d. With at least 10 such days a cell is
    tested, and `significant` only if its two-sided p of the profit before costs passes Holm's procedure over ALL cells
    that were looked at, tested or not: of 100 results without an edge in any cell, at most 5 have a mark. Direction
    scores, of all rows of a cell, want 200 barrier hits with 20 of either side.

    t0 : (n,) decision times, rising; y, P, base_rate as `metrics.score` takes them; trades : as `backtest`
    returns them. Returns looked_at, tested, significant (counts), level and ways: name -> about, cells, each with
    name, rows, trades, gross, net, gross_per_trade, gross_t, gross_p, holm_p, significant, net_per_trade, net_t,
    direction_auc, direction_log_loss_gain; null where undefined. DataError for a trade that no row decided.

    Source: Holm, Scandinavian Journal of Statistics 6 (1979).
    """
    at = _rows_of(trades, t0)
    money = _Money(
        trades["gross"].to_numpy(), trades["net"].to_numpy(), _day_codes(trades["session"].to_numpy())
    )
    found: dict[str, dict[str, Any]] = {}
    for name, cells in ways.items():
        code = cells.code[at]
        listed = []
        for number, cell in enumerate(cells.names):
            rows = np.flatnonzero(cells.code == number)
            if len(rows):
                listed.append(
                    {
                        "name": cell,
                        "rows": len(rows),
                        **money.of(code == number),
                        **_direction(rows, y, P, base_rate),
                    }
                )
        found[name] = {"about": cells.about, "cells": listed}
    side = trades["side"].to_numpy()
    sides = [("long", side > 0), ("short", side < 0)]
    none = {"rows": None, "direction_auc": None, "direction_log_loss_gain": None}
    found["side"] = {
        "about": "The side that was traded.",
        "cells": [{"name": name, **money.of(of), **none} for name, of in sides],
    }
    return _marked(found)


def holm(p: Sequence[float | None], looked_at: int) -> list[float | None]:
    """Holm's adjusted p values among `looked_at` hypotheses, of which those that are None have no test.

        p~_(i) = max_{j <= i} min(1, (m - j + 1) p_(j)),    p_(1) <= p_(2) <= ...

    >>> [None if one is None else round(one, 6) for one in holm([0.01, 0.04, None, 0.03], 4)]
    [0.04, 0.09, None, 0.09]
    """
    tested = sorted((value, number) for number, value in enumerate(p) if value is not None)
    adjusted: list[float | None] = [None] * len(p)
    least = 0.0
    for place, (value, number) in enumerate(tested):
        least = max(least, min(1.0, (looked_at - place) * value))
        adjusted[number] = least
    return adjusted


def terciles(values: Floats, training: Floats) -> Rows:
    """0, 1, 2 of each value by the terciles of the training rows' values, -1 where it is not finite.

    >>> terciles(np.array([0.0, 5.0, 9.0, np.nan]), np.arange(10.0)).tolist()
    [0, 1, 2, -1]
    """
    known = training[np.isfinite(training)]
    if len(known) == 0:
        return np.full(len(values), -1, dtype=np.int64)
    cuts = np.quantile(known, (1 / 3, 2 / 3))
    code = np.searchsorted(cuts, values, side="right")
    return np.where(np.isfinite(values), code, -1).astype(np.int64)


def trend(close: Floats, sigma: Floats, block: Any, bars: int) -> Floats:
    """The move of the last bars in standard deviations of a walk, (n,), known at each bar's close.

        trend_t = ln(close_t / close_{t-b}) / (sigma_t sqrt(b))

    close : (n,); sigma : (n,) volatility of a bar; block : (n,), another where a bar does not go on from the last; NaN
    where the b bars before are not all of its block, or prices stood still. A value depends on those bars alone.
    """
    n = len(close)
    found = np.full(n, np.nan)
    if n <= bars:
        return found
    move = np.log(close[bars:] / close[:-bars])
    at = np.asarray(block)
    known = (at[bars:] == at[:-bars]) & (sigma[bars:] > 0)
    np.divide(move, sigma[bars:] * bars**0.5, out=found[bars:], where=known)
    return found


@dataclass(frozen=True)
class _Money:
    """Profits of trades and the day each ends on."""

    gross: Floats
    net: Floats
    day: Rows

    def of(self, mask: npt.NDArray[np.bool_]) -> dict[str, Any]:
        at = np.flatnonzero(mask)
        gross, net = self.gross[at], self.net[at]
        before, after = _test(gross, self.day[at]), _test(net, self.day[at])
        return {
            "trades": len(at),
            "gross": float(gross.sum()),
            "net": float(net.sum()),
            "gross_per_trade": float(gross.mean()) if len(at) else None,
            "gross_t": None if before is None else before[0],
            "gross_p": None if before is None else before[1],
            "net_per_trade": float(net.mean()) if len(at) else None,
            "net_t": None if after is None else after[0],
        }


def _test(profit: Floats, day: Rows) -> tuple[float, float] | None:
    """t of the mean of trades by day, and its two-sided p; None with fewer than 10 days or without spread."""
    from scipy.special import stdtr

    names, code = np.unique(day, return_inverse=True)
    days, n = len(names), len(profit)
    if days < MIN_DAYS:
        return None
    mean = float(profit.mean())
    left = np.bincount(code, weights=profit) - np.bincount(code) * mean
    variance = days / (days - 1) * float((left**2).sum()) / n**2
    if variance <= 1e-24 * max(1.0, mean**2):
        return None
    t = mean / variance**0.5
    return t, float(2 * stdtr(days - 1, -abs(t)))


def _direction(rows: Rows, y: Any, P: Any, base_rate: Any) -> dict[str, float | None]:
    labels = np.asarray(y)[rows]
    long, short = int((labels > 0).sum()), int((labels < 0).sum())
    told: dict[str, float | None] = {"direction_auc": None, "direction_log_loss_gain": None}
    if long + short < MIN_HITS or min(long, short) < MIN_SIDE:
        return told
    base = np.asarray(base_rate)
    found = score(labels, np.asarray(P)[rows], None, base if base.ndim == 1 else base[rows])
    told["direction_auc"] = found["direction_auc"]
    if found["direction_log_loss_base"] is not None:
        told["direction_log_loss_gain"] = found["direction_log_loss_base"] - found["direction_log_loss"]
    return told


def _rows_of(trades: pl.DataFrame, t0: Instants) -> Rows:
    decided = as_instants(trades["datetime"])
    at = np.searchsorted(t0, decided)
    if len(at) and (at.max() >= len(t0) or not np.array_equal(t0[at], decided)):
        raise DataError("a trade was decided at no row; trades and rows are of two evaluations.")
    return np.asarray(at, dtype=np.int64)


def _day_codes(sessions: Any) -> Rows:
    return np.asarray(np.unique(sessions, return_inverse=True)[1], dtype=np.int64)


def _marked(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    every = [cell for way in found.values() for cell in way["cells"]]
    p = [cell["gross_p"] for cell in every]
    for cell, adjusted in zip(every, holm(p, len(every)), strict=True):
        cell["holm_p"] = adjusted
        cell["significant"] = adjusted is not None and adjusted <= LEVEL
    return {
        "looked_at": len(every),
        "tested": sum(one is not None for one in p),
        "significant": sum(cell["significant"] for cell in every),
        "level": LEVEL,
        "ways": found,
    }
