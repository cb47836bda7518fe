"""Real bars from which every edge is taken: days in a random order, and each minute's move turned over by a coin.

With o, h, l, c a minute's prices, g = o / c[-1] - 1 its gap and s, s' fair coins of its own:

    s = 1:  the minute moves as it did,        s = -1:  c / o - 1 -> -(c / o - 1),  h / o - 1 -> -(l / o - 1) and back
    g -> s' g,  0 at the first minute of a day

So sizes of moves, ranges, volume and how they cluster inside a day are those of real bars; and the price is a
martingale whose every move is symmetric given all sizes and volumes, so nothing tells a side. Days alone in another
order would keep what real days do inside, their drift included, which no test could call chance.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.errors import DataError
from foldsmith.intervals import Instants, as_instants
from foldsmith.market.sessions import Schedule

Floats = npt.NDArray[np.float64]
WHOLE = 0.8
"""Share of the usual number of minutes that a day must have to be drawn."""
LEAST_DAYS = 20
MOST_TURNED = 0.5
"""A move of this size is no move of a real minute that could be turned over."""


def mirrored(
    base: pl.DataFrame, source: Schedule, target: Schedule, *, tick: float, seed: int
) -> pl.DataFrame:
    """Bars of a market without edge over the sessions of `target`, made from the days of `base`.

    base : cleaned one-minute bars (contracts.BARS), whose days are the sessions of `source`; a day keeps its minutes
    counted from its session's open, and those after the close of the session it is put into are left out. Days are
    drawn with equal chance, none twice before each was drawn. Returns timestamp (naive UTC, the bar's
    open), open, high, low, close, volume, as a raw file has them. DataError with fewer than LEAST_DAYS whole days.
    """
    rng = np.random.default_rng(seed)
    days = whole_days(base, source)
    order = np.concatenate([rng.permutation(len(days)) for _ in range(-(-len(target.open) // len(days)))])
    parts = []
    for number, session in zip(order, range(len(target.open)), strict=False):
        rows, opened = days[number]
        at = as_instants(base["datetime"][rows.start : rows.stop]) - opened + target.open[session]
        keep = int(np.searchsorted(at, target.close[session]))
        part = base[rows.start : rows.start + keep]
        parts.append(_turned(part, at[:keep], rng))
    moves = pl.concat(parts)
    start = float(base["close"][0])
    return _prices(moves, start, tick)


def whole_days(base: pl.DataFrame, source: Schedule) -> list[tuple[slice, int]]:
    """Rows of `base` that make a whole day, and the open of its session; DataError where they are too few."""
    at = as_instants(base["datetime"])
    first, stop = np.searchsorted(at, source.open), np.searchsorted(at, source.close)
    count = stop - first
    usual = float(np.median(count[count > 0])) if (count > 0).any() else 0.0
    found = [
        (slice(int(a), int(b)), int(opened))
        for a, b, opened in zip(first, stop, source.open, strict=True)
        if b - a >= max(WHOLE * usual, 1)
    ]
    if len(found) < LEAST_DAYS:
        raise DataError(
            f"the raw bars hold {len(found)} whole days, and {LEAST_DAYS} are needed to put days in another order; "
            "give a longer file."
        )
    return found


def _turned(day: pl.DataFrame, at: Instants, rng: np.random.Generator) -> pl.DataFrame:
    """Moves of one day, each turned over or not."""
    prices = {name: day[name].to_numpy() for name in ("open", "high", "low", "close")}
    rel = {name: prices[name] / prices["open"] - 1 for name in ("high", "low", "close")}
    gap = np.r_[0.0, prices["open"][1:] / prices["close"][:-1] - 1][: len(at)]
    turn, other = (rng.integers(0, 2, len(at)).astype(bool) for _ in range(2))
    turned = {
        "gap": np.where(other, -gap, gap),
        "high": np.where(turn, -rel["low"], rel["high"]),
        "low": np.where(turn, -rel["high"], rel["low"]),
        "close": np.where(turn, -rel["close"], rel["close"]),
    }
    return pl.DataFrame({"at": at, "volume": day["volume"]} | {
        name: np.clip(values, -MOST_TURNED, MOST_TURNED) for name, values in turned.items()
    })  # fmt: skip


def _prices(moves: pl.DataFrame, start: float, tick: float) -> pl.DataFrame:
    gap, close = moves["gap"].to_numpy(), moves["close"].to_numpy()
    opened = start * np.cumprod((1 + gap) * np.r_[1.0, 1 + close[:-1]])
    made = {"open": opened} | {
        name: opened * (1 + moves[name].to_numpy()) for name in ("high", "low", "close")
    }
    return pl.DataFrame(
        {
            "timestamp": pl.Series(moves["at"]).cast(pl.Datetime("us")),
            **{
                name: np.round(np.maximum(np.rint(price / tick), 1) * tick, 10)
                for name, price in made.items()
            },
            "volume": moves["volume"],
        }
    )
