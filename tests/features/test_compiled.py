"""A function compiled for compiled callers alone ends the process if Python calls it: nothing in the source does."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import foldsmith

SOURCE = Path(foldsmith.__file__).parent
INNER = {"inner", "summing"}
COMPILED = {*INNER, "entry", "njit"}


def decorators(function: ast.FunctionDef) -> set[str]:
    found = (each.func if isinstance(each, ast.Call) else each for each in function.decorator_list)
    return {each.id for each in found if isinstance(each, ast.Name)}


@cache
def functions(path: Path) -> list[ast.FunctionDef]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return [node for node in nodes if isinstance(node, ast.FunctionDef)]


@cache
def inner_of(path: Path) -> set[str]:
    return {node.name for node in functions(path) if decorators(node) & INNER}


def seen_in(path: Path) -> set[str]:
    """Names of such functions that a module defines or imports."""
    found = inner_of(path)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("foldsmith."):
            module = SOURCE.parent.joinpath(*str(node.module).split(".")).with_suffix(".py")
            if module.is_file():
                found |= {
                    alias.asname or alias.name for alias in node.names if alias.name in inner_of(module)
                }
    return found


def test_python_calls_no_function_that_is_compiled_for_compiled_callers_alone() -> None:
    paths = sorted(SOURCE.rglob("*.py"))
    assert sum(len(inner_of(path)) for path in paths) > 30
    calls = [
        f"{path.name}: {node.name} calls {call.func.id}"
        for path in paths
        for names in [seen_in(path)]
        if names
        for node in functions(path)
        if not decorators(node) & COMPILED
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in names
    ]
    assert calls == []
