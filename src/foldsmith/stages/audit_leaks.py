"""Known leaks, each planted in a real code path for as long as a `with` block lasts; no file is changed.

A leak is a function that replaces one named function of the program by a leaking one. What it leaks is what others were
caught with: windows that look ahead, scalers and weights of the whole sample, splits that purge by decision time,
choices made on the rows that score them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from foldsmith.dataset import Dataset
from foldsmith.features.hmm import Hmm
from foldsmith.intervals import Rows, as_instants
from foldsmith.runs import manifest as manifests
from foldsmith.splits import Segments
from foldsmith.stages import horizon as tables_stage
from foldsmith.stages import market_bars as bars_stage
from foldsmith.stages import out_of_fold as engine
from foldsmith.stages import prepare as stage
from foldsmith.validation import cross_validate as fits
from foldsmith.validation import meta_level
from foldsmith.validation.correction import Correction
from foldsmith.validation.fold_features import FoldFeatures
from foldsmith.validation.tune import Part

Planting = AbstractContextManager[None]
MINUTE = 60_000_000


@contextmanager
def swapped(owner: Any, name: str, leaking: Callable[[Any], Any]) -> Iterator[None]:
    """`owner.name` replaced by what `leaking` makes of it, and put back."""
    real = owner.__dict__[name]
    setattr(owner, name, leaking(real))
    try:
        yield
    finally:
        setattr(owner, name, real)


# --- features, bars and labels -----------------------------------------------------------------------------------


def feature(change: Callable[[pl.Expr], pl.Expr]) -> Planting:
    """The first computed feature, changed."""

    def leaking(real: Any) -> Any:
        def compute(bars: pl.DataFrame, *words: Any, **options: Any) -> pl.DataFrame:
            made: pl.DataFrame = real(bars, *words, **options)
            first = made.columns[1]
            return made.with_columns(change(pl.col(first)).cast(pl.Float32).alias(first))

        return compute

    return swapped(stage, "compute_features", leaking)


def feature_of_bars(value: Callable[[pl.DataFrame], pl.Series]) -> Planting:
    """The first computed feature replaced by one made of all bars."""

    def leaking(real: Any) -> Any:
        def compute(bars: pl.DataFrame, *words: Any, **options: Any) -> pl.DataFrame:
            made: pl.DataFrame = real(bars, *words, **options)
            return made.with_columns(value(bars).cast(pl.Float32).alias(made.columns[1]))

        return compute

    return swapped(stage, "compute_features", leaking)


def filled_backwards() -> Planting:
    """Every warm-up filled with the first value after it."""

    def leaking(real: Any) -> Any:
        return lambda *w, **o: real(*w, **o).with_columns(pl.selectors.float().fill_nan(None).backward_fill())

    return swapped(stage, "compute_features", leaking)


def roll_adjusted() -> Planting:
    """Features of prices to which the gaps of later rolls are added: back-adjusted, as charts are."""

    def adjusted(bars: pl.DataFrame) -> pl.DataFrame:
        block = bars["block"].to_numpy()
        begins = np.flatnonzero(np.diff(block)) + 1
        gaps = np.zeros(bars.height)
        gaps[begins - 1] = bars["open"].to_numpy()[begins] - bars["close"].to_numpy()[begins - 1]
        later = pl.Series(np.cumsum(gaps[::-1])[::-1])
        return bars.with_columns(pl.col("open", "high", "low", "close") + later)

    return swapped(
        stage, "compute_features", lambda real: lambda bars, *w, **o: real(adjusted(bars), *w, **o)
    )


def sampled(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Planting:
    """Bars of the timeframe, changed."""

    def leaking(real: Any) -> Any:
        def sample(*words: Any) -> Any:
            bars, first, stop = real(*words)
            return change(bars), first, stop

        return sample

    return swapped(bars_stage, "sample", leaking)


def volume_by_the_whole_file() -> Planting:
    """Cleaned volumes divided by the mean of all of them."""

    def leaking(real: Any) -> Any:
        def clean(*words: Any, **options: Any) -> Any:
            made, findings = real(*words, **options)
            return made.with_columns(pl.col("volume") / pl.col("volume").mean()), findings

        return clean

    return swapped(bars_stage, "clean", leaking)


def later_volatility() -> Planting:
    """Barriers scaled by the volatility of the next bar."""
    return swapped(stage, "volatility", lambda real: lambda *words: np.r_[real(*words)[1:], np.nan])


def labels(change: Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame], more_bars: int = 0) -> Planting:
    """Labels changed, by (labels, bars); their window `more_bars` longer."""

    def leaking(real: Any) -> Any:
        def label(bars: pl.DataFrame, *words: Any, **options: Any) -> Any:
            made, counts = real(bars, *words, **options | {"max_bars": options["max_bars"] + more_bars})
            return change(made, bars), counts

        return label

    return swapped(stage, "triple_barrier", leaking)


def ends_early(made: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """Labels that are said to end a bar before they do."""
    closes = as_instants(bars["close_time"])
    last = np.searchsorted(closes, as_instants(made["label_end"]), side="left")
    told = np.maximum(closes[np.maximum(last - 1, 0)], as_instants(made["datetime"]))
    return made.with_columns(pl.Series("label_end", told).cast(made.schema["label_end"]))


def by_the_mean_return(made: pl.DataFrame, _: pl.DataFrame) -> pl.DataFrame:
    """Labels that say whether a return is above the mean of all."""
    above = pl.col("log_return") > pl.col("log_return").mean()
    return made.with_columns(pl.when(above).then(1).otherwise(-1).cast(pl.Int8).alias("y"))


def widths_of_all_bars() -> Planting:
    """Barrier widths chosen on rows of the test segment too."""
    endless = int(np.iinfo(np.int64).max)
    return swapped(stage, "choose_barriers", lambda real: lambda *w, **o: real(*w, **o | {"until": endless}))


# --- splits ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OtherSplit:
    """A splitter with other training rows: `rows` takes (number of rows, test rows, training rows) and gives them."""

    real: Any
    rows: Callable[[int, Rows, Rows], Rows]

    def split(self, X: Any) -> Iterator[tuple[Rows, Rows]]:
        """Each (train, test)."""
        for train, test in self.real.split(X):
            yield self.rows(len(X), test, train), test


def folds(options: dict[str, Any] | None = None, *, of_start: bool = False) -> Planting:
    """Base folds with other settings; `of_start`: told that every label ends as it begins."""

    def leaking(real: Any) -> Any:
        def make(n: int, **given: Any) -> Any:
            ends = {"t1": given["t0"]} if of_start else {}
            return real(n, **given | ends | (options or {}))

        return make

    return swapped(engine, "PurgedKFold", leaking)


def other_rows(rows: Callable[[int, Rows, Rows], Rows], owner: Any = engine) -> Planting:
    """Folds that train on other rows."""
    return swapped(owner, "PurgedKFold", lambda real: lambda *w, **o: OtherSplit(real(*w, **o), rows))


def all_but_the_test(n: int, test: Rows, train: Rows) -> Rows:
    """No purge and no embargo."""
    return np.setdiff1d(np.arange(n), test)


def two_rows_away(n: int, test: Rows, train: Rows) -> Rows:
    """A purge of two rows on either side, whatever the labels' length."""
    return np.setdiff1d(np.arange(n), np.arange(test[0] - 2, test[-1] + 3))


def not_purged_before(n: int, test: Rows, train: Rows) -> Rows:
    """A purge after the test rows alone."""
    return np.union1d(train, np.arange(test[0]))


def interleaved() -> Planting:
    """Every third row is tested: folds of shuffled rows."""

    class Interleaved:
        def __init__(self, n_splits: int, **_: Any) -> None:
            self.n = n_splits

        def split(self, X: Any) -> Iterator[tuple[Rows, Rows]]:
            number = np.arange(len(X)) % self.n
            for k in range(self.n):
                yield np.flatnonzero(number != k), np.flatnonzero(number == k)

    return swapped(engine, "PurgedKFold", lambda _: Interleaved)


def unpurged_segments() -> Planting:
    """Segments cut by decision time alone."""

    def holdout(t0: Any, t1: Any, cuts: tuple[int, int], **_: Any) -> Segments:
        rows = np.arange(len(t0))
        return Segments(rows[t0 <= cuts[0]], rows[(t0 > cuts[0]) & (t0 <= cuts[1])], rows[t0 > cuts[1]])

    return swapped(tables_stage, "holdout", lambda _: holdout)


def unpurged_tails() -> Planting:
    """Tails that fits stop on, with the head right before them."""

    def tail(t0: Any, t1: Any, share: float, **_: Any) -> tuple[Rows, Rows]:
        first = max(1, round(len(t0) * (1 - share)))
        return np.arange(first), np.arange(first, len(t0))

    return swapped(fits, "purged_tail", lambda _: tail)


# --- fits --------------------------------------------------------------------------------------------------------


@dataclass
class Scope:
    """The fold that is being fitted, for leaks that need what a fit does not hand on."""

    data: Any = None
    train: Any = None
    test: Any = None

    @property
    def scored(self) -> Dataset:
        """The scored rows."""
        taken: Dataset = self.data.take(self.test)
        return taken


@contextmanager
def in_fold(plant: Callable[[Scope], Planting]) -> Iterator[None]:
    """A leak that knows the fold at hand."""
    scope = Scope()

    def noting(real: Any) -> Any:
        def fit_fold(model: str, data: Dataset, train: Rows, test: Rows, **options: Any) -> Any:
            scope.data, scope.train, scope.test = data, train, test
            return real(model, data, train, test, **options)

        return fit_fold

    with ExitStack() as stack:
        stack.enter_context(swapped(fits, "fit_fold", noting))
        stack.enter_context(plant(scope))
        yield


def fold_of(change: Callable[[Dataset, Rows, Rows], tuple[Dataset, Rows]]) -> Planting:
    """Folds fitted on other rows: (data, train, test) -> (data, train)."""

    def leaking(real: Any) -> Any:
        def fit_fold(model: str, data: Dataset, train: Rows, test: Rows, **options: Any) -> Any:
            other, rows = change(data, train, test)
            return real(model, other, rows, test, **options)

        return fit_fold

    return swapped(fits, "fit_fold", leaking)


def scaled_by_all(data: Dataset, train: Rows, test: Rows) -> tuple[Dataset, Rows]:
    """Features scaled by mean and deviation of all rows."""
    X = (data.X - data.X.mean(axis=0)) / (data.X.std(axis=0) + 1e-9)
    return replace(data, X=X.astype(np.float32)), train


def clipped_by_all(data: Dataset, train: Rows, test: Rows) -> tuple[Dataset, Rows]:
    """Features replaced by their ranks among all rows."""
    ranks = np.argsort(np.argsort(data.X, axis=0, kind="stable"), axis=0, kind="stable")
    return replace(data, X=(ranks / len(data)).astype(np.float32)), train


def labels_in_a_feature(data: Dataset, train: Rows, test: Rows) -> tuple[Dataset, Rows]:
    """A feature that is the mean label of the 20 rows around, scored ones among them."""
    X = data.X.copy()
    X[:, 0] = np.convolve(data.y, np.ones(20) / 20, mode="same")
    return replace(data, X=X), train


def scored_rows_trained_on(data: Dataset, train: Rows, test: Rows) -> tuple[Dataset, Rows]:
    """In-sample predictions in the place of out-of-fold ones."""
    return data, np.union1d(train, test)


def held_back_rows_trained_on(data: Dataset, train: Rows, test: Rows) -> tuple[Dataset, Rows]:
    """Purged and embargoed rows fitted on after all."""
    return data, np.setdiff1d(np.arange(len(data)), test)


def stopping_on_the_scored(scope: Scope) -> Planting:
    """Early stopping on the fold that is scored."""

    def leaking(real: Any) -> Any:
        def stopping(self: Any, rows: Dataset, head: Rows, tail: Rows) -> Any:
            features = self.features(rows.take(head))
            on, against = features.apply(rows.take(head)), features.apply(scope.scored)
            evaluation = (against.X, against.y, against.weight)
            return features, self._new().fit(on.X, on.y, on.weight, evaluation=evaluation)

        return stopping

    return swapped(fits._FitOn, "stopping", leaking)


def tuning_on_the_scored(scope: Scope) -> Planting:
    """Trials scored on the fold that is scored."""

    def leaking(real: Any) -> Any:
        def parts(rows: Dataset, balance: Any, head: Rows, tail: Rows, n: int, fit: Any) -> list[Part]:
            features = fit.features(rows.take(head))
            return [
                replace(part, against=features.apply(scope.scored))
                for part in real(rows, balance, head, tail, n, fit)
            ]

        return parts

    return swapped(fits, "_parts", leaking)


def selection_on_all(scope: Scope) -> Planting:
    """Features selected on all rows of the segment, scored ones among them."""

    def leaking(real: Any) -> Any:
        def select(method: str, rows: Dataset, **options: Any) -> Any:
            whole = replace(scope.data, fitted=(), inputs=None)
            kept = real(method, whole, **options)
            return np.r_[kept, np.arange(len(whole.names), len(rows.names))]

        return select

    return swapped(fits, "select", leaking)


def calibrated_on_the_scored() -> Planting:
    """A calibrator fitted on the predictions that it then corrects."""

    def leaking(real: Any) -> Any:
        def fit_fold(model: str, data: Dataset, train: Rows, test: Rows, **options: Any) -> Any:
            fit = real(model, data, train, test, **options)
            if fit.uncalibrated is None:
                return fit
            learned = fits.calibrated(options["fitting"].calibrate, fit.uncalibrated, data.take(test))
            return replace(fit, probabilities=Correction(None, learned).apply(fit.uncalibrated))

        return fit_fold

    return swapped(fits, "fit_fold", leaking)


def class_weights_of_all(scope: Scope) -> Planting:
    """Class weights from all rows of the segment."""
    return swapped(fits, "balanced", lambda real: lambda rows: real(scope.data))


def base_rate_of_all(scope: Scope) -> Planting:
    """The yardstick of scores from all rows of the segment."""
    return swapped(fits, "class_shares", lambda real: lambda y, weight=None: real(scope.data.y))


def weights_among_all(scope: Scope) -> Planting:
    """Uniqueness counted among all rows of the segment."""

    def leaking(real: Any) -> Any:
        def weighted(data: Dataset, weighting: Any) -> Dataset:
            return data.with_weight(weighting.of_fit(scope.data.t0, scope.data.t1)[scope.train])

        return weighted

    return swapped(fits, "weighted_rows", leaking)


def states_of_all_bars() -> Planting:
    """Hidden Markov models fitted on every bar."""

    def leaking(real: Any) -> Any:
        def fit(cls: Any, rows: Dataset) -> Any:
            if rows.inputs is None:
                return real.__func__(cls, rows)
            known = np.flatnonzero(np.isfinite(rows.inputs.values).all(axis=1))
            every = rows.take(np.zeros(len(known), dtype=np.int64))
            return real.__func__(cls, replace(every, inputs=replace(rows.inputs, bar=known)))

        return classmethod(fit)

    return swapped(FoldFeatures, "fit", leaking)


def states_smoothed() -> Planting:
    """States given the bars after as well as before."""

    def leaking(real: Any) -> Any:
        def filtered(self: Any, X: Any, block: Any) -> Any:
            back = real(self, np.ascontiguousarray(X[::-1]), np.ascontiguousarray(block[::-1]))[::-1]
            return (real(self, X, block) + back) / 2

        return filtered

    return swapped(Hmm, "filtered", leaking)


# --- ensembles and runs ------------------------------------------------------------------------------------------


def meta_in_sample() -> Planting:
    """A meta-learner scored on rows that it was fitted on, by code that says otherwise."""

    def leaking(real: Any) -> Any:
        def out_of_fold(make_one: Any, P: Any, data: Dataset, fold: Any, **options: Any) -> Any:
            found = real(make_one, P, data, fold, **options)
            seen = fits.predict(make_one().fit(P, data.y, data.weight, fold), P[found.rows])
            return replace(found, probabilities=seen, uncalibrated=seen)

        return out_of_fold

    return swapped(meta_level, "out_of_fold", leaking)


def meta_by_all() -> Planting:
    """Base probabilities drawn towards their mean over all rows, before the meta-level folds are cut."""

    def leaking(real: Any) -> Any:
        def out_of_fold(make_one: Any, P: Any, *words: Any, **options: Any) -> Any:
            shrunk = (0.5 * P + 0.5 * P.mean(axis=0, dtype=np.float64)).astype(np.float32)
            return real(make_one, shrunk, *words, **options)

        return out_of_fold

    return swapped(meta_level, "out_of_fold", leaking)


def hashes_not_compared() -> Planting:
    """Files of a run are taken as they are."""
    return swapped(manifests, "_verify_one", lambda _: lambda *words: None)
