import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from tests.oracles import evaluation as oracle

from foldsmith.errors import SettingError
from foldsmith.evaluation.calibration import reliability


def test_equals_scikit_learn_without_ties():
    rng = np.random.default_rng(0)
    P = rng.dirichlet([2, 3, 4], 1000)
    y = rng.integers(-1, 2, 1000)
    tables = reliability(y, P)
    assert list(tables) == ["short", "neutral", "long"]
    for column, table in enumerate(tables.values()):
        came, forecast = calibration_curve(y == column - 1, P[:, column], n_bins=10, strategy="quantile")
        assert [part["frequency"] for part in table["bins"]] == pytest.approx(came)
        assert [part["probability"] for part in table["bins"]] == pytest.approx(forecast)
        assert table["ece"] == pytest.approx(np.abs(came - forecast).mean())


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_equals_the_slow_twin_with_ties_and_weights(data):
    n, bins = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 12))
    cells = data.draw(st.lists(st.tuples(*[st.integers(0, 3)] * 3).filter(any), min_size=n, max_size=n))
    P = np.array(cells, dtype=float) / np.array(cells).sum(axis=1, keepdims=True)
    y = np.array(data.draw(st.lists(st.sampled_from([-1, 0, 1]), min_size=n, max_size=n)))
    w = np.array(data.draw(st.lists(st.sampled_from([0.5, 1.0, 2.0]), min_size=n, max_size=n)))
    table = reliability(y, P, w, bins=bins)["long"]
    slow = oracle.reliability(P[:, 2].tolist(), (y == 1).tolist(), w.tolist(), bins)
    assert [part["rows"] for part in table["bins"]] == [part["rows"] for part in slow]
    for mine, his in zip(table["bins"], slow, strict=True):
        assert {name: mine[name] for name in his} == pytest.approx(his)
    error = sum(part["weight"] * abs(part["probability"] - part["frequency"]) for part in slow) / w.sum()
    assert table["ece"] == pytest.approx(error)


def test_knows_good_from_bad_calibration():
    rng = np.random.default_rng(1)
    up = rng.uniform(0.1, 0.7, 40_000)
    y = np.where(rng.random(40_000) < up, 1, np.where(rng.random(40_000) < 0.5, 0, -1))
    honest = np.stack([(1 - up) / 2, (1 - up) / 2, up], axis=1)
    sure = honest**3 / (honest**3).sum(axis=1, keepdims=True)
    assert reliability(y, honest)["long"]["ece"] < 0.01
    assert reliability(y, sure)["long"]["ece"] > 0.1


def test_equal_forecasts_share_one_bin():
    table = reliability([1, 0, -1, 1], [[0.2, 0.3, 0.5]] * 4)["long"]
    assert len(table["bins"]) == 1
    assert table["bins"][0]["frequency"] == 0.5
    assert table["ece"] == pytest.approx(0)


def test_refuses_no_bins():
    with pytest.raises(SettingError, match="bins=0"):
        reliability([1], [[0.2, 0.3, 0.5]], bins=0)
