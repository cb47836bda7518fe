"""A published run as an entry of an experiment tracker: MLflow.

The run itself, its manifest and the ledger stay the record; what is logged is a copy, and nothing reads it back.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from foldsmith.errors import MissingExtraError, SettingError
from foldsmith.runs.comparison import SCORES, flattened, scores_of
from foldsmith.runs.files import read_json
from foldsmith.runs.manifest import Manifest
from foldsmith.runs.store import Run

EXPERIMENT = "foldsmith"
"""The experiment of MLflow that all runs are entries of."""

ARTEFACTS = ("report.html", "metrics.json", "cv_results.json")
SQLITE = "sqlite:///"
MAX_NAME, MAX_PARAMETER, MAX_TAG, BATCH = 250, 6000, 8000, 100
"""What MLflow takes: characters of a name, a parameter and a tag, and parameters or tags at once."""

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
"""A server that is away is given up after seconds, not MLflow's minutes, unless the environment says otherwise."""

_UNUSUAL = re.compile(r"[^\w./ -]", re.ASCII)


@dataclass(frozen=True)
class Record:
    """What is logged of a run: times in ms since 1970, texts and numbers by name, files."""

    id: str
    began: int
    ended: int
    parameters: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    files: tuple[Path, ...]


def checked_tracker(text: str) -> str:
    """`text` of the form mlflow or mlflow:URI, as it is; nothing is opened.

    Raises SettingError for another tracker, a URI that is neither sqlite:///FILE nor http(s)://HOST, one that holds a
    password, or a folder that is not there; MissingExtraError where MLflow is not installed.
    """
    kind, colon, uri = text.partition(":")
    if kind != "mlflow" or (colon and not uri):
        raise SettingError(f"--track {text!r:.80} is no tracker; give mlflow, or mlflow:URI.")
    if uri:
        _check_uri(text, uri)
    # Servers are reached without sqlalchemy, which a slim MLflow lacks.
    needed = ("mlflow",) if uri.startswith("http") else ("mlflow", "sqlalchemy")
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f'--track {kind} needs {missing[0]}, which is not installed: pip install "foldsmith[tracking]"'
        )
    return text


def _check_uri(text: str, uri: str) -> None:
    if uri.startswith(SQLITE):
        path = Path(uri.removeprefix(SQLITE))
        if not path.name or path.is_dir() or not path.absolute().parent.is_dir():
            raise SettingError(
                f"--track {text!r:.200} names no file in a folder that is there; make the folder first."
            )
        return
    try:
        parts = urlsplit(uri)
        known = parts.scheme in ("http", "https") and bool(parts.hostname)
        secret = "@" in parts.netloc
    except ValueError:
        known = secret = False
    if secret:
        # What was typed stands in the manifest of the run.
        raise SettingError(
            "--track with a user name or password in its URI would be kept in the run's manifest; put them into "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."
        )
    if not known:
        raise SettingError(
            f"--track {text!r:.200} is no address of MLflow; give mlflow:sqlite:///FILE.db or mlflow:http://HOST:PORT."
        )


def tracking_uri(text: str, root: Path) -> str:
    """The URI of a tracker as `checked_tracker` takes it; without one, the file mlruns.db of the workspace `root`."""
    uri = text.partition(":")[2]
    if uri and not uri.startswith(SQLITE):
        return uri
    path = Path(uri.removeprefix(SQLITE)) if uri else root / "mlruns.db"
    if "?" in str(path.absolute()):
        raise SettingError(
            f"{path} has a question mark, which ends a path in a database's URI; name another."
        )
    return f"{SQLITE}{path.absolute()}"


def record_of(run: Run) -> Record:
    """What is logged of a published run; files of scores are compared with their hashes."""
    known = run.manifest
    scores = scores_of(run)
    verdict = None
    if known.kind == "evaluation":
        found = read_json(run.path / "metrics.json")
        verdict = found["verdict"]["verdict"]
        for name, member in found["members"].items():
            split = known.parameters["split"]
            scores |= {f"{split} {name}: {key}": member[key] for key in SCORES if key in member}
    ended = int(known.created.timestamp() * 1000)
    files = [run.path / name for name in ARTEFACTS]
    return Record(
        id=known.id,
        began=ended - int(known.wall_seconds * 1000),
        ended=ended,
        parameters=parameters_of(known),
        metrics=metrics_of(scores),
        tags=tags_of(known, verdict),
        files=tuple(path for path in files if path.is_file() and not path.is_symlink()),
    )


def parameters_of(known: Manifest) -> dict[str, str]:
    """Parameters and seed of a manifest, nested names joined by dots, without those that are not set.

    Values are plain text, lists joined by commas.
    """
    values = flattened(known.parameters) | {"seed": known.seed}
    return {
        _name(name): _text(value)[:MAX_PARAMETER]
        for name, value in values.items()
        if value is not None and value != {}
    }


def metrics_of(scores: Mapping[str, float | None]) -> dict[str, float]:
    """Scores named as `runs show` does, with a slash for the colon, by which MLflow groups its charts.

    >>> metrics_of({"lightgbm h5 out of fold: log_loss": 1.05, "validation: auc": None})
    {'lightgbm h5 out of fold/log_loss': 1.05}
    """
    return {
        _name(name.replace(": ", "/")): float(value) for name, value in scores.items() if value is not None
    }


def tags_of(known: Manifest, verdict: str | None) -> dict[str, str]:
    """What a run is and what it was made from and with: ids, content hashes, code; several of a kind by commas."""
    tags = {"run_id": known.id, "kind": known.kind, "content": known.content}
    for name in ("symbol", "model", "models", "horizon", "horizons"):
        if name in known.extra:
            tags[name] = _text(known.extra[name])
    for parent in known.parents:
        for name, value in (("id", parent.id), ("content", parent.content)):
            key = f"parent.{parent.kind}.{name}"
            tags[key] = f"{tags[key]},{value}" if key in tags else value
    tags |= {"code.version": known.code.version, "code.source": known.code.source}
    if verdict is not None:
        tags["verdict"] = verdict
    return {f"foldsmith.{name}": value[:MAX_TAG] for name, value in tags.items()}


def _name(text: str) -> str:
    return _UNUSUAL.sub("_", text)[:MAX_NAME]


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def log_to_mlflow(record: Record, uri: str) -> None:
    """Enter a record into MLflow's experiment `foldsmith`, made if it is not there.

    Artefacts of a database lie beside it in mlartifacts/, those of a server where it puts them. An entry that could
    not be finished is marked as failed. Raises what MLflow raises.
    """
    os.environ.update(QUIET)
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of MLflow about itself
        from mlflow import MlflowClient

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        entry = client.create_run(
            _experiment(client, uri), start_time=record.began, tags=record.tags, run_name=record.id
        ).info.run_id
        try:
            _fill(client, entry, record)
        except BaseException:
            with suppress(Exception):  # the first error is the one to tell
                client.set_terminated(entry, "FAILED", record.ended)
            raise
        client.set_terminated(entry, "FINISHED", record.ended)


def _experiment(client: Any, uri: str) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        place = (
            (Path(uri.removeprefix(SQLITE)).parent / "mlartifacts").as_uri()
            if uri.startswith(SQLITE)
            else None
        )
        try:
            return str(client.create_experiment(EXPERIMENT, artifact_location=place))
        except MlflowException:  # another process was first
            found = client.get_experiment_by_name(EXPERIMENT)
            if found is None:
                raise
    return str(found.experiment_id)


def _fill(client: Any, entry: str, record: Record) -> None:
    from mlflow.entities import Metric, Param

    for pairs in _batches(list(record.parameters.items())):
        client.log_batch(entry, params=[Param(name, value) for name, value in pairs])
    for scores in _batches(list(record.metrics.items())):
        client.log_batch(entry, metrics=[Metric(name, value, record.ended, 0) for name, value in scores])
    for path in record.files:
        client.log_artifact(entry, str(path))


def _batches(items: Sequence[Any]) -> Iterator[list[Any]]:
    rest = iter(items)
    while batch := list(islice(rest, BATCH)):
        yield batch
