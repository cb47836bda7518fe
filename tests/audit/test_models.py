"""A model that remembers, draws chance or looks beside a row is told from one that does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from foldsmith.audit import models, seal
from foldsmith.audit.models import Tried, beside_problems, prove_fits, prove_rows_alone
from foldsmith.dataset import Dataset
from foldsmith.labels.weighting import Weighting
from foldsmith.models.catalogue import ROW_MODELS, installed
from foldsmith.models.logistic import Logistic
from foldsmith.stages import audit_models
from foldsmith.validation.cross_validate import NO_SEARCH, Fitting, Separation


def tried(model: Any, n: int = 600) -> Tried:
    rng = np.random.default_rng(3)
    X = rng.normal(size=(n, 5)).astype(np.float32)
    y = np.sign(np.round(X[:, 0] + rng.normal(size=n))).astype(np.int8)
    t0 = np.arange(n, dtype=np.int64)
    data = Dataset(X, y, np.ones(n), t0, t0 + 3, ("return_12", "b", "c", "d", "e"))
    fitting = Fitting(Separation(3, 0, t0), Weighting("none", t0), 0.2)
    train, test = np.arange(0, 380), np.arange(400, n)
    return Tried.of("here", seal.Case("here", model, data, train, test, fitting, 5, ("m",), NO_SEARCH))


@pytest.mark.parametrize("model", sorted(ROW_MODELS))
def test_every_model_holds(model: str) -> None:
    if model not in installed():
        pytest.skip(f"{model} is not installed")
    case = tried(model)
    for proof in (prove_rows_alone(case), prove_fits(case, quick=True)):
        assert proof.held, proof.said
        assert proof.planted


class Remembering(Logistic):
    """Fits rows of earlier fits too."""

    earlier: list[Any] = []  # noqa: RUF012 - that it is shared is the leak

    def fit(self, X: Any, y: Any, sample_weight: Any, *, evaluation: Any = None) -> Any:
        self.earlier.append((X, y, sample_weight))
        return super().fit(*(np.concatenate(each) for each in zip(*self.earlier, strict=True)))


class Chance(Logistic):
    """Leaves out rows that no seed chooses."""

    drawn = np.random.default_rng()

    def fit(self, X: Any, y: Any, sample_weight: Any, *, evaluation: Any = None) -> Any:
        rows = self.drawn.permutation(len(X))[20:]
        return super().fit(X[rows], y[rows], sample_weight[rows])


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("model", [Remembering, Chance])
def test_memory_and_chance_are_seen(model: type[Logistic], quick: bool) -> None:
    proof = prove_fits(tried(model), quick)
    assert proof.outcome == "broken"
    assert "between fits" in proof.said


def test_a_fit_after_which_all_is_forgotten_but_one_row_is_seen_by_the_full_proof_as_memory() -> None:
    class Late(Logistic):
        """Remembers the largest fit, and that alone changes it."""

        most = 0

        def fit(self, X: Any, y: Any, sample_weight: Any, *, evaluation: Any = None) -> Any:
            Late.most = max(Late.most, len(X))
            return super().fit(X + np.float32(Late.most > 400), y, sample_weight)

    assert models.MEMORY in prove_fits(tried(Late), quick=False).said


def scaled(X: Any) -> Any:
    P = np.exp((X - X.mean(axis=0)) / (X.std(axis=0) + 1e-3))[:, :3]
    return P / P.sum(axis=1, keepdims=True)


def previous(X: Any) -> Any:
    """Knows the row before, in the order handed over: no later bar, and yet not its own row."""
    P = np.exp(np.roll(X, 1, axis=0))[:, :3]
    return P / P.sum(axis=1, keepdims=True)


def last(X: Any) -> Any:
    """Knows the last row alone."""
    P = np.exp(X[:, :3] + 1e-3 * X[-1, 0])
    return P / P.sum(axis=1, keepdims=True) * (1 + 1e-9 * X[-1, 0])


def test_rows_that_look_beside_themselves_are_seen() -> None:
    X = np.random.default_rng(1).normal(size=(300, 4)).astype(np.float32)
    assert "it looks at the rows that it predicts together" in beside_problems(scaled, X)[0]
    assert "in two parts and in reverse and one by one" in beside_problems(previous, X)[-1]
    assert "of 300 rows changed" in beside_problems(last, X)[0]
    assert beside_problems(lambda X: scaled(np.vstack([X, -X]))[: len(X)] * 0 + 1 / 3, X) == []
    assert "nothing can be said" in beside_problems(scaled, X[:3])[0]


def test_no_file_can_be_opened_while_none_may_be() -> None:
    if not audit_models.can_seal():
        pytest.skip("this system cannot keep a process from opening files")
    with audit_models.no_file_opened(), pytest.raises(OSError, match="Too many open files"):
        open(__file__).close()
    open(__file__).close()
