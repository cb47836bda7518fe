"""Bars to compute features of, and kernels compiled from the files as they are now."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import foldsmith.features
from foldsmith.contracts import BARS

Maker = Callable[..., pl.DataFrame]
REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "bars"


@pytest.fixture(scope="session", autouse=True)
def _fresh_kernels() -> None:
    """Drop compiled kernels when a file that they share has changed: the compiler's cache would not notice."""
    folder = Path(foldsmith.features.__file__).parent
    files = ("compiled.py", "elementwise.py", "logarithm.py", "windows.py")
    shared = hashlib.sha256(b"".join((folder / name).read_bytes() for name in files)).hexdigest()
    mark = folder / "__pycache__" / "shared.sha256"
    if not mark.is_file() or mark.read_text() != shared:
        for path in mark.parent.glob("*.nb?"):
            path.unlink(missing_ok=True)
        mark.parent.mkdir(exist_ok=True)
        mark.write_text(shared)


def make_bars(seed: int = 0, blocks: tuple[int, ...] = (130, 40, 90), per_session: int = 70) -> pl.DataFrame:
    """Five-minute bars from a seeded walk on a tick grid, with flat and volumeless bars among them."""
    rng = np.random.default_rng(seed)
    n = sum(blocks)
    day = np.arange(n) // per_session
    begin = [datetime(2024, 3, 7, 14, 0, tzinfo=UTC) + timedelta(days=int(k)) for k in day]
    opens = [
        t + timedelta(minutes=5 * int(k)) for t, k in zip(begin, np.arange(n) % per_session, strict=True)
    ]
    close = 20_000 + np.cumsum(rng.integers(-6, 7, n))
    open_ = np.r_[20_000, close[:-1] + rng.integers(-1, 2, n - 1)]
    flat = rng.random(n) < 0.05
    open_ = np.where(flat, close, open_)
    high = np.maximum(open_, close) + np.where(flat, 0, rng.integers(0, 4, n))
    low = np.minimum(open_, close) - np.where(flat, 0, rng.integers(0, 4, n))
    frame = pl.DataFrame(
        {
            "datetime": pl.Series(opens, dtype=pl.Datetime("us", "UTC")),
            "close_time": pl.Series(opens, dtype=pl.Datetime("us", "UTC")).dt.offset_by("5m"),
            **{k: x * 0.25 for k, x in (("open", open_), ("high", high), ("low", low), ("close", close))},
            "volume": np.where(rng.random(n) < 0.05, 0, rng.integers(1, 500, n)).astype(float),
            "contract": ["MES 03-24"] * n,
            "session": [date(2024, 3, 7) + timedelta(days=int(k)) for k in day],
            "block": pl.Series(np.repeat(np.arange(len(blocks)), blocks), dtype=pl.Int32),
        }
    )
    return BARS.check(frame)


@pytest.fixture
def bars() -> pl.DataFrame:
    return make_bars()
