"""What scores out of fold do on pure noise, known in theory and shown here: which of them is without bias.

With training rows that are all rows but a fold's, fold j's model has seen fold k and fold k's model has seen fold j.
Let c_jk be how well what j teaches fits k; it is as large as what k teaches fits j. Then, with K folds on noise:

    AUC inside a fold           mean 0.5
    its mean over folds         every c_jk counts twice: spread sqrt(2) times that of K independent folds
    AUC of folds pooled         below 0.5: a fold rich in longs leaves few to learn from, so its model expects fewer
    meta-learner out of fold    above 0.5: the sign it learns on other folds depends on c_jk, which it is scored on
    rows held out of all this   mean 0.5
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from foldsmith.dataset import Dataset
from foldsmith.ensembles.catalogue import make_ensemble
from foldsmith.evaluation.metrics import score
from foldsmith.models.catalogue import make
from foldsmith.splits import PurgedKFold
from foldsmith.validation.cross_validate import Separation, predict
from foldsmith.validation.meta_level import out_of_fold

MINUTE = 60_000_000
N, P, FOLDS, DRAWS = 600, 12, 5, 200
LEVEL = 0.01


def auc(y: Any, probabilities: Any) -> float:
    return float(score(y, probabilities)["direction_auc"])


def draw(seed: int) -> dict[str, float]:
    """Scores of one draw of noise, features and labels, at every level."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(2 * N, P)).astype(np.float32)
    y = rng.choice([-1, 0, 1], 2 * N).astype(np.int8)
    closes = (np.arange(N + 1) + 1) * MINUTE
    data = Dataset(X[:N], y[:N], np.ones(N), closes[:-1], closes[1:], tuple(map(str, range(P))))
    separation = Separation(1, 0, closes)
    base = np.empty((N, 3), dtype=np.float32)
    fold = np.empty(N, dtype=np.int16)
    split = PurgedKFold(FOLDS, t0=data.t0, t1=data.t1, **separation.options())
    for k, (train, test) in enumerate(split.split(data.X)):
        base[test] = predict(
            make("logistic", seed=1).fit(data.X[train], data.y[train], np.ones(len(train))), data.X[test]
        )
        fold[test] = k

    def ensemble() -> Any:
        return make_ensemble("stacking", "logistic", models=["noise"], seed=1)

    meta = out_of_fold(ensemble, base, data, fold, n_splits=FOLDS, separation=separation).probabilities
    whole = make("logistic", seed=1).fit(data.X, data.y, np.ones(N))
    fitted = ensemble().fit(base, data.y, data.weight, fold)
    inside = [auc(data.y[fold == k], base[fold == k]) for k in range(FOLDS)]
    return {
        "one fold": inside[0],
        "inside folds": float(np.mean(inside)),
        "pooled": auc(data.y, base),
        "meta inside folds": float(np.mean([auc(data.y[fold == k], meta[fold == k]) for k in range(FOLDS)])),
        "held out": auc(y[N:], predict(fitted, predict(whole, X[N:]))),
    }


@pytest.mark.proof
@pytest.mark.xdist_group("edge")
def test_which_scores_are_without_bias_on_noise() -> None:
    draws = [draw(seed) for seed in range(DRAWS)]
    found = {name: np.array([each[name] for each in draws]) for name in draws[0]}
    for name, values in found.items():
        print(f"{name}: mean {values.mean():.4f}, sd {values.std(ddof=1):.4f}, "
              f"z {stats.ttest_1samp(values, 0.5).statistic:.2f}")  # fmt: skip
    for name in ("one fold", "inside folds", "held out"):
        assert stats.ttest_1samp(found[name], 0.5).pvalue > LEVEL / 3, name
    assert stats.ttest_1samp(found["pooled"], 0.5, alternative="less").pvalue < LEVEL
    assert stats.ttest_1samp(found["meta inside folds"], 0.5, alternative="greater").pvalue < LEVEL
    assert found["meta inside folds"].mean() < 0.53
    # The mean over folds, against what independent folds would give.
    ratio = found["inside folds"].std(ddof=1) / (found["one fold"].std(ddof=1) / np.sqrt(FOLDS))
    print(f"spread against independent folds: {ratio:.3f}")
    assert 1.2 < ratio < 1.65
