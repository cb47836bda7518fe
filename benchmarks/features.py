"""Features, barriers and the whole of phase 1: how fast, how much memory, and beside whom.

    python benchmarks/features.py [--bars 1000000] [--repeats 5] [--parts kernels,peers,barriers,phase] [--sizes ...]

Simulated minutes of MES. Times are of the processor (this process, or a child), medians of several, in nanoseconds per
bar, and per feature where a family has several: a family's own kernel, and `compute` as a whole with what it prepares.
Peers make the same nine indicators as close as they can; one that is not installed is named, and left out.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from foldsmith.features import FEATURES, compute
from foldsmith.features.catalogue import families, members
from foldsmith.labels.triple_barrier import Barriers, PathTable, volatility
from foldsmith.market.instruments import instrument
from foldsmith.market.simulate import Simulation, simulate
from foldsmith.market.timeframe import parse_timeframe
from foldsmith.stages.market_bars import MarketBars, market_bars

ROOT = Path(__file__).parents[1]
MES = instrument("MES")
PER_SESSION = 1360
"""A little less than the minutes of a session: so many sessions hold at least that many bars."""
APART = ("memory", "wavelet", "regime")
"""Families with entropies, ranks over days or a hundred weights: told apart from the average."""
SETTLED = 3
HORIZONS = (20, 60, 1000, 5000)

Floats = np.ndarray[Any, np.dtype[np.float64]]


def processor(call: Callable[[], object], repeats: int) -> float:
    """Median seconds of processor time of this process; the first call, which compiles, is not counted."""
    call()
    taken = []
    for _ in range(repeats):
        started = time.process_time()
        call()
        taken.append(time.process_time() - started)
    return statistics.median(taken)


def simulated(bars: int) -> pl.DataFrame:
    """At least so many raw minutes of MES, cut to that number."""
    sessions = min(-(-bars // PER_SESSION) + 2, 20_000)
    return simulate(Simulation("MES", sessions, 1), MES)[0].head(bars)


def minutes(bars: int) -> MarketBars:
    """Cleaned minutes, as phase 1 makes them."""
    raw = simulated(bars).rename({"timestamp": "datetime"})
    utc, volume = pl.col("datetime").dt.replace_time_zone("UTC"), pl.col("volume").cast(pl.Float64)
    return market_bars(raw.with_columns(utc, volume), MES, parse_timeframe("1m"))


def kernels(bars: pl.DataFrame, repeats: int) -> None:
    """Print a row per family."""
    module = importlib.import_module("foldsmith.features.compute")
    made, _ = module._kernels(bars, 1)
    n = bars.height
    print(f"\n| family, {n:,} bars | features | ns per bar and feature |\n|---|---|---|")
    taken, counted = 0.0, 0
    for family in families():
        table = np.empty((len(members(family)), n), np.float32)
        seconds = processor(lambda family=family, table=table: made[family](table), repeats)  # type: ignore[misc]
        print(f"| {family} | {len(table)} | {seconds / n / len(table) * 1e9:.2f} |", flush=True)
        if family not in APART:
            taken, counted = taken + seconds, counted + len(table)
    print(f"| all but {', '.join(APART)} | {counted} | {taken / n / counted * 1e9:.2f} |")
    others = [name for name, feature in FEATURES.items() if feature.family not in APART]
    for label, names in (("`compute`, all but those", others), ("`compute`, all", list(FEATURES))):
        seconds = processor(lambda names=names: compute(bars, 1, names), repeats)  # type: ignore[misc]
        print(f"| {label} | {len(names)} | {seconds / n / len(names) * 1e9:.2f} |", flush=True)


OURS = (
    "sma_distance_24", "ema_distance_24", "rsi_14", "natr_14", "macd_12_26", "macd_histogram", "bollinger_width_20",
    "bollinger_position_20", "close_volatility_48", "return_12",
)  # fmt: skip
"""What the peers make: SMA, EMA, RSI, ATR, MACD, Bollinger bands, a rolling deviation and a rate of change."""


def with_polars(bars: pl.DataFrame) -> object:
    """Expressions, evaluated together."""
    c, before = pl.col("close"), pl.col("close").shift(1)
    change = c.diff()

    def wilder(x: pl.Expr) -> pl.Expr:
        return x.ewm_mean(alpha=1 / 14, adjust=False)

    up, down = wilder(change.clip(lower_bound=0)), wilder((-change).clip(lower_bound=0))
    macd = c.ewm_mean(span=12, adjust=False) - c.ewm_mean(span=26, adjust=False)
    band = c.rolling_std(20)
    true = pl.max_horizontal("high", before) - pl.min_horizontal("low", before)
    return bars.select(
        sma=c.rolling_mean(24), ema=c.ewm_mean(span=24, adjust=False), rsi=100 * up / (up + down), atr=wilder(true),
        macd=macd, histogram=macd - macd.ewm_mean(span=9, adjust=False), width=band / c.rolling_mean(20),
        position=(c - c.rolling_mean(20)) / band, deviation=c.log().diff().rolling_std(48), rate=c / c.shift(12) - 1,
    )  # fmt: skip


def with_talib(bars: pl.DataFrame) -> object:
    """The C functions on float64 arrays."""
    import talib

    high, low, close = (bars[name].to_numpy() for name in ("high", "low", "close"))
    macd, _, histogram = talib.MACD(close, 12, 26, 9)
    upper, middle, lower = talib.BBANDS(close, 20, 2, 2)
    r = np.diff(np.log(close), prepend=np.nan)[1:]
    return (
        talib.SMA(close, 24), talib.EMA(close, 24), talib.RSI(close, 14), talib.ATR(high, low, close, 14), macd,
        histogram, (upper - lower) / middle, (close - middle) / (upper - middle), talib.STDDEV(r, 48),
        talib.ROC(close, 12),
    )  # fmt: skip


def with_pandas_ta(bars: pl.DataFrame) -> object:
    """Its functions on pandas series."""
    import pandas_ta as ta

    high, low, close = (bars[name].to_pandas() for name in ("high", "low", "close"))
    return (
        ta.sma(close, 24), ta.ema(close, 24), ta.rsi(close, 14), ta.atr(high, low, close, 14), ta.macd(close),
        ta.bbands(close, 20), ta.stdev(close.pct_change(), 48), ta.roc(close, 12),
    )  # fmt: skip


def with_ta(bars: pl.DataFrame) -> object:
    """Its functions on pandas series."""
    from ta import momentum, trend
    from ta import volatility as ranges

    high, low, close = (bars[name].to_pandas() for name in ("high", "low", "close"))
    return (
        trend.sma_indicator(close, 24), trend.ema_indicator(close, 24), momentum.rsi(close, 14),
        ranges.average_true_range(high, low, close, 14), trend.macd(close), trend.macd_diff(close),
        ranges.bollinger_wband(close, 20), ranges.bollinger_pband(close, 20), close.pct_change().rolling(48).std(),
        momentum.roc(close, 12),
    )  # fmt: skip


PEERS = {"polars": with_polars, "talib": with_talib, "pandas_ta": with_pandas_ta, "ta": with_ta}


def peers(bars: pl.DataFrame, repeats: int) -> None:
    """Print a row per peer: the same ten columns."""
    rows: dict[str, Callable[[], object]] = {
        "Foldsmith, `compute` of these ten": lambda: compute(bars, 1, OURS)
    }
    absent = [name for name in PEERS if importlib.util.find_spec(name) is None]
    for name in PEERS:
        if name not in absent:
            rows[name] = lambda peer=PEERS[name]: peer(bars)  # type: ignore[misc]
    cost = {name: processor(call, repeats) / bars.height / len(OURS) * 1e9 for name, call in rows.items()}
    whole = processor(lambda: compute(bars), repeats) / bars.height / len(FEATURES) * 1e9
    print("\n| who | ns per bar and feature | to Foldsmith's catalogue |\n|---|---|---|")
    print(f"| Foldsmith, the whole catalogue | {whole:.2f} | 1.0x |")
    for name, each in cost.items():
        print(f"| {name} | {each:.2f} | {each / whole:.1f}x |")
    for name in absent:
        print(f"| {name} | not installed | |")


def numpy_barriers(market: MarketBars, sigma: Floats, horizon: int) -> object:
    """A plain twin: step by step over all bars at once, without minutes, rolls or execution."""
    o, high, low = (market.bars[name].to_numpy() for name in ("open", "high", "low"))
    n = len(o) - horizon
    width = sigma[:n] * np.sqrt(horizon)
    upper, lower = o[1 : n + 1] * (1 + width), o[1 : n + 1] * (1 - width)
    label, still = np.zeros(n, np.int8), np.ones(n, np.bool_)
    for step in range(1, horizon + 1):
        up, down = still & (high[step : step + n] >= upper), still & (low[step : step + n] <= lower)
        label[up], label[down] = 1, -1
        still &= ~(up | down)
    return label


def barriers(market: MarketBars, repeats: int) -> None:
    """Print a row per horizon."""
    sigma = volatility(market.bars, 100)
    table = PathTable.of(market.bars, market.base, (market.first, market.stop), sigma, MES.tick_size)
    print(
        "\n| horizon, bars | triple barrier, ns per bar | numpy twin | ratio | target |\n|---|---|---|---|---|"
    )
    for horizon in HORIZONS:
        ours = processor(lambda horizon=horizon: table.labels(horizon, horizon, Barriers(1.0, 1.0)), repeats)  # type: ignore[misc]
        started = time.process_time()
        short = market.bars.height if horizon <= 60 else horizon + 20_000
        part = MarketBars(
            market.base, market.timeframe, market.bars.head(short), market.first, market.stop, {}
        )
        numpy_barriers(part, sigma, horizon)
        twin = (time.process_time() - started) / (short - horizon) * 1e9
        each = ours / market.bars.height * 1e9
        print(
            f"| {horizon} | {each:.1f} | {twin:.0f} | {twin / each:.0f}x | {8 if horizon == 60 else 20} |",
            flush=True,
        )


CHILD = """
import re, sys, time
sys.argv = ["foldsmith", *{words!r}]
import foldsmith.cli.main
{imports}

def peak():
    # Not ru_maxrss: a child begins with its parent's.
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])

used, before, start = time.process_time(), peak(), time.perf_counter()
try:
    foldsmith.cli.main.main()
except SystemExit as end:
    assert not end.code, end.code
print("MEASURED", time.perf_counter() - start, time.process_time() - used, before, peak())
"""
IMPORTS = """
import numba, sklearn, scipy.stats, polars, pandas_market_calendars, lightgbm
import foldsmith.stages.prepare, importlib, pkgutil, foldsmith.features, foldsmith.labels, foldsmith.market
for package in (foldsmith.features, foldsmith.labels, foldsmith.market):
    for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(found.name)
"""


def child(folder: Path, words: list[str]) -> tuple[float, float, float, float]:
    """Wall and processor seconds of a command after its imports, and MiB at the peak before and after it."""
    code = CHILD.format(words=words, imports=IMPORTS)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, check=True, capture_output=True, text=True
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("MEASURED"))
    wall, cpu, before, after = (float(word) for word in line.split()[1:])
    return wall, cpu, before / 1024, after / 1024


def in_memory(folder: Path) -> float:
    """MiB of a dataset's tables as they are in memory."""
    return sum(
        pl.read_parquet(path).estimated_size("mb") for path in folder.glob("data/datasets/*/*.parquet")
    )


def phase(sizes: list[int], repeats: int) -> None:
    """Print a row per number of bars."""
    print(
        "\n| bars | wall, s | processor, s | us of processor per bar | peak beyond the interpreter, MiB "
        "| output in memory, MiB | ratio |\n|---|---|---|---|---|---|---|"
    )
    for bars in sizes:
        runs = []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory(prefix="foldsmith-bench-") as name:
                folder = Path(name)
                (folder / "data" / "raw").mkdir(parents=True)
                simulated(bars).write_parquet(folder / "data" / "raw" / "MES_1m.parquet")
                if not runs:
                    child(folder, ["pipeline", "run", "--symbols", "MES"])  # compiles, reads the disk
                wall, cpu, before, after = child(folder, ["pipeline", "run", "--symbols", "MES"])
                count = len(list(folder.glob("data/datasets/*/manifest.json")))
                runs.append((wall, cpu, after - before, in_memory(folder) / count))
        wall, cpu, peak, size = (statistics.median(column) for column in zip(*runs, strict=True))
        print(
            f"| {bars:,} | {wall:.2f} | {cpu:.2f} | {cpu / bars * 1e6:.2f} | {peak:,.0f} | {size:,.0f} "
            f"| {peak / size:.2f}x |",
            flush=True,
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bars", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--parts", default="kernels,peers,barriers,phase")
    parser.add_argument("--sizes", default="200000,1000000,5000000", help="bars of phase 1")
    given = parser.parse_args()
    parts = given.parts.split(",")
    if set(parts) - {"phase"}:
        market = minutes(given.bars)
        if "kernels" in parts:
            kernels(market.bars, given.repeats)
        if "peers" in parts:
            peers(market.bars, given.repeats)
        if "barriers" in parts:
            barriers(market, given.repeats)
    if "phase" in parts:
        phase([int(word) for word in given.sizes.split(",")], SETTLED)


if __name__ == "__main__":
    main()
