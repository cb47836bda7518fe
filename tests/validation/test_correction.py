from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.models.rows import QUICK
from tests.validation.rows import apart, grid, poisoned

from foldsmith.errors import DataError
from foldsmith.labels.weighting import Weighting
from foldsmith.models.calibrators import Temperature
from foldsmith.models.stored import pack
from foldsmith.splits import PurgedKFold, purged_tail
from foldsmith.validation.correction import FILE, Correction, balanced, weigh_classes
from foldsmith.validation.cross_validate import Fitting, FoldFit, Search, fit_fold, refit
from foldsmith.validation.fold_features import FoldModel

DATA, BARS = grid(500)
# Two of three rows are neutral.
DATA = replace(DATA, y=np.where(np.arange(500) % 3 == 0, DATA.y, 0).astype(np.int8))
APART = apart(BARS)
PLAIN = Fitting(APART, Weighting("none", BARS), 0.25)
FOLDS = list(PurgedKFold(4, t0=DATA.t0, t1=DATA.t1, **APART.options()).split(DATA.X))


def fold(model: str, fitting: Fitting, data: Any = DATA, n_trials: int = 0, number: int = 1) -> FoldFit:
    train, test = FOLDS[number]
    params = None if n_trials else QUICK[model]
    return fit_fold(
        model,
        data,
        train,
        test,
        fitting=fitting,
        seed=3,
        keys=(model,),
        search=Search(n_trials),
        params=params,
    )


def test_balanced_weights_give_every_class_the_same_sum() -> None:
    rows = DATA.with_weight(np.random.default_rng(1).uniform(0.5, 2, len(DATA)))
    made = weigh_classes(rows, balanced(rows))
    sums = [made.weight[rows.y == label].sum() for label in (-1, 0, 1)]
    np.testing.assert_allclose(sums, rows.weight.sum() / 3)
    two = rows.take(np.flatnonzero(rows.y != 1))
    assert balanced(two)[2] == 1
    assert weigh_classes(rows, None) is rows


def test_class_weights_are_undone() -> None:
    """Where nothing can be told apart, what is left is the shares of the classes, however they were weighted."""
    blank = replace(DATA, X=np.zeros_like(DATA.X))
    train, _ = FOLDS[1]
    shares = [np.mean(DATA.y[train] == label) for label in (-1, 0, 1)]
    for class_weight in ("none", "balanced"):
        found = fold("logistic", replace(PLAIN, class_weight=class_weight), blank)
        np.testing.assert_allclose(found.probabilities[0], shares, atol=1e-6)
    raw = found.fitted.classifier.predict_proba(blank.X[:1])
    np.testing.assert_allclose(raw[0], 1 / 3, atol=1e-6)


@pytest.mark.parametrize("n_trials", [0, 2])
@pytest.mark.parametrize("model", ["logistic", "lightgbm"])
@pytest.mark.parametrize(
    "settings", [("balanced", "none"), ("none", "logistic"), ("balanced", "temperature")]
)
def test_nothing_outside_the_training_rows_is_looked_at(
    model: str, settings: tuple[str, str], n_trials: int
) -> None:
    fitting = replace(PLAIN, class_weight=settings[0], calibrate=settings[1])
    train, test = FOLDS[1]
    outside = np.setdiff1d(np.arange(len(DATA)), train)
    clean = fold(model, fitting, n_trials=n_trials)
    bad = fold(model, fitting, poisoned(DATA, outside, keep_X=test), n_trials=n_trials)
    assert bad.probabilities.tobytes() == clean.probabilities.tobytes()
    assert bad.fitted.to_files() == clean.fitted.to_files()
    plain = fold(model, PLAIN, n_trials=n_trials)
    assert plain.probabilities.tobytes() != clean.probabilities.tobytes()


@pytest.mark.parametrize("model", ["logistic", "lightgbm"])
def test_a_calibrator_is_fitted_on_the_tail_by_a_model_of_the_head(model: str) -> None:
    found = fold(model, replace(PLAIN, calibrate="temperature"))
    rows = DATA.take(FOLDS[1][0])
    head, tail = purged_tail(rows.t0, rows.t1, 0.25, **APART.options())
    on, against = rows.take(head), rows.take(tail)
    if model == "logistic":
        before = refit(model, on, fitting=PLAIN, params=QUICK[model], iterations=[None], seed=3)
    else:
        before = FoldModel(found.fitted.features, found.fitted.classifier, Correction())
    by_hand = Temperature().fit(
        before.predict_proba(against.X, None), against.y.astype(int) + 1, against.weight
    )
    calibrator = found.fitted.correction.calibrator
    assert calibrator is not None
    assert calibrator.as_facts() == by_hand.as_facts()
    assert found.uncalibrated is not None
    test = DATA.X[FOLDS[1][1]]
    plain = FoldModel(found.fitted.features, found.fitted.classifier, Correction()).predict_proba(test, None)
    assert found.uncalibrated.tobytes() == plain.tobytes()
    np.testing.assert_array_equal(found.probabilities, calibrator.apply(found.fitted.classifier.predict_proba(test))
                                  .astype(np.float32))  # fmt: skip


def test_a_model_is_saved_with_what_corrects_it() -> None:
    found = fold("logistic", replace(PLAIN, class_weight="balanced", calibrate="isotonic")).fitted
    files = found.to_files()
    again = FoldModel.from_files("logistic", files)
    assert again.predict_proba(DATA.X, None).tobytes() == found.predict_proba(DATA.X, None).tobytes()
    assert again.to_files() == files
    assert FILE not in fold("logistic", PLAIN).fitted.to_files()


@pytest.mark.parametrize(
    "facts",
    [
        {"balance": [1.0, 0.0, 1.0]},
        {"balance": [1.0, 1.0]},
        {"calibrator": "magic", "learned": {}},
        {"calibrator": "temperature", "learned": []},
        {"calibrator": "temperature"},
    ],
)
def test_a_damaged_correction_is_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="train"):
        Correction.from_files(pack(FILE, facts, {}))
