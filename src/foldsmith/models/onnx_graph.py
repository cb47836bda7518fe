"""An ONNX graph that grows operator by operator: the arithmetic that fitted models share.

All is computed in float64, as the models compute it: a float32 copy of a threshold or a mean would send rows that lie
on an edge elsewhere. Only the sums of trees pass through float32, the one type that ONNX's tree operator gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import CLASSES
from foldsmith.models.calibrators import FLOOR
from foldsmith.models.forest import Forest
from foldsmith.models.multinomial import Multinomial
from foldsmith.models.preprocessing import LIMIT, Standardiser

OPSET, TREES_OPSET, IR = 18, 3, 9
"""Versions that runtimes of 2023 and later read."""
TREES = "ai.onnx.ml"
INPUT, OUTPUT = "features", "probabilities"


class Graph:
    """An ONNX graph as it grows: every method adds nodes and gives the name of the tensor they make."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def node(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """One operator."""
        from onnx import helper

        name = f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, list(inputs), [name], domain=domain, **attributes))
        return name

    def constant(self, value: Any) -> str:
        """An array, float64 unless it holds integers."""
        from onnx import numpy_helper

        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def wide(self, x: str) -> str:
        """As float64."""
        from onnx import TensorProto

        return self.node("Cast", x, to=TensorProto.DOUBLE)

    def columns(self, x: str, at: Sequence[int]) -> str:
        """These columns of x (n, p), in this order."""
        return self.node("Gather", x, self.constant(np.array(at, dtype=np.int64)), axis=1)

    def linear(self, x: str, weights: npt.NDArray[Any], intercepts: npt.NDArray[Any]) -> str:
        """x (n, p) @ weights (p, k) + intercepts (k,)."""
        made = self.node("MatMul", x, self.constant(np.array(weights, dtype=np.float64, order="C")))
        return self.node("Add", made, self.constant(np.asarray(intercepts, dtype=np.float64)))

    def standardised(self, x: str, standardiser: Standardiser) -> str:
        """See `preprocessing.Standardiser`."""
        away = self.node("Sub", x, self.constant(standardiser.mean))
        scaled = self.node("Div", away, self.constant(standardiser.scale))
        return self.node("Clip", scaled, self.constant(-LIMIT), self.constant(LIMIT))

    def softmax(self, scores: str, present: Sequence[int] = (0, 1, 2)) -> str:
        """See `multinomial.softmax`: exactly 0 for a class that is not present."""
        if len(present) < len(CLASSES):
            absent = [0.0 if code in present else -np.inf for code in range(len(CLASSES))]
            scores = self.node("Add", scores, self.constant(absent))
        return self.node("Softmax", scores, axis=1)

    def multinomial(self, x: str, regression: Multinomial) -> str:
        """See `multinomial.Multinomial`."""
        scores = self.linear(x, regression.coefficients.T, regression.intercepts)
        return self.softmax(scores, regression.present)

    def logs(self, P: str) -> str:
        """Logarithms of probabilities, none taken as less than `FLOOR`."""
        return self.node("Log", self.node("Max", P, self.constant(FLOOR)))

    def normalised(self, P: str) -> str:
        """Each row divided by its sum."""
        total = self.node("ReduceSum", P, self.constant(np.array([1])), keepdims=1)
        return self.node("Div", P, total)

    def where_known(self, x: str, P: str) -> str:
        """P, but NaN where x, float64 (n, p), holds a value that is not finite: trees would take it for a large one."""
        total = self.node("ReduceSum", x, self.constant(np.array([1])), keepdims=1)
        # 0, or NaN: finite float32 values cannot overflow a sum in float64.
        return self.node("Add", P, self.node("Sub", total, total))

    def weighted_mean(self, parts: Sequence[str], weights: Sequence[float]) -> str:
        """Sum over tensors of weight times tensor, each row divided by its sum."""
        scaled = [
            self.node("Mul", part, self.constant(float(weight)))
            for part, weight in zip(parts, weights, strict=True)
        ]
        total = scaled[0]
        for part in scaled[1:]:
            total = self.node("Add", total, part)
        return self.normalised(total)

    def trees(self, x: str, forest: Forest, mode: str, base: Sequence[float] = (0.0, 0.0, 0.0)) -> str:
        """(n, 3): the sum over trees of what their leaves hold, and `base`; mode : "BRANCH_LEQ" or "BRANCH_LT"."""
        from onnx import TensorProto, helper

        def doubles(name: str, values: npt.NDArray[Any]) -> Any:
            return helper.make_tensor(name, TensorProto.DOUBLE, [values.size], values.ravel())

        nodes, number = forest.nodes, np.arange(len(forest.nodes))
        tree = np.searchsorted(forest.roots, number, side="right") - 1
        first = forest.roots[tree]
        leaf = nodes["feature"] < 0
        leaves, k = np.flatnonzero(leaf), len(CLASSES)
        made = self.node(
            "TreeEnsembleRegressor",
            x,
            domain=TREES,
            n_targets=k,
            aggregate_function="SUM",
            post_transform="NONE",
            base_values_as_tensor=doubles("base", np.asarray(base, dtype=np.float64)),
            nodes_treeids=tree.tolist(),
            nodes_nodeids=(number - first).tolist(),
            nodes_featureids=np.where(leaf, 0, nodes["feature"]).tolist(),
            nodes_modes=["LEAF" if one else mode for one in leaf],
            nodes_values_as_tensor=doubles("thresholds", np.ascontiguousarray(nodes["threshold"])),
            nodes_truenodeids=np.where(leaf, 0, nodes["left"] - first).tolist(),
            nodes_falsenodeids=np.where(leaf, 0, nodes["right"] - first).tolist(),
            target_treeids=np.repeat(tree[leaves], k).tolist(),
            target_nodeids=np.repeat((number - first)[leaves], k).tolist(),
            target_ids=np.tile(np.arange(k), len(leaves)).tolist(),
            target_weights_as_tensor=doubles("leaves", np.ascontiguousarray(nodes["shares"][leaves])),
        )
        return self.wide(made)

    def to_bytes(self, P: str, n_features: int, facts: Mapping[str, str]) -> bytes:
        """The whole model: float32 `features` (n, p) in, float32 `probabilities` (n, 3), the tensor P, out.

        facts : kept as the file's metadata. Equal graphs give equal bytes.
        """
        from onnx import TensorProto, helper

        last = helper.make_node("Cast", [P], [OUTPUT], to=TensorProto.FLOAT)
        graph = helper.make_graph(
            [*self._nodes, last],
            "foldsmith",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", n_features])],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", len(CLASSES)])],
            self._constants,
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(TREES, TREES_OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR, producer_name="foldsmith")
        helper.set_model_props(model, dict(facts))
        return bytes(model.SerializeToString(deterministic=True))
