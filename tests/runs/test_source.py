from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import foldsmith
from foldsmith.runs.source import hash_sources, machine_kind, package_versions, source_hash

CODE = '''"""Module."""
import os

class A:
    """Class."""
    def f(self, x: int = 1) -> int:
        """Function."""
        return x + 1

async def g():
    """Only words."""
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Module."""', '"""Another text."""'),
        ('"""Module."""\n', ""),
        ('"""Function."""', '"""Longer\n        text."""'),
        ('    """Class."""\n', "    # a comment\n"),
        ("x + 1", "(x   +\n            1)  # why"),
        ("import os\n", "\n\nimport os\n"),
    ],
)
def test_comments_docstrings_and_layout_leave_the_hash_alone(old: str, new: str) -> None:
    assert old in CODE
    assert hash_sources({"a.py": CODE.replace(old, new).encode()}) == hash_sources({"a.py": CODE.encode()})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x + 1", "x + 2"),
        ("import os", "import sys"),
        ("def f", "def h"),
        ("int = 1", "int = 0"),
        ("-> int", ""),
    ],
)
def test_code_moves_the_hash(old: str, new: str) -> None:
    assert hash_sources({"a.py": CODE.replace(old, new).encode()}) != hash_sources({"a.py": CODE.encode()})


def test_the_hash_is_the_same_whatever_the_seed_of_hashes() -> None:
    """Sets of texts are constants of the code, and go round in an order that differs from process to process."""
    code = "from foldsmith.runs.source import hash_sources; print(hash_sources({'a.py': b\"x in {'a','bb','c','d'}\"}))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3", "4")
    }
    assert len(found) == 1


def test_a_text_that_is_no_docstring_counts() -> None:
    assert hash_sources({"a.py": b"x = 'one'"}) != hash_sources({"a.py": b"x = 'two'"})


def test_names_of_files_and_their_bounds_count_and_their_order_does_not() -> None:
    one = {"a.py": b"x = 1", "b.py": b"y = 2"}
    assert hash_sources(one) == hash_sources(dict(reversed(one.items())))
    assert hash_sources(one) != hash_sources({"a.py": b"x = 1", "c.py": b"y = 2"})
    assert hash_sources(one) != hash_sources({"a.py": b"y = 2", "b.py": b"x = 1"})
    assert hash_sources(one) != hash_sources({"a.py": b"x = 1\ny = 2", "b.py": b""})


def test_the_hash_of_the_program_covers_every_source_file() -> None:
    folder = Path(foldsmith.__file__).parent
    sources = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.py")}
    source_hash.cache_clear()
    assert "runs/source.py" in sources
    assert source_hash() == hash_sources(sources)


def test_packages_and_machine_name_what_a_number_may_depend_on() -> None:
    import platform

    import numpy

    assert package_versions()["numpy"] == numpy.__version__
    assert machine_kind().startswith(f"{platform.system()}-")
    assert platform.node() not in machine_kind()
