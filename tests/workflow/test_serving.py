"""Using a trained model: `serve` and `drift`."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.features.conftest import REAL
from tests.workflow.conftest import Desk
from tests.workflow.test_flags import covers

SHOWN = 60
"""Minutes that are sent one by one."""


def _web() -> None:
    for name in ("fastapi", "uvicorn", "httpx"):
        pytest.importorskip(name, reason=f"{name} of the extra serve is not installed")


def as_body(rows: pl.DataFrame) -> dict[str, Any]:
    """Rows of a raw file as a request."""
    rows = rows.rename({rows.columns[0]: "datetime"}).with_columns(
        pl.col("datetime").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    )
    return {"bars": rows.to_dicts()}


def as_signals(table: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows of `predict_bars` as they are answered: float32 probabilities are exact in JSON."""
    return table.with_columns(pl.col("datetime").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).to_dicts()


def client(desk: Desk, run_id: str) -> Any:
    from fastapi.testclient import TestClient

    from foldsmith.cli.http import application
    from foldsmith.stages.evaluate import open_model
    from foldsmith.stages.live import LiveModel

    model = LiveModel(desk.workspace, open_model(desk.workspace, run_id, desk.workspace.runs))
    return TestClient(application(model))


def predicted(desk: Desk, run_id: str, bars: Path) -> list[dict[str, Any]]:
    from foldsmith.stages.evaluate import open_model
    from foldsmith.stages.predict import predict_bars

    model = open_model(desk.workspace, run_id, desk.workspace.runs)
    return as_signals(predict_bars(desk.workspace, model, bars))


@pytest.fixture(scope="module")
def trained(tiny: Desk) -> str:
    """A stacking ensemble of a logistic regression and boosted trees."""
    words = ["--model", "stacking", "--horizon", 5, "--stacking-data", "base", "--meta-learner", "logistic"]
    return tiny.train(*words).id


@pytest.fixture(scope="module")
def short(tiny: Desk) -> Path:
    """The last sessions of the raw bars."""
    path = tiny.path / "short.parquet"
    pl.read_parquet(tiny.path / "data" / "raw" / "MES_1m.parquet").tail(4000).write_parquet(path)
    return path


def _bar_by_bar(desk: Desk, run_id: str, bars: Path) -> tuple[Any, int]:
    """The last bars one by one against `predict` of the whole file, to the bit; the client and the number of bars."""
    rows, web = pl.read_parquet(bars), client(desk, run_id)
    assert web.get("/health").json()["status"] == "waiting for bars"
    begin = rows.height - SHOWN
    found = web.post("/bars", json=as_body(rows.head(begin))).json()["signals"]
    for at in range(begin, rows.height):
        answer = web.post("/bars", json=as_body(rows.slice(at, 1)))
        assert answer.status_code == 200, answer.text
        said = answer.json()
        assert (said["taken"], said["left_out"]) == (1, [])
        assert said["closed"] == len(said["signals"])
        found += said["signals"]
    assert len(found) > 100
    assert found == predicted(desk, run_id, bars)
    return web, rows.height


def test_bar_by_bar_it_says_what_predict_says_of_the_file(tiny: Desk, trained: str, short: Path) -> None:
    _web()
    web, rows = _bar_by_bar(tiny, trained, short)
    held = web.get("/health").json()
    assert (held["status"], held["base_bars"]) == ("ok", rows)
    told = web.get("/model").json()
    assert (told["run_id"], told["symbol"], told["horizon"], told["timeframe"]) == (trained, "MES", 5, "5m")
    assert len(told["content"]) == 64
    assert told["base_models"] == ["logistic", "lightgbm"]
    assert set(web.get("/openapi.json").json()["paths"]) == {"/bars", "/health", "/model"}


@pytest.mark.proof
def test_a_model_of_windows_says_bar_by_bar_what_predict_says(
    tiny: Desk, short: Path, tmp_path: Path
) -> None:
    _web()
    pytest.importorskip("torch", reason="needs the extra `neural`: torch is not installed")
    config = tmp_path / "gru.toml"
    config.write_text("[params]\nlength = 12\nn_epochs = 2\nwidth = 8\n")
    run_id = tiny.train("--model", "gru", "--horizon", 5, "--features", "price", "--config", config).id
    _bar_by_bar(tiny, run_id, short)


def test_what_cannot_be_taken_is_refused_in_one_sentence_and_changes_nothing(
    tiny: Desk, trained: str, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _web()
    from foldsmith.cli import http

    rows, web = pl.read_parquet(short), client(tiny, trained)
    web.post("/bars", json=as_body(rows.head(3000)))
    before = web.get("/health").json()
    next_one = as_body(rows.slice(3000, 1))["bars"][0]
    json_type = {"content-type": "application/json"}
    for status, body in (
        (409, as_body(rows.slice(2999, 1))),
        (409, as_body(rows.slice(10, 1))),
        (409, {"bars": [next_one | {"contract": "NQ 03-22"}]}),
        (409, {"bars": [next_one | {"high": next_one["low"] / 2}]}),
        (422, {"bars": [next_one | {"high": "5000"}]}),
        (422, {"bars": [next_one | {"volume": -1}]}),
        (422, {"bars": [next_one | {"close": None}]}),
        (422, {"bars": [next_one | {"datetime": "2022-01-10T10:00:00"}]}),
        (422, {"bars": [next_one | {"path": "/etc/passwd"}]}),
        (422, {"bars": []}),
        (422, []),
    ):
        answer = web.post("/bars", json=body)
        assert answer.status_code == status, answer.text
        assert len(answer.json()["detail"].splitlines()) == 1
    spoilt = json.dumps({"bars": [next_one | {"close": float("nan")}]})
    assert web.post("/bars", content=spoilt, headers=json_type).status_code == 422
    assert web.post("/bars", content="[" * 100_000, headers=json_type).status_code == 422
    assert web.post("/bars", content=json.dumps({"bars": [next_one]})).status_code == 415
    monkeypatch.setattr(http, "MOST_BYTES", 100)
    assert web.post("/bars", json={"bars": [next_one]}).status_code == 413
    monkeypatch.undo()
    assert web.get("/health").json() == before
    assert web.post("/bars", json={"bars": [next_one]}).status_code == 200


@contextlib.contextmanager
def served(desk: Desk, *words: object) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`foldsmith serve` as a process, and where it listens."""
    running = subprocess.Popen(
        desk.command("serve", *words),
        cwd=desk.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert running.stdout is not None
        said = ""
        for line in running.stdout:
            said += line
            if line.startswith("serving run"):
                yield line.split(" at ")[1].split()[0], running
                return
        raise AssertionError(said + (running.stderr.read() if running.stderr else ""))
    finally:
        running.kill()
        running.communicate()


@covers("serve", "--run-id", "--host", "--port", "--warm-up", "--format", "--runs-dir", "--workspace")
def test_a_process_that_serves_and_ends_at_ctrl_c(tiny: Desk, trained: str, short: Path) -> None:
    _web()
    rows = pl.read_parquet(short)
    first = tiny.path / "first.csv"
    rows.head(3990).write_csv(first)
    words = ["--run-id", trained, "--host", "127.0.0.1", "--port", 0, "--warm-up", first, "--format", "csv"]
    words += ["--runs-dir", tiny.path / "experiments" / "runs", "--workspace", tiny.path]
    with served(tiny, *words) as (address, running):
        request = urllib.request.Request(
            f"{address}/bars",
            json.dumps(as_body(rows.tail(10))).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            said = json.load(answer)
        assert said["signals"] == predicted(tiny, trained, short)[-2:]
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=60) == 0
        assert running.stderr is not None
        assert "Traceback" not in running.stderr.read()


def test_answers_are_sent_at_once() -> None:
    """asyncio turns off Nagle's algorithm for sockets that say they are TCP; else each answer waits some 40 ms."""
    from foldsmith.cli.serve import _listener

    with _listener("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_serve_refuses_what_it_cannot_do(tiny: Desk, trained: str) -> None:
    _web()
    assert "without --warm-up" in tiny.denied("serve", "--run-id", trained, "--format", "csv")
    assert "no file" in tiny.denied("serve", "--run-id", trained, "--warm-up", "none.csv")


def test_a_library_that_is_absent_is_told_in_one_sentence(
    tiny: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from foldsmith.cli import serve

    monkeypatch.setattr(serve, "NEEDED", ("no_such_library",))
    assert 'pip install "foldsmith[serve]"' in tiny.denied("serve", "--run-id", "any")


@covers("drift", "--run-id", "--bars", "--format", "--json", "--fail-above", "--runs-dir", "--workspace")
def test_drift_of_bars_after_the_dataset(tiny: Desk, trained: str, tmp_path: Path) -> None:
    words = ["drift", "--run-id", trained, "--runs-dir", tiny.path / "experiments" / "runs"]
    assert "closes after the last" in tiny.denied(*words, "--workspace", tiny.path)
    later = Desk(tmp_path)
    later.call("simulate", "--sessions", 26, "--seed", 8)
    bars = tmp_path / "later.csv"
    pl.read_parquet(tmp_path / "data" / "raw" / "MES_1m.parquet").write_csv(bars)
    table = tiny.call(*words, "--bars", bars, "--format", "csv").stdout
    assert "prob_long" in table
    assert "PSI below 0.1" in table
    found = json.loads(tiny.call(*words, "--bars", bars, "--json").stdout)
    assert [entry["name"] for entry in found["predictions"]] == ["prob_short", "prob_neutral", "prob_long"]
    assert len(found["features"]) > 70
    assert 1000 < found["rows"]["new"] < 2000
    assert tiny.call(*words, "--bars", bars, "--fail-above", "0.0001", status=3)
    assert tiny.call(*words, "--bars", bars, "--fail-above", "1000")


@pytest.mark.real
@pytest.mark.skipif(not (REAL / "MES_1m.parquet").is_file(), reason="real bars are not beside the checkout")
def test_real_bars_of_a_day_over_http(tiny: Desk, trained: str, tmp_path: Path) -> None:
    _web()
    rows = pl.read_parquet(REAL / "MES_1m.parquet").tail(6000)
    path = tmp_path / "MES_1m.parquet"
    rows.write_parquet(path)
    web, found = client(tiny, trained), []
    for first, size in [(0, 5900), *((at, 10) for at in range(5900, 6000, 10))]:
        body = as_body(rows.slice(first, size)) | {"over_hole": True}
        answer = web.post("/bars", json=body)
        assert answer.status_code == 200, answer.text
        found += answer.json()["signals"]
    assert len(found) > 100
    assert found == predicted(tiny, trained, path)


@pytest.mark.proof
@pytest.mark.real
@pytest.mark.skipif(not (REAL / "MES_1m.parquet").is_file(), reason="real bars are not beside the checkout")
def test_every_decision_of_a_real_day_is_that_of_predict(tiny: Desk, trained: str, tmp_path: Path) -> None:
    """The trading day of 21 November 2025: 1,380 minutes one by one, and its last 25 over HTTP as well."""
    _web()
    raw = pl.read_parquet(REAL / "MES_1m.parquet")
    opens, closes = datetime(2025, 11, 20, 23), datetime(2025, 11, 21, 22)
    day = raw.filter(pl.col("timestamp").is_between(opens, closes, closed="left"))
    rows = pl.concat([raw.filter(pl.col("timestamp") < opens).tail(8000), day])
    path, earlier = tmp_path / "MES_1m.parquet", tmp_path / "earlier.parquet"
    rows.write_parquet(path)
    first, late = f"{opens:%Y-%m-%dT%H:%M:%SZ}", 25
    wanted = [row for row in predicted(tiny, trained, path) if row["datetime"] > first]
    assert (day.height, len(wanted)) == (1380, 276)
    web = client(tiny, trained)
    # The weekends between its sessions are no holes, but a minute in which nothing was traded may be missing.
    assert web.post("/bars", json=as_body(rows.head(8000)) | {"over_hole": True}).status_code == 200
    found: list[dict[str, Any]] = []
    for at in range(day.height):
        answer = web.post("/bars", json=as_body(day.slice(at, 1)))
        assert answer.status_code == 200, answer.text
        found += answer.json()["signals"]
    assert found == wanted
    rows.head(rows.height - late).write_parquet(earlier)
    over_http: list[dict[str, Any]] = []
    with served(tiny, "--run-id", trained, "--port", 0, "--warm-up", earlier) as (address, _):
        for at in range(day.height - late, day.height):
            content = json.dumps(as_body(day.slice(at, 1))).encode()
            asked = urllib.request.Request(f"{address}/bars", content, {"Content-Type": "application/json"})
            with urllib.request.urlopen(asked, timeout=120) as answer:
                over_http += json.load(answer)["signals"]
    assert over_http == wanted[-late // 5 :]
