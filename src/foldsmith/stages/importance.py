"""Feature importance of a stored model on validation rows: no refit, and no test row is read, whatever is evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import Dataset, columns
from foldsmith.evaluation.importance import contribution_importance, permutation_importance, sample_rows
from foldsmith.intervals import Rows
from foldsmith.stages.horizon import HorizonTable
from foldsmith.stages.model_store import Predictor, mean_of
from foldsmith.stages.scores import trading_days
from foldsmith.validation.fold_features import FoldModel

METHODS = ("none", "shap", "mda")
DEFAULT = "mda"
ROWS = {"mda": 500, "shap": 400}
"""Validation rows that are looked at; more take longer and say little more of the order of features."""
NO_SHAP = "no base model is a booster of LightGBM, XGBoost or CatBoost, whose libraries compute SHAP values; take mda"


def importance(
    predictor: Predictor, table: HorizonTable, method: str, *, joined: bool, seed: int
) -> dict[str, Any]:
    """What `evaluation.importance` finds of a model, by one of METHODS; JSON-able, or `skipped` and why.

    joined : whether base models see rows of other datasets, which are not at hand here.
    """
    if method == "none":
        return {"method": method, "skipped": "not asked for"}
    if joined:
        return {
            "method": method,
            "skipped": "base models see several datasets; their features are not one table",
        }
    validation = table.segments.named()["validation"]
    taken = sample_rows(len(validation), ROWS[method], seed)
    if len(taken) == 0:
        return {"method": method, "skipped": "there are no validation rows"}
    held = table.data.take(validation[taken])
    bases = [_Base.of(name, members, predictor, held) for name, members in predictor.bases.items()]
    if any(base is None for base in bases):
        return {"method": method, "skipped": "a base model reads windows of bars, not rows of features"}
    each = [base for base in bases if base is not None]
    found = _mda if method == "mda" else _shap
    share = len(validation) / len(taken)
    told = found(
        predictor, each, held, max(1, round(table.recipe.horizons[table.horizon].max_bars / share)), seed
    )
    return {"method": method, "of": len(validation), "seed": seed, **told}


@dataclass(frozen=True)
class _Base:
    """A base model's fitted members, and what each is given at the rows."""

    name: str
    members: tuple[FoldModel, ...]
    names: tuple[tuple[str, ...], ...]
    matrices: tuple[npt.NDArray[np.float32], ...]

    @classmethod
    def of(
        cls, name: str, members: tuple[FoldModel, ...], predictor: Predictor, held: Dataset
    ) -> _Base | None:
        """None for one that reads windows of bars."""
        names: list[tuple[str, ...]] = []
        matrices: list[npt.NDArray[np.float32]] = []
        for member in members:
            if member.classifier.window:
                return None
            fitted = member.features.names
            seen = predictor.features.get(name)
            stored = held.names if seen is None else tuple(one for one in seen if one not in fitted)
            M = member.features.matrix(columns(held.X, held.names, stored), held.inputs)
            kept = member.features.kept
            names.append((*stored, *fitted) if kept is None else member.features.kept_names)
            matrices.append(M)
        return cls(name, members, tuple(names), tuple(matrices))

    def predict(self, feature: str | None, order: Rows) -> npt.NDArray[np.float32]:
        """As the predictor does, with one column taken from other rows."""
        parts = []
        for member, names, M in zip(self.members, self.names, self.matrices, strict=True):
            given = M
            if feature in names:
                given = M.copy()
                given[:, names.index(feature)] = M[order, names.index(feature)]
            made = member.correction.apply(member.classifier.predict_proba(given))
            parts.append(np.asarray(made, dtype=np.float32))
        return mean_of(parts)


def _mda(
    predictor: Predictor, bases: Sequence[_Base], held: Dataset, block: int, seed: int
) -> dict[str, Any]:
    every = tuple(dict.fromkeys(name for base in bases for names in base.names for name in names))
    plain = {base.name: base.predict(None, np.arange(len(held))) for base in bases}

    def predict(feature: str | None, order: Rows) -> Any:
        # A base model that does not see the feature says what it said.
        P = [
            base.predict(feature, order)
            if any(feature in names for names in base.names)
            else plain[base.name]
            for base in bases
        ]
        return predictor.combine(np.hstack(P))

    return permutation_importance(predict, every, held.y, trading_days(held.t0), block=block, seed=seed)


def _shap(
    predictor: Predictor,  # noqa: ARG001 - as for _mda
    bases: Sequence[_Base],
    held: Dataset,  # noqa: ARG001
    block: int,  # noqa: ARG001
    seed: int,  # noqa: ARG001
) -> dict[str, Any]:
    found = {}
    for base in bases:
        phi = [
            member.classifier.contributions(M) for member, M in zip(base.members, base.matrices, strict=True)
        ]
        known = [one for one in phi if one is not None]
        if len(known) == len(phi) and all(names == base.names[0] for names in base.names):
            found[base.name] = contribution_importance(known[0], base.names[0], known[1:])
    return {"models": found} if found else {"skipped": NO_SHAP}
