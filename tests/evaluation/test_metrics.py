import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics
from tests.oracles import evaluation as oracle

from foldsmith.errors import DataError
from foldsmith.evaluation.metrics import most_probable_signal, score

BASE = [0.3, 0.45, 0.25]


def random_rows(n=500, seed=0, ties=False):
    rng = np.random.default_rng(seed)
    y = rng.integers(-1, 2, n).astype(np.int8)
    P = rng.dirichlet([2, 3, 2], n)
    if ties:
        P = rng.multinomial(4, [0.3, 0.4, 0.3], size=n) / 4
    return y, P, rng.uniform(0.1, 2.0, n)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_scikit_learn(ties, weighted):
    y, P, w = random_rows(ties=ties)
    P = 0.97 * P + 0.01  # scikit-learn's log loss clips zeros elsewhere than ours
    weight = w if weighted else None
    found = score(y, P, weight, BASE)
    found = found["weighted"] if weighted else found
    kwargs = {"sample_weight": weight}
    assert found["log_loss"] == pytest.approx(sklearn_metrics.log_loss(y, P, labels=[-1, 0, 1], **kwargs))
    one_hot = (y[:, None] == np.array([-1, 0, 1])).astype(float)
    assert found["brier"] == pytest.approx(np.average(((P - one_hot) ** 2).sum(1), weights=weight))
    areas = [sklearn_metrics.roc_auc_score(one_hot[:, c], P[:, c], **kwargs) for c in range(3)]
    assert found["auc_each"] == pytest.approx(areas)
    assert found["auc"] == pytest.approx(np.mean(areas))
    hit = y != 0
    up = P[hit, 2] / (P[hit, 0] + P[hit, 2])
    hits = {"sample_weight": None if weight is None else weight[hit]}
    assert found["direction_auc"] == pytest.approx(sklearn_metrics.roc_auc_score(y[hit] > 0, up, **hits))
    assert found["direction_log_loss"] == pytest.approx(sklearn_metrics.log_loss(y[hit] > 0, up, **hits))
    decided = most_probable_signal(P)
    table = sklearn_metrics.confusion_matrix(y, decided, labels=[-1, 0, 1], **kwargs)
    np.testing.assert_allclose(found["confusion"], table)
    accuracy = sklearn_metrics.accuracy_score(y, decided, **kwargs)
    assert found["accuracy"] == pytest.approx(accuracy)
    balanced = sklearn_metrics.balanced_accuracy_score(y, decided, **kwargs)
    assert found["balanced_accuracy"] == pytest.approx(balanced)
    assert found["mcc"] == pytest.approx(sklearn_metrics.matthews_corrcoef(y, decided, **kwargs))


def test_base_rate_is_the_constant_forecast():
    y, P, w = random_rows()
    found = score(y, P, w, BASE)
    constant = score(y, np.tile(BASE, (len(y), 1)), w, BASE)
    for part, whole in ((found, constant), (found["weighted"], constant["weighted"])):
        assert part["log_loss_base"] == pytest.approx(whole["log_loss"])
        assert part["brier_base"] == pytest.approx(whole["brier"])
        assert part["direction_log_loss_base"] == pytest.approx(whole["direction_log_loss"])
        assert part["skill"] == pytest.approx(1 - part["log_loss"] / whole["log_loss"])
    assert constant["skill"] == pytest.approx(0, abs=1e-12)
    assert constant["auc"] == constant["direction_auc"] == 0.5
    assert constant["mcc"] == 0


def test_without_base_rate_the_yardstick_is_null():
    y, P, _ = random_rows()
    found = score(y, P)
    names = ("log_loss_base", "brier_base", "skill", "brier_skill", "direction_log_loss_base", "base_rate")
    assert all(found[name] is None for name in names)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_equals_the_slow_twin(data):
    n = data.draw(st.integers(1, 25))
    y = np.array(data.draw(st.lists(st.sampled_from([-1, 0, 1]), min_size=n, max_size=n)))
    cells = data.draw(st.lists(st.tuples(*[st.integers(0, 4)] * 3).filter(any), min_size=n, max_size=n))
    P = np.array(cells, dtype=float) / np.array(cells).sum(axis=1, keepdims=True)
    w = np.array(data.draw(st.lists(st.sampled_from([0.5, 1.0, 3.0]), min_size=n, max_size=n)))
    found = score(y, P, w)
    found = found.get("weighted", found)
    each = [oracle.auc(P[:, c], y == c - 1, w) for c in range(3)]
    assert found["auc_each"] == pytest.approx(each, nan_ok=True) or found["auc_each"] == each
    assert (found["auc"] is None) == (None in each)
    hit = np.flatnonzero(y)
    direction = oracle.auc([oracle.direction(P[i]) for i in hit], y[hit] > 0, w[hit])
    if direction is None:
        assert found["direction_auc"] is None
    else:
        assert found["direction_auc"] == pytest.approx(direction)
    assert most_probable_signal(P).tolist() == [oracle.decide(p) for p in P]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.25, 4.0]))
def test_order_of_rows_and_scale_of_weights_do_not_matter(seed, scale):
    y, P, w = random_rows(60, seed, ties=True)
    order = np.random.default_rng(seed).permutation(60)
    one, two = score(y, P, w, BASE)["weighted"], score(y[order], P[order], w[order] * scale, BASE)["weighted"]
    for name in set(one) - {"confusion"}:
        assert np.all(one[name] == pytest.approx(two[name], abs=1e-12)), name
    np.testing.assert_allclose(np.array(one["confusion"]) * scale, two["confusion"])


def test_weights_of_one_give_no_second_set():
    y, P, _ = random_rows()
    assert "weighted" not in score(y, P, np.ones(len(y)))


def test_float32_scores_like_float64():
    y, P, _ = random_rows()
    narrow = P.astype(np.float32)
    assert score(y, narrow, None, BASE) == score(y, narrow.astype(np.float64), None, BASE)


def test_a_missing_class_is_null_and_json_holds():
    found = score([1, 1, 0], [[0.2, 0.3, 0.5]] * 3, None, [0.0, 0.5, 0.5])
    assert found["auc"] is None
    assert found["direction_auc"] is None
    assert found["auc_each"][0] is None
    json.dumps(found, allow_nan=False)
    only_neutral = score([0, 0], [[0.2, 0.3, 0.5]] * 2)
    assert only_neutral["hits"] == 0
    assert only_neutral["direction_log_loss"] is None


def test_certainty_that_failed_is_finite():
    found = score([1], [[1.0, 0.0, 0.0]], None, [1.0, 0.0, 0.0])
    assert found["log_loss"] == pytest.approx(-np.log(np.finfo(np.float32).eps))
    assert found["log_loss_base"] == found["log_loss"]


@pytest.mark.parametrize(
    ("y", "P", "weight", "base", "says"),
    [
        ([], np.zeros((0, 3)), None, None, "at least one row"),
        ([2], [[0.2, 0.3, 0.5]], None, None, "2"),
        ([0.5], [[0.2, 0.3, 0.5]], None, None, "0.5"),
        ([1], [[0.5, 0.5]], None, None, "shape"),
        ([1, 0], [[0.2, 0.3, 0.5], [0.2, np.nan, 0.5]], None, None, "row 1"),
        ([1], [[0.9, 0.9, 0.9]], None, None, "no distribution"),
        ([1], [[-0.2, 0.7, 0.5]], None, None, "no distribution"),
        ([1], [[0.2, 0.3, 0.5]], [0.0], None, "positive"),
        ([1], [[0.2, 0.3, 0.5]], [1.0, 1.0], None, "weights"),
        ([1], [[0.2, 0.3, 0.5]], None, [0.5, 0.5, 0.5], "base rate"),
    ],
)
def test_refuses_with_a_sentence(y, P, weight, base, says):
    with pytest.raises(DataError, match=says):
        score(y, P, weight, base)
