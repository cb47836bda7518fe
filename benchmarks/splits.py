"""Purged 5-fold and CPCV(10, 2) on a million labels, beside skfolio and purgedcv.

    python benchmarks/splits.py [--rows 1000000] [--repeats 5] [--longest 40] [--peers skfolio]

Labels of 1 to `longest` bars, no embargo. Each splitter is built, and its splits are gone through; ours is also shown
stopping at the ranges of rows, of which the row numbers are made. skfolio purges `longest` rows, as it has no label
ends: less work, and more rows lost. A peer that is not installed is named and left out; purgedcv is asked for by name
(`--peers skfolio,purgedcv --rows 50000`), as it needs seconds there already. Rounds are taken in turn in one process,
medians are shown, and the last column counts training rows whose label overlaps a test label, over all splits: of
closed labels, so those of a peer with half-open ones may touch.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from foldsmith.splits import CombinatorialPurgedKFold, PurgedKFold, certify

MINUTE = 60_000_000
Pairs = Iterable[tuple[Any, Any]]
Way = tuple[Callable[[], Any], Callable[[Any], Pairs]]
"""How a splitter is built, and how its pairs of row numbers are had."""


def ours(t0: Any, t1: Any) -> dict[str, Way]:
    X = np.zeros((len(t0), 1))
    built: dict[str, Callable[[], Any]] = {
        "5 folds | Foldsmith": lambda: PurgedKFold(5, t0=t0, t1=t1, embargo=0),
        "CPCV(10, 2) | Foldsmith": lambda: CombinatorialPurgedKFold(10, 2, t0=t0, t1=t1, embargo=0),
    }
    found: dict[str, Way] = {}
    for name, build in built.items():
        found[f"{name}, ranges"] = (build, lambda split: split.ranges())
        found[f"{name}, row numbers"] = (build, lambda split: split.split(X))
    return found


def of_skfolio(longest: int, rows: int) -> dict[str, Way]:
    from skfolio.model_selection import CombinatorialPurgedCV

    X = np.zeros((rows, 1))

    def pairs(split: Any) -> Pairs:
        return ((train, np.concatenate(tests)) for train, tests in split.split(X))

    def build() -> Any:
        return CombinatorialPurgedCV(10, 2, purged_size=longest, embargo_size=0)

    return {"CPCV(10, 2) | skfolio": (build, pairs)}


def of_purgedcv(t0: Any, t1: Any) -> dict[str, Way]:
    import pandas as pd
    import purgedcv

    X = np.zeros((len(t0), 1))
    times = {
        "prediction_times": pd.Series(pd.to_datetime(t0, unit="us")),
        "evaluation_times": pd.Series(pd.to_datetime(t1, unit="us")),
    }
    return {
        "5 folds | purgedcv": (lambda: purgedcv.PurgedKFold(5, **times), lambda split: split.split(X)),
        "CPCV(10, 2) | purgedcv": (
            lambda: purgedcv.CombinatorialPurgedCV(10, 2, **times),
            lambda split: split.split(X),
        ),
    }


def timed(way: Way) -> tuple[float, float]:
    """Seconds of building, and of going through the splits."""
    build, pairs = way
    started = time.perf_counter()
    split = build()
    built = time.perf_counter()
    for _ in pairs(split):
        pass
    return built - started, time.perf_counter() - built


def overlapping(way: Way, t0: Any, t1: Any) -> int:
    build, pairs = way
    return sum(one.overlaps for one in certify(pairs(build()), t0=t0, t1=t1))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--longest", type=int, default=40)
    parser.add_argument("--peers", default="skfolio")
    given = parser.parse_args()
    t0 = np.arange(given.rows) * MINUTE
    t1 = t0 + np.random.default_rng(0).integers(1, given.longest + 1, given.rows) * MINUTE
    ways = ours(t0, t1)
    for name, peer in (
        ("skfolio", lambda: of_skfolio(given.longest, given.rows)),
        ("purgedcv", lambda: of_purgedcv(t0, t1)),
    ):
        if name not in given.peers.split(","):
            continue
        if importlib.util.find_spec(name) is None:
            print(f"{name} is not installed and is left out; python -m pip install {name}")
        else:
            ways |= peer()
    rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(given.repeats + 1):
        for name, way in ways.items():
            found = timed(way)
            if number:  # the first loads what is lazily imported
                rounds[name].append(found)
    print("| splits | who | built, s | gone through, s | overlapping rows |\n|---|---|---|---|---|")
    for name, taken in sorted(rounds.items()):
        build, through = (statistics.median(column) for column in zip(*taken, strict=True))
        leaks = "" if name.endswith("ranges") else overlapping(ways[name], t0, t1)
        print(f"| {name} | {build:.4f} | {through:.4f} | {leaks} |", flush=True)


if __name__ == "__main__":
    main()
