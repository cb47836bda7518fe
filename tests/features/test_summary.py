"""What is said of features on training rows is what their definitions say."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldsmith.features.summary import MOST_PAIRS, MOST_ROWS, summarise


def slow(x: list[float]) -> dict[str, float | None]:
    """The definitions, a row at a time."""
    known = [v for v in x if v == v]
    if not known:
        return {"missing": 1.0, "mean": None, "sd": None, "autocorrelation": None, "shift": None}
    mean = sum(known) / len(known)
    square = sum((v - mean) ** 2 for v in known)
    sd = (square / len(known)) ** 0.5
    made: dict[str, float | None] = {"missing": 1 - len(known) / len(x), "mean": mean, "sd": sd}
    made |= {"autocorrelation": None, "shift": None}
    if sd == 0:
        return made
    both = [(a - mean) * (b - mean) for a, b in pairwise(x) if a == a and b == b]
    if both:
        made["autocorrelation"] = sum(both) / square
    first, second = ([v for v in part if v == v] for part in (x[: len(x) // 2], x[len(x) // 2 :]))
    if first and second:
        made["shift"] = (sum(second) / len(second) - sum(first) / len(first)) / sd
    return made


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.just(float("nan")), st.integers(-9, 9).map(float)), min_size=1, max_size=40))
def test_equal_to_the_definitions(values: list[float]) -> None:
    found = summarise(np.array(values, np.float32)[:, None], ["x"])["each"]["x"]
    assert found == {
        key: None if value is None else pytest.approx(value, rel=1e-5, abs=1e-6)
        for key, value in slow(values).items()
    }


def test_a_shift_and_a_walk_are_told_from_noise() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=4000)
    step = noise + np.repeat([0.0, 3.0], 2000)
    made = summarise(np.c_[noise, step, np.cumsum(noise)].astype(np.float32), ["noise", "step", "walk"])[
        "each"
    ]
    assert abs(made["noise"]["autocorrelation"]) < 0.05
    assert abs(made["noise"]["shift"]) < 0.1
    assert made["step"]["shift"] == pytest.approx(3 / np.sqrt(1 + 1.5**2), rel=0.05)
    assert made["walk"]["autocorrelation"] > 0.99


def test_pairs_that_say_the_same_are_found_and_sorted() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, MOST_ROWS * 2 + 7))
    columns = {
        "a": a,
        "b": b,
        "minus_a": -3 * a + 1,
        "nearly_a": a + 0.2 * b,
        "far": a + b,
        "still": 0 * a + 5,
    }
    X = np.c_[tuple(columns.values())].astype(np.float32)
    X[::50, 1] = np.nan
    found = summarise(X, list(columns))["redundant"]
    whole = X[np.isfinite(X).all(axis=1)][::2].astype(np.float64)
    assert MOST_ROWS / 2 < found["rows"] == len(whole) <= MOST_ROWS
    assert found["count"] == 3
    assert [(pair["one"], pair["other"]) for pair in found["pairs"]] == [
        ("a", "minus_a"), ("a", "nearly_a"), ("minus_a", "nearly_a"),
    ]  # fmt: skip
    assert found["pairs"][1]["correlation"] == pytest.approx(
        np.corrcoef(whole[:, 0], whole[:, 3])[0, 1], rel=1e-5
    )
    many = np.repeat(X[:, :1], 8, axis=1)
    same = summarise(many, [f"x{k}" for k in range(8)])["redundant"]
    assert (same["count"], len(same["pairs"])) == (28, MOST_PAIRS)
    none = summarise(np.full((5, 2), np.nan, np.float32), ["a", "b"])
    assert none["redundant"] == {"count": 0, "rows": 0, "pairs": []}
