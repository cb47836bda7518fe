"""What a user can get wrong is told in one sentence that helps, and leaves nothing half written."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import psutil
import pytest
from tests.workflow.conftest import ROOT, Desk, value

from foldsmith.runs.files import write_json
from foldsmith.runs.manifest import MANIFEST, read
from foldsmith.stages.stacking_data import load_phase3_stacking_data

RUN = ["pipeline", "run", "--symbols", "MES"]
STACK = ["train", "--model", "stacking", "--horizon", 5, "--stacking-data"]


@contextmanager
def changed(path: Path, content: bytes | None = None) -> Iterator[Path]:
    """A file with other content (None: for the block to change) inside the block."""
    before = path.read_bytes()
    if content is not None:
        path.write_bytes(content)
    try:
        yield path
    finally:
        path.write_bytes(before)


# --- raw bars and settings ---------------------------------------------------------------------------------------


def raw_csv(desk: Desk, text: str | bytes, name: str = "MES_1m.csv") -> Path:
    folder = desk.path / "data" / "raw"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / name


HEADER = "timestamp,open,high,low,close,volume\n"


def test_no_raw_file_names_the_path_and_what_is_there(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    told = desk.denied(*RUN)
    assert "data/raw/MES_1m.parquet is not there" in told
    assert "copy your 1-minute bars there" in told
    assert "no raw bars are in data/raw" in desk.denied("pipeline", "run", "--symbols", "all")
    raw_csv(desk, HEADER, "CL_1m.csv")
    assert "There are: CL_1m.csv" in desk.denied(*RUN)


def test_an_unknown_symbol_is_told_with_those_known_and_how_to_add_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    raw_csv(desk, HEADER, "MESS_1m.csv")
    told = desk.denied("pipeline", "run", "--symbols", "MESS")
    assert "did you mean MES" in told
    assert "instruments.toml" in told


@pytest.mark.parametrize(
    ("name", "content", "sentences"),
    [
        ("MES_1m.csv", "timestamp,open,high,low,volume\n2022-01-03 10:00,1,1,1,1\n", ["close"]),
        ("MES_1m.csv", HEADER + "2022-01-03 10:00,1,1,1,1,1\n2022-01-03 10:01,1,abc,1,1,1\n", ["high", "abc"]),
        ("MES_1m.csv", HEADER + "2022-01-03 10:00,1,1,1,1,1\nsoon,1,1,1,1,1\n", ["soon"]),
        ("MES_1m.csv", "", ["empty (0 bytes)", "cut short"]),
        ("MES_1m.csv", HEADER, ["no bars"]),
        ("MES_1m.csv", b"\xff\xfe\x00\x01\x02", ["MES_1m.csv"]),
        ("MES_1m.parquet", "", ["empty (0 bytes)"]),
        ("MES_1m.parquet", "PAR1 no parquet", ["MES_1m.parquet"]),
        ("MES_1m.csv.gz", "no gzip", ["MES_1m.csv.gz"]),
    ],
)  # fmt: skip
def test_a_raw_file_that_cannot_be_used_says_where_and_what(
    tmp_path: Path, name: str, content: str | bytes, sentences: list[str]
) -> None:
    desk = Desk(tmp_path)
    raw_csv(desk, content, name)
    told = denied_leaving_folders(desk, *RUN)
    assert all(sentence in told for sentence in sentences), told


def denied_leaving_folders(desk: Desk, *words: object) -> str:
    """Like `denied`, where the empty folders that hold runs, and the ledger's, may appear."""
    before = {name for name, size in desk.everything().items() if size >= 0}
    done = desk.call(*words, status=2)
    assert {name for name, size in desk.everything().items() if size >= 0} == before
    assert not list(desk.path.rglob("*.partial")), "half a run is left"
    last = done.stderr.strip()
    assert last.startswith("error: "), last
    assert "\n" not in last
    return last


def test_a_parquet_file_cut_short_is_refused(tiny: Desk, tmp_path: Path) -> None:
    content = (tiny.path / "data" / "raw" / "MES_1m.parquet").read_bytes()
    for size in (4, len(content) // 2, len(content) - 1):
        desk = Desk(tmp_path / str(size))
        raw_csv(desk, content[:size], "MES_1m.parquet")
        assert "MES_1m.parquet" in denied_leaving_folders(desk, *RUN)


def test_unknown_names_list_those_there(tiny: Desk) -> None:
    assert "Did you mean" in tiny.denied("cv", "--models", "xgbost") or "there are xgboost" in tiny.denied(
        "cv", "--models", "xgbost"
    )
    assert "there are xgboost, lightgbm" in tiny.denied("train", "--model", "nope", "--horizon", 5)
    for command in (["cv", "--horizons", "7"], ["train", "--model", "logistic", "--horizon", 7]):
        told = tiny.denied(*command)
        assert "horizon 7 is not in the dataset; it has 5, 10" in told
        assert "--horizons 7" in told
    assert "whole numbers" in tiny.denied("cv", "--horizons", "five")
    assert "is missing" in tiny.denied("train", "--model", "logistic")
    assert "no folder" in tiny.denied("cv", "--workspace", "nowhere")
    assert "there are" in tiny.denied(*STACK, "base", "--meta-learner", "nope")


def test_a_spoilt_instruments_file_is_told(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    raw_csv(desk, HEADER)
    for text, sentence in (
        (b"[MES", "cannot be read as TOML"),
        (b"\xff\xfe", "is not UTF-8"),
        (b'[MES]\ncalendar="CME_EQUITY"', "lacks tick_size"),
        (b'[MES]\ncalendar="nope"\ntick_size=1\ntick_value=1', "calendar 'nope' is unknown"),
        (b'[MES]\ncalendar="CME_EQUITY"\ntick_size="x"\ntick_value=1', "a number is needed"),
        (b"MES=3", "stands alone"),
    ):
        (tmp_path / "instruments.toml").write_bytes(text)
        told = desk.denied(*RUN)
        assert sentence in told
        assert "instruments.toml" in told or "instrument MES" in told


def test_a_missing_extra_is_named_before_any_work(tiny: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foldsmith.models.catalogue.find_spec", lambda name: None)
    for command in (
        ["cv", "--models", "catboost"],
        ["train", "--model", "catboost", "--horizon", 5],
        ["train", "--model", "voting", "--horizon", 5, "--base-models", "logistic,catboost"],
    ):
        assert 'pip install "foldsmith[catboost]"' in tiny.denied(*command)
    assert "not installed" in tiny.call("pipeline", "models").stdout


# --- run ids, parents and stored files ---------------------------------------------------------------------------

HOSTILE = [
    "../../etc",
    "/etc/passwd",
    "..",
    ".",
    "",
    "a/b",
    "a\\b",
    "x\x00y",
    "-x",
    ".hidden",
    "é",
    "x" * 300,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_run_id_is_a_name_and_never_a_path(tiny: Desk, name: str) -> None:
    for command in (
        ["evaluate", "--split", "test", f"--run-id={name}"],
        [*STACK[:-1], f"--stacking-data={name}"],
        ["cv", f"--resume={name}"],
        ["cv", "--models", "logistic", f"--output-name={name}"],
        ["train", "--model", "logistic", "--horizon", 5, f"--dataset={name}"],
        ["predict", f"--run-id={name}", "--bars", "x.csv"],
    ):
        told = tiny.denied(*command)
        assert "is not there" not in told, told


def test_an_unknown_run_id_lists_those_there(tiny: Desk) -> None:
    missing = "20200101_000000_000000_0000"
    assert "the newest runs there are base" in tiny.denied(*STACK, missing)
    dataset = read_dataset(tiny)
    assert dataset in tiny.denied("cv", "--dataset", missing)
    assert "no run is there" in tiny.denied("evaluate", "--run-id", missing, "--split", "test")
    assert "is a cv run; a trained model is needed" in tiny.denied(
        "evaluate", "--run-id", "base", "--split", "test", "--runs-dir", "data/stacking"
    )
    assert "a CV run is needed" in tiny.denied(*STACK, dataset, "--phase3-output", "data/datasets")


def read_dataset(desk: Desk) -> str:
    (only,) = (path.name for path in (desk.path / "data" / "datasets").iterdir())
    return only


def test_a_cv_run_without_the_horizon_says_which_it_has(tiny: Desk) -> None:
    told = tiny.denied(*STACK[:4], 10, STACK[-1], "base")
    assert "CV run base has no horizon 10; it has 5" in told


def test_a_taken_name_is_refused_and_untouched(tiny: Desk) -> None:
    told = tiny.denied("cv", "--models", "logistic", "--horizons", 5, "--output-name", "base")
    assert "base exists in data/stacking and was left untouched" in told


def test_a_stacking_table_without_labels_names_the_column(tiny: Desk) -> None:
    folder = tiny.path / "data" / "stacking"
    with changed(folder / "base" / "stacking" / "stacking_dataset_h5.parquet") as path:
        metadata = pl.read_parquet_metadata(path)
        kept = {key: text for key, text in metadata.items() if key == "foldsmith"}
        pl.read_parquet(path).drop("y_true").write_parquet(path, metadata=kept)
        with pytest.raises(ValueError, match="column 'y_true' is missing"):
            load_phase3_stacking_data("base", 5, folder)
        assert "column 'y_true' is missing" in tiny.denied(*STACK, "base")


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("cv/manifest.json", lambda content: b"{}"),
        ("cv/manifest.json", lambda content: content[:-20]),
        ("cv/manifest.json", lambda content: content.replace(b'"seed": 42', b'"seed": 43')),
        ("cv/stacking/stacking_dataset_h5.parquet", lambda content: content[:-9]),
        ("cv/stacking/validation_h5.parquet", lambda content: content[:-9]),
        ("cv/models/logistic_h5/model.json", lambda content: b"[]"),
        ("cv/models/lightgbm_h5/model.json", lambda content: content.replace(b"lightgbm", b"logistic")),
        ("dataset/manifest.json", lambda content: content + b"\n"),
        ("dataset/recipe.json", lambda content: content.replace(b"MES", b"MNQ", 1)),
        ("dataset/bars.parquet", lambda content: b"PAR1"),
    ],
)
def test_a_spoilt_file_of_a_parent_is_named(tiny: Desk, name: str, spoil: Callable[[bytes], bytes]) -> None:
    kind, _, inside = name.partition("/")
    place = "stacking/base" if kind == "cv" else f"datasets/{read_dataset(tiny)}"
    path = tiny.path / "data" / place / inside
    with changed(path, spoil(path.read_bytes())):
        told = tiny.denied(*STACK, "base")
    assert Path(inside).name in told, told


@pytest.fixture(scope="module")
def model(tiny: Desk) -> str:
    return value(tiny.call(*STACK, "base").stdout, "Run ID")


INSIDE = [
    "manifest.json",
    "metrics.json",
    "model/recipe.json",
    "model/model.json",
    "model/base/logistic/model.json",
]


@pytest.mark.parametrize("inside", INSIDE)
def test_a_spoilt_model_is_neither_evaluated_nor_used(tiny: Desk, model: str, inside: str) -> None:
    path = tiny.path / "experiments" / "runs" / model / inside
    raw = tiny.path / "data" / "raw" / "MES_1m.parquet"
    for content in (b"{}", b"null", path.read_bytes()[:-3]):
        with changed(path, content):
            for command in (["evaluate", "--split", "test"], ["predict", "--bars", raw, "--output", "x.csv"]):
                assert path.name in tiny.denied(*command, "--run-id", model)


@pytest.mark.parametrize("inside", ["recipe.json", "model.json", "base/lightgbm/model.json"])
def test_a_spoilt_model_with_hashes_that_fit_is_refused_too(
    tiny: Desk, tmp_path: Path, model: str, inside: str
) -> None:
    """A run from elsewhere, whose manifest was made to fit what it holds."""
    desk = Desk(tmp_path)
    run = tmp_path / "experiments" / "runs" / model
    shutil.copytree(tiny.path / "experiments" / "runs" / model, run)
    raw = tiny.path / "data" / "raw" / "MES_1m.parquet"
    path = run / "model" / inside
    known = json.loads(path.read_text())
    for content in (
        {},
        [],
        {**known, "name": "nope", "cuts": "x"},
        {**known, "files": ["../x"], "features": 3},
    ):
        path.write_text(json.dumps(content))
        refit_manifest(run)
        told = desk.denied("predict", "--run-id", model, "--bars", raw, "--output", "x.csv")
        assert path.name in told, (content, told)


def refit_manifest(run: Path) -> None:
    from foldsmith.runs.manifest import build, write

    old = read(run)
    kept = {
        name: getattr(old, name)
        for name in ("kind", "id", "created", "command", "parameters", "parents", "extra")
    }
    (run / MANIFEST).unlink()
    write(run, build(run, **kept, fingerprint=old.fingerprint, seed=old.seed, wall_seconds=old.wall_seconds))


def test_a_changed_dataset_under_a_cv_run_is_named_with_both(tiny: Desk, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    shutil.copytree(tiny.path / "data", tmp_path / "data")
    dataset = tmp_path / "data" / "datasets" / read_dataset(desk)
    known = read(dataset).content
    (dataset / "findings.json").write_text("{}\n")
    refit_manifest(dataset)
    told = desk.denied(*STACK, "base")
    assert f"run base was made from dataset {dataset.name} with content {known[:12]}" in told
    assert read(dataset).content[:12] in told
    assert "(the same settings, and other bars)" in told
    recipe = json.loads((dataset / "recipe.json").read_text())
    recipe["horizons"]["5"]["barriers"] = {"up": 2.5, "down": 3.0}
    recipe["cuts"][0] += 3_600_000_000
    write_json(dataset / "recipe.json", recipe)
    refit_manifest(dataset)
    told = desk.denied(*STACK, "base")
    assert re.search(
        r"end of training [0-9: -]+, now [0-9: -]+; label of horizon 5 .*, now 5 bars and barriers 2.5/3",
        told,
    )
    shutil.rmtree(dataset)
    assert f"made from dataset {dataset.name}, which is gone" in desk.denied(*STACK, "base")


# --- the machine -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", ["1000k", "1500k"])
def test_a_full_disk_is_told_and_leaves_no_half_run(tiny: Desk, tmp_path: Path, size: str) -> None:
    """Phase 1 on a small file system that exists for that process alone."""
    unshare = shutil.which("unshare")
    if not sys.platform.startswith("linux") or unshare is None:
        pytest.skip("a private file system needs Linux and `unshare`")
    script = (
        f'mount -t tmpfs -o size={size} none "$1" || exit 77; mkdir -p "$1/data/raw"; cp "$2" "$1/data/raw" || exit 78;'
        ' cd "$1"; "$0" "$3" run --symbols MES --horizons 5; echo "status $?"; find . -type f -o -name "*.partial"'
    )
    raw = tiny.path / "data" / "raw" / "MES_1m.parquet"
    command = [
        unshare,
        "-rm",
        "sh",
        "-c",
        script,
        sys.executable,
        str(tmp_path),
        str(raw),
        str(ROOT / "pipeline"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no private file system can be mounted here: {done.stderr.strip()}")
    assert "status 2" in done.stdout, (done.stdout, done.stderr)
    assert done.stderr.startswith("error: "), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "the disk is full; free some space" in done.stderr
    left = done.stdout.split("status 2\n")[1].split()
    assert [name for name in left if "ledger" not in name] == ["./data/raw/MES_1m.parquet"]


def test_ctrl_c_of_a_whole_group_with_workers_says_how_to_go_on(tiny: Desk) -> None:
    started = subprocess.Popen(
        tiny.command("cv", "--models", "lightgbm", "--horizons", "all", "--n-splits", 8, "--workers", 2,
                     "--output-name", "stopped", "--output-dir", "my runs"),
        cwd=tiny.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert started.stdout is not None
    next(line for line in started.stdout if line.startswith("[1/"))
    group = psutil.Process(started.pid).children(recursive=True)
    os.killpg(started.pid, signal.SIGINT)
    _, told = started.communicate(timeout=60)
    assert started.returncode == 130
    assert "Traceback" not in told
    last = told.strip()
    assert last.startswith("error: run stopped was stopped in my runs"), told
    assert "\n" not in last, told
    assert last.endswith("python scripts/run_cv.py --resume stopped --output-dir 'my runs'")
    _, alive = psutil.wait_procs(group, timeout=10)
    assert not alive
    assert not (tiny.path / "my runs" / "stopped").exists()
    done = tiny.call("cv", "--resume", "stopped", "--output-dir", "my runs", "--workers", 1)
    assert value(done.stdout, "CV Run ID") == "stopped"


HEAVY = (
    "numpy",
    "polars",
    "sklearn",
    "scipy",
    "numba",
    "lightgbm",
    "xgboost",
    "optuna",
    "pydantic",
    "matplotlib",
)


def test_help_imports_nothing_heavy() -> None:
    """So that it answers at once; time itself depends on the machine."""
    words = [["--help"], *([*name.split(), "--help"] for name in command_names())]
    program = (
        "import sys\nfrom foldsmith.cli.main import main\n"
        f"for words in {words!r}:\n"
        "    try:\n        main(words)\n    except SystemExit as end:\n        assert not end.code, words\n"
        f"    heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "    assert not heavy, (words, heavy)\n"
    )
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < 10


def command_names() -> list[str]:
    from tests.workflow.test_flags import commands

    from foldsmith.cli.main import main

    return [name for name, _ in commands(main)]
