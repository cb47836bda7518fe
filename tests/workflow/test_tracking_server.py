"""`--track` of `cv`, `train` and `evaluate` to a server of MLflow, read back from it beside the runs' files."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tests.workflow.conftest import Desk, value

from foldsmith.runs.files import read_json
from foldsmith.runs.manifest import Manifest, read

pytestmark = [
    pytest.mark.proof,  # the server alone needs some 20 seconds
    pytest.mark.skipif(
        any(find_spec(name) is None for name in ("mlflow", "sqlalchemy", "uvicorn")),
        reason="needs the extras `tracking` and `serve`: mlflow or its server is not installed",
    ),
]
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"
}  # fmt: skip
PATIENCE = 240
"""Seconds that a server may take to answer on a busy machine."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with a database and a folder of artefacts of its own."""
    folder = tmp_path_factory.mktemp("mlflow")
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", f"{folder}/kept"]
    log = folder / "server.log"
    with log.open("w") as said:
        running = subprocess.Popen(
            command, cwd=folder, stdout=said, stderr=said, start_new_session=True, env=os.environ | QUIET
        )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for(address, running, log)
        yield address
    finally:
        # It is the first of a group of processes, all its own.
        os.killpg(running.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            running.wait(timeout=20)
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)


def _wait_for(address: str, running: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        assert running.poll() is None, log.read_text()
        with suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=5):
            return
        time.sleep(0.5)
    raise AssertionError(f"no answer in {PATIENCE} s: {log.read_text()}")


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    """What tracking sets in the environment goes with the test."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def as_told(server: str, found: Manifest, folder: Path, tmp_path: Path) -> Any:
    """The one entry of a run; its times, seed, parents, tags and artefacts are those of the run's files."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=server)
    experiment = client.get_experiment_by_name("foldsmith")
    (entry,) = client.search_runs([experiment.experiment_id], f"tags.`foldsmith.run_id` = '{found.id}'")
    assert (entry.info.status, entry.info.run_name) == ("FINISHED", found.id)
    assert entry.info.end_time == int(found.created.timestamp() * 1000)
    assert entry.data.params["seed"] == str(found.seed)
    tags = entry.data.tags
    assert (tags["foldsmith.content"], tags["foldsmith.kind"]) == (found.content, found.kind)
    assert tags["foldsmith.code.source"] == found.code.source
    for kind in {parent.kind for parent in found.parents}:
        mine = [parent for parent in found.parents if parent.kind == kind]
        assert tags[f"foldsmith.parent.{kind}.id"] == ",".join(parent.id for parent in mine)
        assert tags[f"foldsmith.parent.{kind}.content"] == ",".join(parent.content for parent in mine)
    names = {"report.html", "metrics.json", "cv_results.json"} & {path.name for path in folder.iterdir()}
    assert {kept.path for kept in client.list_artifacts(entry.info.run_id)} == names
    for name in names:
        copy = Path(client.download_artifacts(entry.info.run_id, name, str(tmp_path)))
        assert copy.read_bytes() == (folder / name).read_bytes()
        copy.unlink()
    return entry.data


def leaves(tree: Any, path: str = "") -> dict[str, str]:
    """Settings of a manifest, flat and as text: another writing of what is logged."""
    if not isinstance(tree, dict):
        return (
            {} if tree is None else {path: ",".join(map(str, tree)) if isinstance(tree, list) else str(tree)}
        )
    found: dict[str, str] = {}
    for name, inner in tree.items():
        found |= leaves(inner, f"{path}.{name}" if path else name)
    return found


def test_a_server_says_of_each_run_what_its_files_say(tiny: Desk, server: str, tmp_path: Path) -> None:
    track = ["--track", f"mlflow:{server}"]
    crossed = tiny.cv("--models", "logistic", *track)
    folder = tiny.path / "data" / "stacking" / crossed.id
    told = as_told(server, crossed, folder, tmp_path)
    assert told.params == leaves(crossed.parameters) | {"seed": str(crossed.seed)}
    scores = read_json(folder / "cv_results.json")
    assert f"{told.metrics['logistic h5 out of fold/log_loss']!r}" in str(scores)
    assert told.tags["foldsmith.parent.dataset.content"] == crossed.parents[0].content

    model = tiny.train("--model", "logistic", "--horizon", 5, *track)
    told = as_told(server, model, tiny.workspace.runs / model.id, tmp_path)
    assert told.params == leaves(model.parameters) | {"seed": str(model.seed)}

    asked = ["evaluate", "--run-id", model.id, "--split", "validation", "--importance", "none", *track]
    shown = tiny.call(*asked)
    assert (shown.stderr, shown.stdout.splitlines()[-1]) == ("", f"Logged to MLflow: {server}")
    folder = tiny.path / value(shown.stdout, "Evaluation saved to")
    evaluated = read(folder)
    told = as_told(server, evaluated, folder, tmp_path)
    found = read_json(folder / "metrics.json")
    for name in ("log_loss", "log_loss_base", "direction_auc"):
        assert told.metrics[f"validation/{name}"] == found[name]
    assert told.metrics["validation trading/net"] == found["backtest"]["net"]
    assert told.tags["foldsmith.verdict"] == found["verdict"]["verdict"]
    assert told.tags["foldsmith.parent.model.id"] == model.id
    for run in (crossed, model, evaluated):
        assert tiny.call("runs", "verify", run.id).exit_code == 0
