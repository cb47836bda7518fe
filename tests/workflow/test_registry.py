"""What runs there are, where they come from, whether they are whole, and what may go: the commands, on real runs."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.workflow.conftest import Desk, value
from tests.workflow.test_flags import covers

from foldsmith.runs.claim import claim, partial_folder
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.manifest import Manifest, read
from foldsmith.runs.registry import find_run


@dataclass(frozen=True)
class Kept:
    """A workspace with a run of each kind, and their ids; tests leave it as it is."""

    desk: Desk
    dataset: str
    cv: str
    model: str
    stacked: str
    look: str

    @property
    def every(self) -> set[str]:
        return {self.dataset, self.cv, self.model, self.stacked, self.look}

    def copy(self, to: Path) -> Desk:
        """A workspace of one's own with the same runs."""
        shutil.copytree(self.desk.path, to / "desk")
        return Desk(to / "desk")


@pytest.fixture(scope="module")
def kept(tiny: Desk) -> Kept:
    (dataset,) = os.listdir(tiny.path / "data" / "datasets")
    model = tiny.train("--model", "logistic", "--horizon", 10)
    stacked = tiny.train("--model", "stacking", "--horizon", 5, "--stacking-data", "base")
    shown = tiny.call("evaluate", "--run-id", model.id, "--split", "validation").stdout
    return Kept(tiny, dataset, "base", model.id, stacked.id, Path(value(shown, "Evaluation saved to")).name)


def ids(desk: Desk, *words: object) -> list[str]:
    """Ids that a command lists with --json."""
    return [run["id"] for run in json.loads(desk.call(*words, "--json").stdout)]


# --- list ---------------------------------------------------------------------------------------------------------

LIST_FLAGS = (
    "--symbol", "--model", "--horizon", "--kind", "--since", "--until", "--tag", "--sort", "--json", "--also",
    "--workspace",
)  # fmt: skip
LISTS = (["runs", "list"], ["pipeline", "list-runs"])


@covers("runs list", *LIST_FLAGS)
@covers("pipeline list-runs", *LIST_FLAGS)
@pytest.mark.parametrize("words", LISTS)
def test_each_flag_of_a_list_chooses(kept: Kept, tmp_path: Path, words: list[str]) -> None:
    desk = kept.copy(tmp_path)
    assert ids(desk, *words) == [kept.look, kept.stacked, kept.model, "base", kept.dataset]
    assert ids(desk, *words, "--symbol", "CL") == []
    assert set(ids(desk, *words, "--symbol", "MES")) == kept.every
    assert ids(desk, *words, "--model", "logistic") == [kept.look, kept.model, "base"]
    assert ids(desk, *words, "--horizon", 10) == [kept.look, kept.model, kept.dataset]
    assert ids(desk, *words, "--kind", "evaluation") == [kept.look]
    assert ids(desk, *words, "--sort", "oldest")[0] == kept.dataset
    assert ids(desk, *words, "--sort", "kind")[:2] == [kept.dataset, "base"]
    when = {run["id"]: run["time"] for run in json.loads(desk.call(*words, "--json").stdout)}
    assert ids(desk, *words, "--since", when[kept.stacked]) == [kept.look, kept.stacked]
    assert ids(desk, *words, "--until", when["base"]) == [kept.dataset]
    desk.call("runs", "tag", "base", "good")
    assert ids(desk, *words, "--tag", "good") == ["base"]
    # Elsewhere: in another workspace, or in a folder of one's own.
    other = Desk(tmp_path)
    assert len(ids(other, *words, "--workspace", "desk")) == 5
    desk.cv("--models", "logistic", "--output-dir", "mine", "--output-name", "far")
    assert "far" in ids(desk, *words)  # the ledger says where it was put
    (desk.path / "mine").rename(desk.path / "moved")
    assert "far" not in ids(desk, *words)
    assert "far" in ids(desk, *words, "--also", "moved")
    for flag in (["--since", "soon"], ["--also", "nowhere"], ["--workspace", "nowhere"]):
        assert flag[1] in desk.denied(*words, *flag)
    for flag in (["--kind", "x"], ["--sort", "x"], ["--horizon", "x"]):
        desk.call(*words, *flag, status=2)


@pytest.mark.parametrize("words", LISTS)
def test_a_list_in_words_says_what_each_run_is(kept: Kept, tmp_path: Path, words: list[str]) -> None:
    desk = kept.copy(tmp_path)
    desk.call("runs", "tag", "base", "good")
    lines = desk.call(*words).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["evaluation", "model", "model", "cv", "dataset"]
    assert lines[0].endswith(f"MES    validation  of {kept.model}")
    assert lines[2].endswith("MES    model logistic  horizon 10")
    assert lines[3].endswith("MES    models logistic,lightgbm  horizon 5  [good]")
    assert lines[4].endswith("MES    horizons 5,10  timeframe 5m")
    assert "none of 5 runs is like that" in desk.call(*words, "--model", "nope").stdout
    (tmp_path / "empty").mkdir()
    assert "no run is there yet" in desk.call(*words, "--workspace", tmp_path / "empty").stdout
    assert ids(desk, *words, "--workspace", tmp_path / "empty") == []


def test_damaged_and_unfinished_runs_are_listed_as_such(kept: Kept, tmp_path: Path) -> None:
    desk = kept.copy(tmp_path)
    (desk.path / "data" / "stacking" / "base" / "manifest.json").write_text("{")
    claim(desk.workspace.stacking, name="dead", resumable=True).release()
    with claim(desk.workspace.runs, prefix="xgboost_h5_") as live:
        found = {run["id"]: run for run in json.loads(desk.call("runs", "list", "--json").stdout)}
        assert found["base"]["state"] == "damaged"
        assert "is not the JSON" in found["base"]["note"]
        assert found["dead"]["state"] == "unfinished"
        assert found[live.id]["state"] == "being made"
        lines = desk.call("runs", "list", "--sort", "state").stdout.splitlines()
        assert [line.split()[:2] for line in lines[4:]] == [
            ["damaged", "base"], ["being", "made"], ["unfinished", "dead"],
        ]  # fmt: skip
        assert f"process {os.getpid()} on" in lines[5]
        assert lines[6].endswith("ended; go on with --resume dead")
        status = desk.call("pipeline", "status").stdout
        assert "  unfinished: dead (cv: process" in status
        assert f"  being made: {live.id} (model: process" in status
        assert "damaged: 1; see: foldsmith runs verify" in status
    # A ledger that cannot be asked is told after the runs.
    desk.workspace.ledger.write_bytes(b"no ledger")
    done = desk.call("runs", "list", "--json", status=2)
    assert len(json.loads(done.stdout)) == 6
    assert "the ledger" in done.stderr
    assert "the ledger cannot be asked" in desk.call("pipeline", "status").stdout


@covers("cv", "--list-cv-runs", "--json")
def test_run_cv_lists_cv_runs_and_refuses_what_it_would_not_use(kept: Kept, tmp_path: Path) -> None:
    listed = kept.desk.call("cv", "--list-cv-runs").stdout
    assert listed.splitlines() == [
        line for line in kept.desk.call("runs", "list", "--kind", "cv").stdout.splitlines() if line
    ]
    assert ids(kept.desk, "cv", "--list-cv-runs") == ["base"]
    assert ids(kept.desk, "cv", "--list-cv-runs", "--symbol", "CL") == []
    assert ids(kept.desk, "cv", "--list-cv-runs", "--symbol", "MES") == ["base"]
    assert ids(kept.desk, "cv", "--list-cv-runs", "--output-dir", "data/datasets") == []
    assert ids(Desk(tmp_path), "cv", "--list-cv-runs", "--workspace", kept.desk.path) == ["base"]
    for flag in (
        ["--models", "logistic"], ["--horizons", "5"], ["--dataset", "x"], ["--n-splits", 2], ["--purge-bars", 1],
        ["--embargo-bars", 1], ["--tune"], ["--n-trials", 2], ["--sample-weight", "none"], ["--time-decay", 1],
        ["--seed", 1], ["--workers", 1], ["--output-name", "x"], ["--resume", "base"], ["--dry-run"],
    ):  # fmt: skip
        told = kept.desk.denied("cv", "--list-cv-runs", *flag)
        assert told.startswith(f"{flag[0]} does not apply: --list-cv-runs only lists"), told
    told = kept.desk.denied("cv", "--models", "logistic", "--json")
    assert told.startswith("--json does not apply: it is a form of --list-cv-runs")


@covers("pipeline status", "--workspace")
def test_status_counts_what_there_is(kept: Kept, tmp_path: Path) -> None:
    shown = Desk(tmp_path).call("pipeline", "status", "--workspace", kept.desk.path).stdout
    assert "raw bars: MES" in shown
    assert f"datasets: 1, the newest {kept.dataset}" in shown
    assert "CV runs: 1, the newest base" in shown
    assert "models: 2, the newest " in shown
    assert f"evaluations: 1, the newest {kept.look}" in shown
    assert "looks at held-out rows: 1, of them 0 at test rows" in shown
    assert "raw bars: none" in Desk(tmp_path).call("pipeline", "status").stdout


# --- show, compare, verify, tag -----------------------------------------------------------------------------------


@covers("runs show", "run_id", "--json", "--also", "--workspace")
def test_show_says_what_a_run_is(kept: Kept, tmp_path: Path) -> None:
    other, there = Desk(tmp_path), ["--workspace", kept.desk.path]
    for run_id in kept.every:
        shown = json.loads(other.call("runs", "show", run_id, "--json", *there).stdout)
        assert Manifest.model_validate_json(json.dumps(shown)).id == run_id
        text = other.call("runs", "show", run_id, *there).stdout
        assert shown["content"] in text
        assert "(unchanged since)" in text
    text = other.call("runs", "show", "base", *there).stdout
    assert f"made from   dataset {kept.dataset}" in text
    assert "validation.n_splits 2" in text
    assert "logistic h5 out of fold: log_loss " in text
    assert "validation: log_loss " in other.call("runs", "show", kept.model, *there).stdout
    assert "validation trading: trades " in other.call("runs", "show", kept.look, *there).stdout
    desk = kept.copy(tmp_path)
    desk.call("runs", "tag", "base", "good")
    assert "tags        good" in desk.call("runs", "show", "base").stdout
    (desk.path / "data" / "stacking").rename(desk.path / "mine")
    assert "base" in desk.denied("runs", "show", "base")
    assert "cv base" in desk.call("runs", "show", "base", "--also", "mine").stdout
    assert "run nope is not in" in desk.denied("runs", "show", "nope")
    assert "holds '/'" not in desk.denied("runs", "show", "../../etc/passwd")


@covers("runs compare", "first", "second", "--json", "--also", "--workspace")
def test_compare_puts_what_differs_side_by_side(kept: Kept, tmp_path: Path) -> None:
    desk = kept.copy(tmp_path)
    other = desk.cv(
        "--models", "logistic,lightgbm", "--seed", 5, "--output-name", "other", "--output-dir", "mine"
    )
    words = ["runs", "compare", "base", "other", "--also", "mine"]
    found = json.loads(desk.call(*words, "--json").stdout)
    assert found["parameters"] == {"validation.seed": [42, 5]}
    assert [found[part] for part in ("parents", "code", "packages", "machine")] == [{}, {}, {}, {}]
    assert found["same_content"] is False
    assert [run["id"] for run in found["runs"]] == ["base", "other"]
    assert set(found["files"]) == {
        name
        for name in other.files
        if other.files[name] != read(desk.workspace.stacking / "base").files[name]
    }
    results = [
        json.loads((folder / "cv_results.json").read_text())["horizons"]["5"]["models"]["lightgbm"]["oof"][
            "log_loss"
        ]
        for folder in (desk.workspace.stacking / "base", desk.path / "mine" / "other")
    ]
    assert found["scores"]["lightgbm h5 out of fold: log_loss"] == results
    text = desk.call(*words).stdout
    assert "validation.seed  42  5" in text
    (line,) = (line for line in text.splitlines() if "lightgbm h5 out of fold: log_loss " in line)
    assert line.split()[-2:] == [f"{result:.4f}" for result in results]
    same = desk.call("runs", "compare", kept.model, kept.model).stdout
    assert "the same content" in same
    assert "parameters: the same" in same
    assert "files: the same" in same
    two = json.loads(
        Desk(tmp_path)
        .call("runs", "compare", kept.model, kept.stacked, "--json", "--workspace", "desk")
        .stdout
    )
    assert two["parameters"]["horizon"] == [10, 5]
    assert set(two["parents"]) == {"cv base"}
    assert two["scores"]["meta-level out of fold: log_loss"][0] is None
    assert "name two of a kind" in desk.denied("runs", "compare", "base", kept.model)
    # Scores are read from files that are still what they were.
    (desk.workspace.stacking / "base" / "cv_results.json").write_text("{}")
    assert "cv_results.json of run base was changed" in desk.denied(*words)


@covers("runs verify", "run_id", "--also", "--json", "--workspace")
def test_verify_names_all_that_is_not_what_it_was(kept: Kept, tmp_path: Path) -> None:
    desk = kept.copy(tmp_path)
    whole = desk.call("runs", "verify").stdout.splitlines()
    assert whole[0] == "the ledger: whole"
    assert [line.split("] ")[0] for line in whole[1:]] == [f"[{number}/5" for number in range(1, 6)]
    assert all(line.endswith(": whole") for line in whole)
    there = ["--workspace", desk.path]
    assert (
        Desk(tmp_path).call("runs", "verify", "base", *there).stdout
        == "the ledger: whole\n[1/1] base: whole\n"
    )
    # With a model, its evaluations.
    assert f"{kept.look}: whole" in desk.call("runs", "verify", kept.model).stdout
    assert "run nope is not in" in desk.denied("runs", "verify", "nope")
    look = desk.workspace.runs / kept.model / "evaluations" / kept.look
    (look / "metrics.json").write_text("{}")
    (look / "more.json").write_text("{}")
    (desk.workspace.stacking / "base").rename(tmp_path / "base")
    done = desk.call("runs", "verify", status=2)
    assert f"{kept.look}: metrics.json of run {kept.look} was changed" in done.stdout
    told = json.loads(desk.call("runs", "verify", "--json", status=2).stdout)
    assert told["ledger"] is None
    assert [run["id"] for run in told["runs"] if run["problems"]] == [kept.look]
    assert [lost["run_id"] for lost in told["gone"]] == ["base"]
    assert f"{kept.look}: more.json was added" in done.stdout
    assert "base: gone: this cv run was published on" in done.stdout
    assert f"error: 2 damaged or gone: {kept.look}, base; 4 runs were looked at." in done.stderr
    assert kept.look in desk.call("runs", "verify", kept.look, status=2).stderr
    assert f"{kept.look}: metrics.json" in desk.call("runs", "verify", kept.model, status=2).stdout
    (tmp_path / "mine").mkdir()
    (tmp_path / "base").rename(tmp_path / "mine" / "base")
    assert "base: whole" in desk.call("runs", "verify", "--also", tmp_path / "mine", status=2).stdout
    desk.call("runs", "clean", "--gone", "--yes")
    assert "base" not in desk.call("runs", "verify", status=2).stdout
    # A damaged ledger is told, and the files are compared all the same.
    desk.workspace.ledger.write_bytes(b"no ledger")
    done = desk.call("runs", "verify", status=2)
    assert done.stdout.startswith("the ledger: the ledger ")
    assert f"{kept.model}: whole" in done.stdout


@covers("runs tag", "run_id", "name", "--remove", "--also", "--workspace")
def test_tags_are_given_and_taken_away(kept: Kept, tmp_path: Path) -> None:
    desk = kept.copy(tmp_path)
    assert desk.call("runs", "tag", kept.look, "final").stdout == f"{kept.look}: tagged final\n"
    assert desk.call("runs", "tag", kept.look, "best").stdout == f"{kept.look}: tagged best, final\n"
    assert desk.call("runs", "tag", kept.look, "best").stdout == f"{kept.look}: tagged best, final\n"
    assert ids(desk, "runs", "list", "--tag", "best") == [kept.look]
    other, there = Desk(tmp_path), ["--workspace", "desk"]
    assert (
        other.call("runs", "tag", kept.look, "best", "--remove", *there).stdout
        == f"{kept.look}: tagged final\n"
    )
    assert "has no tag best; it has final" in desk.denied("runs", "tag", kept.look, "best", "--remove")
    assert "run nope is not in" in desk.denied("runs", "tag", "nope", "good")
    for name in ("a b", "", "../x", "-x", "x" * 200):
        desk.call("runs", "tag", "--", "base", name, status=2)
    (desk.path / "data" / "stacking").rename(desk.path / "mine")
    assert "good" in desk.call("runs", "tag", "base", "good", "--also", "mine").stdout
    # From a run that is gone, too.
    assert desk.call("runs", "tag", "base", "good", "--remove").stdout == "base: no tag\n"
    Ledger(desk.workspace.ledger).check()


# --- explain ------------------------------------------------------------------------------------------------------


def retyped(desk: Desk, words: list[str]) -> str:
    """Type a command that `explain` printed; what it printed."""
    if words[0] == "./pipeline":
        return desk.call("pipeline", *words[1:]).stdout
    name = {"run_cv.py": "cv", "train_model.py": "train", "evaluate_model.py": "evaluate"}[
        Path(words[1]).name
    ]
    # Workers of this process live in the folder that was current when they were first made.
    alone = ["--workers", "1"] if "--n-splits" in words else []
    return desk.call(name, *words[2:], *alone).stdout


def content_of(desk: Desk, run_id: str) -> str:
    return find_run(desk.workspace, run_id).manifest.content


@covers("runs explain", "run_id", "--json", "--also", "--workspace")
def test_explain_goes_back_to_the_raw_file_and_its_commands_make_the_runs_again(
    kept: Kept, tmp_path: Path
) -> None:
    desk = kept.copy(tmp_path)
    found = json.loads(desk.call("runs", "explain", kept.stacked, "--json").stdout)
    chain = found["chain"]
    assert [(link["kind"], link["id"]) for link in chain] == [
        ("model", kept.stacked), ("cv", "base"), ("dataset", kept.dataset), ("raw", "MES_1m.parquet"),
    ]  # fmt: skip
    assert {link["state"] for link in chain} == {"unchanged"}
    assert found["reproduce"] == f"foldsmith runs reproduce {kept.stacked}"
    for link in chain[:-1]:
        shown = retyped(desk, link["again"])
        made = next(line.split(": ")[1] for line in shown.splitlines() if " ID: " in line)
        assert content_of(desk, made) == link["content"], link["again"]
        assert link["code"]["is_the_code_now"] is True
    text = desk.call("runs", "explain", kept.look).stdout
    assert f"again       python scripts/evaluate_model.py --run-id {kept.model} --split validation" in text
    again = json.loads(desk.call("runs", "explain", kept.look, "--json").stdout)["chain"][0]
    shown = Path(value(retyped(desk, again["again"]), "Evaluation saved to"))
    # What was tried meanwhile counts in the verdict, and in nothing else; `runs reproduce` takes the counts of then.
    evaluations = kept.desk.path / "experiments" / "runs" / kept.model / "evaluations"
    before = read(evaluations / kept.look).files
    now = read(desk.path / shown).files
    assert {name for name in now if now[name] != before[name]} <= {"metrics.json", "report.html"}
    assert text.count("now         unchanged") == 3
    assert text.count("made with   code, packages and machine as above") == 2
    assert text.splitlines()[-1].endswith(f"foldsmith runs reproduce {kept.look}")


@pytest.mark.parametrize(
    "words",
    [
        ["--model", "lightgbm", "--horizon", 5, "--purge-bars", 7, "--seed", 3, "--sample-weight", "uniqueness"],
        ["--model", "logistic", "--horizon", 5, "--tune", "--n-trials", 2, "--time-decay", -0.3],
        ["--model", "stacking", "--horizon", 5, "--base-models", "logistic,lightgbm", "--n-splits", 2,
         "--embargo-bars", 9, "--meta-learner", "greedy", "--workers", 1],
        ["--model", "voting", "--horizon", 5, "--stacking-data", "base"],
    ],
)  # fmt: skip
def test_a_model_is_made_again_by_the_command_of_explain(
    kept: Kept, tmp_path: Path, words: list[object]
) -> None:
    desk = kept.copy(tmp_path)
    made = desk.train(*words)
    again = json.loads(desk.call("runs", "explain", made.id, "--json").stdout)["chain"][0]["again"]
    assert content_of(desk, value(retyped(desk, again), "Run ID")) == made.content


def test_hyperparameters_of_a_config_file_are_shown_to_be_written_again(kept: Kept, tmp_path: Path) -> None:
    desk = kept.copy(tmp_path)
    (tmp_path / "mine.toml").write_text("[params]\nnum_leaves = 7\nlearning_rate = 0.3\n")
    made = desk.train("--model", "lightgbm", "--horizon", 5, "--config", tmp_path / "mine.toml")
    shown = json.loads(desk.call("runs", "explain", made.id, "--json").stdout)["chain"][0]
    assert shown["again"][shown["again"].index("--config") + 1] == "PARAMS.toml"
    assert "    num_leaves = 7" in desk.call("runs", "explain", made.id).stdout
    (desk.path / "PARAMS.toml").write_text(shown["config"])
    assert content_of(desk, value(retyped(desk, shown["again"]), "Run ID")) == made.content


def test_a_dataset_with_every_flag_is_made_again(kept: Kept, tmp_path: Path) -> None:
    desk = kept.copy(tmp_path)
    made = desk.dataset(
        "--timeframe", "15m", "--start", "2022-01-04", "--end", "2022-01-27T22:00", "--k-up", 1.5, "--k-down", 0.5,
        "--max-bars", 8, "--train-ratio", 0.6, "--val-ratio", 0.2, "--test-ratio", 0.2,
    )  # fmt: skip
    again = json.loads(desk.call("runs", "explain", made.id, "--json").stdout)["chain"][0]["again"]
    assert content_of(desk, value(retyped(desk, again), "Dataset ID")) == made.content


def test_explain_says_plainly_what_is_gone_or_another_now(kept: Kept, tmp_path: Path) -> None:
    desk = kept.copy(tmp_path)
    other, there = Desk(tmp_path), ["--workspace", "desk"]

    def states() -> list[str]:
        chain = json.loads(other.call("runs", "explain", kept.stacked, "--json", *there).stdout)["chain"]
        return [link["state"] for link in chain]

    assert "--workspace desk" in other.call("runs", "explain", kept.stacked, *there).stdout
    raw = desk.path / "data" / "raw" / "MES_1m.parquet"
    raw.write_bytes(raw.read_bytes() + b"more")
    assert states() == ["unchanged", "unchanged", "unchanged", "another content now"]
    assert "now         another content now: " in desk.call("runs", "explain", kept.model).stdout
    raw.unlink()
    assert states()[-1] == "gone"
    (desk.path / "data" / "stacking").rename(desk.path / "mine")
    assert states() == ["unchanged", "gone", "unchanged", "gone"]
    found = desk.call("runs", "explain", kept.stacked, "--also", "mine").stdout
    assert "now         unchanged" in found
    assert "--phase3-output mine" in found
    assert found.endswith(f"foldsmith runs reproduce {kept.stacked} --also mine\n")


# --- clean --------------------------------------------------------------------------------------------------------

CLEAN_FLAGS = ("--keep-last", "--partial", "--gone", "--yes", "--json", "--also", "--workspace")
CLEANS = (["runs", "clean"], ["pipeline", "clean"])


@covers("runs clean", *CLEAN_FLAGS)
@covers("pipeline clean", *CLEAN_FLAGS)
@pytest.mark.parametrize("words", CLEANS)
def test_each_flag_of_clean_widens_what_may_go(kept: Kept, tmp_path: Path, words: list[str]) -> None:
    desk, other = kept.copy(tmp_path), Desk(tmp_path)
    before = desk.everything()

    def plan(*flags: object) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(other.call(*words, *flags, "--json", "--workspace", "desk").stdout)
        return found

    assert plan()["remove"] == []
    assert {run["reason"] for run in plan()["keep"]} == {"--keep-last is not given"}
    assert "keep     5 finished runs" in desk.call(*words).stdout
    assert "nothing to remove" in desk.call(*words).stdout
    assert [run["id"] for run in plan("--keep-last", 0)["remove"]] == [
        kept.look, kept.stacked, kept.model, "base", kept.dataset,
    ]  # fmt: skip
    one = plan("--keep-last", 1)
    assert one["remove"] == []
    reasons = {run["id"]: run["reason"] for run in one["keep"]}
    assert reasons[kept.model] == f"{kept.look} was made from it"
    assert reasons[kept.look] == "number 1 of the last 1 of its kind and symbol"
    claim(desk.workspace.stacking, name="dead", resumable=True).release()
    assert plan("--keep-last", 0)["keep"][0]["id"] == "dead"
    assert plan("--partial")["remove"][0]["id"] == "dead"
    shutil.rmtree(partial_folder(desk.workspace.stacking, "dead"))
    # Without --yes and without a terminal, nothing is removed.
    said = desk.call(*words, "--keep-last", 0).stdout
    assert said.count("remove ") >= 5
    assert said.endswith("nothing was removed; to remove it, say --yes\n")
    assert desk.everything() == before
    assert "least is 0" in desk.denied(*words, "--keep-last", -1)
    # Models in a folder of one's own keep what they were made from.
    far = desk.train("--model", "logistic", "--horizon", 5, "--output-dir", "made")
    (desk.path / "made").rename(desk.path / "mine")
    said = desk.call(*words, "--keep-last", 0).stdout
    assert f"note: published, and in no folder that was looked at: {far.id}; what" in said
    assert [entry["run_id"] for entry in plan("--gone")["enter_as_removed"]] == [far.id]
    assert kept.dataset not in [
        run["id"] for run in plan("--keep-last", 0, "--also", desk.path / "mine")["remove"]
    ]
    desk.call("runs", "tag", kept.stacked, "final")
    done = desk.call(*words, "--keep-last", 0, "--yes", "--also", "mine").stdout
    assert f"keep     model       experiments/runs/{kept.stacked}: tagged final" in done
    assert "iB freed" in done
    assert ids(desk, "runs", "list") == [kept.stacked, "base", kept.dataset]
    assert desk.call("runs", "verify", "--also", "mine").stdout.count(": whole") == 5


def test_clean_with_json_keeps_its_progress_off_the_json(kept: Kept, tmp_path: Path) -> None:
    desk = kept.copy(tmp_path)
    done = desk.call("runs", "clean", "--keep-last", 0, "--yes", "--json")
    assert len(json.loads(done.stdout)["remove"]) == 5
    assert "removed model experiments/runs/" in done.stderr
    assert ids(desk, "runs", "list") == []


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A user who sits at a terminal."""
    stdin = SimpleNamespace(isatty=lambda: True)
    monkeypatch.setattr("foldsmith.cli.runs.sys", SimpleNamespace(stdin=stdin))
    return


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(("answer", "left"), [(True, []), (False, ["dead"])])
def test_at_a_terminal_clean_asks(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bool, left: list[str]
) -> None:
    desk = kept.copy(tmp_path)
    claim(desk.workspace.stacking, name="dead", resumable=True).release()
    asked: list[str] = []

    def confirm(text: str, default: bool) -> bool:
        asked.append(text)
        assert default is False
        return answer

    monkeypatch.setattr("foldsmith.cli.runs.click.confirm", confirm)
    desk.call("runs", "clean", "--partial")
    assert [text.split(" about ")[0] for text in asked] == ["Do it, and free"]
    assert [name for name in ids(desk, "runs", "list") if name == "dead"] == left


# --- validate -----------------------------------------------------------------------------------------------------


@covers("pipeline validate", "--symbols", "--timezone", "--stamp", "--workspace")
def test_validate_reads_and_verifies_and_writes_nothing(kept: Kept, tmp_path: Path) -> None:
    desk, other = kept.copy(tmp_path), Desk(tmp_path)
    before = desk.everything()
    shown = other.call("pipeline", "validate", "--workspace", "desk").stdout
    assert "read MES_1m.parquet: " in shown
    assert re.search(r"kept [\d,]+ of [\d,]+ rows", shown)
    assert f"dataset {kept.dataset}: whole" in shown
    assert desk.everything() == before
    desk.call("simulate", "--symbol", "CL", "--sessions", 3)
    both = desk.call("pipeline", "validate").stdout
    assert "read CL_1m.parquet" in both
    one = desk.call("pipeline", "validate", "--symbols", "CL").stdout
    assert "MES" not in one
    assert "dataset" not in one
    # Read by another clock, the bars lie outside the sessions, as phase 1 would find.
    for flag in (["--timezone", "America/Chicago"], ["--stamp", "close"]):
        told = desk.call("pipeline", "validate", "--symbols", "MES", *flag, status=2)
        assert told.stderr.startswith("error: MES: ")
        assert f"dataset {kept.dataset}: whole" in told.stdout
    (desk.path / "data" / "raw" / "CL_1m.parquet").write_text("no bars")
    (desk.workspace.datasets / kept.dataset / "bars.parquet").write_text("no bars")
    done = desk.call("pipeline", "validate", status=2)
    assert "error: CL: " in done.stderr
    assert f"dataset {kept.dataset}: bars.parquet of run {kept.dataset} was changed" in done.stdout
    assert f"2 raw files or datasets cannot be used: CL, {kept.dataset}." in done.stderr
    assert "no raw bars of NQ" in desk.call("pipeline", "validate", "--symbols", "NQ", status=2).stderr
    (tmp_path / "empty").mkdir()
    assert "no raw bars are in" in Desk(tmp_path / "empty").denied("pipeline", "validate")


def test_what_was_typed_is_shown_as_it_is_called() -> None:
    from foldsmith.cli.again import typed

    def of(*words: str) -> str:
        return shlex.join(typed(SimpleNamespace(command=list(words))))  # type: ignore[arg-type]

    assert of("run_cv.py", "--models", "a b") == "python scripts/run_cv.py --models 'a b'"
    assert of("pipeline", "run") == "./pipeline run"
    assert of("foldsmith", "cv") == "foldsmith cv"
    assert of() == "''"
