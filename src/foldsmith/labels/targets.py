"""What a regression aims at: the return of the labelled trade, known when its label is, at t1."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.errors import DataError

Floats = npt.NDArray[np.float64]
TARGETS = ("target", "log_return")


def with_targets(labels: pl.DataFrame, sigma: Floats, max_bars: int) -> pl.DataFrame:
    """The labels with two columns more, both positive where the price rose from entry to exit:

        target = (exit - entry) / (entry sigma_t sqrt(max_bars)),    log_return = ln(exit / entry),
        exit = (exit_long + exit_short) / 2

    `target` is in multiples of the volatility over the whole window, as widths k are: a label that reached a barrier
    has about k, a little more where the barrier was rounded outward, more still where a gap filled beyond it.
    `log_return` has no unit. The exit of triple barriers is the price at which the path first met one (the open, if
    that lay beyond), else the close at the vertical barrier; of fixed horizons and trends the close of the window's
    last bar. A time-out is y = 0 with the return it had, not 0.

    Where a label is ambiguous nobody knows which barrier was met first. A long and a short then leave at a stop each,
    and the halfway point between is taken: it favours neither side, is off by half the distance of the barriers at
    most, and a row without a value would be a row dropped for its outcome. A backtest goes on taking the stop.

    sigma : volatility of each bar of the series. Raises DataError where a label's bar has none.
    """
    unit = sigma[labels["bar"].to_numpy()]
    if not (unit > 0).all():
        raise DataError(
            "a label stands at a bar without volatility; sigma is not the one that it was made with."
        )
    entry = labels["entry"].to_numpy()
    leave = (labels["exit_long"].to_numpy() + labels["exit_short"].to_numpy()) / 2
    return labels.with_columns(
        target=(leave - entry) / (entry * unit * np.sqrt(max_bars)), log_return=np.log(leave / entry)
    )
