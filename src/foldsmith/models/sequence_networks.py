"""The networks of the sequence models in torch; imported only where one is fitted or loaded.

Each maps windows (n, length, p) to scores (n, 3). Nothing normalises over the batch: a row's scores are its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

Numbers = Mapping[str, Any]

N_CLASSES = 3
HEADS = 4
KERNEL = 3


class Recurrent(nn.Module):  # type: ignore[misc]
    """LSTM or GRU layers, and a line from the state after the last bar."""

    def __init__(self, cell: Any, p: int, numbers: Numbers) -> None:
        super().__init__()
        layers, drop = int(numbers["layers"]), float(numbers["dropout"])
        width = int(numbers["width"])
        self.cells = cell(p, width, layers, batch_first=True, dropout=drop if layers > 1 else 0.0)
        self.drop = nn.Dropout(drop)
        self.head = nn.Linear(width, N_CLASSES)

    def forward(self, X: Any) -> Any:
        """Scores (n, 3)."""
        return self.head(self.drop(self.cells(X)[0][:, -1]))


class Causal(nn.Module):  # type: ignore[misc]
    """A convolution that sees its own and earlier bars, with a shortcut around it."""

    def __init__(self, inputs: int, width: int, dilation: int, drop: float) -> None:
        super().__init__()
        self.before = (KERNEL - 1) * dilation
        self.filter = nn.Conv1d(inputs, width, KERNEL, dilation=dilation)
        self.shortcut = nn.Conv1d(inputs, width, 1) if inputs != width else nn.Identity()
        self.drop = nn.Dropout(drop)

    def forward(self, X: Any) -> Any:
        """(n, inputs, length) to (n, width, length)."""
        filtered = torch.relu(self.filter(nn.functional.pad(X, (self.before, 0))))
        return self.shortcut(X) + self.drop(filtered)


class Convolutional(nn.Module):  # type: ignore[misc]
    """Causal convolutions, and a line from what they say at the last bar."""

    def __init__(self, p: int, numbers: Numbers) -> None:
        super().__init__()
        width, layers = int(numbers["width"]), int(numbers["layers"])
        self.layers = nn.Sequential(
            *[
                Causal(p if at == 0 else width, width, 2**at, float(numbers["dropout"]))
                for at in range(layers)
            ]
        )
        self.head = nn.Linear(width, N_CLASSES)

    def forward(self, X: Any) -> Any:
        """Scores (n, 3)."""
        return self.head(self.layers(X.transpose(1, 2))[:, :, -1])


def encoder(width: int, numbers: Numbers) -> Any:
    """Transformer layers that normalise first."""
    layer = nn.TransformerEncoderLayer(
        width, HEADS, 2 * width, float(numbers["dropout"]), batch_first=True, norm_first=True
    )
    return nn.TransformerEncoder(layer, int(numbers["layers"]), enable_nested_tensor=False)


def rounded(numbers: Numbers) -> int:
    """The width, a multiple of the heads."""
    return -(-int(numbers["width"]) // HEADS) * HEADS


class Attentive(nn.Module):  # type: ignore[misc]
    """A transformer over bars, and a line from the last bar's state."""

    def __init__(self, p: int, numbers: Numbers) -> None:
        super().__init__()
        width = rounded(numbers)
        self.embed = nn.Linear(p, width)
        self.place = nn.Parameter(0.02 * torch.randn(int(numbers["length"]), width))
        self.layers = encoder(width, numbers)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, N_CLASSES)

    def forward(self, X: Any) -> Any:
        """Scores (n, 3)."""
        return self.head(self.norm(self.layers(self.embed(X) + self.place)[:, -1]))


class Patched(nn.Module):  # type: ignore[misc]
    """A transformer over patches of each feature, and a line from all features' mean states."""

    def __init__(self, p: int, numbers: Numbers) -> None:
        super().__init__()
        width, length = rounded(numbers), int(numbers["length"])
        self.patch = min(int(numbers["patch"]), length)
        self.step = max(1, self.patch // 2)
        count = (length - self.patch) // self.step + 1
        self.skipped = length - self.patch - (count - 1) * self.step
        self.embed = nn.Linear(self.patch, width)
        self.place = nn.Parameter(0.02 * torch.randn(count, width))
        self.layers = encoder(width, numbers)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(p * width, N_CLASSES)

    def forward(self, X: Any) -> Any:
        """Scores (n, 3)."""
        n, _, p = X.shape
        series = X[:, self.skipped :].transpose(1, 2).reshape(n * p, -1)
        patches = series.unfold(1, self.patch, self.step)
        states = self.norm(self.layers(self.embed(patches) + self.place)).mean(dim=1)
        return self.head(states.reshape(n, -1))


NETWORKS: dict[str, Callable[[int, Numbers], Any]] = {
    "lstm": lambda p, numbers: Recurrent(nn.LSTM, p, numbers),
    "gru": lambda p, numbers: Recurrent(nn.GRU, p, numbers),
    "tcn": Convolutional,
    "transformer": Attentive,
    "patchtst": Patched,
}
