import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from tests.oracles import models as oracle
from threadpoolctl import ThreadpoolController

from foldsmith.models.multinomial import COARSE, fit_multinomial, numpy_pools, single_threaded_products


def rows(n, p, seed, classes=3, scale=1.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * scale
    Z = X @ rng.normal(size=(p, 3)) / scale + rng.normal(size=3)
    codes = np.array([rng.choice(3, p=np.exp(z) / np.exp(z).sum()) for z in Z], dtype=np.int64)
    if classes == 2:
        codes = np.where(codes == 1, 2, codes)
    return X, codes, rng.uniform(0.2, 3.0, n)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("l2", [1e-6, 1e-3, 1.0])
def test_equals_scikit_learn(classes, l2):
    X, codes, w = rows(400, 5, 1, classes)
    found = fit_multinomial(X, codes, w, l2=l2)
    # scikit-learn gives two classes one set of coefficients; ours has two, opposite, of half its size.
    C = (2 if classes == 2 else 1) / (l2 * w.sum())
    twin = LogisticRegression(C=C, tol=1e-10, max_iter=10_000).fit(X, codes, w)
    P = found.predict_proba(X)
    np.testing.assert_allclose(P[:, twin.classes_], twin.predict_proba(X), atol=2e-6)
    if classes == 3:
        np.testing.assert_allclose(found.coefficients, twin.coef_, atol=2e-5)
        np.testing.assert_allclose(found.intercepts, twin.intercept_ - twin.intercept_.mean(), atol=2e-5)
    else:
        assert (P[:, 1] == 0).all()
        np.testing.assert_allclose(found.coefficients[2] - found.coefficients[0], twin.coef_[0], atol=2e-5)


@settings(deadline=None, max_examples=30)
@given(
    n=st.integers(8, 60), p=st.integers(1, 4), seed=st.integers(0, 999), l2=st.sampled_from([1e-5, 1e-2, 1.0])
)
@example(n=8, p=3, seed=3, l2=1.0)  # a third derivative that is large in one of the directions
def test_nothing_near_the_optimum_is_better(n, p, seed, l2):
    X, codes, w = rows(n, p, seed)
    found = fit_multinomial(X, codes, w, l2=l2)
    theta = np.column_stack([found.coefficients, found.intercepts])
    seen = np.isin(np.arange(3), codes)
    if seen.sum() < 2:
        return
    ranks = np.searchsorted(np.flatnonzero(seen), codes)

    def loss(at):
        return oracle.penalised_loss(X, ranks, w, l2, at[seen, :p], at[seen, p])

    here = loss(theta)
    rng = np.random.default_rng(seed)
    for size in (1e-3, 1e-5):
        for _ in range(3):
            step = size * rng.normal(size=theta.shape)
            assert min(loss(theta + step), loss(theta - step)) >= here - 1e-12
            # The slope, from two differences such that what the third derivative adds to each falls out.
            whole, half = (
                (loss(theta + part * step) - loss(theta - part * step)) / (2 * part * size)
                for part in (1, 0.5)
            )
            assert abs(4 * half - whole) / 3 < 1e-6


@pytest.mark.parametrize("towards", [None, np.arange(9.0).reshape(3, 3) / 5])
def test_the_gradient_is_zero_at_the_optimum_of_many_rows(towards):
    n = COARSE * 2000  # large enough for the coarse start
    X, codes, w = rows(n, 3, 3)
    l2 = 1e-3
    found = fit_multinomial(X, codes, w, l2=l2, towards=towards)
    away = (found.predict_proba(X) - np.eye(3)[codes]) * (w / w.sum())[:, None]
    shrunk = found.coefficients - (0 if towards is None else towards)
    np.testing.assert_allclose(away.T @ X + l2 * shrunk, 0, atol=1e-10)
    np.testing.assert_allclose(away.sum(axis=0), 0, atol=1e-10)
    assert found.intercepts.sum() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("l2", [1e-9, 1e-6])
def test_separable_rows_settle(l2):
    X = np.linspace(-1, 1, 300)[:, None]
    codes = np.digitize(X[:, 0], [-0.3, 0.3])
    P = fit_multinomial(X, codes, np.ones(300), l2=l2).predict_proba(X)
    assert (P.argmax(axis=1) == codes).all()


def test_one_class_is_certain():
    found = fit_multinomial(np.ones((5, 2)), np.full(5, 2), np.ones(5), l2=1.0)
    np.testing.assert_array_equal(found.predict_proba(np.zeros((2, 2))), [[0, 0, 1], [0, 0, 1]])


def test_rare_rows_far_out_do_not_upset_the_search():
    X, codes, w = rows(500, 2, 4, scale=1.0)
    X[:3] *= 1e4
    found = fit_multinomial(X, codes, w, l2=1e-4)
    assert np.isfinite(found.coefficients).all()


def test_a_large_penalty_gives_what_it_shrinks_towards():
    X, codes, w = rows(300, 2, 4)
    towards = np.array([[1.0, -1.0], [0.5, 0.0], [0.0, 2.0]])
    found = fit_multinomial(X, codes, w, l2=1e9, towards=towards)
    np.testing.assert_allclose(found.coefficients, towards, atol=1e-6)


def test_products_of_predictions_have_one_thread_and_give_the_others_back(monkeypatch):
    def threads():
        numpys = [pool for pool in ThreadpoolController().info() if "numpy" in pool["filepath"]]
        return [pool["num_threads"] for pool in numpys if pool["user_api"] == "blas"]

    with numpy_pools().limit(limits=2):
        with single_threaded_products():
            assert set(threads()) <= {1}
        assert set(threads()) <= {2}
    # Looking for the loaded libraries reads a file of the system, which takes longer than a prediction.
    monkeypatch.setattr("builtins.open", lambda *_, **__: pytest.fail("a file is opened"))
    with single_threaded_products():
        pass
