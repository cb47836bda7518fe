"""Sets of features from the commands: what a dataset holds, what a model sees, and features of the user's own."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.workflow.conftest import Desk
from tests.workflow.test_flags import covers

from foldsmith.features import FEATURES
from foldsmith.features.sets import resolve
from foldsmith.runs.manifest import Manifest
from foldsmith.stages import out_of_fold
from foldsmith.stages.recipe import Recipe

pytestmark = pytest.mark.xdist_group("features")

CODE = """import polars as pl


def distance(bars):
    close = bars["close"]
    return close / close.rolling_mean(30) - 1


def leak(bars):
    return bars["close"].shift(-1).fill_null(0.0)
"""
TOML = """[sets]
mine = ["return_1", "volatility", "distance"]

[features.distance]
file = "my_features.py"
function = "distance"
warmup = 30
equation = "c / mean_30(c) - 1"

[features.leak]
file = "my_features.py"
function = "leak"
warmup = 1
equation = "c[+1]"
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Simulated bars of MES, a dataset with the set core, and a features.toml with features of the user's own."""
    made = Desk(tmp_path_factory.mktemp("features"))
    made.call("simulate", "--sessions", 20, "--edge", 0.05, "--seed", 7)
    (made.path / "my_features.py").write_text(CODE)
    (made.path / "features.toml").write_text(TOML)
    return made


@pytest.fixture(scope="module")
def core(desk: Desk) -> Manifest:
    return desk.dataset()


def features_of(desk: Desk, dataset: Manifest) -> pl.DataFrame:
    return pl.read_parquet(desk.workspace.datasets / dataset.id / "features.parquet")


def tried(desk: Desk, run: Manifest) -> list[dict[str, object]]:
    """Parameters of the trials of a run, as the ledger has them."""
    with sqlite3.connect(desk.workspace.ledger) as ledger:
        rows = ledger.execute("SELECT body FROM entries WHERE kind = 'trial' AND run_id = ?", (run.id,))
        return [json.loads(body)["params"] for (body,) in rows]


@covers("pipeline run", "--features")
def test_a_dataset_holds_the_features_that_are_named(desk: Desk, core: Manifest) -> None:
    assert core.parameters["features"] == ["core"]
    whole = features_of(desk, core)
    assert whole.columns == ["datetime", *resolve(["core"])]
    assert desk.dataset("--features", "core").content == core.content
    some = desk.dataset("--features", "time,return_1,momentum")
    made = features_of(desk, some)
    assert made.columns == ["datetime", *resolve(["return_1", "momentum", "time"])]
    assert made.equals(whole.select(made.columns))
    assert some.parameters["features"] == ["return_1", "momentum", "time"]
    recipe = Recipe.read(desk.workspace.datasets / some.id / "recipe.json")
    assert recipe.features == tuple(made.columns[1:])
    assert features_of(desk, desk.dataset("--features", "all")).columns == ["datetime", *FEATURES]
    told = desk.call("runs", "reproduce", some.id).stdout
    assert told.splitlines()[-1] == f"dataset {some.id}: the same content"
    assert "--features return_1,momentum,time" in desk.call("runs", "explain", some.id).stdout
    assert "unknown feature or set 'nope'" in desk.denied(
        "pipeline", "run", "--symbols", "MES", "--features", "nope"
    )
    assert "named twice" in desk.denied("pipeline", "run", "--symbols", "MES", "--features", "time,time")


@covers("cv", "--features")
def test_models_of_a_cross_validation_see_what_they_are_told(desk: Desk, core: Manifest) -> None:
    words = ["--models", "logistic,lightgbm", "--dataset", core.id]
    plain = desk.cv(*words)
    assert "features" not in plain.parameters
    assert desk.cv(*words, "--features", "core").content == plain.content
    seen = list(resolve(["price", "time"]))
    made = desk.cv(*words, "--features", "logistic=price+time")
    assert made.parameters["features"] == {"logistic": seen}
    before, after = (
        pl.read_parquet(desk.workspace.stacking / run.id / "stacking" / "stacking_dataset_h5.parquet")
        for run in (plain, made)
    )
    # Rows, folds and the other model are the same.
    same = [name for name in before.columns if not name.startswith("logistic_")]
    assert after.select(same).equals(before.select(same))
    assert not after.equals(before)
    described = desk.workspace.stacking / made.id / "models"
    assert json.loads((described / "logistic_h5" / "model.json").read_text())["features"] == seen
    assert "features" not in json.loads((described / "lightgbm_h5" / "model.json").read_text())
    # What a model saw is a thing tried.
    assert sorted(json.dumps(params.get("features")) for params in tried(desk, made)) == [
        '["price", "time"]', '["price", "time"]', "null", "null",
    ]  # fmt: skip
    assert "--features logistic=price+time" in desk.call("runs", "explain", made.id).stdout
    told = desk.call("runs", "reproduce", made.id, "--workers", 1).stdout
    assert told.splitlines()[-1] == f"cv {made.id}: the same content"
    both = desk.cv(*words, "--features", "price,time")
    assert both.parameters["features"] == {"logistic": seen, "lightgbm": seen}
    assert "--features price,time" in desk.call("runs", "explain", both.id).stdout
    assert "fits: 6 " in desk.call("cv", *words, "--horizons", 5, "--n-splits", 2, "--features", "price",
                                   "--dry-run").stdout  # fmt: skip
    for text, sentence in (
        ("xgboost=price", "'xgboost' is no model of this run"),
        ("logistic=price,logistic=time", "'logistic' is named twice"),
        ("logistic=price,time", "mixes both ways"),
        ("logistic=", "names nothing"),
        ("nope", "unknown feature or set 'nope'"),
    ):
        assert sentence in desk.denied("cv", *words, "--features", text), text


@covers("train", "--features")
def test_a_model_predicts_from_the_features_it_saw(desk: Desk, core: Manifest) -> None:
    words = ["--horizon", 5, "--dataset", core.id]
    base = ["--model", "logistic", *words]
    plain = desk.train(*base)
    assert desk.train(*base, "--features", "core").content == plain.content
    made = desk.train(*base, "--features", "return_1,trend")
    assert made.parameters["features"] == list(resolve(["return_1", "trend"]))
    assert desk.train(*base, "--features", "logistic=return_1+trend").content == made.content
    assert tried(desk, made) == [{"features": ["return_1", "trend"]}]
    assert "--features return_1,trend" in desk.call("runs", "explain", made.id).stdout
    assert desk.call("runs", "reproduce", made.id).stdout.endswith("the same content\n")
    # Fresh and stored predictions give one ensemble, over base models that see different features.
    fresh = desk.train(
        "--model", "stacking", *words, "--base-models", "logistic,lightgbm", "--n-splits", 2, "--workers", 1,
        "--features", "lightgbm=price,logistic=trend+time",
    )  # fmt: skip
    assert set(fresh.parameters["features"]) == {"logistic", "lightgbm"}
    cv = desk.cv("--models", "logistic,lightgbm", "--dataset", core.id, "--features",
                 "lightgbm=price,logistic=trend+time")  # fmt: skip
    stored = desk.train("--model", "stacking", "--horizon", 5, "--stacking-data", cv.id)
    assert stored.files["model/model.json"] == fresh.files["model/model.json"]
    assert stored.files["predictions/validation.parquet"] == fresh.files["predictions/validation.parquet"]
    assert desk.call("runs", "reproduce", fresh.id, "--workers", 1).stdout.endswith("the same content\n")
    for run in (made, stored):
        as_evaluated(desk, run)


def test_a_run_that_was_stopped_goes_on_with_its_features(
    desk: Desk, core: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["cv", "--models", "logistic,lightgbm", "--horizons", 5, "--n-splits", 2, "--workers", 1]
    words += ["--dataset", core.id, "--features", "logistic=price+time", "--output-name"]
    with monkeypatch.context() as patch:
        patch.setattr(out_of_fold, "refit_unit", None)  # every refit fails
        desk.call(*words, "stopped", status=2)
    assert "[4/" not in desk.call("cv", "--resume", "stopped", "--workers", 1).stdout
    desk.call(*words, "whole")
    stopped, whole = (desk.workspace.open_run(desk.workspace.stacking, name) for name in ("stopped", "whole"))
    assert stopped.manifest.content == whole.manifest.content
    assert stopped.manifest.parameters["features"] == {"logistic": list(resolve(["price", "time"]))}


def as_evaluated(desk: Desk, run: Manifest) -> None:
    """A model's predictions of the raw bars are those that an evaluation scored, to the bit."""
    shown = desk.call("evaluate", "--run-id", run.id, "--split", "validation").stdout
    folder = next(line for line in shown.splitlines() if line.startswith("Evaluation saved to: ")).split()[-1]
    scored = pl.read_parquet(desk.path / folder / "predictions.parquet")
    raw = desk.path / "data" / "raw" / "MES_1m.parquet"
    desk.call("predict", "--run-id", run.id, "--bars", raw, "--output", f"{run.id}.parquet")
    found = pl.read_parquet(desk.path / f"{run.id}.parquet")
    names = ["prob_short", "prob_neutral", "prob_long"]
    joined = scored.select("datetime", *names).join(found, on="datetime", how="left", suffix="_now")
    assert joined.height > 300
    for name in names:
        np.testing.assert_array_equal(joined[name].to_numpy(), joined[f"{name}_now"].to_numpy())


def test_findings_say_how_features_are_on_training_rows(desk: Desk, core: Manifest) -> None:
    folder = desk.workspace.datasets / core.id
    found = json.loads((folder / "findings.json").read_text())["features"]
    until = Recipe.read(folder / "recipe.json").cuts[0]
    closes = pl.read_parquet(folder / "bars.parquet")["close_time"].to_physical()
    training = features_of(desk, core).filter(closes <= until)
    assert 0.6 < training.height / len(closes) < 0.75
    assert found["rows"] == training.height
    assert list(found["each"]) == sorted(training.columns[1:])  # as canonical JSON has them
    for name in ("return_1", "rsi_14", "volume_seasonal"):
        values = training[name].cast(pl.Float64).fill_nan(None)
        told = found["each"][name]
        assert told["missing"] == pytest.approx(values.null_count() / training.height, rel=1e-4)
        assert told["mean"] == pytest.approx(values.mean(), rel=1e-4, abs=1e-9)
        assert told["sd"] == pytest.approx(values.std(ddof=0), rel=1e-4)
    pairs = {(pair["one"], pair["other"]) for pair in found["redundant"]["pairs"]}
    assert all(abs(pair["correlation"]) > 0.95 for pair in found["redundant"]["pairs"])
    whole = training.filter(pl.all_horizontal(pl.col(training.columns[1:]).is_finite()))
    for one, other in pairs:
        assert abs(np.corrcoef(whole[one], whole[other])[0, 1]) > 0.949
    assert pairs
    model = desk.train("--model", "logistic", "--horizon", 5, "--dataset", core.id)
    shown = desk.call("evaluate", "--run-id", model.id, "--split", "validation").stdout
    report = next(line.split(": ")[1] for line in shown.splitlines() if line.startswith("Report: "))
    page = (desk.path / report).read_text()
    assert f"On {training.height:,} training rows" in page
    assert "volume_seasonal_24" in page


def test_a_feature_that_the_dataset_lacks_is_refused(desk: Desk) -> None:
    small = desk.dataset("--features", "price")
    told = desk.denied(
        "train", "--model", "logistic", "--horizon", 5, "--dataset", small.id, "--features", "core"
    )
    assert told.startswith("--features core: momentum_12 and 58 more of it ")
    command = told.split("Make one that has it: ")[1].split()
    assert command[:5] == ["./pipeline", "run", "--symbols", "MES", "--features"]
    bigger = desk.dataset("--features", command[5])
    assert features_of(desk, bigger).columns[1:] == list(resolve(["core"]))


def test_a_feature_of_ones_own_goes_from_the_file_to_the_prediction(desk: Desk) -> None:
    dataset = desk.dataset("--features", "mine")
    made = features_of(desk, dataset)
    assert made.columns[1:] == [*resolve(["return_1", "volatility"]), "distance"]
    bars = pl.read_parquet(desk.workspace.datasets / dataset.id / "bars.parquet")
    block = bars.filter(pl.col("block") == 0)["close"]
    mine = (block / block.rolling_mean(30) - 1).cast(pl.Float32)
    np.testing.assert_array_equal(made["distance"][29 : len(block)], mine[29:])
    recipe = Recipe.read(desk.workspace.datasets / dataset.id / "recipe.json")
    assert [(each.name, len(each.digest)) for each in recipe.own_features] == [("distance", 64)]
    assert desk.call("runs", "reproduce", dataset.id).stdout.endswith("the same content\n")
    assert "--features return_1,volatility,distance" in desk.call("runs", "explain", dataset.id).stdout
    model = ["--model", "logistic", "--horizon", 5, "--dataset", dataset.id]
    with_it = desk.train(*model, "--features", "distance,return_1")
    without = desk.train(*model, "--features", "volatility")
    as_evaluated(desk, with_it)
    predict = ["predict", "--bars", desk.path / "data" / "raw" / "MES_1m.parquet", "--run-id"]
    file, toml = desk.path / "my_features.py", desk.path / "features.toml"
    try:
        file.write_text(CODE.replace("30", "31"))
        told = desk.denied(*predict, with_it.id)
        assert "distance of" in told
        assert "my_features.py with SHA-256" in told
        file.unlink()
        assert "my_features.py, which is absent" in desk.denied(*predict, with_it.id)
        # A model that does not see it needs no file.
        desk.call(*predict, without.id)
        file.write_text(CODE)
        # Code is run only where the workspace's own file names it.
        toml.unlink()
        assert "does not name it so" in desk.denied(*predict, with_it.id)
        desk.call(*predict, without.id)
    finally:
        file.write_text(CODE)
        toml.write_text(TOML)


def test_own_features_that_leak_or_lead_away_are_refused(desk: Desk, tmp_path: Path) -> None:
    run = ["pipeline", "run", "--symbols", "MES", "--horizons", 5, "--features"]
    told = desk.denied(*run, "leak")
    assert told.startswith(
        "feature leak (my_features.py, function leak) knows the future: its value at the bar of"
    )
    (tmp_path / "away.py").write_text(CODE)
    (desk.path / "link.py").symlink_to(tmp_path / "away.py")
    toml = desk.path / "features.toml"
    entry = '[features.a]\nfile = "{}"\nfunction = "distance"\nwarmup = 30\nequation = "x"\n'
    (desk.path / "broken.py").write_text("def distance(:\n")
    try:
        for text, sentence in (
            (entry.format("link.py"), "lies outside the workspace"),
            (entry.format(f"../{tmp_path.name}/away.py"), "lies outside the workspace"),
            (entry.format(tmp_path / "away.py"), "lies outside the workspace"),
            (entry.format("nowhere.py"), "nowhere.py is not in"),
            (entry.format("broken.py"), "SyntaxError at line 1"),
            (entry.format("my_features.py").replace('"distance"', '"nope"'), "has no function 'nope'"),
            (entry.format("my_features.py").replace("30", "0"), "warmup of feature a is 0"),
            (entry.format("my_features.py").replace("30", '"30"'), "warmup of feature a is '30'"),
            (entry.replace("warmup = 30\n", ""), "needs file, function, warmup, equation"),
            (
                entry.replace("features.a", "features.rsi_14"),
                "has the name of one that comes with the program",
            ),
            (entry.replace("features.a", "features.A"), "is no name"),
            ('[sets]\ncore = ["time"]', "has the name of one that comes with the program"),
            ('[sets]\na = ["nope"]', "set a: unknown feature or set 'nope'"),
            ('[sets]\na = "time"', "set a is no list of names"),
            ("[more]\na = 1", "unknown table 'more'"),
            ("sets = 3", "sets is no table"),
            ("[sets", "cannot be read as TOML"),
        ):
            toml.write_text(text)
            assert sentence in desk.denied(*run, "a"), text
            # Who asks for none of his own is not stopped by it.
        desk.call(*run, "time")
    finally:
        toml.write_text(TOML)


@covers("features list", "--set", "--json", "--workspace")
@covers("features show", "name", "--json", "--workspace")
def test_features_are_listed_and_shown(desk: Desk, tmp_path: Path) -> None:
    other = Desk(tmp_path)
    shown = other.call("features", "list").stdout.splitlines()
    assert [line.split()[:4] for line in shown[: len(FEATURES)]] == [
        [each.name, each.family, str(each.warmup), each.memory] for each in FEATURES.values()
    ]
    assert any(line.split()[0] == "core" for line in shown[len(FEATURES) :])
    there = ["--workspace", desk.path]
    found = json.loads(other.call("features", "list", "--set", "mine", "--json", *there).stdout)
    assert [each["name"] for each in found] == [*resolve(["return_1", "volatility"]), "distance"]
    assert found[-1]["warmup"] == 30
    listed = other.call("features", "list", "--set", "mine", *there).stdout
    assert len(listed.splitlines()) == len(found)
    assert "mine " in other.call("features", "list", *there).stdout
    assert "unknown feature or set 'mine'" in other.denied("features", "list", "--set", "mine")
    told = other.call("features", "show", "rsi_14").stdout
    for words in ("wilder_14 of rises and falls", "Wilder 1978", "50 without moves", "core, ", "momentum"):
        assert words in told
    own = json.loads(other.call("features", "show", "distance", "--json", *there).stdout)
    assert (own["equation"], own["sets"]) == ("c / mean_30(c) - 1", ["mine"])
    assert own["source"] == "my_features.py, function distance"
    assert "there are rsi_6, rsi_14" in other.denied("features", "show", "rsi")
    assert "unknown feature 'distance'" in other.denied("features", "show", "distance")
