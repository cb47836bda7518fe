"""Rows that cannot be a bar of any market, and rows of which only the columns are displaced."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.errors import DataError
from foldsmith.intervals import Mask
from foldsmith.market.findings import iso
from foldsmith.market.readers.columns import NUMBERS, PRICES
from foldsmith.market.tally import Tally

MAX_BROKEN_SHARE = 0.05
"""Share of rows with impossible values above which a file is refused."""
CAUSES = {
    "shifted_columns": "A column was likely lost or put in between; export the file again.",
    "missing_value": "Are rows filled in for minutes without trades? Leave them out of the file.",
    "non_positive_price": "The prices are likely in another column, or the file is damaged.",
    "negative_volume": "The file likely holds quotes and not trades; export trades.",
    "inconsistent_ohlc": "The columns are likely in another order than named.",
}
"""What a file is likely to suffer from when a rule is broken too often."""
_NEAR = 0.1
"""A displaced row fits if each price is this near, as a share, to the close before it."""


def drop_impossible(frame: pl.DataFrame, tally: Tally) -> pl.DataFrame:
    """The rows that can be bars. Of several rules that a row breaks the first counts; see `rules.RULES`.

    Raises DataError if more than `MAX_BROKEN_SHARE` of the rows break one.
    """
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
    found = frame.select(**tests)
    masks = {name: found[name].fill_null(value=False).to_numpy() for name in tests}
    broken = np.logical_or.reduce(list(masks.values()))
    shifted = np.zeros(frame.height, dtype=np.bool_)
    if tally.looks_for("shifted_columns"):
        shifted = _shifted(frame, broken)
        broken |= shifted
    taken = np.zeros(frame.height, dtype=np.bool_)
    counts: dict[str, tuple[int, int]] = {}
    for name, mask in {"shifted_columns": shifted, **masks}.items():
        mine = mask & ~taken
        if mine.any():
            counts[name] = int(np.count_nonzero(mine)), int(mine.argmax())
        tally.meet(name, frame, mine)
        taken |= mine
    _check_share(frame, int(np.count_nonzero(broken)), counts)
    return frame.filter(pl.Series(~broken)) if broken.any() else frame


def _check_share(frame: pl.DataFrame, count: int, counts: dict[str, tuple[int, int]]) -> None:
    if count <= MAX_BROKEN_SHARE * frame.height:
        return
    worst = max(counts, key=lambda name: counts[name][0])
    first = int(frame["datetime"].to_physical()[counts[worst][1]])
    raise DataError(
        f"{count:,} of {frame.height:,} rows ({count / frame.height:.0%}) hold impossible values, more than "
        f"{MAX_BROKEN_SHARE:.0%}; mostly {worst.replace('_', ' ')}, first at {iso(first)}. {CAUSES[worst]}"
    )


def _shifted(frame: pl.DataFrame, broken: Mask) -> Mask:
    """Rows, impossible or far off, that would be bars near the close before if their numbers stood elsewhere.

    Of the five numbers (open, high, low, close, volume), moved round by 1 to 4 places, the four prices must be
    those of a bar and the volume no price; one of the five may have been lost.
    """
    low, high, close = (frame[name].to_numpy() for name in ("low", "high", "close"))
    before = np.r_[np.nan, close[:-1]]
    with np.errstate(invalid="ignore"):
        strange = broken | (low < before * (1 - _NEAR)) | (high > before * (1 + _NEAR))
    shifted = np.zeros(frame.height, dtype=np.bool_)
    rows, good = np.flatnonzero(strange), np.flatnonzero(~strange)
    if len(rows) == 0 or len(good) == 0:
        return shifted
    # The good row before each strange one, or the first good one.
    price = close[good[np.maximum(np.searchsorted(good, rows) - 1, 0)]]
    numbers = frame[rows].select(NUMBERS).to_numpy()
    fits = np.zeros(len(rows), dtype=np.bool_)
    for places in range(1, len(NUMBERS)):
        fits |= _is_bar_near(np.roll(numbers, places, axis=1), price)
    shifted[rows] = fits
    return shifted


def _is_bar_near(numbers: npt.NDArray[np.float64], price: npt.NDArray[np.float64]) -> Mask:
    """Rows (open, high, low, close, volume) that are bars with all prices within `_NEAR` of a price."""
    open_, high, low, close, volume = numbers.T
    lowest, highest = price * (1 - _NEAR), price * (1 + _NEAR)
    # One number may have been lost: what is NaN is passed over.
    with np.errstate(invalid="ignore"):
        order = ~(low > np.fmin(open_, close)) & ~(high < np.fmax(open_, close)) & ~(high < low)
        near = np.ones(len(price), dtype=np.bool_)
        for one in (open_, high, low, close):
            near &= ~((one < lowest) | (one > highest))
        apart = ~(volume < 0) & ~((volume >= lowest) & (volume <= highest))
        whole = np.count_nonzero(np.isnan(numbers), axis=1) <= 1
    return np.asarray(order & near & apart & whole, dtype=np.bool_)
