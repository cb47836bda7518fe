"""What the models' own solvers find, against slow twins and scikit-learn."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.svm import LinearSVC
from tests.models.rows import planted, quick
from tests.oracles import models as oracle
from threadpoolctl import threadpool_limits

from foldsmith.models.baselines import Momentum
from foldsmith.models.catalogue import make
from foldsmith.models.leave_one_out import leave_one_out
from foldsmith.models.multinomial import fit_multinomial
from foldsmith.models.squared_hinge import BLOCK, fit_squared_hinge
from foldsmith.models.svm import drawn_waves, waves

X, Y, W = planted(300)


def log_loss(y, P):
    return -np.log(np.maximum(P[np.arange(len(y)), y.astype(int) + 1], 1e-15)).mean()


def test_scores_without_a_row_are_those_of_a_fit_without_it():
    rng = np.random.default_rng(0)
    Z, T, w = rng.normal(size=(40, 3)), rng.normal(size=(40, 2)), rng.uniform(0.5, 2, 40)

    def coefficients(rows):
        weighted = Z[rows] * w[rows, None]
        return np.linalg.solve(weighted.T @ Z[rows] + 0.3 * np.eye(3), weighted.T @ T[rows])

    everyone = np.arange(40)
    inverse = np.linalg.inv((Z * w[:, None]).T @ Z + 0.3 * np.eye(3))
    leverage = w * np.einsum("ij,jk,ik->i", Z, inverse, Z)
    found = leave_one_out(Z @ coefficients(everyone), T, leverage)
    slow = np.array([Z[i] @ coefficients(np.delete(everyone, i)) for i in everyone])
    np.testing.assert_allclose(found, slow, atol=1e-12)


def test_ridge_scores_are_weighted_least_squares():
    model = make("ridge", seed=0, l2=0.05).fit(X, Y, W)
    Z = model._standardiser.transform(X)
    share = W / W.sum()
    design = np.column_stack([Z, np.ones(len(Z))])
    penalty = np.diag([0.05] * 4 + [0.0])
    targets = np.eye(3)[Y.astype(int) + 1]
    theta = np.linalg.solve(
        (design * share[:, None]).T @ design + penalty, (design * share[:, None]).T @ targets
    )
    np.testing.assert_allclose(model._coefficients.T, theta[:4], atol=1e-12)
    np.testing.assert_allclose(model._intercepts, theta[4], atol=1e-12)


@pytest.mark.parametrize("name", ["ridge", "svm"])
def test_calibration_on_left_out_scores_stays_near_the_base_rate_in_noise(name):
    """More features than the rows can bear: a calibration on the fitted scores themselves would be far off."""
    rng = np.random.default_rng(1)
    noise, y = rng.normal(size=(600, 60)).astype(np.float32), rng.integers(-1, 2, 600).astype(np.int8)
    model = make(name, seed=1).fit(noise[:300], y[:300], np.ones(300))
    prior = make("class_prior", seed=1).fit(noise[:300], y[:300], np.ones(300))
    found = log_loss(y[300:], model.predict_proba(noise[300:]))
    assert found < log_loss(y[300:], prior.predict_proba(noise[300:])) + 0.05
    sure = make("logistic", seed=1).fit(noise[:300], y[:300], np.ones(300))
    assert log_loss(y[300:], sure.predict_proba(noise[300:])) > found + 0.1


@pytest.mark.parametrize("l2", [1e-4, 1e-2, 1.0])
def test_the_squared_hinge_finds_what_scikit_learn_finds(l2):
    rng = np.random.default_rng(2)
    n = 400
    Z = np.column_stack([rng.normal(size=(n, 5)), np.ones(n)])
    targets = np.sign(Z[:, :2] + 0.7 * rng.normal(size=(n, 2)))
    share = rng.uniform(0.5, 2, n)
    share /= share.sum()
    found = fit_squared_hinge(lambda rows: Z[rows], targets, share, l2=l2)
    for c in range(2):
        # A large intercept_scaling leaves the intercept next to no penalty, as here.
        twin = LinearSVC(C=1 / l2, dual=False, tol=1e-12, max_iter=100_000, intercept_scaling=1e3)
        twin.fit(Z[:, :-1], targets[:, c], share)
        np.testing.assert_allclose(found.coefficients[c, :-1], twin.coef_[0], atol=1e-5)
        np.testing.assert_allclose(found.coefficients[c, -1], twin.intercept_[0], atol=1e-5)
    np.testing.assert_allclose(found.scores, Z @ found.coefficients.T, atol=1e-12)


def test_nothing_near_the_squared_hinge_is_better_over_several_blocks():
    rng = np.random.default_rng(3)
    n = BLOCK + 500
    Z = np.column_stack([rng.normal(size=(n, 2)), np.ones(n)])
    targets = np.sign(Z[:, :1] + 0.5 * rng.normal(size=(n, 1)))
    share = np.full(n, 1 / n)
    theta = fit_squared_hinge(lambda rows: Z[rows], targets, share, l2=1e-3).coefficients[0]
    here = oracle.hinge_loss(Z, targets[:, 0], share, 1e-3, theta)
    for step in np.vstack([np.eye(3), -np.eye(3)]) * 1e-4:
        assert oracle.hinge_loss(Z, targets[:, 0], share, 1e-3, theta + step) > here


def test_left_out_hinge_scores_are_near_those_of_a_fit_without_the_row():
    rng = np.random.default_rng(4)
    n = 60
    Z = np.column_stack([rng.normal(size=(n, 6)), np.ones(n)])
    targets = np.sign(Z[:, :1] + rng.normal(size=(n, 1)))
    share = np.full(n, 1 / n)
    found = fit_squared_hinge(lambda rows: Z[rows], targets, share, l2=1e-2)
    slow = []
    for i in range(n):
        rest = np.delete(np.arange(n), i)
        # Weights keep their size, so that the penalty means the same.
        part = fit_squared_hinge(lambda rows, r=rest: Z[r][rows], targets[rest], share[rest], l2=1e-2)
        slow.append(Z[i] @ part.coefficients[0])
    # The intercept and the other rows' activity are held: near, and far nearer than the fitted scores.
    away = np.abs(found.left_out[:, 0] - slow).mean()
    assert away < 0.25 * np.abs(found.scores[:, 0] - slow).mean()


def test_many_waves_make_the_radial_kernel():
    rows = X[:40].astype(np.float64)
    Z = waves(rows, drawn_waves((20_000, 4), 0.5, 1))[:, :-1]
    distance = ((rows[:, None] - rows[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(Z @ Z.T, np.exp(-0.5 * distance / 4), atol=0.03)
    np.testing.assert_allclose((Z**2).sum(axis=1), 1)


def test_the_svm_finds_what_no_line_can():
    y = np.where(np.abs(X[:, 0]) > 0.7, 1, -1).astype(np.int8)
    svm = make("svm", seed=1, gamma=1.0).fit(X, y, W).predict_proba(X)
    line = make("logistic", seed=1).fit(X, y, W).predict_proba(X)
    assert log_loss(y, svm) < 0.6 * log_loss(y, line)


@pytest.mark.parametrize("classes", [(-1, 0, 1), (-1, 1), (0, 1)])
def test_histogram_boosting_walks_as_scikit_learn(classes):
    rows = np.isin(Y, classes)
    model = quick("hist_gradient_boosting").fit(X[rows], Y[rows], W[rows])
    # One thread: more of them wait for each other without end on a busy machine.
    with threadpool_limits(1, "openmp"):
        twin = HistGradientBoostingClassifier(
            max_iter=12,
            learning_rate=0.2,
            min_samples_leaf=10,
            max_leaf_nodes=7,
            l2_regularization=1.0,
            max_features=0.5,
            max_bins=63,
            early_stopping=False,
            random_state=3,
        ).fit(X[rows], Y[rows], W[rows])
        expected = twin.predict_proba(X)
    P = model.predict_proba(X)
    np.testing.assert_allclose(P[:, np.array(classes) + 1], expected, atol=1e-12)


def test_histogram_boosting_does_not_stop_on_a_class_it_never_saw():
    rows, other = Y != 0, Y == 0
    model = quick("hist_gradient_boosting").fit(
        X[rows], Y[rows], W[rows], evaluation=(X[other], Y[other], W[other])
    )
    assert model.best_iteration_ == model.params["n_estimators"]


def test_the_networks_slopes_are_those_of_its_loss():
    model = quick("mlp", n_epochs=1, layers=2).fit(X, Y, W)
    Z = model._standardiser.transform(X[:50])
    model._weights = [array.astype(np.float64) for array in model._weights]
    codes, weight = Y[:50].astype(np.int64) + 1, W[:50]

    def loss():
        scores = np.array([oracle.network(model._weights, z) for z in Z])
        top = scores.max(axis=1, keepdims=True)
        log = scores - top - np.log(np.exp(scores - top).sum(axis=1, keepdims=True))
        return -(weight * log[np.arange(50), codes]).mean()

    slopes = model._slopes(Z, codes, weight)
    rng = np.random.default_rng(5)
    for array, slope in zip(model._weights, slopes, strict=True):
        for _ in range(3):
            at = tuple(rng.integers(size) for size in array.shape)
            before, values = array[at], []
            for step in (1e-5, -1e-5):
                array[at] = before + step
                values.append(loss())
            array[at] = before
            assert slope[at] == pytest.approx((values[0] - values[1]) / 2e-5, abs=1e-6)


def test_the_network_predicts_as_unit_by_unit():
    model = quick("mlp").fit(X, Y, W)
    scores = np.array([oracle.network(model._weights, z) for z in model._standardiser.transform(X[:20])])
    P = np.exp(scores - scores.max(axis=1, keepdims=True))
    np.testing.assert_allclose(model.predict_proba(X[:20]), P / P.sum(axis=1, keepdims=True), atol=1e-12)


def test_class_prior_is_the_weighted_shares():
    P = quick("class_prior").fit(X, Y, W).predict_proba(X[:5])
    np.testing.assert_allclose(P[0], [np.average(label == Y, weights=W) for label in (-1, 0, 1)])
    assert (P[0] == P).all()


def test_momentum_is_a_logistic_curve_over_one_column():
    assert Momentum.sees == ("return_12",)
    column = X[:, :1]
    model = quick("momentum").fit(column, Y, W)
    twin = fit_multinomial(model._standardiser.transform(column), Y.astype(np.int64) + 1, W, l2=1e-3)
    found = model.predict_proba(column)
    np.testing.assert_allclose(found, twin.predict_proba(model._standardiser.transform(column)), atol=1e-12)
    up = found[np.argsort(column[:, 0]), 2]
    assert (np.diff(up) >= 0).all()  # here returns go on
    turned = quick("momentum").fit(column, -Y, W).predict_proba(column)[np.argsort(column[:, 0]), 2]
    assert (np.diff(turned) <= 0).all()
