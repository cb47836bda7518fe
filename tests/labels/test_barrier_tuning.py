"""Barrier widths: near the share asked for, and blind to everything after the cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.labels.conftest import Market, market

from foldsmith.errors import DataError, SettingError
from foldsmith.labels.barrier_tuning import choose_barriers
from foldsmith.labels.triple_barrier import volatility


def walk(n: int = 4000, seed: int = 0, size: int = 1) -> Market:
    rng = np.random.default_rng(seed)
    close = 20_000 + np.cumsum(rng.integers(-8, 9, n * size))
    open_ = np.r_[20_000, close[:-1]]
    columns = (open_, np.maximum(open_, close) + 1, np.minimum(open_, close) - 1, close)
    return market(list(zip(*((c * 0.25).tolist() for c in columns), strict=True)), size=size)


def chosen(made: Market, until: int, *, max_bars: int = 20, share: float = 1 / 3, sigma: Any = None) -> float:
    barriers = choose_barriers(
        made.bars,
        made.base,
        (made.first, made.stop),
        volatility(made.bars, 20) if sigma is None else sigma,
        horizon=max_bars,
        max_bars=max_bars,
        until=until,
        neutral_share=share,
        tick_size=made.tick,
    )
    assert barriers.up == barriers.down
    return barriers.up


def close(made: Market, bar: int) -> int:
    return int(made.bars["close_time"].to_physical()[bar])


@pytest.mark.parametrize("share", [0.1, 1 / 3, 0.6, 0.9])
@pytest.mark.parametrize("size", [1, 5])
def test_no_other_width_is_nearer(share: float, size: int) -> None:
    made = walk(1500, size=size)
    width = chosen(made, close(made, 999), share=share)
    sigma = volatility(made.bars, 20)[:1000]

    def miss(k: float) -> float:
        counts = made.head(1000).labels(sigma, 20, k, k)[1]
        return abs(counts.neutral / counts.events - share)

    assert miss(width) < 0.01
    assert all(miss(width) <= miss(width + step / 1000) for step in range(-30, 31))


def spoilt_after(made: Market, rows: int) -> tuple[Market, Any]:
    """Garbage from bar `rows` on in every column that is looked at, beside a sigma of garbage."""
    names = ("open", "high", "low", "close")
    spoilt = [
        frame.with_columns(
            *(
                pl.when(pl.int_range(pl.len()) >= rows)
                .then(1e6 * (k + 1))
                .otherwise(pl.col(name))
                .alias(name)
                for k, name in enumerate(names)
            ),
            pl.when(pl.int_range(pl.len()) >= rows)
            .then(7)
            .otherwise(pl.col("block"))
            .cast(pl.Int32)
            .alias("block"),
        )
        for frame in (made.bars, made.base)
    ]
    sigma = volatility(made.bars, 20)
    sigma[rows:] = np.resize([np.nan, 1e9, 0.0, -1.0], len(sigma) - rows)
    return Market(*spoilt, made.first, made.stop, made.tick), sigma


@pytest.mark.parametrize("max_bars", [5, 20, 100])
def test_nothing_after_the_cut_changes_the_answer(max_bars: int) -> None:
    made, rows = walk(), 2500
    cut = close(made, rows - 1)
    answer = chosen(made, cut, max_bars=max_bars)
    assert answer == chosen(made.head(rows), cut, max_bars=max_bars)
    later, sigma = spoilt_after(made, rows)
    assert chosen(later, cut, max_bars=max_bars, sigma=sigma) == answer
    # And what is before it does.
    wide = volatility(made.bars, 20)
    wide[: rows // 2] *= 4
    assert chosen(made, cut, max_bars=max_bars, sigma=wide) < answer


def test_a_window_that_ends_a_microsecond_late_does_not_count() -> None:
    made = walk(400)
    for bar in (200, 201, 250):
        assert chosen(made, close(made, bar)) == chosen(made, close(made, bar + 1) - 1)
        assert chosen(made, close(made, bar)) == chosen(made.head(bar + 1), close(made, bar))


def test_no_rows() -> None:
    made = walk(400)
    for until in (close(made, 39), 0, -1):
        with pytest.raises(DataError, match="no label of horizon 20 ends in the training segment"):
            chosen(made, until)
    assert chosen(made, close(made, 40)) > 0


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_refused_shares(share: float) -> None:
    with pytest.raises(SettingError, match="neutral_share"):
        chosen(walk(100), 0, share=share)
