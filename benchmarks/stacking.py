"""Phase 4 from stored out-of-fold predictions, against making them on the spot and scikit-learn's StackingClassifier.

    python benchmarks/stacking.py --raw DIR [--symbols CL,MES] [--sets boosters,light] [--repeats 5]

DIR holds {SYMBOL}_1m.parquet. Prints one row per market and set of base models: medians of the whole command and of the
work inside the process, and the ratios. Inside, stored: from the call to the published run in a warm process, reading,
hashing, scoring and writing included. Inside, fresh: what the command's own manifest says its work took, imports and
the reading of the dataset left out, so that the ratio is rather too low. Equal results are checked: the files of both
runs must have equal hashes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from foldsmith.config import CrossValidateSettings, PrepareSettings, ValidationSettings
from foldsmith.market.instruments import instrument
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.store import Run, Workspace
from foldsmith.stages.cross_validate import cross_validate
from foldsmith.stages.ensemble import train_stored
from foldsmith.stages.executors import Executor
from foldsmith.stages.horizon import load_horizons
from foldsmith.stages.model_store import read_model
from foldsmith.stages.prepare import prepare
from foldsmith.stages.publish import Provenance

ROOT = Path(__file__).parents[1]
HORIZON = 20
SETS = {"boosters": ("xgboost", "lightgbm"), "light": ("logistic", "random_forest")}


def quiet(_: str) -> None:
    """No progress lines inside a measurement."""


def timed(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def command(workspace: Workspace, *words: str) -> tuple[float, Run]:
    """Run phase 4 as a user does; its seconds, and what it made."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "train_model.py"), "--model", "stacking", "--horizon", str(HORIZON),
         "--meta-learner", "logistic", *words],
        cwd=workspace.root, check=True, capture_output=True, text=True,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    run_id = next(line.split(": ")[1] for line in done.stdout.splitlines() if line.startswith("Run ID: "))
    return seconds, workspace.open_run(workspace.runs, run_id)


def scikit_learn(dataset: Run, cv_run: Run, models: tuple[str, ...]) -> float:
    """Seconds of scikit-learn's StackingClassifier with the same bases, parameters and purged folds."""
    import lightgbm
    import xgboost
    from sklearn.ensemble import RandomForestClassifier, StackingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from foldsmith.splits import PurgedKFold

    table = load_horizons(dataset, (HORIZON,), ValidationSettings())[HORIZON]
    data = table.data.take(table.segments.training)
    folds = list(PurgedKFold(5, t0=data.t0, t1=data.t1, **table.separation.options()).split(data.X))
    bases = []
    for name in models:
        params = {
            k: v for k, v in read_model(cv_run, f"models/{name}_h{HORIZON}").params.items() if k != "seed"
        }
        if name == "xgboost":
            base = xgboost.XGBClassifier(**params, n_jobs=1, tree_method="hist")
        elif name == "lightgbm":
            rounds = params["n_estimators"]
            base = lightgbm.LGBMClassifier(n_estimators=rounds, learning_rate=params["learning_rate"], n_jobs=1,
                                           num_leaves=params.get("num_leaves", 15), verbosity=-1)  # fmt: skip
        elif name == "random_forest":
            params["n_estimators"] = int(params["n_estimators"])
            base = RandomForestClassifier(**params, n_jobs=1)
        else:
            base = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
        bases.append((name, base))
    stack = StackingClassifier(
        bases, LogisticRegression(max_iter=500), cv=folds, stack_method="predict_proba", n_jobs=2
    )
    return timed(lambda: stack.fit(data.X, data.y + 1))


def measure(
    workspace: Workspace, symbol: str, dataset: Run, kind: str, repeats: int, peer_repeats: int
) -> None:
    """Print one row."""
    models = SETS[kind]
    provenance = Provenance(("benchmark",), Ledger(workspace.ledger))
    settings = CrossValidateSettings(models, (HORIZON,), ValidationSettings())
    cv_run = cross_validate(
        dataset, settings, provenance, quiet, folder=workspace.stacking, executor=Executor(workers=2)
    )

    def stored() -> None:
        train_stored(
            workspace, cv_run.id, HORIZON, "stacking", "logistic", provenance, quiet,
            phase3_folder=workspace.stacking, folder=workspace.runs,
        )  # fmt: skip

    stored()  # imports and compiled code are warm
    inside: dict[str, list[float]] = {"stored": [], "fresh": []}
    whole: dict[str, list[float]] = {"stored": [], "fresh": []}
    contents = set()
    for number in range(repeats):
        inside["stored"].append(timed(stored))
        for name, words in (
            ("stored", ["--stacking-data", cv_run.id]),
            ("fresh", ["--symbol", symbol, "--base-models", ",".join(models), "--workers", "2"]),
        ):
            seconds, run = command(workspace, *words)
            whole[name].append(seconds)
            contents.add(tuple(sorted(run.manifest.files.items())))
            if name == "fresh":
                inside[name].append(run.manifest.wall_seconds)
        shown = {name: [round(times[-1], 2) for times in (whole[name], inside[name])] for name in whole}
        print(f"  {symbol} {kind} {number + 1}/{repeats}: {shown}", file=sys.stderr, flush=True)
    equal = len(contents) == 1
    peer = statistics.median(scikit_learn(dataset, cv_run, models) for _ in range(peer_repeats))
    of = {name: statistics.median(times) for name, times in (
        ("command stored", whole["stored"]), ("command fresh", whole["fresh"]),
        ("inside stored", inside["stored"]), ("inside fresh", inside["fresh"]))}  # fmt: skip
    print(
        f"| {symbol} | {kind} | {of['command stored']:.2f} | {of['command fresh']:.2f} | "
        f"{of['command fresh'] / of['command stored']:.1f}x | {of['inside stored']:.3f} | {of['inside fresh']:.2f} | "
        f"{of['inside fresh'] / of['inside stored']:.0f}x | {peer:.2f} | {peer / of['inside stored']:.0f}x | "
        f"{'equal' if equal else 'DIFFERENT'} |",
        flush=True,
    )


def main() -> None:
    """Measure every market and set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--raw", type=Path, help="folder of raw bars; without it, a simulated market")
    parser.add_argument("--symbols", default="MES")
    parser.add_argument("--sets", default="boosters,light")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peer-repeats", type=int, default=3)
    given = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="foldsmith-bench-"))
    try:
        workspace = Workspace(root)
        workspace.raw.mkdir(parents=True)
        print("| market | bases | command, stored, s | command, fresh, s | ratio | inside, stored, s "
              "| inside, fresh, s | ratio | StackingClassifier fit, s | ratio | results |")  # fmt: skip
        print("|---|---|---|---|---|---|---|---|---|---|---|", flush=True)
        for symbol in given.symbols.split(","):
            if given.raw is None:
                from foldsmith.market.simulate import Simulation
                from foldsmith.stages.simulated import write_market

                write_market(workspace, Simulation(symbol, 250, 1), instrument(symbol), quiet)
            else:
                shutil.copy(given.raw / f"{symbol}_1m.parquet", workspace.raw)
            dataset = prepare(
                workspace, PrepareSettings(symbol, horizons=(HORIZON,)), instrument(symbol),
                Provenance(("benchmark",), Ledger(workspace.ledger)), quiet,
            )  # fmt: skip
            for kind in given.sets.split(","):
                measure(workspace, symbol, dataset, kind, given.repeats, given.peer_repeats)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
