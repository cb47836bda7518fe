"""Trend-scanning labels: the sign of the clearest trend among the windows ahead.

Source: Lopez de Prado, Machine Learning for Asset Managers (2020), section 5.4.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.errors import DataError, SettingError
from foldsmith.labels.triple_barrier import Barriers, Floats
from foldsmith.labels.window_end import Windows

LEVELS = Barriers(1.0, 1.0)
"""Where a trend label's `upper` and `lower` stand: one volatility over the window. Nothing watches them."""


def trend_values(windows: Windows, min_bars: int) -> Floats:
    """The t-value of largest size among the windows of L = min_bars .. max_bars bars ahead of each row.

        c_{t+x} = a + b x + e_x,  x = 0 .. L,    t_L = b / se(b),    se(b)^2 = sum e^2 / ((L - 1) sum (x - L/2)^2)

    by least squares on closes. Of equal sizes the shortest window counts. Closes that do not move have t = 0, a
    straight line has t = +-inf. O(max_bars) a row. Raises SettingError where min_bars is below 2 or above the window.
    """
    if not 2 <= min_bars <= windows.max_bars:
        raise SettingError(
            f"a shortest trend of {min_bars} bars does not fit a window of {windows.max_bars}; --trend-min-bars is at "
            "least 2 and at most the shortest horizon."
        )
    from foldsmith.labels.trend_kernel import strongest

    return np.asarray(strongest(windows.close, windows.rows, min_bars, windows.max_bars), dtype=np.float64)


def trend_labels(values: Floats, threshold: float) -> npt.NDArray[np.int8]:
    """The sign of each t-value whose size is above the threshold, else 0."""
    return np.where(np.abs(values) > threshold, np.sign(values), 0).astype(np.int8)


def choose_threshold(
    bars: pl.DataFrame,
    sigma: Floats,
    *,
    horizon: int,
    max_bars: int,
    min_bars: int,
    until: int,
    neutral_share: float,
    tick_size: float,
) -> float:
    """The size of t-values that a share `neutral_share` of labels does not exceed, in thousandths.

    Counted are the rows whose whole window closes at or before the instant `until`; later bars are cut off first, as
    in `choose_barriers`. Raises DataError if there is no such row.
    """
    n = int(np.searchsorted(bars["close_time"].to_physical().to_numpy(), until, side="right"))
    windows = Windows.of(bars.head(n), sigma[:n], max_bars=max_bars, barriers=LEVELS, tick_size=tick_size)
    sizes = np.sort(np.abs(trend_values(windows, min_bars)))
    if len(sizes) == 0:
        raise DataError(
            f"no label of horizon {horizon} ends in the training segment: each window of {max_bars} bars there crosses "
            "a roll or a hole, or begins before volatility is known. Use a shorter horizon or longer data, or fix "
            "the threshold with --trend-threshold."
        )
    value = float(sizes[max(int(np.ceil(neutral_share * len(sizes))) - 1, 0)])
    if not np.isfinite(value):
        raise DataError(
            "most closes of the training segment lie on straight lines, as filled bars do; look at the raw bars, or "
            "raise --trend-min-bars."
        )
    return round(value, 3)
