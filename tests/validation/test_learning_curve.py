"""The last point of a learning curve is the stored model, and a share sees its own rows alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.models.rows import QUICK
from tests.validation.rows import apart, grid, poisoned

from foldsmith.errors import SettingError
from foldsmith.labels.weighting import Weighting
from foldsmith.models.catalogue import MODELS
from foldsmith.validation.cross_validate import Fitting, Search, fit_fold, refit
from foldsmith.validation.learning_curve import SHARES, fit_share, recent_rows

DATA, BARS = grid()
EVERY = np.arange(len(DATA), dtype=np.int64)
SEEDS = 5, 7


def fitting(calibrate: str = "none", class_weight: str = "none", select: str = "none") -> Fitting:
    return Fitting(apart(BARS), Weighting("uniqueness", BARS), 0.25, class_weight, calibrate, select)


@pytest.mark.parametrize(
    ("model", "how", "n_trials"),
    [
        ("logistic", {}, 0),
        ("xgboost", {}, 2),
        ("lightgbm", {"class_weight": "balanced"}, 0),
        ("lightgbm", {"calibrate": "temperature"}, 0),
        ("xgboost", {"calibrate": "isotonic"}, 0),
        ("logistic", {"calibrate": "temperature", "select": "mdi"}, 0),
    ],
)
def test_a_share_of_all_is_the_stored_model_byte_for_byte(
    model: str, how: dict[str, str], n_trials: int
) -> None:
    """As phase 2 makes it: a fit that stops early on its tail, then a refit of the rounds that it chose."""
    pytest.importorskip(MODELS[model].library or "sklearn")
    found = fit_fold(
        model, DATA, EVERY, None, fitting=fitting(**how), seed=SEEDS[0], keys=(model, 8, "whole"),
        params=None if n_trials else QUICK[model], search=Search(n_trials),
    )  # fmt: skip
    stored = refit(
        model, DATA, fitting=fitting(**how), params=found.params, iterations=[found.best_iteration], seed=SEEDS[1],
        calibrator=found.fitted.correction.calibrator,
    )  # fmt: skip
    whole = fit_share(
        model,
        DATA,
        1.0,
        fitting=fitting(**how),
        params=stored.classifier.get_params(),
        seeds=SEEDS,
        threads=2,
    )
    assert whole.fitted.to_files() == stored.to_files()
    assert whole.rows.tolist() == EVERY.tolist()
    assert sum(whole.base_rate) == pytest.approx(1)


@pytest.mark.parametrize("how", [{}, {"calibrate": "temperature", "class_weight": "balanced"}])
def test_a_share_sees_no_other_row(how: dict[str, str]) -> None:
    options = {"fitting": fitting(**how), "params": QUICK["lightgbm"], "seeds": SEEDS}
    clean = fit_share("lightgbm", DATA, 0.4, **options)
    others = np.setdiff1d(EVERY, clean.rows)
    assert clean.rows.tolist() == EVERY[-len(clean.rows) :].tolist()
    same = fit_share("lightgbm", poisoned(DATA, others), 0.4, **options)
    assert same.fitted.to_files() == clean.fitted.to_files()
    assert same.base_rate == clean.base_rate
    felt = fit_share("lightgbm", poisoned(DATA, clean.rows[:20]), 0.4, **options)
    assert felt.fitted.to_files() != clean.fitted.to_files()


@given(st.integers(1, 10**6))
def test_shares_grow_and_end_where_all_rows_end(n: int) -> None:
    taken = [recent_rows(n, share) for share in SHARES]
    assert all(rows[-1] == n - 1 and len(rows) >= 1 for rows in taken)
    assert [len(rows) for rows in taken] == sorted(len(rows) for rows in taken)
    assert len(taken[-1]) == n
    assert all(0 <= len(rows) - share * n < 1 + 1e-6 for rows, share in zip(taken, SHARES, strict=True))
    for wrong in (0.0, -0.1, 1.1):
        with pytest.raises(SettingError, match="above 0"):
            recent_rows(n, wrong)
