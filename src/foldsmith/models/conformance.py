"""What every model must keep, tried on a small made-up table: for models that a user writes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith.errors import DataError
from foldsmith.models.base import Classifier, Evaluation, Labels, Matrix, Weights
from foldsmith.models.catalogue import load_model, make

N = 400
WIDTH = 6
HEAD = 300
"""Rows to fit on; the others are those to stop early on, and to predict."""
AGREE = 1e-6
"""How far a row's probabilities may move with the rows beside it: products of matrices round by their size."""

Rows = tuple[Matrix, Labels, Weights]


def check_model(model: type[Classifier]) -> tuple[str, ...]:
    """What was tried, in words; DataError, naming the first rule that the model breaks.

    A few fits of 300 rows. What it does not try it does not see: that weights are heeded, or that hyperparameters do
    something, is left to the model's author.
    """
    rows = made_up(len(model.sees) or WIDTH)
    on = _head(rows)
    against = rows[0][HEAD:], rows[1][HEAD:], rows[2][HEAD:]
    evaluation = against if model.early_stopping else None
    before = _bytes(rows)
    one = _fitted(model, on, evaluation)
    P, files = one.predict_proba(rows[0]), one.to_files()
    _hold(model, _bytes(rows) == before, "it changes the rows that it is given; work on a copy")
    _same_again(model, on, evaluation, rows[0], P, files)
    _saved(model, one, rows[0], P, files)
    _alone(model, one, rows[0], P)
    _refitted(model, one, on)
    present = np.flatnonzero(on[1] != 0)
    _fitted(model, (on[0][present], on[1][present], on[2][present]), None).predict_proba(rows[0])
    return (
        "probabilities are finite and add up to 1",
        "equal rows and seed give equal bytes, with 1 thread and with 2",
        "saved and loaded, it predicts the same to the bit",
        "a row's probabilities do not depend on the rows beside it",
        "rows are left as they are, and a class that is missing is borne",
    )


def made_up(width: int) -> Rows:
    """X float32 (400, width), y that it tells something of, and weights; always the same."""
    rng = np.random.default_rng(20)
    X = rng.normal(size=(N, width)).astype(np.float32)
    y = np.sign(np.round(X[:, 0] + rng.normal(size=N))).astype(np.int8)
    return X, y, rng.uniform(0.5, 2.0, N)


def _head(rows: Rows) -> Rows:
    return rows[0][:HEAD], rows[1][:HEAD], rows[2][:HEAD]


def _bytes(rows: Rows) -> list[bytes]:
    return [rows[0].tobytes(), rows[1].tobytes(), rows[2].tobytes()]


def _fitted(
    model: type[Classifier], on: Rows, evaluation: Evaluation | None, *, threads: int = 1, **params: Any
) -> Classifier:
    return make(model, seed=7, threads=threads, **params).fit(*on, evaluation=evaluation)


def _same_again(
    model: type[Classifier],
    on: Rows,
    evaluation: Evaluation | None,
    X: Matrix,
    P: npt.NDArray[np.float64],
    files: dict[str, bytes],
) -> None:
    for threads in (1, 2):
        again = _fitted(model, on, evaluation, threads=threads)
        same = again.to_files() == files and again.predict_proba(X).tobytes() == P.tobytes()
        _hold(
            model,
            same,
            f"fitted twice with one seed (and {threads} threads) it is not the same to the bit; draw from self.seed "
            "alone, and use nothing that depends on the number of threads",
        )


def _saved(
    model: type[Classifier], one: Classifier, X: Matrix, P: npt.NDArray[np.float64], files: dict[str, bytes]
) -> None:
    back = load_model(model, files)
    _hold(
        model,
        back.predict_proba(X).tobytes() == P.tobytes(),
        "saved and loaded it predicts something else; _dump must keep all that _predict needs, in 64 bits",
    )
    _hold(
        model,
        back.to_files() == files and back.get_params() == one.get_params(),
        "saved, loaded and saved again it is not the same; _restore must undo _dump",
    )


def _alone(model: type[Classifier], one: Classifier, X: Matrix, P: npt.NDArray[np.float64]) -> None:
    cuts = [*range(20), 50, HEAD, N]
    parts = [one.predict_proba(X[first:last]) for first, last in pairwise(cuts)]
    _hold(
        model,
        np.allclose(np.concatenate(parts), P, rtol=0, atol=AGREE),
        "a row's probabilities depend on the rows predicted beside it, later ones too; fit scales and means in _train",
    )


def _refitted(model: type[Classifier], one: Classifier, on: Rows) -> None:
    """A refit takes the rounds that early stopping kept, and stops nowhere early."""
    kept = one.best_iteration_
    if kept is not None:
        _hold(model, model.early_stopping, "it stops early; say so with early_stopping = True")
        again = _fitted(model, on, None, **{model.rounds: kept})
        _hold(
            model,
            again.best_iteration_ is None,
            "it stops early without rows to stop on; give None from _train where evaluation is None",
        )


def _hold(model: type[Classifier], holds: bool, rule: str) -> None:
    if not holds:
        raise DataError(f"model {model.name} breaks the contract of a model: {rule}.")
