"""What a served model costs: one row, and bars over HTTP, beside the libraries themselves and a bare FastAPI app.

    python benchmarks/serving.py [--raw DIR] [--symbol MES] [--rows 2000] [--requests 100] [--blocks 20] [--block 60]
                                 [--repeats 5]

DIR holds {SYMBOL}_1m.parquet; without it, a simulated market. Models are trained with default settings.

First table: one row of features predicted by a run's model, loaded once with every hash checked, beside the library's
own call on the same trees (LightGBM's `Booster.predict`, XGBoost's `Booster.inplace_predict`) or scikit-learn's
LogisticRegression fitted on the same rows. Second table: the minutes at the end of the file sent to `foldsmith serve`,
a process of its own, over one connection that is kept alive, one by one and in blocks; the same by the same calls in
this process; and a FastAPI app that is given a row of features and says what LightGBM does. Answers over HTTP and in
process are compared, and must be equal to the bit.

Rounds are taken in turn; medians of the rounds' medians and p99s are shown. Needs the extras `serve` and `peers`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import polars as pl

from foldsmith.config import PrepareSettings, ValidationSettings
from foldsmith.market.instruments import instrument
from foldsmith.market.readers import read_bars
from foldsmith.market.sessions import schedule
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.store import Run, Workspace
from foldsmith.stages.horizon import load_horizons
from foldsmith.stages.live import LiveModel
from foldsmith.stages.model_store import read_model, revive
from foldsmith.stages.prepare import prepare
from foldsmith.stages.publish import Provenance

HORIZON = 20
MODELS = ("lightgbm", "xgboost", "logistic")
JSON = {"content-type": "application/json"}
Table = dict[str, list[list[float]]]
"""Seconds of each call, by way and round."""


def quiet(_: str) -> None:
    """No progress lines inside a measurement."""


def timed(call: Callable[[int], object], count: int) -> list[float]:
    """Seconds of `call(0)` to `call(count - 1)`."""
    found = []
    for number in range(count):
        started = time.perf_counter()
        call(number)
        found.append(time.perf_counter() - started)
    return found


def median(rounds: list[list[float]]) -> float:
    return statistics.median(statistics.median(one) for one in rounds)


def p99(rounds: list[list[float]]) -> float:
    return statistics.median(float(np.quantile(one, 0.99)) for one in rounds)


def trained(workspace: Workspace, model: str) -> Run:
    """A model trained as a user trains it."""
    command = [str(Path(sys.executable).parent / "foldsmith"), "train", "--model", model]
    done = subprocess.run(
        [*command, "--horizon", str(HORIZON)], cwd=workspace.root, check=True, capture_output=True, text=True
    )
    run_id = next(line.split(": ")[1] for line in done.stdout.splitlines() if line.startswith("Run ID: "))
    return workspace.open_run(workspace.runs, run_id)


def library_calls(run: Run, name: str, X: Any, y: Any) -> dict[str, Callable[[Any], Any]]:
    """The library's own ways to say what a run's model says of a row (1, p)."""
    files = read_model(run, "model").files
    if name == "lightgbm":
        import lightgbm

        booster = lightgbm.Booster(model_str=files["booster.txt"].decode())
        return {"`Booster.predict`": lambda row: booster.predict(row, num_threads=1)}
    if name == "xgboost":
        import xgboost

        trees = xgboost.Booster({"nthread": 1}, model_file=bytearray(files["booster.ubj"]))
        return {"`Booster.inplace_predict`": trees.inplace_predict}
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    both = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(X, y)
    return {
        "`LogisticRegression.predict_proba`, not scaled": both[-1].predict_proba,
        "`StandardScaler` and `LogisticRegression`": both.predict_proba,
    }


def single_rows(runs: dict[str, Run], dataset: Run, count: int, repeats: int) -> None:
    """Print the first table."""
    table = load_horizons(dataset, (HORIZON,), ValidationSettings())[HORIZON]
    data = table.data.take(table.segments.training)
    rows = np.ascontiguousarray(data.X[np.arange(count) % len(data.X)])
    print("| model, one row | who | median, us | p99, us | ours to this |\n|---|---|---|---|---|", flush=True)
    for name, run in runs.items():
        predictor = revive(read_model(run, "model"))
        calls: dict[str, Callable[[Any], Any]] = {
            "Foldsmith": lambda row, predictor=predictor: predictor.predict_proba(row, data.names)
        }
        calls |= library_calls(run, name, data.X, data.y)
        found: Table = {who: [] for who in calls}
        for _ in range(repeats):
            for who, call in calls.items():
                found[who].append(timed(lambda at, call=call: call(rows[at : at + 1]), count))
        ours = median(found["Foldsmith"])
        for who, rounds in found.items():
            ratio = "" if who == "Foldsmith" else f"{ours / median(rounds):.2f}x"
            print(
                f"| {name} | {who} | {median(rounds) * 1e6:.0f} | {p99(rounds) * 1e6:.0f} | {ratio} |",
                flush=True,
            )


@contextlib.contextmanager
def listening(command: list[str], folder: Path) -> Iterator[Any]:
    """A server as a process, and a client whose connection is kept alive."""
    import httpx

    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            said = next((line for line in server.stdout if "http://" in line), None)
            if said is None:
                raise RuntimeError(f"{' '.join(command)} did not listen")
            address = "http://" + said.split("http://")[1].split()[0]
            with httpx.Client(base_url=address, timeout=120, headers=JSON) as client:
                yield client
        finally:
            server.kill()


def posted(client: Any, path: str, body: bytes) -> Any:
    """What is answered, as JSON; an answer that is none stops the benchmark."""
    answer = client.post(path, content=body)
    answer.raise_for_status()
    return answer.json()


def bare(booster_file: Path) -> None:
    """A FastAPI app that is given a row of features and says what LightGBM does; serves until it is ended."""
    import lightgbm
    import uvicorn
    from fastapi import FastAPI

    booster = lightgbm.Booster(model_file=str(booster_file))
    app = FastAPI()

    def predict(sent: dict[str, list[float]]) -> list[float]:
        made = booster.predict(np.array([sent["row"]], dtype=np.float32), num_threads=1)
        return [float(one) for one in made[0]]

    app.add_api_route("/predict", predict, methods=["POST"])
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    print(f"http://127.0.0.1:{listener.getsockname()[1]} serves", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listener])


def as_body(rows: pl.DataFrame) -> bytes:
    """Bars as `POST /bars` takes them."""
    sent = rows.with_columns(pl.col("datetime").dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    return json.dumps({"bars": sent.to_dicts(), "over_hole": True}).encode()


def served(workspace: Workspace, run: Run, bars: pl.DataFrame, given: argparse.Namespace) -> None:
    """Print the second table."""
    a_round = given.requests + given.blocks * given.block
    begin = bars.height - given.repeats * a_round
    history = workspace.root / "history.parquet"
    bars.head(begin).write_parquet(history)
    model = LiveModel(workspace, run)
    model.read(history)
    booster = workspace.root / "booster.txt"
    booster.write_bytes(read_model(run, "model").files["booster.txt"])
    row = json.dumps({"row": [0.5] * len(model.features)}).encode()
    serve = [str(Path(sys.executable).parent / "foldsmith"), "serve", "--run-id", run.id, "--port", "0"]
    found: Table = {}
    with (
        listening([*serve, "--warm-up", str(history)], workspace.root) as ours,
        listening([sys.executable, __file__, "--bare", str(booster)], workspace.root) as plain,
    ):
        for number in range(given.repeats):
            at = begin + number * a_round
            for size, count in ((1, given.requests), (given.block, given.blocks)):
                parts = [bars.slice(at + k * size, size) for k in range(count)]
                at += size * count
                compared(ours, model, parts, size, found)
            calls = timed(lambda _: posted(plain, "/predict", row), given.requests)
            found.setdefault("bare FastAPI, a row of features", []).append(calls)
    held = model.bars
    assert held is not None
    told(found, given)
    print(
        f"\nheld at the end: {held.height:,} minutes, {held.bars.height:,} bars of {model.recipe.timeframe}"
    )


def in_sessions(bars: pl.DataFrame, given: argparse.Namespace) -> pl.DataFrame:
    """The bars that a feed may send: those outside the sessions are refused."""
    opens = bars["datetime"].to_physical().to_numpy()
    known = schedule(instrument(given.symbol).calendar, int(opens.min()), int(opens.max()))
    return bars.filter(pl.Series(known.locate(opens) >= 0))


def compared(ours: Any, model: LiveModel, parts: list[pl.DataFrame], size: int, found: Table) -> None:
    """The same bars over HTTP and in this process, whose signals must be equal."""
    bodies = [as_body(part) for part in parts]
    answers: list[Any] = []
    mine: list[pl.DataFrame] = []
    what = "one bar a request" if size == 1 else f"{size} bars a request"
    found.setdefault(f"`foldsmith serve`, {what}", []).append(
        timed(lambda k: answers.append(posted(ours, "/bars", bodies[k])), len(parts))
    )
    found.setdefault(f"in process, {what}", []).append(
        timed(lambda k: mine.append(model.add(parts[k], over_hole=True).signals), len(parts))
    )
    table = pl.concat(mine).with_columns(pl.col("datetime").dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    assert [one for answer in answers for one in answer["signals"]] == table.to_dicts()


def told(found: Table, given: argparse.Namespace) -> None:
    """The second table: requests and bars a second, latency, and how much longer HTTP takes than the call."""
    print("\n| what | requests a second | bars a second | p50, ms | p99, ms | beside in process |")
    print("|---|---|---|---|---|---|")
    for what, rounds in sorted(found.items()):
        rate = statistics.median(len(one) / sum(one) for one in rounds)
        size = given.block if f" {given.block} bars" in what else 1
        bars = "" if "row of features" in what else f"{rate * size:.0f}"
        twin = found.get(what.replace("`foldsmith serve`", "in process"), rounds)
        ratio = f"{median(rounds) / median(twin):.2f}x" if twin is not rounds else ""
        print(
            f"| {what} | {rate:.1f} | {bars} | {median(rounds) * 1e3:.2f} | {p99(rounds) * 1e3:.2f} | {ratio} |"
        )


def main() -> None:
    """Train, and print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--raw", type=Path, help="folder of raw bars; without it, a simulated market")
    parser.add_argument("--symbol", default="MES")
    parser.add_argument("--rows", type=int, default=2000, help="rows a round of the first table")
    parser.add_argument("--requests", type=int, default=100, help="requests of one bar a round")
    parser.add_argument("--blocks", type=int, default=20, help="requests of a block a round")
    parser.add_argument("--block", type=int, default=60, help="bars of a block")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.bare is not None:
        bare(given.bare)
        return
    root = Path(tempfile.mkdtemp(prefix="foldsmith-bench-"))
    try:
        workspace = Workspace(root)
        workspace.raw.mkdir(parents=True)
        if given.raw is None:
            from foldsmith.market.simulate import Simulation
            from foldsmith.stages.simulated import write_market

            write_market(workspace, Simulation(given.symbol, 60, 1), instrument(given.symbol), quiet)
        else:
            shutil.copy(given.raw / f"{given.symbol}_1m.parquet", workspace.raw)
        dataset = prepare(
            workspace, PrepareSettings(given.symbol, horizons=(HORIZON,)), instrument(given.symbol),
            Provenance(("benchmark",), Ledger(workspace.ledger)), quiet,
        )  # fmt: skip
        runs = {name: trained(workspace, name) for name in MODELS}
        single_rows(runs, dataset, given.rows, given.repeats)
        bars = in_sessions(
            read_bars(workspace.raw / f"{given.symbol}_1m.parquet", symbol=given.symbol).frame, given
        )
        served(workspace, runs["lightgbm"], bars, given)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
