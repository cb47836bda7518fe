"""`--track` of `cv`, `train` and `evaluate`, into a database of MLflow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from tests.workflow.conftest import Desk, value
from tests.workflow.test_flags import covers

from foldsmith.runs.comparison import scores_of
from foldsmith.runs.files import read_json
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.manifest import Manifest, read
from foldsmith.runs.store import Run

pytestmark = pytest.mark.skipif(
    find_spec("mlflow") is None, reason="needs the extra `tracking`: mlflow is not installed"
)


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    """What tracking sets in the environment goes with the test."""
    before = dict(os.environ)
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    yield
    os.environ.clear()
    os.environ.update(before)


def logged(desk: Desk, found: Manifest) -> Any:
    """The one entry of a run, by its tag."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{desk.path}/mlruns.db")
    experiment = client.get_experiment_by_name("foldsmith")
    (entry,) = client.search_runs([experiment.experiment_id], f"tags.`foldsmith.run_id` = '{found.id}'")
    return entry


def same_but_for_the_copy(desk: Desk, one: Manifest, two: Manifest) -> None:
    assert one.content == two.content
    assert (one.parameters, one.parents, one.extra) == (two.parameters, two.parents, two.extra)
    assert desk.call("runs", "verify", two.id).exit_code == 0
    again = desk.call("runs", "explain", two.id).stdout
    assert "--track" not in next(line for line in again.splitlines() if line.startswith("  again"))


@covers("cv", "--track")
@covers("train", "--track")
@covers("evaluate", "--track")
def test_a_tracked_run_is_the_same_run_and_its_copy_says_what_it_says(tiny: Desk) -> None:
    flags = ["--models", "logistic"]
    plain = tiny.cv(*flags)
    words: list[object] = ["--horizons", 5, "--n-splits", 2, "--workers", 1, *flags, "--track", "mlflow"]
    shown = tiny.call("cv", *words)
    assert shown.stderr == ""  # MLflow, which makes its tables here, tells nothing
    crossed = read((tiny.path / value(shown.stdout, "Results saved to")).parent)
    same_but_for_the_copy(tiny, plain, crossed)
    assert "--track does not apply" in tiny.denied("cv", *flags, "--dry-run", "--track", "mlflow")
    entry = logged(tiny, crossed)
    run = Run(tiny.path / "data" / "stacking" / crossed.id, crossed)
    assert entry.data.metrics == {
        name.replace(": ", "/"): score for name, score in scores_of(run).items() if score is not None
    }
    assert "logistic h5 out of fold/direction_auc" in entry.data.metrics
    assert (entry.info.status, entry.info.run_name) == ("FINISHED", crossed.id)
    assert entry.data.params["validation.n_splits"] == "2"
    assert entry.data.tags["foldsmith.parent.dataset.content"] == crossed.parents[0].content

    words = ["--model", "logistic", "--horizon", 5]
    model, tracked = (
        tiny.train(*words),
        tiny.train(*words, "--track", f"mlflow:sqlite:///{tiny.path}/mlruns.db"),
    )
    same_but_for_the_copy(tiny, model, tracked)
    assert logged(tiny, tracked).data.tags["foldsmith.content"] == model.content

    ledger = Ledger(tiny.workspace.ledger)
    asked = ["evaluate", "--run-id", model.id, "--split", "validation", "--importance", "none", "--track"]
    shown = tiny.call(*asked, "mlflow")
    assert shown.stderr == ""
    assert shown.stdout.splitlines()[-1] == f"Logged to MLflow: sqlite:///{tiny.path}/mlruns.db"
    folder = tiny.path / value(shown.stdout, "Evaluation saved to")
    entry = logged(tiny, read(folder))
    found = read_json(folder / "metrics.json")
    assert entry.data.tags["foldsmith.verdict"] == found["verdict"]["verdict"]
    assert entry.data.metrics["validation/log_loss_base"] == found["log_loss_base"]
    kept = tiny.path / "mlartifacts" / entry.info.run_id / "artifacts"
    for name in ("report.html", "metrics.json"):
        assert (kept / name).read_bytes() == (folder / name).read_bytes()
    assert len(list(kept.iterdir())) == 2
    before = len(ledger.published())

    # A server that is away costs the copy alone.
    shown = tiny.call(*asked, "mlflow:http://127.0.0.1:9")
    assert shown.stderr.startswith("warning: run validation_")
    assert shown.stderr.count("\n") == 1
    lost = read(tiny.path / value(shown.stdout, "Evaluation saved to"))
    assert lost.parameters == read(folder).parameters
    assert len(ledger.published()) == before + 1
