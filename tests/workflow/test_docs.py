"""The commands that the README and the docs show are run as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.workflow.conftest import ROOT, Desk, value

from foldsmith.models.catalogue import FAMILIES, MODELS

NAMES = {"./pipeline": "pipeline", "scripts/run_cv.py": "cv", "scripts/train_model.py": "train",
         "scripts/evaluate_model.py": "evaluate"}  # fmt: skip


def commands(path: str) -> list[list[str]]:
    """Every command line of the code blocks of a page, as words of `Desk.run`."""
    text = (ROOT / path).read_text()
    found = []
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        if language:
            continue
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["python"]:
                words = words[1:]
            if words and words[0] in NAMES:
                found.append([NAMES[words[0]], *words[1:]])
            elif words and words[0] == "foldsmith":
                found.append(words[1:])
    return found


def test_the_commands_of_the_readme_run_as_they_stand(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.run("simulate", "--symbol", "MES", "--sessions", 20)
    shown = commands("README.md")
    assert [words[0] for words in shown] == [
        "pipeline", "pipeline", "train", "cv", "train", "evaluate", "predict"
    ]  # fmt: skip
    ids = {"<CV_RUN_ID>": "", "<RUN_ID>": ""}
    for words in shown:
        # The one change: 100 trials would take the test's time limit.
        words = [
            "1" if before == "--n-trials" else word for before, word in zip(["", *words], words, strict=False)
        ]
        done = desk.run(*(ids.get(word, word) for word in words))
        if words[0] == "cv":
            ids["<CV_RUN_ID>"] = value(done.stdout, "CV Run ID")
        if words[0] == "train":
            ids["<RUN_ID>"] = value(done.stdout, "Run ID")
    assert (
        (tmp_path / "predictions.csv")
        .read_text()
        .startswith("datetime,prob_short,prob_neutral,prob_long,signal")
    )


def test_the_commands_of_the_page_on_runs_run_as_they_stand(tiny: Desk) -> None:
    ids = {
        "RUN_ID": tiny.train("--model", "logistic", "--horizon", 5).id,
        "OTHER_ID": tiny.train("--model", "logistic", "--horizon", 10).id,
    }
    shown = commands("docs/runs.md")
    assert {words[1] for words in shown if words[0] == "runs"} == {
        "list", "show", "compare", "verify", "explain", "reproduce", "tag", "clean",
    }  # fmt: skip
    for words in shown:
        tiny.call(*(ids.get(word, word) for word in words))


@pytest.mark.proof  # two minutes: it audits a run, a dataset and a whole workspace
def test_the_commands_of_the_page_on_audits_run_as_they_stand(tiny: Desk) -> None:
    (dataset,) = (tiny.path / "data" / "datasets").iterdir()
    ids = {"DATASET_ID": dataset.name, "CV_RUN_ID": "base"}
    shown = [words for words in commands("docs/audit.md") if not {"--mutants", "null"} & set(words)]
    assert [words[0] for words in shown] == ["audit"] * 7
    for words in shown:
        tiny.call(*(ids.get(word, word) for word in words))
    assert "Foldsmith audit" in (tiny.path / "audit.html").read_text()


def test_the_commands_of_the_page_on_data_run_as_they_stand(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.call("simulate", "--sessions", 30)
    shown = commands("docs/data.md")
    assert len(shown) >= 2
    for words in shown:
        desk.call(*words)


def test_the_page_on_feature_sets_runs_as_it_stands(tmp_path: Path) -> None:
    """Its files, its commands, and its lines of Python with a bar at hand."""
    desk = Desk(tmp_path)
    desk.call("simulate", "--sessions", 30)
    text = (ROOT / "docs" / "feature_sets.md").read_text()
    (desk.path / "features.toml").write_text("\n".join(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)))
    code, live = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (desk.path / "my_features.py").write_text(code)
    shown = commands("docs/feature_sets.md")
    assert [words[0] for words in shown] == [
        "features", "features", "pipeline", "cv", "train", "pipeline", "cv", "pipeline"
    ]  # fmt: skip
    for words in shown:
        done = desk.call(*words)
    bars = pl.read_parquet(desk.path / value(done.stdout, "Dataset saved to") / "bars.parquet")
    names: dict[str, Any] = {"bar": bars.row(0, named=True)}
    exec(live, names)
    assert names["row"].shape == (76,)


def test_the_regression_of_the_page_on_labels_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path)
    desk.call("simulate", "--sessions", 30)
    made = value(desk.call("pipeline", "run", "--symbols", "MES").stdout, "Dataset ID")
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "labels.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code.replace("DATASET_ID", made), names)
    assert len(names["scores"]) == 5
    assert (names["scores"] < 0.2).all()


def test_the_commands_of_the_page_on_models_run_as_they_stand(tiny: Desk) -> None:
    """With the file and the class that it shows."""
    text = (ROOT / "docs" / "models.md").read_text()
    (tiny.path / "models.toml").write_text(*re.findall(r"```toml\n(.*?)```", text, re.DOTALL))
    (tiny.path / "my_models.py").write_text(*re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    shown = commands("docs/models.md")
    assert [words[0] for words in shown] == ["cv", "cv", "models", "cv", "train"]
    for words in shown:
        tiny.call(*words)


def test_the_page_on_models_names_them_all() -> None:
    text = (ROOT / "docs" / "models.md").read_text()
    for name in (*MODELS, *FAMILIES):
        assert f"`{name}`" in text, name


def test_make_targets_named_in_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`?make ([a-z-]+)", (ROOT / "README.md").read_text())) <= targets


@pytest.mark.parametrize(
    "page", sorted(str(p.relative_to(ROOT)) for p in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text()):
        if not target.startswith("http"):
            assert (ROOT / page).parent.joinpath(target).exists(), f"{page}: {target}"


def test_the_commands_of_the_page_on_serving_run_as_they_stand(tiny: Desk) -> None:
    """But for `serve`, which does not end: tests/workflow/test_serving.py runs it."""
    run = tiny.train("--model", "logistic", "--horizon", 10).id
    later = Desk(tiny.path / "later")
    later.path.mkdir()
    later.call("simulate", "--sessions", 24, "--seed", 9)
    (later.path / "data" / "raw" / "MES_1m.parquet").rename(tiny.path / "later.parquet")
    shown = commands("docs/serving.md")
    assert [words[0] for words in shown] == ["predict", "drift"]
    for words in shown:
        tiny.call(*(run if word == "RUN_ID" else word for word in words))
