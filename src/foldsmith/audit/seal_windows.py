"""The seal of models that read windows: which bars a fold may read, and that it reads no others.

A row's window is the L bars that end at it, features alone. Some bars of held-back and scored rows therefore lie in
windows of training rows behind them, as they lie in any feature that looks back. What must not be seen is told from the
row numbers alone: bars in no window of a training row, by the fit; bars in no window of a training or scored row, by
anything; bars after a row, by the prediction of that row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import BarInputs, Dataset
from foldsmith.intervals import Rows
from foldsmith.validation.cross_validate import predict_rows
from foldsmith.validation.fold_features import FoldModel

Bars = npt.NDArray[np.int64]
CUTS = 3
"""Places among the scored rows behind which all bars are poisoned, to see that no prediction looks ahead."""


def bars_read(history: BarInputs, rows: Rows, window: int) -> Bars:
    """Numbers of the bars in the windows of these rows, rising: each the `window` bars up to the row's own."""
    read = np.zeros(len(history.values), dtype=np.bool_)
    for back in range(window):
        read[history.bar[rows] - back] = True
    return np.flatnonzero(read)


def spoilt(data: Dataset, kept: Bars, rng: np.random.Generator) -> Dataset:
    """The same rows over a history in which every bar but the `kept` ones has other features, far from any."""
    if data.history is None:
        return data
    values = (50 + 30 * rng.normal(size=data.history.values.shape)).astype(np.float32)
    values[kept] = data.history.values[kept]
    return replace(data, history=replace(data.history, values=values))


def held_back_bars(data: Dataset, train: Rows, test: Rows, window: int) -> dict[str, int]:
    """How many bars of rows that are neither fitted on nor scored are poisoned, and how many a window still reads."""
    if data.history is None or not window:
        return {}
    apart = np.setdiff1d(np.arange(len(data)), np.r_[train, test])
    own = np.unique(data.history.bar[apart])
    read = np.isin(own, bars_read(data.history, np.r_[train, test], window))
    return {"held-back bars poisoned": int((~read).sum()), "held-back bars in windows": int(read.sum())}


def look_ahead_problems(model: FoldModel, data: Dataset, rows: Rows, rng: np.random.Generator) -> list[str]:
    """At a few cuts among these rows: no prediction up to one changes with bars after it, and one behind it does."""
    if data.history is None or not model.classifier.window:
        return []
    held = data.take(rows)
    clean = predict_rows(model, held)
    problems = []
    for row in np.unique(np.linspace(0, len(rows) - 1, CUTS + 2).astype(np.int64)[1:-1]):
        last = int(data.history.bar[rows[row]])
        after = predict_rows(model, spoilt(held, np.arange(last + 1), rng))
        if clean[: row + 1].tobytes() != after[: row + 1].tobytes():
            problems.append(f"a prediction changed with bars after its row (cut at bar {last})")
        if row + 1 < len(rows) and clean[row + 1 :].tobytes() == after[row + 1 :].tobytes():
            problems.append(f"no prediction changed with bars of its own window (cut at bar {last})")
    return problems


def fit_problems(clean: Mapping[str, bytes], spoiled: Mapping[str, bytes]) -> list[str]:
    """What a fit left, by name, that changed with bars in no window of a training row; its predictions may."""
    return [
        f"{name} changed with bars in no window of a training row"
        for name in {**clean, **spoiled}
        if name != "predictions" and clean.get(name) != spoiled.get(name)
    ]
