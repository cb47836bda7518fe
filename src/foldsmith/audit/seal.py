"""A fold sees its training rows and nothing else: all that it must not see is poisoned, and not a bit changes.

Poisoned are the labels, label ends and weights of every row that is not one of training, the features of those that are
not scored either, the inputs of bars that come later, and all bars in no window that may be read (`seal_windows`). The
fold is fitted anew through the engine; predictions, the model's own bytes, chosen parameters and base rate must be the
same. Then training rows are poisoned, and must show.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith.audit import seal_windows
from foldsmith.audit.proof import Proof, judged
from foldsmith.dataset import Dataset
from foldsmith.ensembles.base import Ensemble
from foldsmith.intervals import Rows
from foldsmith.models.catalogue import Model, window_of
from foldsmith.validation import cross_validate as engine
from foldsmith.validation import meta_level
from foldsmith.validation.cross_validate import NONE, Fitting, FoldFit, Probabilities, Search, Separation
from foldsmith.validation.fold_features import FoldFeatures, FoldModel

GROUP = "seal"
MODEL_FILE = "model file "
SHARE_POISONED = 0.05
"""Of the training rows, to see whether the proof is blind: the share whose labels are turned over."""


@dataclass(frozen=True)
class Case:
    """One fit, as the run made it: `train` and `test` are rows of `data`. stored : the predictions that the run kept of
    the test rows, None where they are not compared.
    """

    name: str
    model: Model
    data: Dataset
    train: Rows
    test: Rows
    fitting: Fitting
    seed: int
    keys: Sequence[Any]
    search: Search
    params: dict[str, Any] | None = None
    stored: Probabilities | None = None

    @property
    def window(self) -> int:
        """Bars of the window that the model reads, 0 for none."""
        return window_of(self.model, self.params or {})


def fit(case: Case, data: Dataset) -> FoldFit:
    """The fit of a case on these rows, through the engine."""
    return engine.fit_fold(
        case.model, data, case.train, case.test, fitting=case.fitting, seed=case.seed, keys=case.keys,
        search=case.search, params=case.params,
    )  # fmt: skip


def fitted(case: Case, data: Dataset) -> dict[str, bytes]:
    """All that fitting these rows leaves, by name, to the bit."""
    return left_by(fit(case, data))


def left_by(fit: FoldFit) -> dict[str, bytes]:
    """All that a fit leaves, by name, to the bit."""
    found = {"predictions": np.ascontiguousarray(fit.probabilities).tobytes()}
    found |= {f"{MODEL_FILE}{name}": content for name, content in fit.fitted.to_files().items()}
    found["parameters, rounds and base rate"] = json.dumps(
        [fit.params, fit.best_iteration, list(fit.base_rate), fit.n_train, [t.value for t in fit.trials]],
        default=str,
    ).encode()
    return found


def sealed_off(case: Case, rng: np.random.Generator) -> Dataset:
    """The rows of a case with everything poisoned that its fit must not see."""
    data, n = case.data, len(case.data)
    outside = np.setdiff1d(np.arange(n), case.train)
    apart = np.setdiff1d(outside, case.test)
    X, weight, t1 = data.X.copy(), data.weight.copy(), data.t1.copy()
    X[apart] = _wild(rng, (len(apart), X.shape[1]))
    weight[outside] = rng.uniform(0.1, 9, len(outside))
    closes = case.fitting.separation.bars
    later = np.searchsorted(closes, data.t0[outside]) + rng.integers(1, 60, len(outside))
    t1[outside] = closes[np.minimum(later, len(closes) - 1)]
    poisoned = replace(data, X=X, y=turned(data.y, outside), weight=weight, t1=np.maximum(t1, data.t0))
    if data.history is not None:
        read = seal_windows.bars_read(data.history, np.r_[case.train, case.test], case.window)
        poisoned = seal_windows.spoilt(poisoned, read, rng)
    if data.inputs is None:
        return poisoned
    last = int(data.inputs.bar[np.r_[case.train, case.test]].max())
    return _with_garbage(poisoned, np.arange(last + 1, len(data.inputs.values)), rng)


def prove_case(case: Case) -> Proof:
    """Poison outside the training rows changes nothing that is fitted or predicted; poison inside shows."""
    rng = np.random.default_rng(99)
    clean = fitted(case, case.data)
    sealed = fitted(case, sealed_off(case, rng))
    problems = [f"{name} changed with rows that this fit must not see" for name in _changed(clean, sealed)]
    if case.stored is not None and clean["predictions"] != np.ascontiguousarray(case.stored).tobytes():
        problems.append(
            "fitted again, it does not give the stored predictions; was the run made by other code or other packages? "
            "See: foldsmith runs explain"
        )
    problems += _fitted_feature_problems(case, rng)
    problems += _window_problems(case, clean, rng)
    chosen = np.sort(rng.permutation(case.train)[: max(20, int(SHARE_POISONED * len(case.train)))])
    seen = _changed(clean, fitted(case, replace(case.data, y=turned(case.data.y, chosen))))
    unseen = (
        [] if "predictions" in seen else [f"{len(chosen)} training labels turned over change no prediction"]
    )
    outside = len(case.data) - len(case.train)
    counts = {
        "training rows": len(case.train),
        "scored rows": len(case.test),
        "rows poisoned": outside,
        "trials": case.search.n_trials,
        "compared with stored predictions": int(case.stored is not None),
        **seal_windows.held_back_bars(case.data, case.train, case.test, case.window),
    }
    did = f"{outside:,} rows outside its {len(case.train):,} training rows poisoned: predictions and model are the same"
    if case.stored is not None:
        did += ", those of the run"
    planted = f"{len(chosen)} training labels turned over: {'seen' if not unseen else 'not seen'}"
    return judged(GROUP, case.name, problems=problems, unseen=unseen, did=did, counts=counts, planted=planted)


def _fitted_feature_problems(case: Case, rng: np.random.Generator) -> list[str]:
    """Features that the fold fits: on the bars of its training rows alone, and no value knows a later bar."""
    data = case.data
    if data.inputs is None or not data.fitted:
        return []
    train = data.take(case.train)
    others = np.setdiff1d(np.arange(len(data.inputs.values)), data.inputs.bar[case.train])
    made = FoldFeatures.fit(train)
    problems = []
    if FoldFeatures.fit(_with_garbage(data, others, rng).take(case.train)).to_files() != made.to_files():
        problems.append(
            "features fitted inside the fold changed with bars that are none of its training rows"
        )
    middle = len(data) // 2
    later = np.arange(int(data.inputs.bar[middle]) + 1, len(data.inputs.values))
    before = made.matrix(data.X, data.inputs)[: middle + 1]
    garbage = _with_garbage(data, later, rng).inputs
    if made.matrix(data.X, garbage)[: middle + 1].tobytes() != before.tobytes():
        problems.append("a value of a feature fitted inside the fold changed with later bars")
    if (
        FoldFeatures.fit(_with_garbage(data, data.inputs.bar[case.train], rng).take(case.train)).to_files()
        == made.to_files()
    ):
        problems.append("features fitted inside the fold do not change with its own training bars")
    return problems


def _window_problems(case: Case, clean: dict[str, bytes], rng: np.random.Generator) -> list[str]:
    """A model of windows: fitted on the bars of training windows alone, and no prediction looks ahead."""
    data = case.data
    if data.history is None or not case.window:
        return []
    read = seal_windows.bars_read(data.history, case.train, case.window)
    problems = seal_windows.fit_problems(clean, fitted(case, seal_windows.spoilt(data, read, rng)))
    files = {
        name.removeprefix(MODEL_FILE): each for name, each in clean.items() if name.startswith(MODEL_FILE)
    }
    made = FoldModel.from_files(case.model, files)
    return problems + seal_windows.look_ahead_problems(made, data, case.test, rng)


@dataclass(frozen=True)
class MetaCase:
    """An ensemble over a fixed out-of-fold table, as the run cross-validated it. P : base probabilities (n, 3 m)."""

    name: str
    make_one: Callable[[], Ensemble]
    P: Probabilities
    data: Dataset
    fold: npt.NDArray[np.int16]
    n_splits: int
    separation: Separation
    calibrate: str = NONE
    tail_share: float = 0.2


def meta_pairs(case: MetaCase, data: Dataset | None = None, P: Probabilities | None = None) -> tuple[
    list[tuple[Rows, Rows]], list[bytes]
]:  # fmt: skip
    """The (fitted, scored) rows of each meta-level fold, and the bits of what it predicts for the scored ones."""
    pairs: list[tuple[Rows, Rows]] = []
    found = meta_level.out_of_fold(
        case.make_one,
        case.P if P is None else P,
        case.data if data is None else data,
        case.fold,
        n_splits=case.n_splits,
        separation=case.separation,
        calibrate=case.calibrate,
        tail_share=case.tail_share,
        on_fold=lambda fitted_on, scored_on: pairs.append((fitted_on, scored_on)),
    )
    rows, out = found.rows, found.probabilities
    return pairs, [out[np.searchsorted(rows, scored)].tobytes() for _, scored in pairs]


def prove_meta(case: MetaCase, which: Sequence[int] | None = None) -> Proof:
    """For each meta-level fold: poisoned rows outside those it is fitted on leave its predictions as they were."""
    rng = np.random.default_rng(5)
    pairs, clean = meta_pairs(case)
    fits_nothing = not case.make_one().needs_meta_learner and case.calibrate == NONE
    problems, unseen = [], []
    chosen = range(len(pairs)) if which is None else [k for k in which if k < len(pairs)]
    for k in chosen:
        train, test = pairs[k]
        outside = np.setdiff1d(np.arange(len(case.data)), train)
        apart = np.setdiff1d(outside, test)
        P = case.P.copy()
        P[apart] = _simplex(rng, len(apart), P.shape[1])
        weight = case.data.weight.copy()
        weight[outside] = rng.uniform(0.1, 9, len(outside))
        poisoned = replace(case.data, y=turned(case.data.y, outside), weight=weight)
        if meta_pairs(case, poisoned, P)[1][k] != clean[k]:
            problems.append(f"meta-level fold {k}: predictions changed with rows that it must not see")
        shown = replace(case.data, y=turned(case.data.y, train))
        if not fits_nothing and meta_pairs(case, shown)[1][k] == clean[k]:
            unseen.append(f"meta-level fold {k}: its own training labels turned over change nothing")
    if not pairs:
        problems.append("no meta-level fold was fitted")
    counts = {"folds": len(chosen), "rows": len(case.data)}
    did = f"rows outside those that {len(chosen)} meta-level folds are fitted on poisoned: predictions kept every bit"
    if fits_nothing:
        planted = "nothing is fitted, so nothing can be planted in it"
    else:
        planted = f"training labels turned over: seen in {len(chosen) - len(unseen)} of {len(chosen)}"
    return judged(GROUP, case.name, problems=problems, unseen=unseen, did=did, counts=counts, planted=planted)


def turned(y: npt.NDArray[np.int8], rows: Rows) -> npt.NDArray[np.int8]:
    """The labels with those of these rows made other ones: 1 to -1, 0 to 1, -1 to 0."""
    found = y.copy()
    found[rows] = np.where(y[rows] == 1, -1, y[rows] + 1)
    return found


def _with_garbage(data: Dataset, bars: Rows, rng: np.random.Generator) -> Dataset:
    if data.inputs is None:
        return data
    values = data.inputs.values.copy()
    values[bars] = rng.uniform(1, 30, size=(len(bars), values.shape[1])).astype(np.float32)
    return replace(data, inputs=replace(data.inputs, values=values))


def _wild(rng: np.random.Generator, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    return (50 + 30 * rng.normal(size=shape)).astype(np.float32)


def _simplex(rng: np.random.Generator, rows: int, columns: int) -> npt.NDArray[np.float32]:
    found = rng.dirichlet(np.ones(3), size=(rows, columns // 3))
    return found.reshape(rows, columns).astype(np.float32)


def _changed(one: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    return [name for name in {**one, **other} if one.get(name) != other.get(name)]
