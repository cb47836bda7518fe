"""Networks that read the last bars in order: what they share. Torch is imported when one is fitted or loaded.

Rows are windows, X float32 (n, length, p), oldest bar first, or a view that cuts them out of the bars when they are
read, as `foldsmith.models.windows` makes them; the rest of the contract is that of every classifier.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import CLASSES
from foldsmith.errors import DataError
from foldsmith.models.base import (
    Classifier,
    Evaluation,
    Labels,
    Matrix,
    Prepared,
    Probabilities,
    Rows,
    Weights,
    checked_labels,
    checked_weights,
)
from foldsmith.models.multinomial import SUBSETS, softmax
from foldsmith.models.parameters import Parameter
from foldsmith.models.preprocessing import Standardiser
from foldsmith.models.stored import fact, unreadable
from foldsmith.models.torch_device import deterministic, device_at_hand
from foldsmith.models.windows import Windows, as_windows

FILE = "network.safetensors"
PATIENCE = 4
BATCH = 256
FLOOR = 1e-15
LARGEST = 1e6
"""Of a saved weight: with larger ones scores could overflow."""


class Sequence(Classifier):
    """A network over windows, trained by AdamW on the weighted log loss.

    Features are standardised by their values at the windows' last bars and clipped at 8 standard deviations. Epochs run
    to `n_epochs`, or with `evaluation` until its log loss has not improved for 4; the weights of the best are kept. It
    is fitted by torch's deterministic algorithms, on a GPU where torch sees one, else in one thread of the CPU.
    Predictions are made on the CPU, in 64 bits and in batches of one shape, so that a row's do not depend on the rows
    beside it. A class that the training rows lack has probability 0.
    """

    library: ClassVar[str | None] = "torch"
    extra: ClassVar[str | None] = "neural"
    early_stopping: ClassVar[bool] = True
    windowed: ClassVar[bool] = True
    rounds: ClassVar[str] = "n_epochs"
    cost: ClassVar[float] = 50.0

    _standardiser: Standardiser
    _network: Any
    _present: tuple[int, ...]

    def prepare(
        self, X: Any, y: Labels, sample_weight: Weights, evaluation: Evaluation | None = None
    ) -> Prepared:
        """Check windows once; see `Classifier.prepare`. X : float32 (n, length, p), or a view of them, `Windows`."""
        train = self._rows(X, y, sample_weight, None)
        n_features = train.X.shape[1] * train.X.shape[2]
        if evaluation is None:
            return Prepared(n_features, train, None)
        return Prepared(n_features, train, self._rows(*evaluation, n_features))

    def predict_proba(self, X: Any) -> Probabilities:
        """float64 (n, 3) of windows, given as `prepare` takes them; see `Classifier.predict_proba`."""
        found = self._checked(X, self._fitted_features())
        if len(found) == 0:
            return np.empty((0, len(CLASSES)))
        P = self._predict(found)
        return np.asarray(P / P.sum(axis=1, keepdims=True))

    def _rows(self, X: Any, y: Labels, weight: Weights, n_features: int | None) -> Rows:
        view: Any = self._checked(X, n_features)
        if len(view) == 0:
            raise DataError(
                "there is no row to fit on; purging may have taken all: use more data or a shorter embargo."
            )
        return Rows(view, checked_labels(y, len(view)), checked_weights(weight, len(view)))

    def _checked(self, X: Any, n_features: int | None) -> Windows:
        """Windows as a view; DataError unless of this model's length, finite, and of this width."""
        length = int(self.params["length"])
        shape = X.shape if isinstance(X, Windows) else np.shape(X)
        if len(shape) != 3 or shape[1] != length or shape[2] == 0:
            raise DataError(
                f"X has shape {shape}; {self.name} needs rows by {length} bars by features: make them with "
                "foldsmith.models.windows."
            )
        if n_features is not None and shape[1] * shape[2] != n_features:
            raise DataError(
                f"X has shape {shape} and {n_features // length} features are needed, those of the fit."
            )
        try:
            view = X if isinstance(X, Windows) else as_windows(np.ascontiguousarray(X, dtype=np.float32))
        except (TypeError, ValueError) as error:
            raise DataError(f"X holds something else than numbers ({error}).") from error
        bad = np.flatnonzero(view.read() & ~np.isfinite(view.values).all(axis=1))
        if len(bad):
            column = int(np.argmin(np.isfinite(view.values[bad[0]])))
            raise DataError(
                f"feature {column} of bar {bad[0]} is {view.values[bad[0], column]}; models take finite values only: "
                "leave out windows that reach into warm-up."
            )
        return view

    def _standardised(self, cube: Matrix) -> npt.NDArray[np.float64]:
        """Windows (k, length, p) in standard deviations."""
        flat = cube.reshape(-1, cube.shape[2])
        return self._standardiser.transform(flat).reshape(cube.shape)

    def _build(self, p: int) -> Any:
        """The network for p features, its weights drawn from torch's generator."""
        from foldsmith.models.sequence_networks import NETWORKS

        return NETWORKS[self.name](p, self.params)

    def _train(self, train: Any, evaluation: Any | None) -> int | None:
        import torch

        p, device = train.X.shape[2], device_at_hand()
        self._standardiser = Standardiser.fit(train.X.last(), train.weight)
        self._present = tuple(int(code) for code in np.unique(train.codes))
        with deterministic(), torch.random.fork_rng(devices=[] if device.type == "cpu" else [device]):
            torch.manual_seed(self.seed)
            network = self._build(p).to(device)
            kept = 1 if len(self._present) == 1 else self._fit(network, train, evaluation)
            network = network.cpu()
        for name, value in network.state_dict().items():
            if not torch.isfinite(value).all():
                raise DataError(
                    f"weights {name} of {self.name} left the range of 32 bits at "
                    f"learning_rate={self.params['learning_rate']}; use a smaller one."
                )
        self._network = network.eval()
        return None if evaluation is None else kept

    def _fit(self, network: Any, train: Any, evaluation: Any | None) -> int:
        """Train in place; the number of the epoch whose weights are kept."""
        import torch

        # Each bar once, and windows a batch at a time: standardising is bar by bar, so the bits are the same.
        X = replace(train.X, values=self._standardiser.transform(train.X.values).astype(np.float32))
        device = next(network.parameters()).device
        codes = torch.from_numpy(np.searchsorted(self._present, train.codes)).to(device)
        weight = torch.from_numpy((train.weight / train.weight.mean()).astype(np.float32)).to(device)
        columns = list(self._present)
        steps = torch.optim.AdamW(
            network.parameters(), lr=self.params["learning_rate"], weight_decay=self.params["decay"]
        )
        rng = np.random.default_rng(self.seed)
        best, kept, found = math.inf, 0, None
        epochs = int(self.params["n_epochs"])
        for epoch in range(1, epochs + 1):
            network.train()
            order = torch.from_numpy(rng.permutation(len(X)))
            for rows in torch.split(order, BATCH):
                steps.zero_grad()
                scores = network(torch.from_numpy(X[rows.numpy()]).to(device))[:, columns]
                at = rows.to(device)
                losses = torch.nn.functional.cross_entropy(scores, codes[at], reduction="none")
                (losses * weight[at]).mean().backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                steps.step()
            if evaluation is None:
                continue
            loss = self._loss(network, evaluation)
            if loss < best:
                best, kept = loss, epoch
                found = {name: value.clone() for name, value in network.state_dict().items()}
            elif epoch >= kept + PATIENCE:
                break
        if found is not None:
            network.load_state_dict(found)
        return max(1, kept)

    def _loss(self, network: Any, rows: Any) -> float:
        P = self._probabilities(network, rows.X)[np.arange(len(rows.X)), rows.codes]
        return float(np.average(-np.log(np.maximum(P, FLOOR)), weights=rows.weight))

    def _probabilities(self, network: Any, X: Windows) -> npt.NDArray[np.float64]:
        import copy

        import torch

        wide = copy.deepcopy(network).double().eval()
        device = next(wide.parameters()).device
        # The last batch is filled up: how a matrix product rounds may depend on its shape.
        order = np.resize(np.arange(len(X)), -(-len(X) // BATCH) * BATCH)
        with deterministic(), torch.no_grad():
            parts = [
                wide(torch.from_numpy(self._standardised(X[rows])).to(device)).cpu().numpy()
                for rows in np.split(order, len(order) // BATCH)
            ]
        return softmax(np.concatenate(parts)[: len(X)], self._present)

    def _predict(self, X: Any) -> npt.NDArray[Any]:
        return self._probabilities(self._network, X)

    def _dump(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        from safetensors.torch import save

        facts = {"present": list(self._present), **self._standardiser.as_facts()}
        state = {name: value.contiguous() for name, value in self._network.state_dict().items()}
        return facts, {FILE: save(state)}

    def _restore(self, facts: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        present = fact(facts, "present", list)
        if present not in [list(codes) for codes in SUBSETS]:
            raise DataError(f"the saved model's entry 'present' is {present!r:.60}; train it again.")
        p, rest = divmod(self._fitted_features(), int(self.params["length"]))
        if rest or p == 0:
            raise DataError(
                f"the saved model has {self._fitted_features()} numbers a window of {self.params['length']} bars; "
                "it is damaged: train it again."
            )
        self._present = tuple(present)
        self._standardiser = Standardiser.from_facts(facts, p)
        if FILE not in files:
            raise DataError(f"{FILE} is missing from the saved model; train it again.")
        self._network = self._loaded(files[FILE], p)

    def _loaded(self, content: bytes, p: int) -> Any:
        """The network with these weights; nothing is made of the size that hostile facts ask for."""
        import torch
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            state = load(content)
        except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise unreadable(FILE, "safetensors", error) from error
        with torch.device("meta"):
            network = self._build(p)
        wanted = {name: value.shape for name, value in network.state_dict().items()}
        if {name: value.shape for name, value in state.items()} != wanted:
            raise DataError(f"{FILE} holds other weights than {self.name} has; train it again.")
        for name, value in state.items():
            if value.dtype != torch.float32 or not (value.abs() < LARGEST).all():
                raise DataError(f"weights {name} in {FILE} are not such as a fit leaves; train it again.")
        network.load_state_dict(state, assign=True)
        return network.eval()


def _table(**more: Parameter) -> dict[str, Parameter]:
    return {
        "length": Parameter(32, 2, 512),
        "n_epochs": Parameter(20, 1, 1000),
        "learning_rate": Parameter(1e-3, 1e-6, 0.1, (1e-4, 1e-2), log=True),
        "width": Parameter(32, 4, 512, (8, 64), log=True),
        "layers": Parameter(1, 1, 6, (1, 3)),
        "dropout": Parameter(0.1, 0.0, 0.9, (0.0, 0.5)),
        "decay": Parameter(0.01, 0.0, 10.0, (0.001, 1.0), log=True),
        **more,
    }


class LSTM(Sequence):
    """A long short-term memory network; the state after the last bar decides.

    Source: Hochreiter and Schmidhuber (1997), Long short-term memory.
    """

    name: ClassVar[str] = "lstm"
    parameters: ClassVar[Mapping[str, Parameter]] = _table()


class GRU(Sequence):
    """A network of gated recurrent units; the state after the last bar decides.

    Source: Cho et al. (2014), Learning phrase representations using RNN encoder-decoder.
    """

    name: ClassVar[str] = "gru"
    parameters: ClassVar[Mapping[str, Parameter]] = _table()


class TCN(Sequence):
    """A temporal convolutional network: causal convolutions over 3 bars, 1, 2, 4 ... apart, each with a shortcut.

    Source: Bai, Kolter and Koltun (2018), An empirical evaluation of generic convolutional and recurrent networks.
    """

    name: ClassVar[str] = "tcn"
    parameters: ClassVar[Mapping[str, Parameter]] = _table(layers=Parameter(3, 1, 8, (1, 5)))


class Transformer(Sequence):
    """A transformer encoder over the bars, with learned positions; the last bar's state decides.

    `width` is rounded up to a multiple of the 4 heads. Source: Vaswani et al. (2017), Attention is all you need.
    """

    name: ClassVar[str] = "transformer"
    parameters: ClassVar[Mapping[str, Parameter]] = _table()


class PatchTST(Sequence):
    """A transformer over patches of `patch` bars of each feature alone, its weights shared by all features.

    Patches overlap by half and end at the last bar; the mean over patches, feature by feature, decides. `width` is
    rounded up to a multiple of the 4 heads. Source: Nie et al. (2023), A time series is worth 64 words.
    """

    name: ClassVar[str] = "patchtst"
    parameters: ClassVar[Mapping[str, Parameter]] = _table(patch=Parameter(8, 2, 64))


SEQUENCES: dict[str, type[Sequence]] = {
    "lstm": LSTM,
    "gru": GRU,
    "tcn": TCN,
    "transformer": Transformer,
    "patchtst": PatchTST,
}
