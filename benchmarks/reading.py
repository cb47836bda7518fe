"""Reading a CSV of bars, resampling it to 5 minutes, and both with all checks, beside pandas, polars and duckdb.

    python benchmarks/reading.py [--rows 5000000] [--repeats 5] [--file CSV]

The file is made here unless one is given (columns timestamp, open, high, low, close, volume). Each peer does the same
in the way its own documentation shows, with types given so that nothing has to be guessed; a peer that is not installed
is named and left out. Rounds are taken in turn, medians are shown. Ours is shown twice: reading and resampling as the
peers do them, and phase 1's whole way, which also tells the format, checks clock and sessions, and applies every rule
of cleaning. Peak memory is that of anonymous pages above what the process had before reading.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from foldsmith.contracts import BARS
from foldsmith.market.clean import clean
from foldsmith.market.instruments import instrument
from foldsmith.market.readers import read_bars
from foldsmith.market.resample import resample
from foldsmith.market.rolls import mark_blocks
from foldsmith.market.sessions import schedule
from foldsmith.stages.tables import write_table

PRICES = ("open", "high", "low", "close")
FIVE_MINUTES = 300_000_000
MES = instrument("MES")
Row = tuple[str, float, float, float]


def make_file(path: Path, rows: int) -> None:
    """Bars for every scheduled minute of MES's market from 2009 on, a walk on the tick grid."""
    hours = schedule(MES.calendar, 1_230_768_000_000_000, 1_750_000_000_000_000)
    opens = np.concatenate(
        [np.arange(a, b, 60_000_000) for a, b in zip(hours.open, hours.close, strict=True)]
    )[:rows]
    rng = np.random.default_rng(1)
    close = 500 + np.abs(np.cumsum(rng.integers(-2, 3, len(opens))) * 0.25)
    open_ = np.r_[close[0], close[:-1]]
    pl.DataFrame(
        {
            "timestamp": pl.Series(opens).cast(pl.Datetime("us")),
            "open": open_,
            "high": np.maximum(open_, close) + rng.integers(0, 3, len(opens)) * 0.25,
            "low": np.minimum(open_, close) - rng.integers(0, 3, len(opens)) * 0.25,
            "close": close,
            "volume": rng.integers(1, 900, len(opens)),
        }
    ).write_csv(path, datetime_format="%Y-%m-%d %H:%M:%S")


def ours(path: Path) -> Row:
    """`read_bars`, and `resample` of bars that are marked already."""
    started = time.perf_counter()
    raw = read_bars(path).frame
    read = time.perf_counter() - started
    span = raw["datetime"].to_physical()
    hours = schedule(MES.calendar, int(span.min()), int(span.max()))  # type: ignore[arg-type]
    bars, _ = mark_blocks(clean(raw, MES, hours)[0], hours, MES.max_gap_minutes)
    started = time.perf_counter()
    resample(bars, FIVE_MINUTES, hours)
    again = time.perf_counter() - started
    return "Foldsmith, no checks", read, again, read + again


def whole(path: Path) -> Row:
    """What phase 1 does before features."""
    started = time.perf_counter()
    raw = read_bars(path).frame
    span = raw["datetime"].to_physical()
    hours = schedule(MES.calendar, int(span.min()), int(span.max()))  # type: ignore[arg-type]
    bars, _ = mark_blocks(clean(raw, MES, hours)[0], hours, MES.max_gap_minutes)
    resample(bars, FIVE_MINUTES, hours)
    return "Foldsmith, told, checked, cleaned", np.nan, np.nan, time.perf_counter() - started


def with_pandas(path: Path) -> Row:
    """`read_csv` with types, and `resample`."""
    import pandas as pd

    started = time.perf_counter()
    types = dict.fromkeys(PRICES, "float64") | {"volume": "float64"}
    frame = pd.read_csv(path, dtype=types, parse_dates=["timestamp"], date_format="%Y-%m-%d %H:%M:%S")
    read = time.perf_counter() - started
    started = time.perf_counter()
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    frame.set_index("timestamp").resample("5min").agg(how).dropna()
    return "pandas", read, time.perf_counter() - started, 0.0


def with_polars(path: Path) -> Row:
    """`read_csv` with a schema, times parsed by their format, and `group_by_dynamic`."""
    started = time.perf_counter()
    numbers = dict.fromkeys((*PRICES, "volume"), pl.Float64)
    frame = pl.read_csv(path, schema={"timestamp": pl.String, **numbers})
    frame = frame.with_columns(pl.col("timestamp").str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us"))
    read = time.perf_counter() - started
    started = time.perf_counter()
    frame.group_by_dynamic("timestamp", every="5m").agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
    )
    return "polars", read, time.perf_counter() - started, 0.0


def with_duckdb(path: Path) -> Row:
    """`read_csv` with types into a table in memory, and a grouping by `time_bucket`."""
    import duckdb

    base = duckdb.connect()
    types = {"timestamp": "TIMESTAMP", **dict.fromkeys((*PRICES, "volume"), "DOUBLE")}
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in types.items())
    started = time.perf_counter()
    base.execute(f"create table bars as select * from read_csv('{path}', header=true, columns={{{columns}}})")
    read = time.perf_counter() - started
    started = time.perf_counter()
    base.execute(
        "create table longer as select time_bucket(interval '5 minutes', timestamp) t, arg_min(open, timestamp) o, "
        "max(high) h, min(low) l, arg_max(close, timestamp) c, sum(volume) v from bars group by t order by t"
    )
    return "duckdb", read, time.perf_counter() - started, 0.0


def anonymous() -> float:
    """MiB of this process's own memory: what is mapped from files is left out."""
    found = re.search(r"^Anonymous:\s+(\d+)", Path("/proc/self/smaps_rollup").read_text(), re.MULTILINE)
    return int(found[1]) / 1024 if found else np.nan


def peak_of(path: Path) -> tuple[float, float]:
    """MiB that reading, checking, cleaning and storing takes at its peak, and MiB of the stored table in memory."""
    whole(path)  # compiled and loaded
    before, seen, done = anonymous(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            seen[0] = max(seen[0], anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    raw = read_bars(path).frame
    span = raw["datetime"].to_physical()
    hours = schedule(MES.calendar, int(span.min()), int(span.max()))  # type: ignore[arg-type]
    bars, _ = mark_blocks(clean(raw, MES, hours)[0], hours, MES.max_gap_minutes)
    with tempfile.TemporaryDirectory() as folder:
        write_table(bars, Path(folder) / "bars.parquet", BARS)
    done.set()
    watcher.join()
    return seen[0] - before, bars.estimated_size("mb")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--file", type=Path)
    given = parser.parse_args()
    peers: dict[str, Callable[[Path], Row]] = {
        "pandas": with_pandas,
        "polars": with_polars,
        "duckdb": with_duckdb,
    }
    there: list[Callable[[Path], Row]] = [ours, whole]
    for name, peer in peers.items():
        if importlib.util.find_spec(name) is None:
            print(f"{name} is not installed and is left out; python -m pip install {name}")
        else:
            there.append(peer)
    with tempfile.TemporaryDirectory() as folder:
        path = given.file or Path(folder) / "MES_1m.csv"
        if given.file is None:
            make_file(path, given.rows)
        taken: dict[str, list[Any]] = {}
        for round_ in range(given.repeats + 1):
            for way in there:
                name, read, again, both = way(path)
                if round_:  # the first loads and compiles
                    taken.setdefault(name, []).append((read, again, both or read + again))
        print("| who | read, s | resample, s | both, s |\n|---|---|---|---|")
        for name, rounds in taken.items():
            cells = [statistics.median(column) for column in zip(*rounds, strict=True)]
            print(f"| {name} | {' | '.join('' if np.isnan(cell) else f'{cell:.3f}' for cell in cells)} |")
        peak, size = peak_of(path)
        ratio = f"{peak:,.0f} MiB at the peak for bars of {size:,.0f} MiB ({peak / size:.2f}x)"
        print(f"\nRead, checked, cleaned and stored: {ratio}")


if __name__ == "__main__":
    main()
