"""Time of `foldsmith runs list` in a workspace of thousands of runs, beside opening every run with all its checks.

    python benchmarks/registry.py [--runs 10000] [--repeats 3]

The runs are synthetic: manifests as long as a model's, with their entries in a ledger, half of them models that have an
evaluation. The command is timed as a process of its own, start and imports included, with a warm disk cache; the peer
is `open_run`, the full check of a manifest that a command makes of the one run it uses, once for each run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from foldsmith.runs.files import canonical_json
from foldsmith.runs.ids import new_run_id
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.ledger_file import Entry, append
from foldsmith.runs.manifest import FORMAT, MANIFEST, content_hash
from foldsmith.runs.registry import places, read_registry
from foldsmith.runs.store import Workspace, open_run

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
CLI = str(Path(sys.executable).parent / "foldsmith")


def digest(text: str) -> str:
    """A hash of the right shape."""
    return hashlib.sha256(text.encode()).hexdigest()


def make_manifest(run_id: str, kind: str, number: int, parents: list[dict[str, str]]) -> dict[str, object]:
    """A manifest like those of real runs, of files that are not there."""
    models = ("xgboost", "lightgbm", "catboost", "logistic", "random_forest")
    names = [
        "metrics.json",
        "model/model.json",
        "model/recipe.json",
        "model/model.ubj",
        "predictions/validation.parquet",
    ]
    names += [
        f"model/base/{model}/{name}"
        for model in models
        for name in ("model.json", "model.ubj", "scaler.json")
    ]
    files = {name: digest(f"{run_id}{name}") for name in names}
    validation = {"n_splits": 5, "purge_bars": 0, "embargo_bars": None, "tune": False, "n_trials": 50}
    return {
        "format": FORMAT,
        "kind": kind,
        "id": run_id,
        "created": (BEGUN + timedelta(minutes=number)).isoformat(),
        "command": ["train_model.py", "--model", "stacking", "--horizon", "20"],
        "parameters": {"model": "stacking", "horizon": 20, "split": "test", **validation},
        "parents": parents,
        "files": files,
        "content": content_hash(files, [parent["content"] for parent in parents]),
        "fingerprint": None,
        "code": {"version": "0.1.0", "source": digest("source")},
        "packages": dict.fromkeys(
            ("numpy", "polars", "scipy", "scikit-learn", "numba", "lightgbm", "optuna"), "9.9.9"
        ),
        "python": "3.11.0",
        "platform": "Linux-x86_64",
        "seed": 42,
        "wall_seconds": 12.345,
        "ledger": None,
        "extra": {"symbol": "MES", "model": "stacking", "horizon": 20},
    }


def fill(workspace: Workspace, count: int) -> None:
    """Write the manifests, and enter them in the ledger in one go."""
    entries = []
    ledger = Ledger(workspace.ledger)
    before: list[dict[str, str]] = []
    for number in range(count):
        kind = "evaluation" if number % 3 == 2 else "model"
        run_id = new_run_id(BEGUN + timedelta(minutes=number), number)
        if kind == "model":
            folder = workspace.runs / f"stacking_h20_{run_id}"
            before = []
        else:
            folder = workspace.runs / before[0]["id"] / "evaluations" / f"test_{run_id}"
        made = make_manifest(folder.name, kind, number, before)
        content = canonical_json(made)
        folder.mkdir(parents=True)
        (folder / MANIFEST).write_bytes(content)
        body = {"kind": kind, "content": made["content"], "manifest": hashlib.sha256(content).hexdigest()}
        entries.append(Entry("published", folder.name, "", json.dumps(body)))
        before = [{"kind": "model", "id": folder.name, "content": str(made["content"])}]
    with ledger._writing() as connection:
        append(connection, entries, BEGUN.isoformat())


def timed(call: Callable[[], object], repeats: int) -> float:
    """Median seconds of a call."""
    found = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        found.append(time.perf_counter() - started)
    return statistics.median(found)


def main() -> None:
    """Make the workspace, time both, print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    workspace = Workspace(Path(tempfile.mkdtemp(prefix="foldsmith-registry-")))
    try:
        fill(workspace, given.runs)
        runs = read_registry(workspace, places(workspace)).entries
        if len(runs) != given.runs or any(run.state != "finished" for run in runs):
            sys.exit(f"of {given.runs} runs {len(runs)} were found, or one was not found whole")

        def command(*words: str) -> None:
            subprocess.run([CLI, *words], cwd=workspace.root, check=True, stdout=subprocess.DEVNULL)

        def peer() -> None:
            for run in runs:
                open_run(run.path.parent, run.id)

        print(f"| {given.runs:,} runs | seconds |\n|---|---|", flush=True)
        for what, call in (
            ("foldsmith runs list", lambda: command("runs", "list")),
            ("foldsmith runs list --json", lambda: command("runs", "list", "--json")),
            (
                "foldsmith runs clean --keep-last 5 (the plan)",
                lambda: command("runs", "clean", "--keep-last", "5"),
            ),
            ("reading alone, in one process", lambda: read_registry(workspace, places(workspace))),
            ("peer: open_run of each, without the ledger", peer),
        ):
            print(f"| {what} | {timed(call, given.repeats):.2f} |", flush=True)
    finally:
        shutil.rmtree(workspace.root)


if __name__ == "__main__":
    main()
