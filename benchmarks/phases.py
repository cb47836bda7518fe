"""Wall time and peak memory of the five commands on real bars, or on a simulated market.

    python benchmarks/phases.py [--raw DIR] [--symbol MES] [--n-trials 100]

Each command is a process of its own; peak memory is that of the process and all its workers together, sampled
four times a second (proportional set size, so that shared pages count once; Linux alone tells it).
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]


def memory(process: psutil.Process) -> int:
    """Bytes of a process and its children, shared pages split among them."""
    total = 0
    for one in (process, *process.children(recursive=True)):
        try:
            # psutil adds up every mapping in Python, which takes a sixth of a core; the kernel has the sum.
            rollup = Path(f"/proc/{one.pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += 1024 * int(rollup.split("\nPss:")[1].split()[0])
    return total


def measured(words: list[str], folder: Path) -> tuple[str, float, float]:
    """What a command printed, its seconds and its peak in GiB."""
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        running = subprocess.Popen([sys.executable, *words], cwd=folder, stdout=out)
        process, peak = psutil.Process(running.pid), 0
        while running.poll() is None:
            try:
                peak = max(peak, memory(process))
            except psutil.Error:
                break
            time.sleep(0.25)
        if running.wait():
            sys.exit(f"{words} failed with status {running.returncode}")
        out.seek(0)
        return out.read(), time.perf_counter() - started, peak / 2**30


def value(text: str, name: str) -> str:
    """What a command printed after `name: `."""
    return next(line.split(": ", 1)[1] for line in text.splitlines() if line.startswith(f"{name}: "))


def main() -> None:
    """Run the workflow and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--raw", type=Path, help="folder of raw bars; without it, a simulated market")
    parser.add_argument("--symbol", default="MES")
    parser.add_argument("--n-trials", default="100")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="foldsmith-phases-"))
    scripts = ROOT / "scripts"
    try:
        if given.raw is None:
            words = ["simulate", "--symbol", given.symbol, "--sessions", "250"]
            subprocess.run([str(Path(sys.executable).parent / "foldsmith"), *words], cwd=folder, check=True)
        else:
            (folder / "data" / "raw").mkdir(parents=True)
            shutil.copy(given.raw / f"{given.symbol}_1m.parquet", folder / "data" / "raw")
        print(f"| phase, {given.symbol} | wall, s | peak memory, GiB |\n|---|---|---|", flush=True)

        def show(phase: str, *words: str) -> str:
            text, seconds, peak = measured(list(words), folder)
            print(f"| {phase} | {seconds:.1f} | {peak:.2f} |", flush=True)
            return text

        show("1 pipeline run", str(ROOT / "pipeline"), "run", "--symbols", given.symbol)
        show("2 train xgboost", str(scripts / "train_model.py"), "--model", "xgboost", "--horizon", "20")
        cv = show(f"3 cv, --tune --n-trials {given.n_trials}", str(scripts / "run_cv.py"), "--models",
                  "xgboost,lightgbm", "--horizons", "20", "--n-splits", "5", "--tune", "--n-trials", given.n_trials)  # fmt: skip  # noqa: E501
        stacked = show("4 train stacking", str(scripts / "train_model.py"), "--model", "stacking", "--horizon", "20",
                       "--stacking-data", value(cv, "CV Run ID"), "--meta-learner", "logistic")  # fmt: skip
        told = show(
            "5 evaluate",
            str(scripts / "evaluate_model.py"),
            "--run-id",
            value(stacked, "Run ID"),
            "--split",
            "test",
        )
        print(told)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
