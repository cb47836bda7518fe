"""All features of the catalogue from one table of bars."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.features.catalogue import FEATURES

Table = npt.NDArray[np.float32]


def compute(bars: pl.DataFrame, slot_seconds: int = 1) -> pl.DataFrame:
    """Every feature of every bar: `datetime` and one Float32 column per name in FEATURES, in that order.

    bars : resampled bars that keep `contracts.BARS`, n rows. slot_seconds : seconds of the day that count as one time
    of day to the family `seasonal`: 1 where bars open at the same seconds each day, more where they do not.

    Row t of the result uses rows <= t alone. It is NaN in a feature's warm-up and finite elsewhere; FEATURES says how
    long that is and what a feature does where its equation has no value. Only the families `seasonal` and `time` look
    over the edge of a block.
    """
    out = np.full((len(FEATURES), bars.height), np.nan, np.float32)
    if bars.height:
        _fill(bars, slot_seconds, out)
    columns = {name: pl.Series(out[row]) for row, name in enumerate(FEATURES)}
    return pl.DataFrame({"datetime": bars["datetime"], **columns})


def _fill(bars: pl.DataFrame, slot_seconds: int, out: Table) -> None:
    # Compiled code comes with a second of import, so only where there is work for it.
    from foldsmith.features.clock import clock, new_york_seconds
    from foldsmith.features.memory import memory
    from foldsmith.features.microstructure import microstructure
    from foldsmith.features.momentum import momentum
    from foldsmith.features.price import price
    from foldsmith.features.regime import regime
    from foldsmith.features.seasonal import seasonal
    from foldsmith.features.trend import trend
    from foldsmith.features.volatility import volatility
    from foldsmith.features.volume import volume
    from foldsmith.features.wavelet import wavelet

    prices = tuple(_frozen(bars[name].to_numpy()) for name in ("open", "high", "low", "close"))
    # By numpy's vector loop: several times as fast as one at a time in the kernels.
    logs = tuple(_frozen(np.log(values)) for values in prices)
    volumes = _frozen(bars["volume"].to_numpy())
    log_volume = _frozen(np.log1p(volumes))
    opens, closes = (bars[name].to_physical().to_numpy() for name in ("datetime", "close_time"))
    session = _frozen(bars["session"].to_physical().to_numpy())
    block = bars["block"].to_numpy()
    starts = _frozen(np.r_[0, np.flatnonzero(np.diff(block)) + 1, len(block)].astype(np.int64))
    seconds = _frozen(new_york_seconds(opens))
    rows = _rows(out)
    price(prices, logs, session, starts, rows["price"])
    momentum(prices, logs, starts, rows["momentum"])
    volatility(prices, logs, starts, rows["volatility"])
    trend(prices, logs, starts, rows["trend"])
    volume(prices, logs, volumes, log_volume, session, starts, rows["volume"])
    seasonal(volumes, _frozen(seconds // slot_seconds), rows["seasonal"])
    clock(opens, closes, session, seconds, rows["time"])
    microstructure(prices, logs, volumes, starts, rows["microstructure"])
    memory(prices, logs, starts, rows["memory"])
    wavelet(logs, starts, rows["wavelet"])
    regime(prices, logs, volumes, starts, rows["regime"])


def _rows(out: Table) -> dict[str, Table]:
    """The part of the table that belongs to each family; the catalogue keeps a family's features together."""
    families = [feature.family for feature in FEATURES.values()]
    return {
        family: out[families.index(family) : families.index(family) + families.count(family)]
        for family in dict.fromkeys(families)
    }


def _frozen(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The values, contiguous and never writable: each kind of array would be compiled for."""
    values = np.ascontiguousarray(values).view()
    values.flags.writeable = False
    return values
