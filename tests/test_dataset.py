"""The frozen table: rows stay together, and lengths that differ are refused."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest

from foldsmith.dataset import CLASSES, Dataset
from foldsmith.errors import DataError


def made(n: int = 6) -> Dataset:
    return Dataset(
        X=np.arange(2 * n, dtype=np.float32).reshape(n, 2),
        y=np.resize(np.array(CLASSES, dtype=np.int8), n),
        weight=np.linspace(1, 2, n),
        t0=np.arange(n, dtype=np.int64),
        t1=np.arange(n, dtype=np.int64) + 3,
        names=("a", "b"),
    )


def test_take_keeps_rows_together_in_the_order_given() -> None:
    data, rows = made(), np.array([4, 1, 1])
    part = data.take(rows)
    assert len(part) == 3
    assert part.X[:, 0].tolist() == [8, 2, 2]
    assert part.names == data.names
    for field in ("y", "weight", "t0", "t1"):
        assert getattr(part, field).tolist() == getattr(data, field)[rows].tolist()
        assert getattr(part, field).dtype == getattr(data, field).dtype
    assert len(data.take(np.array([], dtype=np.int64))) == 0


def test_take_copies() -> None:
    data = made()
    data.take(np.arange(6)).X[:] = -1
    assert data.X[0].tolist() == [0, 1]


def test_other_weights_leave_the_rest_alone() -> None:
    data = made()
    other = data.with_weight(np.full(6, 7.0))
    assert other.weight.tolist() == [7.0] * 6
    assert other.X is data.X
    assert data.weight[0] == 1.0
    with pytest.raises(DataError, match="weight has 5 rows and X has 6"):
        data.with_weight(np.ones(5))


def test_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        made().y = np.zeros(6, dtype=np.int8)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"y": np.zeros(5, dtype=np.int8)}, "y has 5 rows and X has 6"),
        ({"t1": np.arange(7)}, "t1 has 7 rows"),
        ({"names": ("a",)}, "1 feature names"),
        ({"X": np.zeros(6, dtype=np.float32)}, "feature names"),
    ],
)
def test_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        replace(made(), **change)
