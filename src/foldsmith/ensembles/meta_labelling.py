"""Meta-labelling: the base models choose the side, and a second model says how likely that side is right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import CLASSES
from foldsmith.ensembles.base import Ensemble
from foldsmith.ensembles.meta_learners import Codes, Floats, MetaLearner, logs
from foldsmith.errors import DataError
from foldsmith.intervals import Rows
from foldsmith.labels.meta_labels import meta_labels, more_probable_side
from foldsmith.models.multinomial import Multinomial, fit_multinomial


class LogisticSideLearner(MetaLearner):
    """Logistic regression of whether the side of the primary is right, on what the base models say of that side.

        Q = mean_k P_k                     the primary: the plain mean of the base models
        s = sign(Q_long - Q_short)         its side, neutral set aside
        x = (log max(P_k, 1e-6) of each base model k, in the order against s, neutral, with s;
             standard deviation over k of P_k(with s);  s)
        m = P(s y > 0 | x),    P(s) = m,    P(c) = (1 - m) Q_c / (1 - Q_s)  for the two other classes c

    Turned to the side, one equation serves both; s itself lets longs be right more often than shorts. Where Q_s is 1
    the two others share 1 - m evenly; where there is no side, Q stands as it is. Fitted by `models.multinomial`, with
    penalty 0.005 times the number of base models, on the rows that have a side.

    Source: Lopez de Prado (2018), section 3.6, with a side that is out of fold.
    """

    name: ClassVar[str] = "logistic"
    L2: ClassVar[float] = 0.005

    _regression: Multinomial

    def fit(self, P: npt.NDArray[Any], codes: Codes, weight: Floats) -> Self:
        """DataError where no row has a side."""
        _, side = _primary(P)
        rows, right = meta_labels(side, np.asarray(CLASSES)[codes])
        if len(rows) == 0:
            raise DataError(
                "the base models give short and long equal probability in every row, so there is no side to label."
            )
        X = _turned(P[rows], side[rows])
        l2 = self.L2 * (P.shape[1] // len(CLASSES))
        self._regression = fit_multinomial(X, right.astype(np.int64), weight[rows], l2=l2)
        return self

    def right(self, P: npt.NDArray[Any]) -> Floats:
        """float64 (n,): m, how likely the primary's side is right; where it has none, of no meaning."""
        _, side = _primary(P)
        return np.asarray(self._regression.predict_proba(_turned(P, side))[:, 1])

    def predict_proba(self, P: npt.NDArray[Any]) -> Floats:
        """float64 (n, 3), rows adding up to 1."""
        Q, side = _primary(P)
        found = Q.copy()
        rows = np.flatnonzero(side)
        at = np.where(side[rows] > 0, 2, 0)
        m = self.right(P)[rows]
        others = Q[rows]
        others[np.arange(len(rows)), at] = 0.0
        rest = others.sum(axis=1)
        shared = np.where(rest[:, None] > 0, others, 1.0)
        shared[np.arange(len(rows)), at] = 0.0
        found[rows] = shared / shared.sum(axis=1, keepdims=True) * (1 - m)[:, None]
        found[rows, at] = m
        return found

    def as_facts(self) -> dict[str, Any]:
        """Coefficients (3, 3 m + 2) and intercepts (3,) of wrong, right and nothing, and which of these were seen."""
        return self._regression.as_facts()

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], n_models: int) -> Self:
        """Undo `as_facts`."""
        learner = cls()
        learner._regression = Multinomial.from_facts(facts, len(CLASSES) * n_models + 2)
        if 2 in learner._regression.present:
            raise DataError("the saved ensemble tells more than right and wrong; train it again.")
        return learner


class MetaLabelling(Ensemble):
    """The mean of the base models chooses the side, and a meta-learner how likely it is right.

    All out-of-fold rows with a side are meta-labelled: no side was chosen by a model that was fitted on its row.
    """

    name: ClassVar[str] = "meta_labelling"
    needs_meta_learner: ClassVar[bool] = True
    learners: ClassVar[Mapping[str, type[MetaLearner]]] = {"logistic": LogisticSideLearner}

    def fitting_rows(self, fold: npt.NDArray[Any]) -> Rows:
        """All rows."""
        return np.arange(len(fold), dtype=np.int64)

    def predict_proba(self, P: npt.NDArray[Any]) -> Floats:
        """float64 (n, 3), by `LogisticSideLearner`."""
        return self._fitted().predict_proba(self._checked(P))


def _primary(P: npt.NDArray[Any]) -> tuple[Floats, npt.NDArray[np.int8]]:
    """The plain mean of the base models and its side.

    The side is that of the sum, which is exact in float64 for probabilities in float32: dividing first would break
    ties by rounding.
    """
    total = P.reshape(len(P), P.shape[1] // len(CLASSES), len(CLASSES)).sum(axis=1, dtype=np.float64)
    return np.asarray(total / total.sum(axis=1, keepdims=True)), more_probable_side(total)


def _turned(P: npt.NDArray[Any], side: npt.NDArray[np.int8]) -> Floats:
    """x of `LogisticSideLearner`, float64 (n, 3 m + 2); rows without a side as if it were short."""
    parts = P.reshape(len(P), P.shape[1] // len(CLASSES), len(CLASSES))
    parts = np.where((side > 0)[:, None, None], parts, parts[:, :, ::-1])
    spread = parts[:, :, 2].astype(np.float64).std(axis=1)
    return np.column_stack([logs(parts.reshape(len(P), P.shape[1])), spread, side.astype(np.float64)])
