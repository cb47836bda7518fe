"""How the kernels of the features are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit, types

Function = Callable[..., Any]


def entry(function: Function) -> Any:
    """Compile a function that Python calls: kept on disk, without the interpreter's lock, x / 0 is inf or NaN."""
    return njit(cache=True, nogil=True, error_model="numpy")(function)


def inner(function: Function, **options: Any) -> Any:
    """Compile a function that other compiled ones alone call: without what lets Python in, and once.

    To call it from Python ends the process: there is no way in, and the compiler does not check for one.

    A number written in a call is a type of its own to the compiler, which would make a function of window sums anew
    for every width; here it is any whole number.
    """
    made = njit(
        cache=True,
        nogil=True,
        error_model="numpy",
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        **options,
    )(function)
    found = made.get_call_template

    def get_call_template(given: Any, named: Any) -> Any:
        plain = {name: types.unliteral(kind) for name, kind in named.items()}
        return found(tuple(types.unliteral(kind) for kind in given), plain)

    made.get_call_template = get_call_template
    return made


def summing(function: Function) -> Any:
    """`inner`, of sums of a fixed number of terms that may be added in another order, the same for every row."""
    return inner(function, fastmath={"reassoc"})
