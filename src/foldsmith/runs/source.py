"""What made a run: the program's source, the packages it used, the kind of machine."""

from __future__ import annotations

import hashlib
import platform
from dis import opmap
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import CodeType
from typing import Any

import foldsmith

RESULT_PACKAGES = (
    "numpy",
    "polars",
    "scipy",
    "scikit-learn",
    "numba",
    "llvmlite",
    "lightgbm",
    "xgboost-cpu",
    "xgboost",
    "catboost",
    "optuna",
    "skops",
    "pandas-market-calendars",
)
"""Distributions whose version can change a number in a run; those not installed are left out."""


_NOP = opmap["NOP"]


@cache
def source_hash() -> str:
    """SHA-256 over the code of every source file of the installed package."""
    folder = Path(foldsmith.__file__).parent
    return hash_sources(
        {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.py")}
    )


def hash_sources(sources: dict[str, bytes]) -> str:
    """SHA-256 over path and compiled code of each file: comments, docstrings, layout and line numbers leave it alone.

    So do assertions. It is that of one version of Python, whose compiler makes other code than the next.
    """
    total = hashlib.sha256()
    for name in sorted(sources):
        # Compiled rather than read as a syntax tree, whose text takes three times as long to make.
        code = compile(sources[name], name, "exec", dont_inherit=True, optimize=2)
        compiled = hashlib.sha256()
        _add(code, compiled)
        total.update(hashlib.sha256(name.encode()).digest())
        total.update(compiled.digest())
    return total.hexdigest()


def _add(code: CodeType, found: Any) -> None:
    """Add what code does to a hash: instructions, names and constants, and nothing of where it stands."""
    shape = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    names = (code.co_name, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    # Where a docstring was, the compiler may leave an instruction that does nothing.
    made = code.co_code
    does = b"".join(made[at : at + 2] for at in range(0, len(made), 2) if made[at] != _NOP)
    for part in (repr((shape, names)).encode(), does, code.co_exceptiontable):
        found.update(f"{len(part)} ".encode())
        found.update(part)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _add(constant, found)
        else:
            found.update(f"{_written(constant)}\0".encode(errors="surrogateescape"))


def _written(constant: object) -> str:
    """A constant with its type, sets in one order whatever the seed of hashes."""
    if isinstance(constant, tuple):
        return f"({','.join(map(_written, constant))})"
    if isinstance(constant, frozenset):
        return f"{{{','.join(sorted(map(_written, constant)))}}}"
    return f"{type(constant).__name__} {constant!r}"


@cache
def package_versions() -> dict[str, str]:
    """Installed version of each package in RESULT_PACKAGES."""
    found: dict[str, str] = {}
    for name in RESULT_PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine_kind() -> str:
    """System and processor family, such as `Linux-x86_64`: what results may depend on, and nothing that names
    a host."""
    return f"{platform.system()}-{platform.machine()}"
