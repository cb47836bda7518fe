"""How the kernels of the features are compiled."""

from __future__ import annotations

from typing import Any

from numba import njit

entry: Any = njit(cache=True, nogil=True, error_model="numpy")
"""Of a function that Python calls: kept on disk, without the interpreter's lock, x / 0 is inf or NaN."""

_LEAN = {"cache": True, "nogil": True, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}

inner: Any = njit(**_LEAN)
"""Of a function that other compiled ones alone call: what would let Python in is left out, half of the compiling."""

summing: Any = njit(**_LEAN, fastmath={"reassoc"})
"""`inner`, of sums of a fixed number of terms that may be added in another order, the same for every row."""
