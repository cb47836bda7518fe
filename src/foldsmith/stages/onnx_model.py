"""A whole trained model as one ONNX graph: base models, bags, corrections and the ensemble over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from foldsmith.dataset import CLASSES
from foldsmith.ensembles.base import Ensemble
from foldsmith.errors import SettingError
from foldsmith.models.multinomial import Multinomial
from foldsmith.models.onnx_graph import INPUT, Graph
from foldsmith.models.onnx_models import add_model
from foldsmith.models.stored import numbers
from foldsmith.stages.model_store import Predictor
from foldsmith.validation.correction import Correction
from foldsmith.validation.fold_features import FoldModel

JOINED = ("voting", "stacking", "blending")
LEARNERS = ("logistic", "greedy")


def onnx_bytes(predictor: Predictor, names: Sequence[str], facts: Mapping[str, str]) -> bytes:
    """The graph of `Predictor.predict_proba` over X, its columns named `names`; see `Graph.to_bytes`.

    Rows with a value that is not finite, which the models refuse, it answers with NaN.

    Raises SettingError for a model of which a part cannot be written, and says which.
    """
    if predictor.fitted:
        raise SettingError(
            f"feature {predictor.fitted[0]} is filtered along all bars before a row, and the graph's input is one row; "
            "use `foldsmith serve`, or train without it."
        )
    graph = Graph()
    x = graph.wide(INPUT)
    bases = []
    for base, members in predictor.bases.items():
        seen = predictor.features.get(base, tuple(names))
        one = graph.columns(x, [list(names).index(name) for name in seen])
        parts = [_fold_model(graph, one, model) for model in members]
        bases.append(parts[0] if len(parts) == 1 else graph.weighted_mean(parts, [1.0] * len(parts)))
    P = bases[0]
    if predictor.ensemble is not None:
        P = _ensemble(graph, bases, predictor.ensemble.ensemble)
        P = _corrected(graph, P, predictor.ensemble.correction)
    return graph.to_bytes(graph.where_known(x, P), len(names), facts)


def _fold_model(graph: Graph, x: str, model: FoldModel) -> str:
    if model.features.kept is not None:
        x = graph.columns(x, model.features.kept)
    return _corrected(graph, add_model(graph, x, model.classifier), model.correction)


def _corrected(graph: Graph, P: str, correction: Correction) -> str:
    """See `Correction.apply`."""
    if correction.balance is not None:
        P = graph.normalised(graph.node("Div", P, graph.constant(np.array(correction.balance))))
    calibrator = correction.calibrator
    if calibrator is None:
        return P
    learned = calibrator.as_facts()
    if calibrator.name == "temperature":
        return graph.softmax(graph.node("Div", graph.logs(P), graph.constant(float(learned["temperature"]))))
    if calibrator.name == "logistic":
        return graph.multinomial(graph.logs(P), Multinomial.from_facts(learned, len(CLASSES)))
    raise SettingError(
        f"the model is calibrated by {calibrator.name}, whose staircase has no ONNX form that is equal to it; train "
        "with --calibrate temperature or logistic."
    )


def _ensemble(graph: Graph, bases: Sequence[str], ensemble: Ensemble) -> str:
    """See `ensembles.voting` and `ensembles.meta_learners`."""
    if ensemble.name not in JOINED:
        raise SettingError(
            f"{ensemble.name} has no ONNX form here; ensembles that have one are {', '.join(JOINED)}."
        )
    m, learned = len(bases), ensemble.describe()
    if ensemble.meta_learner is None:
        return graph.weighted_mean(bases, [1 / m] * m)
    if ensemble.meta_learner not in LEARNERS:
        raise SettingError(
            f"the meta-learner {ensemble.meta_learner} has no ONNX form here; those that have one are "
            f"{', '.join(LEARNERS)}."
        )
    if ensemble.meta_learner == "greedy":
        return graph.weighted_mean(bases, numbers(learned, "weights", (m,)).tolist())
    together = bases[0] if m == 1 else graph.node("Concat", *bases, axis=1)
    return graph.multinomial(graph.logs(together), Multinomial.from_facts(learned, len(CLASSES) * m))
