"""What claims, hashes, manifests, the ledger and durable units cost, as a share of the CV run that pays for them.

    python benchmarks/bookkeeping.py --raw DIR [--symbol CL] [--models lightgbm] [--n-trials 5] [--repeats 3]

DIR holds {SYMBOL}_1m.parquet; without it, a simulated market. Each row is one CV run in one process: seconds of the
whole run, seconds inside the bookkeeping (each call timed, nested calls once), and their ratio.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from foldsmith.config import CrossValidateSettings, PrepareSettings, ValidationSettings
from foldsmith.market.instruments import instrument
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.store import Run, Workspace
from foldsmith.stages import publish, units
from foldsmith.stages.cross_validate import cross_validate
from foldsmith.stages.executors import Executor
from foldsmith.stages.prepare import prepare
from foldsmith.stages.publish import Building, Provenance
from foldsmith.stages.trials import StudyLog, TrialRecorder

COUNTED: list[tuple[Any, str]] = [
    (publish, "claim"),
    (Building, "keep_settings"),
    (Building, "publish"),
    (Run, "verify"),
    (units.UnitStore, "save"),
    (units.UnitStore, "load"),
    (units.UnitStore, "drop_damaged"),
    (StudyLog, "add"),
    (StudyLog, "read"),
    (TrialRecorder, "record"),
]


class Clock:
    """Adds up the seconds of the outermost calls."""

    def __init__(self) -> None:
        self.seconds, self._depth = 0.0, 0

    def timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, its time counted unless it is made from another that is."""

        @wraps(call)
        def wrapper(*args: Any, **options: Any) -> Any:
            started = time.perf_counter()
            self._depth += 1
            try:
                return call(*args, **options)
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self.seconds += time.perf_counter() - started

        return wrapper


def main() -> None:
    """Run and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--raw", type=Path)
    parser.add_argument("--symbol", default="CL")
    parser.add_argument("--models", default="lightgbm")
    parser.add_argument("--n-trials", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    clock = Clock()
    for owner, name in COUNTED:
        setattr(owner, name, clock.timed(getattr(owner, name)))
    root = Path(tempfile.mkdtemp(prefix="foldsmith-bench-"))
    try:
        workspace = Workspace(root)
        workspace.raw.mkdir(parents=True)
        if given.raw is None:
            from foldsmith.market.simulate import Simulation
            from foldsmith.stages.simulated import write_market

            write_market(workspace, Simulation(given.symbol, 250, 1), instrument(given.symbol), print)
        else:
            shutil.copy(given.raw / f"{given.symbol}_1m.parquet", workspace.raw)
        provenance = Provenance(("benchmark",), Ledger(workspace.ledger))
        settings = PrepareSettings(given.symbol, horizons=(20,))
        dataset = prepare(workspace, settings, instrument(given.symbol), provenance, lambda _: None)
        print("| run | whole, s | bookkeeping, s | share |\n|---|---|---|---|", flush=True)
        shares = []
        for tuned in (False, True):
            validation = ValidationSettings(tune=tuned, n_trials=given.n_trials)
            cv = CrossValidateSettings(tuple(given.models.split(",")), (20,), validation)
            for _ in range(given.repeats):
                clock.seconds, started = 0.0, time.perf_counter()
                cross_validate(
                    dataset, cv, provenance, lambda _: None, folder=workspace.stacking, executor=Executor()
                )
                whole = time.perf_counter() - started
                shares.append(clock.seconds / whole)
                what = f"{given.symbol}, {given.models}{f', {given.n_trials} trials' if tuned else ''}"
                print(f"| {what} | {whole:.2f} | {clock.seconds:.3f} | {shares[-1]:.2%} |", flush=True)
        print(f"| median | | | {statistics.median(shares):.2%} |")
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
