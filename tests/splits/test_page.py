"""The page on splits runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "validation.md"


def test_the_page_on_splits_runs_as_it_stands() -> None:
    names: dict[str, Any] = {}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 5
    for block in blocks:
        exec(block, names)
    assert names["search"].n_splits_ == 5
    assert names["paths"].shape == (5, 600)
    assert names["scores"].shape == (8,)
