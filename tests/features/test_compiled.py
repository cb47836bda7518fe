"""A function compiled for compiled callers alone ends the process if Python calls it: nothing in the source does."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import foldsmith

SOURCE = Path(foldsmith.__file__).parent
INNER = {"inner", "summing"}
COMPILED = {*INNER, "entry", "njit"}


def decorators(function: ast.FunctionDef) -> set[str]:
    found = (each.func if isinstance(each, ast.Call) else each for each in function.decorator_list)
    return {each.id for each in found if isinstance(each, ast.Name)}


def functions() -> Iterator[tuple[Path, ast.FunctionDef]]:
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                yield path, node


def test_python_calls_no_function_that_is_compiled_for_compiled_callers_alone() -> None:
    inner = {node.name for _, node in functions() if decorators(node) & INNER}
    assert len(inner) > 30
    calls = [
        f"{path.name}: {node.name} calls {call.func.id}"
        for path, node in functions()
        if not decorators(node) & COMPILED
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in inner
    ]
    assert calls == []
