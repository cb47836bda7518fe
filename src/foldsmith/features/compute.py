"""Features of the catalogue from one table of bars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.errors import SettingError
from foldsmith.features.catalogue import FEATURES, families, members

Table = npt.NDArray[np.float32]

SLOW = ("regime", "memory", "microstructure", "trend", "oscillator")
"""Families that take longest, the slowest first."""


def compute(
    bars: pl.DataFrame, slot_seconds: int = 1, names: Sequence[str] | None = None, *, threads: int = 1
) -> pl.DataFrame:
    """Features of every bar: `datetime` and one Float32 column per name, in the order of FEATURES.

    bars : resampled bars that keep `contracts.BARS`, n rows. slot_seconds : seconds of the day that count as one time
    of day to the family `seasonal`: 1 where bars open at the same seconds each day, more where they do not. names :
    the features to make, all of the catalogue unless given; only families that hold one are computed, and a value
    has the same bits whichever others are asked for. threads : how many families are computed at a time, which changes
    no bit either. Raises SettingError for a name that FEATURES lacks.

    Row t of the result uses rows <= t alone. It is NaN in a feature's warm-up and finite elsewhere; FEATURES says how
    long that is and what a feature does where its equation has no value. Only the families `seasonal` and `time` look
    over the edge of a block.
    """
    strange = next((name for name in names or () if name not in FEATURES), None)
    if strange is not None:
        raise SettingError(f"feature {strange!r:.60} is not in the catalogue; see `foldsmith features list`.")
    if threads < 1:
        raise SettingError(f"{threads} threads compute nothing; give 1 or more.")
    wanted = set(FEATURES if names is None else names)
    rows = {family: np.empty((len(members(family)), bars.height), np.float32) for family in families(wanted)}
    if bars.height and rows:
        _fill(bars, slot_seconds, rows, threads)
    made = {
        name: row
        for family, table in rows.items()
        for name, row in zip(members(family), table, strict=True)
        if name in wanted
    }
    return pl.DataFrame(
        {"datetime": bars["datetime"], **{name: pl.Series(row) for name, row in made.items()}}
    )


def _fill(bars: pl.DataFrame, slot_seconds: int, rows: dict[str, Table], threads: int) -> None:
    """Fill the table of each family that is there, its rows in catalogue order."""
    kernels, starts = _kernels(bars, slot_seconds)

    def fill(family: str) -> None:
        table = rows[family]
        longest = max(FEATURES[name].warmup for name in members(family)) - 1
        # What a kernel leaves alone is the warm-up; the rest would be written twice.
        for begin, end in pairwise(starts.tolist()):
            table[:, begin : min(begin + longest, end)] = np.nan
        kernels[family](table)

    if threads == 1 or len(rows) == 1:
        for family in rows:
            fill(family)
        return
    # Kernels let go of the interpreter's lock. Those that take longest come first.
    order = sorted(rows, key=lambda family: SLOW.index(family) if family in SLOW else len(SLOW))
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(fill, family) for family in order]:
            done.result()


def _kernels(
    bars: pl.DataFrame, slot_seconds: int
) -> tuple[dict[str, Callable[[Table], None]], npt.NDArray[np.int64]]:
    """What fills the table of each family, and where the blocks of the bars begin and end."""
    # Compiled code comes with a second of import, so only where there is work for it.
    from foldsmith.features.average import average
    from foldsmith.features.clock import clock, new_york_seconds
    from foldsmith.features.flow import flow
    from foldsmith.features.memory import memory
    from foldsmith.features.microstructure import microstructure
    from foldsmith.features.momentum import momentum
    from foldsmith.features.oscillator import oscillator
    from foldsmith.features.price import price
    from foldsmith.features.regime import regime
    from foldsmith.features.seasonal import seasonal
    from foldsmith.features.timeframe import timeframe
    from foldsmith.features.trend import trend
    from foldsmith.features.variation import variation
    from foldsmith.features.volatility import volatility
    from foldsmith.features.volume import volume
    from foldsmith.features.wavelet import wavelet
    from foldsmith.features.windows import average_true_range

    prices = tuple(_frozen(bars[name].to_numpy()) for name in ("open", "high", "low", "close"))
    logs = tuple(_logs(values, 0.0) for values in prices)
    volumes = _frozen(bars["volume"].to_numpy())
    log_volume = _logs(volumes, 1.0)
    opens, closes = (bars[name].to_physical().to_numpy() for name in ("datetime", "close_time"))
    session = _frozen(bars["session"].to_physical().to_numpy())
    block = bars["block"].to_numpy()
    starts = _frozen(np.r_[0, np.flatnonzero(np.diff(block)) + 1, len(block)].astype(np.int64))
    seconds = _frozen(new_york_seconds(opens))
    ranges = np.empty(len(block))
    average_true_range(prices, starts, ranges)
    ranges = _frozen(ranges)
    instants = (_frozen(opens), _frozen(closes))
    kernels: dict[str, Callable[[Table], None]] = {
        "price": lambda out: price(prices, logs, session, starts, out),
        "momentum": lambda out: momentum(prices, logs, starts, out),
        "volatility": lambda out: volatility(prices, logs, ranges, starts, out),
        "trend": lambda out: trend(prices, logs, ranges, starts, out),
        "volume": lambda out: volume(prices, logs, volumes, log_volume, session, starts, out),
        "seasonal": lambda out: seasonal(volumes, _frozen(seconds // slot_seconds), out),
        "time": lambda out: clock(opens, closes, session, seconds, out),
        "average": lambda out: average(prices, volumes, ranges, starts, out),
        "oscillator": lambda out: oscillator(prices, logs, ranges, starts, out),
        "variation": lambda out: variation(prices, logs, starts, out),
        "flow": lambda out: flow(prices, logs, volumes, ranges, session, starts, out),
        "timeframe": lambda out: timeframe(prices, logs, *instants, session, seconds, ranges, starts, out),
        "microstructure": lambda out: microstructure(prices, logs, volumes, starts, out),
        "memory": lambda out: memory(prices, logs, starts, out),
        "wavelet": lambda out: wavelet(logs, starts, out),
        "regime": lambda out: regime(prices, logs, volumes, starts, out),
    }
    return kernels, starts


def _logs(values: npt.NDArray[Any], more: float) -> npt.NDArray[Any]:
    from foldsmith.features.logarithm import fill_logs

    out = np.empty(len(values))
    fill_logs(values, more, out)
    return _frozen(out)


def _frozen(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The values, contiguous and never writable: each kind of array would be compiled for."""
    values = np.ascontiguousarray(values).view()
    values.flags.writeable = False
    return values
