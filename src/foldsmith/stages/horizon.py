"""One horizon of a dataset run, joined for training: rows, segments, and how they are kept apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.config import TAIL_SHARE, ValidationSettings
from foldsmith.contracts import BARS, LABELS
from foldsmith.dataset import BarInputs, Dataset
from foldsmith.errors import DataError, SettingError
from foldsmith.features.fitted import inputs_of
from foldsmith.intervals import Instants, Rows, as_instants
from foldsmith.labels.scheme import BY_RETURN
from foldsmith.labels.weighting import Weighting
from foldsmith.labels.weights import bar_returns
from foldsmith.models.windows import whole_windows
from foldsmith.runs.store import Run
from foldsmith.splits import Segments, holdout
from foldsmith.stages.recipe import Recipe
from foldsmith.stages.tables import read_table
from foldsmith.validation.cross_validate import Fitting, Separation


@dataclass(frozen=True)
class HorizonTable:
    """Rows of one horizon with every feature known, in time order.

    bar : row of each event in the bars table; fitting : how rows are kept apart, weighted and fitted on. window : bars
    that a model of the run looks back, 0 for none; windowless : rows dropped because they have no such window.
    """

    horizon: int
    recipe: Recipe
    data: Dataset
    bar: Rows
    segments: Segments
    fitting: Fitting
    window: int = 0
    windowless: int = 0

    @property
    def separation(self) -> Separation:
        """Embargo, purge and the clock they are counted on."""
        return self.fitting.separation

    @property
    def weighting(self) -> Weighting:
        """How rows are weighted, wherever they are fitted or scored."""
        return self.fitting.weighting


def feature_matrix(features: pl.DataFrame, names: tuple[str, ...]) -> npt.NDArray[np.float32]:
    """Features of every bar as float32 (n, p), row-major, NaN in warm-up; DataError if one is missing."""
    missing = [name for name in names if name not in features.columns]
    if missing:
        raise DataError(f"feature {missing[0]!r} is missing ({len(missing)} in all); make the dataset again.")
    if len(set(names)) != len(names):
        raise DataError(
            f"{len(names)} features are named and {len(set(names))} differ; make the dataset again."
        )
    strange = next((name for name in names if not features[name].dtype.is_numeric()), None)
    if strange is not None:
        raise DataError(f"feature {strange!r} has type {features[strange].dtype}; make the dataset again.")
    if not names:
        return np.empty((features.height, 0), dtype=np.float32)
    return np.ascontiguousarray(features.select(names).to_numpy(), dtype=np.float32)


def bar_inputs(features: pl.DataFrame, block: pl.Series, fitted: Sequence[str]) -> BarInputs | None:
    """What these fitted features are made of, each bar a row; None where there are none."""
    names = inputs_of(fitted)
    if not names:
        return None
    every = np.arange(features.height, dtype=np.int64)
    return BarInputs(feature_matrix(features, names), names, block.to_numpy().astype(np.int32), every)


def load_recipe(dataset: Run) -> Recipe:
    """The recipe of a dataset run, its hash checked."""
    dataset.verify(["recipe.json"])
    return Recipe.read(dataset.path / "recipe.json")


def load_closes(dataset: Run) -> Instants:
    """Close of every bar of the full series."""
    dataset.verify(["bars.parquet"])
    return as_instants(read_table(dataset.path / "bars.parquet", columns=["close_time"])["close_time"])


def load_horizons(
    dataset: Run, horizons: tuple[int, ...], settings: ValidationSettings, *, window: int = 0
) -> dict[int, HorizonTable]:
    """Read, check and join features and labels of these horizons; segments are purged and embargoed.

    With `window` above 0, rows without that many bars behind them in their block, themselves among them, with every
    feature known are dropped for all models alike, before anything is cut; the rest carry the bars (`Dataset.history`).
    """
    recipe = load_recipe(dataset)
    for horizon in horizons:
        if horizon not in recipe.horizons:
            raise SettingError(
                f"horizon {horizon} is not in dataset {dataset.path.name}; it has "
                f"{', '.join(map(str, recipe.horizons))}."
            )
    names = ["bars.parquet", "features.parquet", *(f"labels_h{horizon}.parquet" for horizon in horizons)]
    dataset.verify(names)
    bars = read_table(dataset.path / "bars.parquet", BARS, columns=list(BARS.columns))
    features = read_table(dataset.path / "features.parquet")
    matrix = feature_matrix(features, recipe.features)
    inputs = bar_inputs(features, bars["block"], recipe.fitted)
    known = known_rows(matrix, inputs)
    weighting = _weighting(bars, settings)
    tables = {
        horizon: _join(dataset.path, horizon, recipe, matrix, inputs, known, weighting, settings)
        for horizon in horizons
    }
    if window:
        every = bar_history(matrix, recipe.features, bars["block"])
        tables = {horizon: _with_windows(table, every, window) for horizon, table in tables.items()}
    return tables


def bar_history(matrix: npt.NDArray[np.float32], names: tuple[str, ...], block: pl.Series) -> BarInputs:
    """Features of every bar, named, each bar a row: what windows are cut from."""
    every = np.arange(len(matrix), dtype=np.int64)
    return BarInputs(matrix, names, block.to_numpy().astype(np.int32), every)


def _with_windows(table: HorizonTable, every: BarInputs, window: int) -> HorizonTable:
    """The rows that have a whole window, with what it is cut from; their segments are cut anew."""
    whole = whole_windows(every.values, every.block, window)
    kept = np.flatnonzero(whole[table.bar])
    if len(kept) == 0:
        raise DataError(
            f"no row of horizon {table.horizon} has {window} bars behind it with every feature known: blocks between "
            "rolls and missing bars are too short. Use fewer features of long warm-up, or models of single bars."
        )
    rows = table.data.take(kept)
    data = replace(rows, history=every.take(table.bar[kept]))
    segments = holdout(data.t0, data.t1, table.recipe.cuts, **table.separation.options())
    return replace(
        table, data=data, bar=table.bar[kept], segments=segments, window=window,
        windowless=len(table.bar) - len(kept),
    )  # fmt: skip


def known_rows(matrix: npt.NDArray[np.float32], inputs: BarInputs | None) -> npt.NDArray[np.bool_]:
    """Bars where every feature, and every input of a fitted one, is known."""
    known = np.isfinite(matrix).all(axis=1)
    if inputs is not None:
        known &= np.isfinite(inputs.values).all(axis=1)
    return np.asarray(known, dtype=np.bool_)


def _weighting(bars: pl.DataFrame, settings: ValidationSettings) -> Weighting:
    returns = None
    if settings.sample_weight in BY_RETURN:
        returns = bar_returns(bars["close"].to_numpy(), bars["block"].to_numpy())
    closes = as_instants(bars["close_time"])
    return Weighting(settings.sample_weight, closes, returns, settings.time_decay)


def _join(
    folder: Path,
    horizon: int,
    recipe: Recipe,
    matrix: npt.NDArray[np.float32],
    inputs: BarInputs | None,
    known: npt.NDArray[np.bool_],
    weighting: Weighting,
    settings: ValidationSettings,
) -> HorizonTable:
    labels = read_table(folder / f"labels_h{horizon}.parquet", LABELS)
    bar = labels["bar"].to_numpy()
    if len(bar) and (bar.min() < 0 or bar.max() >= len(known)):
        raise DataError(
            f"labels of horizon {horizon} point outside the bars of {folder.name}; make it again."
        )
    labels = labels.filter(pl.Series(known[bar]))
    if labels.is_empty():
        seen = np.asarray(np.isfinite(matrix).any(axis=0))
        never = [name for name, has in zip(recipe.features, seen, strict=True) if not has]
        raise DataError(
            f"no row of horizon {horizon} has every feature known"
            + (f": {', '.join(never)} never {'is' if len(never) == 1 else 'are'}" if never else "")
            + "; make the dataset again, of more bars."
        )
    bar = np.ascontiguousarray(labels["bar"].to_numpy(), dtype=np.int64)
    data = Dataset(
        X=matrix[bar],
        y=labels["y"].to_numpy().astype(np.int8),
        weight=np.ones(len(bar)),
        t0=as_instants(labels["datetime"]),
        t1=as_instants(labels["label_end"]),
        names=recipe.features,
        fitted=recipe.fitted,
        inputs=None if inputs is None else inputs.take(bar),
    )
    embargo = settings.embargo(recipe.horizons[horizon].max_bars)
    separation = Separation(embargo, settings.purge_bars, weighting.bars)
    segments = holdout(data.t0, data.t1, recipe.cuts, **separation.options())
    fitting = Fitting(
        separation, weighting, TAIL_SHARE, settings.class_weight, settings.calibrate, settings.select
    )
    return HorizonTable(horizon, recipe, data, bar, segments, fitting)
