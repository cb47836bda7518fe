"""Models of one's own through the real commands: from the line in models.toml to the prediction."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.workflow.conftest import ROOT, Desk, value
from tests.workflow.test_flags import covers

from foldsmith.runs.ledger import Ledger
from foldsmith.runs.manifest import read
from foldsmith.stages import out_of_fold

TOML, CODE = (
    re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / "models.md").read_text(), re.DOTALL)[0]
    for language in ("toml", "python")
)
CV = ["cv", "--models", "naive_bayes,logistic", "--horizons", 5, "--n-splits", 2]
TRAIN = ["train", "--model", "naive_bayes", "--horizon", 5]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A workspace whose models.toml is that of the docs, with one dataset."""
    desk = Desk(tmp_path_factory.mktemp("own"))
    desk.call("simulate", "--sessions", 20, "--edge", 0.05, "--seed", 7)
    desk.dataset()
    restore(desk)
    return desk


def restore(desk: Desk) -> None:
    (desk.path / "models.toml").write_text(TOML)
    (desk.path / "my_models.py").write_text(CODE)


def read_json(desk: Desk, *parts: str) -> Any:
    return json.loads(desk.path.joinpath(*parts).read_text())


@pytest.mark.proof
def test_it_goes_from_the_line_to_the_prediction(desk: Desk) -> None:
    made = desk.cv("--models", "naive_bayes,logistic", "--tune", "--n-trials", 2, "--output-name", "one")
    record = made.parameters["own_models"]["naive_bayes"]
    assert (record["class"], len(record["sha256"])) == ("NaiveBayes", 64)
    described = read_json(desk, "data/stacking/one/models/naive_bayes_h5/model.json")
    assert described["own"] == record
    assert "own" not in read_json(desk, "data/stacking/one/models/logistic_h5/model.json")
    assert "my_models.py" not in json.dumps([made.parameters, described])
    ensemble = desk.train("--model", "stacking", "--horizon", 5, "--stacking-data", "one")
    fresh = desk.train(
        "--model", "stacking", "--horizon", 5, "--base-models", "naive_bayes,logistic", "--n-splits", 2,
        "--tune", "--n-trials", 2, "--workers", 1,
    )  # fmt: skip
    assert fresh.files["predictions/validation.parquet"] == ensemble.files["predictions/validation.parquet"]
    alone = desk.train("--model", "naive_bayes", "--horizon", 5)
    for model in (ensemble, fresh, alone):
        assert model.parameters["own_models"] == {"naive_bayes": record}
        printed = desk.call("evaluate", "--run-id", model.id, "--split", "validation").stdout
        evaluated = Path(value(printed, "Evaluation saved to")).name
        scored = pl.read_parquet(desk.path / value(printed, "Evaluation saved to") / "predictions.parquet")
        desk.call(
            "predict",
            "--run-id",
            model.id,
            "--bars",
            "data/raw/MES_1m.parquet",
            "--output",
            f"{model.id}.parquet",
        )
        predicted = pl.read_parquet(desk.path / f"{model.id}.parquet")
        both = scored.join(predicted, on="datetime", how="left", suffix="_again")
        for name in ("prob_short", "prob_neutral", "prob_long"):
            assert both[name].equals(both[f"{name}_again"].alias(name))
    for run in (made.id, ensemble.id, fresh.id, alone.id, evaluated):
        assert desk.call("runs", "reproduce", run).stdout.endswith("the same content\n")
    assert "--models naive_bayes,logistic" in desk.call("runs", "explain", made.id).stdout


@pytest.mark.proof
def test_worker_processes_are_sent_the_text(desk: Desk) -> None:
    one = desk.cv("--models", "naive_bayes,logistic", "--output-name", "w1")
    desk.run(*CV, "--workers", 2, "--output-name", "w2")
    assert read(desk.path / "data/stacking/w2").content == one.content
    bag = [*CV, "--predict-with", "bag", "--calibrate", "temperature"]
    desk.call(*bag, "--workers", 1, "--output-name", "b1")
    desk.run(*bag, "--workers", 2, "--output-name", "b2")
    assert read(desk.path / "data/stacking/b1").content == read(desk.path / "data/stacking/b2").content
    member = read_json(desk, "data/stacking/b1/models/naive_bayes_h5/member/1/model.json")
    assert member["own"] == one.parameters["own_models"]["naive_bayes"]
    bagged = desk.train("--model", "voting", "--horizon", 5, "--stacking-data", "b1")
    desk.call("evaluate", "--run-id", bagged.id, "--split", "validation")


@pytest.mark.proof
@pytest.mark.parametrize("kind", ["dask", "ray"])
def test_workers_of_a_cluster_too(desk: Desk, kind: str) -> None:
    pytest.importorskip({"dask": "distributed", "ray": "ray"}[kind])
    plain = desk.cv("--models", "naive_bayes,logistic")
    desk.run(*CV, "--workers", 1, "--executor", kind, "--output-name", f"on_{kind}")
    assert read(desk.path / "data/stacking" / f"on_{kind}").content == plain.content


@pytest.mark.proof
def test_a_run_goes_on_with_the_text_it_was_begun_with_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(out_of_fold, "refit_unit", None)  # every refit fails
        desk.call(*CV, "--workers", 1, "--output-name", "stopped", status=2)
    try:
        (desk.path / "my_models.py").write_text(CODE + "\n# another\n")
        told = desk.denied("cv", "--resume", "stopped")
        hashes = re.findall(r"\b[0-9a-f]{12}\b", told)
        assert len(set(hashes)) == 2
        assert "naive_bayes of my_models.py" in told
        (desk.path / "models.toml").unlink()
        assert "does not name it so" in desk.denied("cv", "--resume", "stopped")
    finally:
        restore(desk)
    resumed = desk.run("cv", "--resume", "stopped", "--workers", 2)
    assert "fold" not in resumed.stdout.split("[1/")[1].splitlines()[0]
    whole = desk.cv("--models", "naive_bayes,logistic")
    assert read(desk.path / "data/stacking/stopped").content == whole.content


def test_a_saved_model_is_revived_by_its_own_text_alone(desk: Desk, tmp_path: Path) -> None:
    model = desk.train("--model", "naive_bayes", "--horizon", 5)
    predict = ["predict", "--run-id", model.id, "--bars", "data/raw/MES_1m.parquet"]
    evaluate = ["evaluate", "--run-id", model.id, "--split", "validation"]
    before = desk.call(*predict).stdout
    toml, file = desk.path / "models.toml", desk.path / "my_models.py"
    looks = Ledger(desk.workspace.ledger).path.stat().st_size
    try:
        file.write_text(CODE.replace("1e-12", "1e-11"))
        for words in (predict, evaluate, ["runs", "reproduce", model.id]):
            told = desk.denied(*words)
            assert len(set(re.findall(r"\b[0-9a-f]{12}\b", told))) == 2, told
        file.unlink()
        assert "file my_models.py is not in" in desk.denied(*predict)
        # Code is run only where the workspace's own file names it, and names the same class.
        file.write_text(CODE)
        for text in (None, "[models]\n", TOML.replace(":NaiveBayes", ":Classifier")):
            toml.unlink() if text is None else toml.write_text(text)
            assert "does not name it so" in desk.denied(*predict)
            assert "does not name it so" in desk.denied(*evaluate)
        # Where the file lies is nobody's business.
        (desk.path / "code").mkdir()
        file.rename(desk.path / "code" / "m.py")
        toml.write_text(TOML.replace("my_models.py", "code/m.py"))
        assert desk.call(*predict).stdout == before
    finally:
        shutil.rmtree(desk.path / "code", ignore_errors=True)
        restore(desk)
    assert Ledger(desk.workspace.ledger).path.stat().st_size == looks
    # A run that came from elsewhere brings no code with it.
    other = Desk(tmp_path)
    shutil.copytree(
        desk.path / "experiments" / "runs" / model.id, tmp_path / "experiments" / "runs" / model.id
    )
    raw = ["--bars", desk.path / "data" / "raw" / "MES_1m.parquet"]
    assert "does not name it so" in other.call("predict", "--run-id", model.id, *raw, status=2).stderr
    restore(other)
    assert other.call("predict", "--run-id", model.id, *raw).stdout == before


def test_the_ledger_says_which_text_was_tried(desk: Desk) -> None:
    def tried(run_id: str) -> list[Any]:
        with contextlib.closing(sqlite3.connect(desk.workspace.ledger)) as ledger:
            rows = ledger.execute("SELECT body FROM entries WHERE kind = 'trial' AND run_id = ?", [run_id])
            return [json.loads(body)["params"].get("own_model") for (body,) in rows]

    made = desk.train("--model", "naive_bayes", "--horizon", 5)
    assert tried(made.id) == [made.parameters["own_models"]["naive_bayes"]]
    assert tried(desk.train("--model", "logistic", "--horizon", 5).id) == [None]
    try:
        (desk.path / "my_models.py").write_text(CODE.replace("1e-12", "1e-10"))
        other = desk.train("--model", "naive_bayes", "--horizon", 5)
        assert tried(other.id) == [other.parameters["own_models"]["naive_bayes"]]
        assert tried(other.id) != tried(made.id)
        # Bringing a run up to date takes the file as it is.
        again = desk.call("pipeline", "rerun", made.id, "--from", "train").stdout
        assert "model naive_bayes: class NaiveBayes of my_models.py" in again
        assert made.id in again
        (desk.path / "models.toml").unlink()
        told = desk.call("pipeline", "rerun", made.id, "--from", "train", status=2).stderr
        assert "needs model naive_bayes, which models.toml does not name" in told
    finally:
        restore(desk)


HOSTILE = {
    "[models": "cannot be read as TOML",
    "models = 3": "one table [models]",
    "[models]\na = 'my_models.py:NaiveBayes'\n[more]\nb = 1": "holds 'more'; one table",
    "[models]\na = 3": "model a is 3",
    "[models]\na = 'my_models.py'": "a file below the workspace and a class in it",
    "[models]\na = 'my_models.py:a.b'": "a file below the workspace and a class in it",
    "[models]\na = ':NaiveBayes'": "a file below the workspace and a class in it",
    '[models]\na = "\\u0000:NaiveBayes"': "a file below the workspace and a class in it",
    "[models]\nA = 'my_models.py:NaiveBayes'": "model 'A' is no name",
    "[models]\n'../a' = 'my_models.py:NaiveBayes'": "model '../a' is no name",
    "[models]\nridge = 'my_models.py:NaiveBayes'": "model ridge has the name of one that comes with the program",
    "[models]\ntrees = 'my_models.py:NaiveBayes'": "model trees has the name of one that comes with the program",
    "[models]\nall = 'my_models.py:NaiveBayes'": "model all has the name of one that comes with the program",
    "[models]\nstacking = 'my_models.py:NaiveBayes'": "model stacking has the name of one that comes with the program",
    "[models]\na = '../my_models.py:NaiveBayes'": "lies outside the workspace",
    "[models]\na = '/etc/passwd:NaiveBayes'": "lies outside the workspace",
    "[models]\na = 'link.py:NaiveBayes'": "lies outside the workspace",
    "[models]\na = 'nowhere.py:NaiveBayes'": "file nowhere.py is not in",
    "[models]\na = 'data:NaiveBayes'": "file data is not in",
    "[models]\na = 'my_models.py:Nope'": "has no such class",
    "[models]\na = 'my_models.py:Parameter'": "is no model",
    "[models]\na = 'broken.py:NaiveBayes'": "cannot be run: SyntaxError at line 1",
    "[models]\nb = 'my_models.py:NaiveBayes'": "of your own b",
}  # fmt: skip


def test_lines_that_lead_astray_are_refused(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "away.py").write_text(CODE)
    (desk.path / "link.py").symlink_to(tmp_path / "away.py")
    (desk.path / "broken.py").write_text("class NaiveBayes(:\n")
    try:
        for text, sentence in HOSTILE.items():
            (desk.path / "models.toml").write_text(text)
            assert sentence in desk.denied("cv", "--models", "a", "--horizons", 5), text
        (desk.path / "models.toml").write_bytes(b"\xff\xfe")
        assert "is not UTF-8" in desk.denied("train", "--model", "a", "--horizon", 5)
        (desk.path / "models.toml").write_bytes(b"#" * (1 << 21))
        assert "has more than" in desk.denied("train", "--model", "a", "--horizon", 5)
        # Who asks for none of his own is not stopped by it.
        desk.call("cv", "--models", "linear", "--horizons", 5, "--dry-run")
    finally:
        restore(desk)
        (desk.path / "link.py").unlink()


@covers("models check", "name", "--workspace")
def test_a_model_is_tried_before_anything_is_fitted(desk: Desk, tmp_path: Path) -> None:
    other = Desk(tmp_path)
    there = ["--workspace", desk.path]
    told = other.call("models", "check", "naive_bayes", *there).stdout
    assert "holds: equal rows and seed give equal bytes" in told
    assert "smoothing=0.01 [0.0001, 1 log]" in told
    assert "names no model 'nope'; there is naive_bayes" in other.denied("models", "check", "nope", *there)
    try:
        (desk.path / "my_models.py").write_text(
            CODE.replace("self.prior = weight.sum", "self.prior = np.random.rand() * weight.sum")
        )
        for words in (
            ["models", "check", "naive_bayes"],
            CV,
            TRAIN,
            ["cv", "--models", "naive_bayes", "--dry-run"],
        ):
            assert "naive_bayes breaks the contract of a model: fitted twice" in desk.denied(*words)
        (desk.path / "my_models.py").write_text(CODE.replace("return np.exp", "return 1 / 0 + np.exp"))
        assert "failed to predict: ZeroDivisionError at line 27 of my_models.py" in desk.denied(*TRAIN)
    finally:
        restore(desk)


def test_what_fails_on_real_rows_alone_is_told_in_a_sentence(desk: Desk) -> None:
    try:
        (desk.path / "my_models.py").write_text(
            CODE.replace("X = train", "assert len(train.X) < 500, 'too many'\n        X = train")
        )
        told = desk.call(*TRAIN, status=2).stderr
        assert "naive_bayes (my_models.py, class NaiveBayes) failed to fit: AssertionError at line" in told
        assert told.count("\n") == 1
        told = desk.call(*CV, "--workers", 1, status=2).stderr
        assert "fits failed: naive_bayes_h5_fold_0 (model naive_bayes" in told
        assert told.count("\n") == 1
    finally:
        restore(desk)


def test_it_is_listed_and_named_and_never_meant_by_all(desk: Desk) -> None:
    for command in ("cv", "train"):
        listed = desk.call(command, "--list-models").stdout
        assert re.search(r"^  naive_bayes +own +class NaiveBayes of my_models.py$", listed, re.MULTILINE)
    shown = desk.call("cv", "--models", "linear,naive_bayes", "--horizons", 5, "--dry-run").stdout
    assert "(3 models" in shown
    shown = desk.call("cv", "--models", "linear", "--horizons", 5, "--dry-run").stdout
    assert "(2 models" in shown
    seen = desk.cv("--models", "naive_bayes,logistic", "--features", "naive_bayes=price")
    described = read_json(desk, "data/stacking", seen.id, "models/naive_bayes_h5/model.json")
    assert set(described["features"]) < set(
        read_json(desk, "data/datasets", seen.parents[0].id, "recipe.json")["features"]
    )
    config = desk.path / "model.toml"
    config.write_text('model = "naive_bayes"\nhorizon = 5\n[params]\nsmoothing = 0.5\n')
    assert desk.train("--config", config).parameters["params"] == {"smoothing": 0.5}
    config.write_text('model = "naive_bayes"\nhorizon = 5\n[params]\nnope = 0.5\n')
    assert "naive_bayes has no parameter 'nope'" in desk.denied("train", "--config", config)


def test_a_run_whose_description_lies_is_refused(desk: Desk) -> None:
    """Whoever edits model.json is found out by its hash; here the readers are asked what they would make of it."""
    from foldsmith.errors import DataError
    from foldsmith.runs.store import Run
    from foldsmith.stages.model_store import read_model, revive

    made = desk.train("--model", "naive_bayes", "--horizon", 5)
    path = desk.workspace.runs / made.id
    described = path / "model" / "model.json"
    text = described.read_text()
    run = Run(path, made)
    from foldsmith.errors import MissingError

    with pytest.raises(MissingError, match="not at hand"):
        revive(read_model(run, "model"))
    try:
        for change in (
            {"own": None}, {"own": {"class": "A"}}, {"name": "../naive_bayes"}, {"name": "xgboost2", "own": 3},
            {"own": {"class": "../A", "sha256": "0" * 64}},
        ):  # fmt: skip
            described.write_text(json.dumps({**json.loads(text), **change}))
            unchecked = Run(path, made)
            object.__setattr__(unchecked, "verify", lambda names=None: None)
            with pytest.raises(DataError):
                read_model(unchecked, "model")
    finally:
        described.write_text(text)
