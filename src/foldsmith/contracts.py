"""One written contract for each table that crosses a boundary, checked on write and on read.

A contract lists the columns, their types and what a value may be. `check` returns the table unchanged, other columns
included, or raises DataError naming the table, the column and the first offending row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from foldsmith.errors import DataError

UTC_MICROSECONDS = pl.Datetime("us", "UTC")


@dataclass(frozen=True)
class Column:
    """What a column may hold. `allowed` lists its only values; `positive` and `finite` speak of numbers.

    One that is `optional` may be missing as a whole, as in tables of older versions.
    """

    dtype: pl.DataType | type[pl.DataType]
    nullable: bool = False
    finite: bool = True
    positive: bool = False
    allowed: tuple[Any, ...] = ()
    optional: bool = False


@dataclass(frozen=True)
class Contract:
    """A named table: its columns, the column it is sorted by without repeats, and rules across columns.

    Each rule is a sentence and a polars expression that is true for every good row.
    """

    name: str
    columns: Mapping[str, Column]
    key: str
    rules: Sequence[tuple[str, pl.Expr]] = field(default_factory=tuple)

    def check(self, frame: pl.DataFrame, source: str = "") -> pl.DataFrame:
        """Return `frame` if it keeps the contract, else raise DataError. `source` names where it came from."""
        where = f"{self.name} table{f' ({source})' if source else ''}"
        missing = [
            name for name, column in self.columns.items() if name not in frame.columns and not column.optional
        ]
        if missing:
            raise DataError(
                f"{where}: column {missing[0]!r} is missing; it has {', '.join(frame.columns) or 'none'}."
            )
        for name, column in self.columns.items():
            if name in frame.columns:
                self._check_column(frame[name], column, where)
        key = frame[self.key]
        if frame.height > 1 and not bool((key.diff().slice(1) > _zero_of(key)).all()):
            raise DataError(f"{where}: column {self.key!r} must rise from row to row without repeats.")
        for sentence, good in self.rules:
            bad = frame.select((~good).arg_true().alias("row"))["row"]
            if len(bad):
                raise DataError(f"{where}: {sentence}; row {bad[0]} does not ({len(bad)} in all).")
        return frame

    @staticmethod
    def _check_column(series: pl.Series, column: Column, where: str) -> None:
        name = series.name
        if series.dtype != column.dtype:
            raise DataError(f"{where}: column {name!r} has type {series.dtype}; {column.dtype} is needed.")
        if not column.nullable and series.null_count():
            raise DataError(
                f"{where}: column {name!r} has {series.null_count()} empty values; none is allowed."
            )
        if series.dtype.is_float() and column.finite and not bool(series.drop_nulls().is_finite().all()):
            raise DataError(f"{where}: column {name!r} holds a value that is not finite.")
        if column.positive and bool((series.drop_nulls() <= 0).any()):
            raise DataError(
                f"{where}: column {name!r} holds {series.min()!r}; only values above 0 are allowed."
            )
        if column.allowed and not bool(series.drop_nulls().is_in(list(column.allowed)).all()):
            strange = series.filter(~series.is_in(list(column.allowed)))[0]
            raise DataError(f"{where}: column {name!r} holds {strange!r}; allowed are {column.allowed}.")


def _zero_of(series: pl.Series) -> Any:
    from datetime import timedelta

    return timedelta(0) if series.dtype.is_temporal() else 0


_OHLC_RULES = (
    (
        "high must be at least open, close and low",
        pl.col("high") >= pl.max_horizontal("open", "close", "low"),
    ),
    ("low must be at most open and close", pl.col("low") <= pl.min_horizontal("open", "close")),
)

BARS = Contract(
    "bars",
    {
        "datetime": Column(UTC_MICROSECONDS),  # open of the bar
        "close_time": Column(UTC_MICROSECONDS),  # when it is known
        "open": Column(pl.Float64, positive=True),
        "high": Column(pl.Float64, positive=True),
        "low": Column(pl.Float64, positive=True),
        "close": Column(pl.Float64, positive=True),
        "volume": Column(pl.Float64),
        "contract": Column(pl.String, nullable=True),
        "session": Column(pl.Date),  # trading day
        "block": Column(pl.Int32),  # changes at a roll or a data hole
    },
    key="datetime",
    rules=(
        *_OHLC_RULES,
        ("a bar must close after it opens", pl.col("close_time") > pl.col("datetime")),
        (
            "a bar must close before the next one opens, or as it does",
            (pl.col("close_time") <= pl.col("datetime").shift(-1)).fill_null(True),
        ),
        ("volume must not be negative", pl.col("volume") >= 0),
    ),
)
"""Bars of one symbol, base (1-minute) or resampled."""

LABELS = Contract(
    "labels",
    {
        "datetime": Column(UTC_MICROSECONDS),  # t0, the close of bar t
        "label_end": Column(UTC_MICROSECONDS),  # t1, the close of the bar in which the label was decided
        "y": Column(pl.Int8, allowed=(-1, 0, 1)),
        "bar": Column(pl.Int64),  # row of bar t in the bars table
        "entry": Column(pl.Float64, positive=True),  # open of bar t+1
        "upper": Column(pl.Float64),
        "lower": Column(pl.Float64),
        "exit_long": Column(pl.Float64, positive=True),  # price at which a long is closed
        "exit_short": Column(pl.Float64, positive=True),
        "ambiguous": Column(pl.Boolean),  # both barriers inside one 1-minute bar
        # With exit = (exit_long + exit_short) / 2, the two being equal unless the label is ambiguous:
        "target": Column(
            pl.Float64, optional=True
        ),  # (exit - entry) / (entry sigma_t sqrt(max_bars)), in volatilities
        "log_return": Column(pl.Float64, optional=True),  # ln(exit / entry), no unit
    },
    key="datetime",
    rules=(
        ("a label must not end before it begins", pl.col("label_end") >= pl.col("datetime")),
        (
            "barriers must lie on their own side of the entry",
            (pl.col("upper") > pl.col("entry")) & (pl.col("lower") < pl.col("entry")),
        ),
    ),
)
"""Labels of one horizon, of any kind, one row per kept event; `labels.targets` says what the exit is for each kind."""


def probability_columns(model: str) -> tuple[str, str, str]:
    """Names of a model's three probability columns, in class order -1, 0, 1."""
    return f"{model}_prob_short", f"{model}_prob_neutral", f"{model}_prob_long"


def oof_contract(models: Sequence[str]) -> Contract:
    """The stacking dataset of one horizon: out-of-fold probabilities of these models, one row per event."""
    columns: dict[str, Column] = {
        "datetime": Column(UTC_MICROSECONDS),
        "label_end": Column(UTC_MICROSECONDS),
        "fold": Column(pl.Int16),
        "y_true": Column(pl.Int8, allowed=(-1, 0, 1)),
        "sample_weight": Column(pl.Float64, positive=True),
    }
    rules: list[tuple[str, pl.Expr]] = [
        ("a label must not end before it begins", pl.col("label_end") >= pl.col("datetime"))
    ]
    for model in models:
        names = probability_columns(model)
        columns |= {name: Column(pl.Float32) for name in names}
        rules.append(
            (f"probabilities of {model} must add up to 1", (pl.sum_horizontal(names) - 1).abs() < 1e-4)
        )
        rules.append(
            (
                f"probabilities of {model} must lie in [0, 1]",
                pl.all_horizontal(pl.col(name).is_between(0, 1) for name in names),
            )
        )
    return Contract("stacking dataset", columns, key="datetime", rules=tuple(rules))


def base_prediction_contract(models: Sequence[str]) -> Contract:
    """Probabilities of refitted base models on rows they were not fitted on: a stacking dataset without folds."""
    oof = oof_contract(models)
    columns = {name: column for name, column in oof.columns.items() if name != "fold"}
    return Contract("base predictions", columns, key=oof.key, rules=oof.rules)


def path_names(n_paths: int) -> list[str]:
    """What paths are called in front of their probability columns: path_0, path_1 ..."""
    return [f"path_{number}" for number in range(n_paths)]


def path_contract(n_paths: int) -> Contract:
    """Combinatorial paths of one model: one row per event, with the probabilities of each path."""
    rows = base_prediction_contract(path_names(n_paths))
    return Contract("paths", rows.columns, key=rows.key, rules=rows.rules)


def prediction_contract() -> Contract:
    """Stored predictions of one model on one segment."""
    names = ("prob_short", "prob_neutral", "prob_long")
    return Contract(
        "predictions",
        {
            "datetime": Column(UTC_MICROSECONDS),
            "label_end": Column(UTC_MICROSECONDS),
            "y_true": Column(pl.Int8, allowed=(-1, 0, 1)),
            "sample_weight": Column(pl.Float64, positive=True),
            **{name: Column(pl.Float32) for name in names},
        },
        key="datetime",
        rules=(
            ("a label must not end before it begins", pl.col("label_end") >= pl.col("datetime")),
            ("probabilities must add up to 1", (pl.sum_horizontal(names) - 1).abs() < 1e-4),
            (
                "probabilities must lie in [0, 1]",
                pl.all_horizontal(pl.col(name).is_between(0, 1) for name in names),
            ),
        ),
    )
