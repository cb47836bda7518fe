from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from foldsmith.evaluation.backtest import backtest, most_probable_signal
from foldsmith.evaluation.bootstrap import interval
from foldsmith.evaluation.calibration import reliability
from foldsmith.evaluation.metrics import score
from foldsmith.evaluation.recovery import recovered_share

BASE = [0.33, 0.34, 0.33]


def evaluate(edge, n=4000, seed=0):
    """What a report is made of, for a forecaster who sees the side with this edge; edge 0 knows nothing."""
    rng = np.random.default_rng(seed)
    side = rng.integers(-1, 2, n)
    logits = np.stack([-edge * side, np.zeros(n), edge * side], axis=1)
    truth = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = (truth.cumsum(axis=1) < rng.random(n)[:, None]).sum(axis=1) - 1
    P = np.exp(logits + rng.normal(0, 0.1, (n, 3)))
    P = (P / P.sum(axis=1, keepdims=True)).astype(np.float32)
    closes = pl.Series([datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=15 * k) for k in range(n + 1)])
    sessions = pl.DataFrame(
        {"close_time": closes.cast(pl.Datetime("us", "UTC")), "session": closes.dt.date()}
    )
    leave = 100 + y + rng.normal(0, 0.2, n).round(2)
    labels = pl.DataFrame({"datetime": sessions["close_time"][:n], "label_end": sessions["close_time"][1:]})
    labels = labels.with_columns(entry=pl.lit(100.0), exit_long=leave, exit_short=leave)
    costs = {"tick_size": 0.25, "tick_value": 1.25, "commission": 0.6, "slippage_ticks": 1.0}
    metrics = score(y, P, None, BASE)
    return {
        "metrics": metrics,
        "intervals": interval(y, P, sessions["session"][:n], None, BASE, seed=1, draws=200),
        "calibration": reliability(y, P),
        "backtest": backtest(most_probable_signal(P), labels, sessions=sessions, **costs),
        "recovery": recovered_share([[50, 30, 20], [20, 30, 50]], log_loss=metrics["log_loss"]),
    }


@pytest.fixture(scope="session")
def with_edge():
    return evaluate(0.8)


@pytest.fixture(scope="session")
def without_edge():
    return evaluate(0.0)
