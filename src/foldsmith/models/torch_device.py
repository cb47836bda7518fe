"""Where torch computes, and that it does so to the same bits every time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def device_at_hand() -> Any:
    """A GPU where torch sees one."""
    import torch

    return (
        torch.device("cuda", torch.cuda.current_device())
        if torch.cuda.is_available()
        else torch.device("cpu")
    )


@contextmanager
def deterministic() -> Iterator[None]:
    """Torch's deterministic algorithms in one thread; what was set before is put back."""
    import torch

    if torch.cuda.is_available():
        # Deterministic sums on a GPU need it, and cuBLAS reads it nowhere else but in the environment.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)
