"""Table contracts: a good table passes unchanged, and each way of breaking one is named."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from foldsmith import contracts
from foldsmith.contracts import BARS, LABELS, UTC_MICROSECONDS, Contract
from foldsmith.errors import DataError

START = datetime(2024, 1, 2, 15, tzinfo=UTC)


def instants(*minutes: int) -> pl.Series:
    return pl.Series([START + timedelta(minutes=m) for m in minutes], dtype=UTC_MICROSECONDS)


def bars() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "datetime": instants(0, 5, 10),
            "close_time": instants(5, 10, 15),
            "open": [100.0, 101.0, 99.0],
            "high": [102.0, 101.0, 100.0],
            "low": [99.5, 98.0, 99.0],
            "close": [101.0, 98.5, 100.0],
            "volume": [10.0, 0.0, 3.0],
            "contract": ["MES 03-24", "MES 03-24", None],
            "session": pl.Series([date(2024, 1, 2)] * 3),
            "block": pl.Series([0, 0, 1], dtype=pl.Int32),
        }
    )


def labels() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "datetime": instants(0, 5, 10),
            "label_end": instants(5, 10, 25),
            "y": pl.Series([-1, 0, 1], dtype=pl.Int8),
            "bar": pl.Series([4, 5, 6], dtype=pl.Int64),
            "entry": [100.0, 100.0, 100.0],
            "upper": [101.0, 101.0, 101.0],
            "lower": [99.0, 99.0, 99.0],
            "exit_long": [99.0, 100.5, 101.0],
            "exit_short": [99.0, 100.5, 101.0],
            "ambiguous": [False, False, False],
            "target": [-1.0, 0.5, 1.0],
            "log_return": [-0.01, 0.005, 0.01],
        }
    )


def stored(*models: str) -> pl.DataFrame:
    frame = pl.DataFrame(
        {
            "datetime": instants(0, 5, 10),
            "label_end": instants(5, 10, 25),
            "fold": pl.Series([0, 0, 1], dtype=pl.Int16),
            "y_true": pl.Series([-1, 0, 1], dtype=pl.Int8),
            "sample_weight": [1.0, 0.5, 2.0],
        }
    )
    columns = [name for model in models for name in contracts.probability_columns(model)]
    for name in columns or ["prob_short", "prob_neutral", "prob_long"]:
        share = {"short": 0.2, "neutral": 0.3, "long": 0.5}[name.rsplit("_", 1)[1]]
        frame = frame.with_columns(pl.lit(share, dtype=pl.Float32).alias(name))
    return frame


CASES: list[tuple[Contract, pl.DataFrame]] = [
    (BARS, bars()),
    (LABELS, labels()),
    (contracts.oof_contract(["xgboost", "lightgbm"]), stored("xgboost", "lightgbm")),
    (contracts.prediction_contract(), stored()),
]
NAMES = ["bars", "labels", "oof", "predictions"]


@pytest.mark.parametrize(("contract", "good"), CASES, ids=NAMES)
def test_a_good_table_passes_unchanged(contract: Contract, good: pl.DataFrame) -> None:
    assert contract.check(good) is good
    assert contract.check(good.clear()).is_empty()
    assert contract.check(good.head(1)).height == 1
    more = good.with_columns(extra=pl.lit(1))
    assert contract.check(more).columns == more.columns


@pytest.mark.parametrize(("contract", "good"), CASES, ids=NAMES)
def test_every_column_is_needed_in_its_type_and_whole(contract: Contract, good: pl.DataFrame) -> None:
    for name, column in contract.columns.items():
        if column.optional:
            assert contract.check(good.drop(name)).width == good.width - 1
        else:
            with pytest.raises(DataError, match=f"{name!r} is missing"):
                contract.check(good.drop(name))
        with pytest.raises(DataError, match=f"{name!r} has type"):
            contract.check(good.with_columns(pl.lit("text").cast(pl.Categorical).alias(name)))
        if not column.nullable:
            hole = pl.when(pl.int_range(pl.len()) == 1).then(None).otherwise(pl.col(name)).alias(name)
            with pytest.raises(DataError, match=f"{name!r} has 1 empty"):
                contract.check(good.with_columns(hole))
        if column.dtype in (pl.Float64, pl.Float32):
            for wrong in (float("nan"), float("inf"), float("-inf")):
                with pytest.raises(DataError, match=name):
                    contract.check(set_value(good, name, 1, wrong))
        if column.positive:
            for wrong in (0.0, -1.0):
                with pytest.raises(DataError, match=f"{name!r} holds"):
                    contract.check(set_value(good, name, 1, wrong))
        if column.allowed:
            with pytest.raises(DataError, match=f"{name!r} holds 2"):
                contract.check(set_value(good, name, 1, 2))


@pytest.mark.parametrize(("contract", "good"), CASES, ids=NAMES)
def test_time_must_rise(contract: Contract, good: pl.DataFrame) -> None:
    for frame in (good.reverse(), pl.concat([good.head(1), good.head(1)])):
        with pytest.raises(DataError, match="must rise from row to row"):
            contract.check(frame)


def set_value(frame: pl.DataFrame, name: str, row: int, value: Any) -> pl.DataFrame:
    changed = pl.when(pl.int_range(pl.len()) == row).then(pl.lit(value)).otherwise(pl.col(name))
    return frame.with_columns(changed.cast(frame[name].dtype).alias(name))


@pytest.mark.parametrize(
    ("case", "name", "row", "value", "words"),
    [
        (0, "high", 0, 100.5, "high must be at least.*row 0"),
        (0, "low", 1, 99.0, "low must be at most.*row 1"),
        (0, "close_time", 2, START + timedelta(minutes=10), "must close after it opens.*row 2"),
        (0, "close_time", 1, START + timedelta(minutes=11), "must close before the next one opens.*row 1"),
        (0, "volume", 1, -1.0, "volume must not be negative.*row 1"),
        (1, "label_end", 2, START, "must not end before it begins.*row 2"),
        (1, "upper", 0, 100.0, "own side of the entry.*row 0"),
        (1, "lower", 1, 100.0, "own side of the entry.*row 1"),
        (2, "label_end", 1, START, "must not end before it begins.*row 1"),
        (2, "lightgbm_prob_long", 1, 0.6, "lightgbm must add up to 1.*row 1"),
        (3, "prob_long", 2, 0.6, "must add up to 1.*row 2"),
        (3, "label_end", 1, START, "must not end before it begins.*row 1"),
    ],
)
def test_rules_name_the_row(case: int, name: str, row: int, value: Any, words: str) -> None:
    contract, good = CASES[case]
    with pytest.raises(DataError, match=words):
        contract.check(set_value(good, name, row, value), "somewhere.parquet")
    with pytest.raises(DataError, match=r"somewhere\.parquet"):
        contract.check(set_value(good, name, row, value), "somewhere.parquet")


@pytest.mark.parametrize("case", [2, 3])
def test_shares_outside_0_and_1_are_none_even_if_they_add_up(case: int) -> None:
    contract, good = CASES[case]
    short, _, long = (name for name in good.columns if "_prob_" in f"_{name}" and "lightgbm" not in name)
    wrong = set_value(set_value(good, short, 1, -0.1), long, 1, 0.8)
    with pytest.raises(DataError, match=r"must lie in \[0, 1\].*row 1"):
        contract.check(wrong)


def test_probabilities_may_miss_1_by_rounding() -> None:
    contract, good = CASES[3]
    assert contract.check(set_value(good, "prob_long", 1, 0.5 + 5e-5)).height == 3


def test_whole_number_keys() -> None:
    contract = Contract("numbers", {"n": contracts.Column(pl.Int64)}, key="n")
    assert contract.check(pl.DataFrame({"n": [1, 5, 9]})).height == 3
    with pytest.raises(DataError, match="must rise"):
        contract.check(pl.DataFrame({"n": np.array([1, 5, 5])}))
