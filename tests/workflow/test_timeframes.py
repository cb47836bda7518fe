"""Bars that a sum closes go through the commands as bars of a length do; none that is not over is used."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from tests.workflow.conftest import Desk, value
from tests.workflow.test_flags import recipe

RUN = ["pipeline", "run", "--symbols", "MES", "--horizons", 5, "--yes"]
PROBABILITIES = ["prob_short", "prob_neutral", "prob_long"]


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A workspace with 20 simulated sessions and a number of trades in each minute; it ends inside a session."""
    desk = Desk(tmp_path_factory.mktemp("traded"))
    desk.call("simulate", "--sessions", 20, "--edge", 0.05, "--seed", 7)
    raw = desk.path / "data" / "raw" / "MES_1m.parquet"
    bars = pl.read_parquet(raw)
    bars.head(bars.height - 37).with_columns(trade_count=pl.col("volume") // 2).write_parquet(raw)
    return desk


def tables(desk: Desk, run_id: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    folder = desk.path / "data" / "datasets" / run_id
    return pl.read_parquet(folder / "bars.parquet"), pl.read_parquet(folder / "bars_1m.parquet")


@pytest.mark.parametrize("timeframe", ["tick:3000", "volume:6000", "dollar:1.5e8", "7m", "1h"])
def test_predictions_equal_those_of_the_evaluation(traded: Desk, timeframe: str, tmp_path: Path) -> None:
    made = traded.dataset("--timeframe", timeframe)
    bars, base = tables(traded, made.id)
    assert made.extra["timeframe"] == recipe(traded, made.id)["timeframe"] == timeframe
    assert "trades" not in (*bars.columns, *base.columns)
    # Each bar was over when the data ended, and a bar more or less after it changes none.
    assert bars["close_time"][-1] <= base["close_time"][-1]
    model = traded.train("--model", "logistic", "--horizon", 5, "--dataset", made.id)
    shown = traded.call("evaluate", "--run-id", model.id, "--split", "test").stdout
    scored = pl.read_parquet(traded.path / value(shown, "Evaluation saved to") / "predictions.parquet")
    raw = traded.path / "data" / "raw" / "MES_1m.parquet"

    def predicted(bars: Path) -> pl.DataFrame:
        output = tmp_path / f"predicted_{bars.stem}.parquet"
        traded.call("predict", "--run-id", model.id, "--bars", bars, "--output", output)
        return pl.read_parquet(output)

    whole = predicted(raw)
    found = scored.select("datetime").join(whole, on="datetime", how="left", maintain_order="left")
    assert found.select(PROBABILITIES).equals(scored.select(PROBABILITIES))
    assert set(whole["datetime"]) <= set(bars["close_time"])
    # As it would have been live: the same predictions from the bars so far.
    so_far = pl.read_parquet(raw)
    for left_out in (1, 2, 3, 250):
        path = tmp_path / f"without_{left_out}.parquet"
        so_far.head(so_far.height - left_out).write_parquet(path)
        early = predicted(path)
        assert early.equals(whole.head(early.height))
        assert whole.height - early.height <= left_out


def test_trades_leave_no_trace_in_bars_of_another_kind(traded: Desk, tmp_path: Path) -> None:
    without = Desk(tmp_path)
    (tmp_path / "data" / "raw").mkdir(parents=True)
    raw = pl.read_parquet(traded.path / "data" / "raw" / "MES_1m.parquet").drop("trade_count")
    raw.write_parquet(tmp_path / "data" / "raw" / "MES_1m.parquet")
    for timeframe in ("5m", "volume:6000"):
        made, same = (desk.dataset("--timeframe", timeframe) for desk in (traded, without))
        assert made.files == same.files
    told = without.call(*RUN, "--timeframe", "tick:3000", status=2).stderr
    assert "tick:3000 counts trades" in told
    assert "Give a file with a column trades" in told


def test_timeframes_that_cannot_be_made(traded: Desk) -> None:
    for text, told in (
        ("ticks:5", "write 5m or 1h, or tick:500, volume:20000 or dollar:5e6"),
        ("volume:0", "out of range"),
        ("45s", "0.75 minutes cannot be made from bars of 1 minutes"),
        ("dollar:1e15", "no label of horizon 5 ends"),
    ):
        assert told in traded.call(*RUN, "--timeframe", text, status=2).stderr
