"""What makes features fast changes no value: tiles, threads, sums by doubling, logarithms in vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from tests.features.conftest import make_bars

from foldsmith.errors import SettingError
from foldsmith.features import FEATURES, compute
from foldsmith.features.catalogue import families
from foldsmith.features.logarithm import error_function, exponentials, fill_logs
from foldsmith.features.windows import REACH, TILE, moments, window_max, window_min, window_sum


@njit
def _sums(x: Any, width: int) -> Any:
    return window_sum(x, width), window_max(x, width), window_min(x, width), moments(x, width, True, True)


@njit
def _functions(x: Any) -> Any:
    return exponentials(x), error_function(x)


def same(one: Any, other: Any) -> None:
    for name in FEATURES:
        np.testing.assert_array_equal(
            one[name].to_numpy().view(np.uint32), other[name].to_numpy().view(np.uint32), err_msg=name
        )


@pytest.mark.parametrize("threads", [2, 5])
def test_any_number_of_threads_gives_the_same_bits(threads: int) -> None:
    bars = make_bars(1, (1500, 90, 400), 276)
    same(compute(bars), compute(bars, threads=threads))


def test_no_threads_are_refused() -> None:
    with pytest.raises(SettingError, match="threads"):
        compute(make_bars(1, (20,)), threads=0)


@pytest.mark.parametrize("edge", [TILE - 1, TILE, TILE + 1, 2 * TILE, 2 * TILE + 30])
def test_what_comes_later_changes_no_bit_wherever_a_tile_ends(edge: int) -> None:
    bars = make_bars(2, (2 * TILE + 300,), 276)
    same(compute(bars.head(edge)), compute(bars).head(edge))


def test_a_window_that_crosses_a_tile_is_the_window_alone() -> None:
    bars = make_bars(4, (3 * TILE,), 276)
    names = [name for name, feature in FEATURES.items() if feature.memory == "window"]
    whole = compute(bars, 1, names)
    for begin in (TILE - 700, TILE - 100, 2 * TILE - 650):
        part = compute(bars.slice(begin, 1200), 1, names)
        for name in names:
            # Balances of volume run from where they begin; all else in a window is the window's.
            ours, theirs = part[name].to_numpy()[600:], whole[name].to_numpy()[begin + 600 : begin + 1200]
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6, err_msg=name)


def test_every_window_fits_before_a_tile() -> None:
    whole_blocks = {"memory", "wavelet", "regime", "seasonal", "time", "timeframe"}
    for family in set(families()) - whole_blocks:
        assert all(feature.warmup <= REACH for feature in FEATURES.values() if feature.family == family)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 50), st.integers(1, 120))
def test_windows_are_their_definition(seed: int, width: int, n: int) -> None:
    x = np.round(np.random.default_rng(seed).normal(size=n), 3)
    total, most, least, (first, second, aged) = _sums(x, width)
    for i in range(width - 1, n):
        window = x[i - width + 1 : i + 1]
        away, ages = (window - x[i])[::-1], np.arange(width)
        np.testing.assert_allclose(total[i], window.sum(), rtol=1e-12, atol=1e-12)
        assert (most[i], least[i]) == (window.max(), window.min())
        np.testing.assert_allclose(first[i], away.sum(), rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(second[i], (away**2).sum(), rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(aged[i], (ages * away).sum(), rtol=1e-11, atol=1e-10)


@given(st.floats(0.0001, 1e9), st.integers(1, 40), st.integers(1, 80))
@settings(max_examples=40, deadline=None)
def test_equal_values_leave_exactly_nothing(value: float, width: int, n: int) -> None:
    made = _sums(np.full(n, value), width)[3]
    assert all((part == 0).all() for part in made)


@given(st.lists(st.floats(1e-300, 1e300), min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_logarithms(values: list[float]) -> None:
    x = np.array([*values, 1.0, 0.5, 2.0, np.nextafter(1, 2), np.nextafter(1, 0)])
    out = np.empty(len(x))
    fill_logs(x, 0.0, out)
    np.testing.assert_allclose(out, np.log(x), rtol=5e-16, atol=0)
    assert out[len(values)] == 0


@given(st.lists(st.floats(-40, 40), min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_exponentials_and_the_error_function(values: list[float]) -> None:
    from math import erf

    x = np.array([*values, 0.0])
    powers, errors = _functions(x)
    np.testing.assert_allclose(powers, np.exp(x), rtol=2e-14)
    np.testing.assert_allclose(errors, [erf(v) for v in x], atol=2e-7)
    assert errors[-1] == 0
