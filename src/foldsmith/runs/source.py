"""What made a run: the program's source, the packages it used, the kind of machine."""

from __future__ import annotations

import ast
import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

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

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@cache
def source_hash() -> str:
    """SHA-256 over the syntax of every source file of the installed package."""
    folder = Path(foldsmith.__file__).parent
    return hash_sources(
        {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.py")}
    )


def hash_sources(sources: dict[str, bytes]) -> str:
    """SHA-256 over path and syntax tree of each file: comments, docstrings, layout and line numbers leave it
    alone."""
    total = hashlib.sha256()
    for name in sorted(sources):
        syntax = ast.dump(_without_docstrings(ast.parse(sources[name])))
        total.update(hashlib.sha256(name.encode()).digest())
        total.update(hashlib.sha256(syntax.encode()).digest())
    return total.hexdigest()


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return tree


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
