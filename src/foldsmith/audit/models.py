"""A model is a function of its rows, parameters and seed, and a prediction one of its own row.

What a seal cannot show: it poisons rows that a fit is handed, and a model may know of others. It may remember earlier
fits, draw chance of its own, or look at the rows that it predicts together, later ones among them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from foldsmith.audit import seal
from foldsmith.audit.proof import Proof, judged
from foldsmith.models.conformance import AGREE
from foldsmith.models.windows import shown
from foldsmith.validation.cross_validate import NO_SEARCH, FoldFit

GROUP = "models"
CHANCE = "chance that its seed does not decide, or something kept between fits; draw from self.seed alone"
MEMORY = "it keeps something between fits; keep all that it learns in the model itself"
SINGLE = 40
"""Rows that are predicted one by one."""
MOST_WINDOWS = 2000
"""Rows of a model of windows that are tried: each takes the memory of all its bars."""
CUTS = (0.125, 0.5, 0.875, 1.0)
"""Shares of the rows after which the others are replaced; at 1.0 it is the last row alone."""

Matrix = npt.NDArray[np.float32]
Predict = Callable[[Matrix], npt.NDArray[np.float64]]
Left = Mapping[str, bytes]
"""All that a fit leaves, by name, to the bit."""


@dataclass(frozen=True)
class Tried:
    """A model on one fold of a run, without a search: it is the model that is tried, and not how it was tuned."""

    name: str
    case: seal.Case

    @classmethod
    def of(cls, name: str, case: seal.Case) -> Tried:
        """The fit of a case, its search left out."""
        return cls(name, replace(case, search=NO_SEARCH, stored=None))

    @property
    def beside(self) -> seal.Case:
        """The same fit with the scored rows among those fitted on: what a model must have forgotten afterwards."""
        return replace(self.case, train=np.union1d(self.case.train, self.case.test))

    @cached_property
    def first(self) -> FoldFit:
        """The fit as it is made first."""
        return seal.fit(self.case, self.case.data)


def prove_fits(tried: Tried, quick: bool) -> Proof:
    """Fitted twice in a row, and again after a fit that saw the scored rows: nothing it leaves changes.

    A quick proof fits once less, and cannot tell chance from memory.
    """
    case = tried.case
    first = seal.left_by(tried.first)
    problems = []
    if not quick:
        again = changed(first, seal.fitted(case, case.data))
        problems += [f"fitted twice in a row on equal rows, {_few(again)} changed: {CHANCE}"] if again else []
    other = seal.fitted(tried.beside, case.data)
    after = changed(first, seal.fitted(case, case.data))
    if after and not problems:
        why = f"{MEMORY}, or {CHANCE}" if quick else MEMORY
        problems.append(
            f"fitted again after a fit that saw the scored rows, {_few(after)} are not the same: {why}"
        )
    unseen = [] if "predictions" in changed(first, other) else ["scored rows fitted on change no prediction"]
    rows = len(case.train)
    return judged(
        GROUP,
        f"{tried.name}: fits",
        problems=problems,
        unseen=unseen,
        did=f"{rows:,} rows fitted {2 if quick else 3} times, once after a fit that saw the scored rows: the same",
        counts={"fits": 3 if quick else 4, "training rows": rows},
        planted="" if unseen else "the scored rows fitted on: seen",
    )


def prove_rows_alone(tried: Tried) -> Proof:
    """A row's probabilities are the same whatever is predicted beside it, rows of later bars above all."""
    fit, rows = tried.first.fitted, tried.case.test
    if tried.case.window:
        rows = rows[:MOST_WINDOWS]
    test = tried.case.data.take(rows)
    # Windows are cut out, each for itself: those of neighbours share bars, and must be replaced one by one.
    X = np.asarray(fit.features.matrix(shown(fit.classifier.window, test), test.inputs)[:])
    problems = beside_problems(fit.classifier.predict_proba, X)

    def ranked(M: Matrix) -> npt.NDArray[np.float64]:
        P = fit.classifier.predict_proba(M) + 1e-3
        P[:, 2] *= 1 + np.argsort(np.argsort(_sums(M), kind="stable")) / max(len(M), 1)
        return np.asarray(P / P.sum(axis=1, keepdims=True))

    unseen = (
        [] if beside_problems(ranked, X) else ["ranks among the rows predicted together would not be seen"]
    )
    return judged(
        GROUP,
        f"{tried.name}: predictions",
        problems=problems,
        unseen=unseen,
        did=f"{len(X):,} rows predicted with other rows behind them, in parts and one by one: each keeps its own",
        counts={"rows": len(X), "cuts": len(CUTS), "one by one": min(SINGLE, len(X))},
        planted="" if unseen else "ranks among the rows predicted together: seen",
    )


def beside_problems(predict: Predict, X: Matrix) -> list[str]:
    """How predictions of rows X (n, p), or windows (n, length, p), depend on each other, in words; empty if not at all.

    Rows after a cut replaced by values of their features' range: the rows before keep every bit, as nothing but
    numbers changed. In parts, in reverse and one by one, 1e-6 is allowed: products of matrices round by their size.
    """
    n = len(X)
    if n < 4:
        return [f"{n} rows are scored; nothing can be said of rows beside each other"]
    rng = np.random.default_rng(17)
    clean = np.asarray(predict(X))
    ends = np.stack([X.min(axis=0), X.max(axis=0)])
    later = []
    for share in CUTS:
        cut = min(int(n * share), n - 1)
        other = X.copy()
        chosen = (rng.random((n - cut, *X.shape[1:])) < 0.9).astype(np.int64)
        other[cut:] = np.take_along_axis(ends, chosen, axis=0)
        later.append(int((np.asarray(predict(other))[:cut] != clean[:cut]).any(axis=1).sum()))
    found = []
    if any(later):
        found.append(
            f"predictions of up to {max(later):,} of {n:,} rows changed with features of rows after them: it looks at "
            "the rows that it predicts together; fit scales and ranks in _train"
        )
    middle = n // 2
    ways = {
        "in two parts": np.concatenate([predict(X[:middle]), predict(X[middle:])]),
        "in reverse": np.asarray(predict(np.ascontiguousarray(X[::-1])))[::-1],
    }
    off = [way for way, P in ways.items() if not np.allclose(P, clean, rtol=0, atol=AGREE)]
    single = np.linspace(0, n - 1, min(SINGLE, n)).astype(np.int64)
    alone = np.concatenate([predict(X[row : row + 1]) for row in single])
    if not np.allclose(alone, clean[single], rtol=0, atol=AGREE):
        off.append("one by one")
    return (
        [*found, f"rows predicted {' and '.join(off)} get other probabilities than together"]
        if off
        else found
    )


def _sums(M: Matrix) -> npt.NDArray[np.float64]:
    return np.asarray(M.reshape(len(M), -1).sum(axis=1, dtype=np.float64))


def changed(one: Left, other: Left) -> list[str]:
    """The names of what two fits left that is not the same."""
    return [name for name in {**one, **other} if one.get(name) != other.get(name)]


def _few(names: list[str]) -> str:
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
