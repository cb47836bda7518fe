"""Walking forward: test blocks in time order, each trained on rows strictly before it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from foldsmith.errors import SettingError
from foldsmith.intervals import Closed
from foldsmith.splits.base import Block, Length, Plan, PurgedSplitter
from foldsmith.splits.checks import checked_count

Window = Literal["expanding", "sliding"]


class WalkForward(PurgedSplitter):
    """Consecutive test blocks up to the last row, each trained on rows strictly before it, purged by t1.

    With [s, e] = [min t0, max t1] of a test block, a row trains if it comes before the block and [t0, t1] ends before
    s - purge: rows decided at the instant of the first test row are no training rows either.

    There is no embargo. It holds back training rows that follow a test block, and here none does: the rows after an
    earlier test block are trained on for a later one, which is what walking forward means. `purge` widens the gap.

    Parameters
    ----------
    n_splits : number of test blocks; None for as many as `test_size` and `train_size` leave room for.
    test_size : rows of a test block; None for n // (n_splits + 1), as scikit-learn's TimeSeriesSplit has it.
    train_size : sliding, the rows of the window before a test block, counted before purging; expanding, the least rows
        before the first test block (None for one).
    window : "expanding" trains on all rows before; "sliding" on the last `train_size`.
    refit_every : r, a model serves r test blocks before it is fitted again: they share the training rows of the first
        of them (`fit_numbers` says which share).
    t0, t1, purge, bars, closed : as those of `PurgedKFold`.

    Raises what `PurgedKFold` raises, and SettingError for settings that leave no room or do not apply.

    >>> t0 = np.arange(12)
    >>> for train, test in WalkForward(3, t0=t0, t1=t0 + 1).split(t0):
    ...     print(train, test)
    [0 1] [3 4 5]
    [0 1 2 3 4] [6 7 8]
    [0 1 2 3 4 5 6 7] [ 9 10 11]
    >>> sliding = WalkForward(3, t0=t0, t1=t0 + 1, window="sliding", train_size=3, refit_every=2)
    >>> for train, test in sliding.split(t0):
    ...     print(train, test)
    [0 1] [3 4 5]
    [0 1] [6 7 8]
    [6 7] [ 9 10 11]
    """

    _settings = (
        *("n_splits", "test_size", "train_size", "window", "refit_every"),
        *("purge", "closed"),
    )

    def __init__(
        self,
        n_splits: int | None = 5,
        *,
        t0: Any,
        t1: Any,
        test_size: int | None = None,
        train_size: int | None = None,
        window: Window = "expanding",
        refit_every: int = 1,
        purge: Length = 0,
        bars: Any = None,
        closed: Closed = "both",
    ) -> None:
        super().__init__(
            t0=t0, t1=t1, embargo=0, purge=purge, bars=bars, closed=closed, embargo_from="test_label_end"
        )
        if window not in get_args(Window):
            raise SettingError(f"window={window!r}; {' and '.join(get_args(Window))} are known.")
        if train_size is None and (window == "sliding" or n_splits is None):
            needed = "a sliding window" if window == "sliding" else "n_splits=None"
            raise SettingError(f"{needed} needs train_size, the rows before a test block.")
        if test_size is None and n_splits is None:
            raise SettingError("n_splits=None needs test_size, the rows of a test block.")
        self.n_splits, self.test_size, self.train_size, self.window = n_splits, test_size, train_size, window
        self._blocks = self._laid_out()
        self.refit_every = checked_count(
            refit_every,
            "refit_every",
            1,
            len(self._blocks),
            f"a model serves some of {len(self._blocks)} blocks",
        )

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """The number of test blocks."""
        return len(self._blocks)

    @property
    def fit_numbers(self) -> npt.NDArray[np.int64]:
        """Which fit serves each split: those of one number share their training rows, so one model does for them."""
        return np.arange(len(self._blocks), dtype=np.int64) // self.refit_every

    def _laid_out(self) -> list[Block]:
        """The test blocks, the last of which ends with the last row."""
        n, needed = len(self.t0), 1
        if self.train_size is not None:
            needed = checked_count(self.train_size, "train_size", 1, n - 1, f"of {n} rows, some are tested")
        if self.n_splits is None:
            size = checked_count(
                self.test_size, "test_size", 1, n - needed, "no test block fits beside train_size"
            )
            count = (n - needed) // size
        else:
            count = checked_count(
                self.n_splits, "n_splits", 1, n - needed, f"{n} rows, {needed} before the first block"
            )
            most = (n - needed) // count
            size = n // (count + 1) if self.test_size is None else self.test_size
            size = checked_count(
                size, "test_size", 1, most, f"{count} blocks and {needed} rows before them of {n}"
            )
        return [(n - k * size, n - (k - 1) * size) for k in range(count, 0, -1)]

    def _plans(self) -> Iterator[Plan]:
        for number, block in enumerate(self._blocks):
            fitted_at = self._blocks[number - number % self.refit_every]
            end = fitted_at[0]
            begin = max(end - (self.train_size or 0), 0) if self.window == "sliding" else 0
            yield Plan((block,), (fitted_at,), (begin, end))
