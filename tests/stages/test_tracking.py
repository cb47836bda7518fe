"""What is logged of a run, what is refused, and that a tracker that fails harms nothing."""

from __future__ import annotations

import hashlib
import os
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from foldsmith.cli.main import main
from foldsmith.cli.tracking import track
from foldsmith.errors import IntegrityError, MissingExtraError, SettingError
from foldsmith.runs.files import write_json
from foldsmith.runs.manifest import Parent, build, read, write
from foldsmith.runs.store import Run, Workspace
from foldsmith.stages import tracking
from foldsmith.stages.tracking import BATCH, checked_tracker, metrics_of, record_of, tracking_uri

ONE, TWO = "1" * 64, "2" * 64
SCORES = {"log_loss": 1.04, "log_loss_base": 1.05, "direction_auc": None}


@pytest.fixture
def evaluation(tmp_path: Path) -> Run:
    """A published evaluation of an ensemble, as small as one can be."""
    folder = tmp_path / "test_1"
    folder.mkdir()
    found = {
        **SCORES,
        "backtest": {"trades": 3, "net": -1.5},
        "members": {"logistic": {**SCORES, "direction_auc": 0.52}},
        "verdict": {"verdict": "no evidence"},
    }
    write_json(folder / "metrics.json", found)
    (folder / "report.html").write_text("<p>")
    manifest = build(
        folder,
        kind="evaluation",
        id="test_1",
        created=datetime(2024, 1, 2, tzinfo=UTC),
        command=["evaluate"],
        parameters={"split": "test", "ticks": [0.5, 1.0], "none": None, "deep": {"a b": 1, "é": True}},
        parents=[
            Parent(kind="model", id="m", content=ONE),
            Parent(kind="dataset", id="d", content=TWO),
            Parent(kind="dataset", id="e", content=ONE),
        ],
        seed=42,
        wall_seconds=2.5,
        extra={"symbol": "MES", "horizon": 5},
    )
    write(folder, manifest)
    return Run(folder, manifest)


def test_a_record_is_the_manifest_and_the_scores_by_name(evaluation: Run) -> None:
    found, known = record_of(evaluation), evaluation.manifest
    assert found.id == "test_1"
    assert (found.began, found.ended) == (1_704_153_597_500, 1_704_153_600_000)
    assert found.parameters == {
        "split": "test", "ticks": "0.5,1.0", "deep.a b": "1", "deep._": "True", "seed": "42",
    }  # fmt: skip
    assert found.metrics == {
        "test/log_loss": 1.04,
        "test/log_loss_base": 1.05,
        "test trading/trades": 3.0,
        "test trading/net": -1.5,
        "test logistic/log_loss": 1.04,
        "test logistic/log_loss_base": 1.05,
        "test logistic/direction_auc": 0.52,
    }
    assert found.tags == {
        "foldsmith.run_id": "test_1",
        "foldsmith.kind": "evaluation",
        "foldsmith.content": known.content,
        "foldsmith.symbol": "MES",
        "foldsmith.horizon": "5",
        "foldsmith.parent.model.id": "m",
        "foldsmith.parent.model.content": ONE,
        "foldsmith.parent.dataset.id": "d,e",
        "foldsmith.parent.dataset.content": f"{TWO},{ONE}",
        "foldsmith.code.version": known.code.version,
        "foldsmith.code.source": known.code.source,
        "foldsmith.verdict": "no evidence",
    }
    assert [path.name for path in found.files] == ["report.html", "metrics.json"]


def test_scores_that_were_changed_are_not_logged(evaluation: Run) -> None:
    (evaluation.path / "metrics.json").write_text("{}")
    with pytest.raises(IntegrityError, match="was changed"):
        record_of(evaluation)


def test_scores_of_a_cv_run_are_named_by_model_and_horizon() -> None:
    assert metrics_of({"lightgbm h5 out of fold: log_loss": 1, "own:x h5 validation: auc": None}) == {
        "lightgbm h5 out of fold/log_loss": 1.0
    }


class Client:
    """Notes what MLflow is asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    def log_batch(self, entry: str, **what: Any) -> None:
        (pairs,) = what.values()
        self.calls.append((next(iter(what)), len(pairs)))


def test_more_than_the_tracker_takes_at_once_goes_in_batches() -> None:
    pytest.importorskip("mlflow", reason="needs the extra `tracking`: mlflow is not installed")
    client, many = Client(), {f"p{i}": "1" for i in range(2 * BATCH + 1)}
    tracking._fill(client, "1", tracking.Record("r", 0, 1, many, {"a": 1.0}, {}, ()))
    assert client.calls == [("params", BATCH), ("params", BATCH), ("params", 1), ("metrics", 1)]


def test_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda name: name)
    monkeypatch.chdir(tmp_path)
    assert tracking_uri("mlflow", tmp_path) == f"sqlite:///{tmp_path}/mlruns.db"
    assert tracking_uri("mlflow", Path()) == f"sqlite:///{tmp_path}/mlruns.db"
    assert tracking_uri(checked_tracker("mlflow:sqlite:///a.db"), Path("x")) == f"sqlite:///{tmp_path}/a.db"
    server = "http://127.0.0.1:5000"
    assert tracking_uri(checked_tracker(f"mlflow:{server}"), tmp_path) == server
    with pytest.raises(SettingError, match="question mark"):
        tracking_uri("mlflow", tmp_path / "what?")
    for text, told in {
        "wandb": "no tracker",
        "mlflow:": "no tracker",
        "mlflow:file:///tmp": "no address of MLflow",
        "mlflow:mysql://u:p@host/db": "kept in the run's manifest",
        "mlflow:https://me:secret@host": "kept in the run's manifest",
        "mlflow:http://": "no address of MLflow",
        "mlflow:http://[": "no address of MLflow",
        "mlflow:sqlite:///": "names no file",
        "mlflow:sqlite:///nowhere/a.db": "names no file",
    }.items():
        with pytest.raises(SettingError, match=told) as raised:
            checked_tracker(text)
        assert "secret" not in str(raised.value)


def test_without_the_library_nothing_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError):
        checked_tracker("mlflow")
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "train.toml"
    config.write_text('track = "mlflow"')
    for words in (
        ["cv", "--track", "mlflow"],
        ["train", "--model", "logistic", "--horizon", "5", "--track", "mlflow:http://127.0.0.1:1"],
        ["train", "--model", "logistic", "--horizon", "5", "--config", str(config)],
        ["evaluate", "--run-id", "x", "--split", "test", "--track", "mlflow"],
    ):
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 2, done.output
        assert 'pip install "foldsmith[tracking]"' in done.stderr
        assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == [config]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("no\nuse."), "ValueError: no"),
        (ImportError(), "no reason given"),
        (KeyboardInterrupt(), "stopped by Ctrl-C"),
    ],
)
def test_a_failure_is_a_sentence_and_the_run_stays(
    evaluation: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    told: str,
) -> None:
    def fail(*_: object) -> None:
        raise error

    before = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in evaluation.path.iterdir()}
    monkeypatch.setattr(tracking, "log_to_mlflow", fail)
    track(evaluation, "mlflow", Workspace(evaluation.path.parent))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("warning: run test_1 is published and complete, but was not logged")
    assert told in shown.err
    assert shown.err.count("\n") == 1
    after = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in evaluation.path.iterdir()}
    assert after == before
    assert read(evaluation.path) == evaluation.manifest


@pytest.mark.parametrize(
    ("status", "body", "told"), [(500, b"{}", "500"), (200, b"<html>", "JSON"), (401, b"", "401")]
)
def test_a_server_that_answers_wrongly_costs_the_copy_alone(
    evaluation: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    status: int,
    body: bytes,
    told: str,
) -> None:
    pytest.importorskip("mlflow", reason="needs the extra `tracking`: mlflow is not installed")
    for name in (*tracking.QUIET, *tracking.PATIENCE):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # what tracking sets goes with the test
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    class Wrong(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - what the standard library calls it

        def log_message(self, *_: Any) -> None:
            pass

    before = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in evaluation.path.iterdir()}
    with ThreadingHTTPServer(("127.0.0.1", 0), Wrong) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        track(evaluation, f"mlflow:http://127.0.0.1:{server.server_port}", Workspace(evaluation.path.parent))
        server.shutdown()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("warning: run test_1 is published and complete, but was not logged")
    assert shown.err.count("\n") == 1
    assert told in shown.err
    after = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in evaluation.path.iterdir()}
    assert after == before
