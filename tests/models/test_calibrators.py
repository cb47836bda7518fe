from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from foldsmith.errors import DataError, SettingError
from foldsmith.models.calibrators import CALIBRATORS, Isotonic, Temperature, calibrator_class


def sample(seed: int, n: int = 3000, heat: float = 1.0) -> tuple[Any, Any, Any]:
    """Probabilities of a model that is `heat` times too sure, the codes that came true, and weights."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, 3)) + np.array([0.3, -0.2, 0.0])
    true = softmax(logits, axis=1)
    codes = (rng.uniform(size=(n, 1)) > np.cumsum(true, axis=1)).sum(axis=1)
    return softmax(logits * heat, axis=1).astype(np.float32), codes, rng.uniform(0.5, 2, size=n)


def loss(P: Any, codes: Any, weight: Any) -> float:
    return float(-(weight * np.log(np.maximum(P[np.arange(len(P)), codes], 1e-12))).sum() / weight.sum())


@pytest.mark.parametrize("name", CALIBRATORS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), heat=st.sampled_from([0.4, 1.0, 3.0]))
def test_every_calibrator_gives_probabilities_that_lose_no_more(name: str, seed: int, heat: float) -> None:
    P, codes, weight = sample(seed, 800, heat)
    made = CALIBRATORS[name]().fit(P, codes, weight).apply(P)
    assert (made >= 0).all()
    np.testing.assert_allclose(made.sum(axis=1), 1, atol=1e-12)
    # The map that changes nothing is in reach of the first two; the third follows each class on its own.
    assert loss(made, codes, weight) <= loss(P, codes, weight) + (1e-6 if name != "isotonic" else 0.01)


@pytest.mark.parametrize("name", CALIBRATORS)
@pytest.mark.parametrize("heat", [0.5, 2.5])
def test_too_sure_and_too_timid_are_put_right_on_rows_not_seen(name: str, heat: float) -> None:
    found = CALIBRATORS[name]().fit(*sample(1, 20_000, heat))
    P, codes, weight = sample(2, 20_000, heat)
    best = softmax(np.log(P) / heat, axis=1)
    made = loss(found.apply(P), codes, weight)
    assert made < loss(P, codes, weight) - 0.01
    assert made < loss(best, codes, weight) + 0.003


@pytest.mark.parametrize("name", CALIBRATORS)
def test_what_is_saved_reads_back_to_the_bit(name: str) -> None:
    P, codes, weight = sample(3)
    found = CALIBRATORS[name]().fit(P, codes, weight)
    again = CALIBRATORS[name].from_facts(json.loads(json.dumps(found.as_facts())))
    assert again.apply(P).tobytes() == found.apply(P).tobytes()
    assert CALIBRATORS[name]().fit(P, codes, weight).as_facts() == found.as_facts()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), heat=st.sampled_from([0.3, 1.0, 2.0, 6.0]))
def test_the_temperature_is_the_best_of_a_fine_grid(seed: int, heat: float) -> None:
    P, codes, weight = sample(seed, 500, heat)
    found = Temperature().fit(P, codes, weight)
    logs = np.log(np.maximum(P, 1e-6, dtype=np.float64))
    grid = np.exp(np.linspace(np.log(0.05), np.log(20), 2001))
    losses = [loss(softmax(logs / T, axis=1), codes, weight) for T in grid]
    T = found.as_facts()["temperature"]
    assert loss(found.apply(P), codes, weight) <= min(losses) + 1e-9
    assert abs(np.log(T) - np.log(grid[int(np.argmin(losses))])) < 0.01
    clear = np.ptp(np.sort(P, axis=1)[:, -2:], axis=1) > 1e-4
    assert (found.apply(P).argmax(axis=1) == P.argmax(axis=1))[clear].all()


def test_a_staircase_is_that_of_scikit_learn() -> None:
    from sklearn.isotonic import IsotonicRegression

    P, codes, weight = sample(5)
    new, _, _ = sample(6)
    parts = []
    for code in range(3):
        one = IsotonicRegression(out_of_bounds="clip").fit(
            P[:, code].astype(float), (codes == code).astype(float), sample_weight=weight
        )
        parts.append(np.maximum(one.predict(new[:, code].astype(float)), 1e-6))
    by_hand = np.stack(parts, axis=1)
    by_hand /= by_hand.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(Isotonic().fit(P, codes, weight).apply(new), by_hand, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("temperature", {}),
        ("temperature", {"temperature": -1.0}),
        ("temperature", {"temperature": "hot"}),
        ("temperature", {"temperature": 1e9}),
        ("isotonic", {}),
        ("isotonic", {"at_0": [1.0, 0.0], "value_0": [0.0, 1.0]}),
        ("isotonic", {"at_0": [0.0, 1.0], "value_0": [0.5, 0.1]}),
        ("isotonic", {"at_0": [0.0], "value_0": [2.0]}),
        ("isotonic", {"at_0": [], "value_0": []}),
        ("logistic", {"present": [0, 1, 2], "coefficients": [[1.0]], "intercepts": [0.0] * 3}),
    ],
)
def test_damaged_facts_are_refused(name: str, facts: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="train"):
        CALIBRATORS[name].from_facts(facts)


def test_an_unknown_calibrator_is_refused_with_the_nearest() -> None:
    with pytest.raises(SettingError, match=r"unknown calibrator 'isotonc'.* Did you mean isotonic\?"):
        calibrator_class("isotonc")
