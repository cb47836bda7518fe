"""Feature selection on the rows that a model is fitted on, and how alike the choices of several folds are.

Features that move together are judged together: permuting one of two twins, or splitting on the other, would tell of
neither that it matters (substitution effects). Clusters are those of average linkage on 1 - |rank correlation|, cut at
0.4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import CLASSES, Dataset
from foldsmith.errors import SettingError
from foldsmith.models.base import Classifier
from foldsmith.models.multinomial import single_threaded

Columns = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SELECTIONS = NONE, CORRELATION, MDI, MDA = ("none", "correlation", "mdi", "mda")
ALIKE = 0.95
"""Absolute rank correlation above which the later of two features says nothing new."""
CUT = 0.4
"""Distance, 1 - |rank correlation|, at which clusters are cut."""
ROWS = 20_000
"""Rows, evenly spaced, that correlations and trees look at: enough for both, and quick."""
TREES = 200
REPEATS = 5
"""Permutations of each cluster."""


def select(
    method: str,
    rows: Dataset,
    *,
    seed: int,
    fit: Callable[[Dataset], Classifier],
    head: npt.NDArray[np.int64],
    tail: npt.NDArray[np.int64],
) -> Columns:
    """Columns of `rows.X` to keep, rising, at least one.

    correlation : a column is dropped whose absolute rank correlation with a kept one before it is above 0.95.
    mdi : clustered mean decrease of impurity in 200 extremely randomised trees that look at one feature a split;
        clusters of more importance than the mean cluster are kept.
    mda : clustered mean decrease of accuracy: a model `fit` to the head is scored on the tail, purged from it, by
        weighted log loss, with the columns of one cluster permuted together, 5 times; clusters whose permutation makes
        it worse by more than a standard error (of rows taken as independent) are kept.

    Raises SettingError for an unknown method. Source: Lopez de Prado, Machine Learning for Asset Managers (2020),
    chapter 6; Mean decrease with one feature a split: Advances in Financial Machine Learning (2018), chapter 8.
    """
    if method not in SELECTIONS:
        raise SettingError(f"--select {method!r:.40} is unknown; there are {', '.join(SELECTIONS)}.")
    if method == NONE:
        return np.arange(rows.X.shape[1], dtype=np.int64)
    if method == CORRELATION:
        return uncorrelated(rank_correlation(rows.X))
    cluster = clusters(rank_correlation(rows.X))
    if method == MDI:
        worth = mdi(rows, cluster, seed)
        kept = worth > worth.mean()
    else:
        worth, error = mda(rows, cluster, seed, fit, head, tail)
        kept = worth > error
    kept[int(np.argmax(worth))] = True  # even where none is worth anything
    return np.flatnonzero(kept[cluster]).astype(np.int64)


def rank_correlation(X: npt.NDArray[np.float32]) -> Floats:
    """Spearman's correlation of the columns, (p, p), on at most 20,000 evenly spaced rows; 0 beside a constant."""
    from scipy.stats import rankdata

    ranks = rankdata(_spaced(X), axis=0)
    ranks -= ranks.mean(axis=0)
    size = np.sqrt((ranks**2).sum(axis=0))
    ranks /= np.where(size > 0, size, 1)
    with single_threaded():
        found = ranks.T @ ranks
    np.fill_diagonal(found, 1.0)
    return np.asarray(np.clip(found, -1, 1))


def uncorrelated(correlation: Floats) -> Columns:
    """Columns, first come first kept, none of which is above 0.95 in |correlation| with one kept before it."""
    kept: list[int] = []
    for column in range(len(correlation)):
        if not kept or np.abs(correlation[column, kept]).max() <= ALIKE:
            kept.append(column)
    return np.array(kept, dtype=np.int64)


def clusters(correlation: Floats) -> npt.NDArray[np.int64]:
    """Number of the cluster of each column, from 0, in the order in which they first come."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    if len(correlation) == 1:
        return np.zeros(1, dtype=np.int64)
    distance = 1 - np.abs(correlation)
    distance = (distance + distance.T) / 2
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(np.maximum(distance, 0), checks=False), method="average")
    found = fcluster(tree, CUT, criterion="distance")
    _, first, inverse = np.unique(found, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)


def mdi(rows: Dataset, cluster: npt.NDArray[np.int64], seed: int) -> Floats:
    """Share of the decrease of impurity that each cluster's columns bring; 0 for all where no tree splits."""
    from sklearn.ensemble import ExtraTreesClassifier

    at = _places(len(rows))
    forest = ExtraTreesClassifier(
        n_estimators=TREES,
        max_features=1,
        min_samples_leaf=max(1, len(at) // 200),
        random_state=seed,
        n_jobs=1,
    ).fit(rows.X[at], rows.y[at], rows.weight[at])
    found = np.bincount(cluster, weights=forest.feature_importances_, minlength=int(cluster.max()) + 1)
    return np.asarray(found, dtype=np.float64)


def mda(
    rows: Dataset,
    cluster: npt.NDArray[np.int64],
    seed: int,
    fit: Callable[[Dataset], Classifier],
    head: npt.NDArray[np.int64],
    tail: npt.NDArray[np.int64],
) -> tuple[Floats, Floats]:
    """Mean increase of the weighted log loss on the tail when a cluster's columns are permuted together, in nats.

    With it comes its standard error, rows taken as independent.
    """
    model, scored = fit(rows.take(head)), rows.take(tail)
    random = np.random.default_rng(seed)
    share = scored.weight / scored.weight.sum()
    before = _losses(model, scored, scored.X)
    mean, error = np.zeros((2, int(cluster.max()) + 1))
    for number in range(len(mean)):
        columns = np.flatnonzero(cluster == number)
        added = np.zeros(len(scored))
        for _ in range(REPEATS):
            X = scored.X.copy()
            X[:, columns] = scored.X[random.permutation(len(X))][:, columns]
            added += (_losses(model, scored, X) - before) / REPEATS
        mean[number] = np.sum(share * added)
        error[number] = np.sqrt(np.sum((share * (added - mean[number])) ** 2))
    return mean, error


def stability(kept: Sequence[Sequence[int]], p: int) -> float | None:
    """How alike several choices of p features are: 1 for equal ones, about 0 for choices by chance.

        1 - mean_f s_f^2 / (k/p (1 - k/p)),   s_f^2 = M/(M-1) h_f (1 - h_f)

    with h_f the share of the M choices that hold feature f and k the mean size of a choice. None where every choice
    holds all features, or there is one choice: nothing was chosen, or nothing can be compared.

    Source: Nogueira, Sechidis and Brown, On the Stability of Feature Selection Algorithms (JMLR 2018).

    >>> stability([[0, 1], [0, 1], [0, 1]], 4)
    1.0
    """
    M = len(kept)
    share = np.zeros(p)
    for one in kept:
        share[list(one)] += 1 / max(M, 1)
    size = share.mean()
    if M < 2 or not 0 < size < 1 - 1e-12:
        return None
    spread = M / (M - 1) * (share * (1 - share)).mean()
    return float(1 - spread / (size * (1 - size)))


def _losses(model: Classifier, rows: Dataset, X: npt.NDArray[np.float32]) -> Floats:
    P = model.predict_proba(X)
    true = P[np.arange(len(P)), np.searchsorted(CLASSES, rows.y)]
    return np.asarray(-np.log(np.maximum(true, 1e-15)))


def _places(n: int) -> npt.NDArray[np.int64]:
    return np.unique(np.linspace(0, n - 1, min(n, ROWS)).round().astype(np.int64))


def _spaced(X: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return X[_places(len(X))]
