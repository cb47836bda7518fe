"""What kills, faults and fuzzing have found, each in its smallest form."""

from __future__ import annotations

import json
import shutil
from datetime import date, time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner
from tests.crash.desk import BASE, HORIZON, STACK, Desk, Workspaces, one_sentence
from tests.crash.mutate import DEEP
from tests.crash.targets import only, signed
from tests.crash.zygote import Ended

from foldsmith.cli.main import main
from foldsmith.errors import DataError, FoldsmithError, IntegrityError, SettingError
from foldsmith.market.instruments import parse_instruments
from foldsmith.market.simulate import Simulation
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.lock import owner
from foldsmith.stages.horizon import feature_matrix
from foldsmith.stages.recipe import Recipe
from foldsmith.stages.tables import read_metadata, read_table, write_table

pytestmark = pytest.mark.crash

HUGE = "9" * 5000
HUGE_FLOAT = "9" * 400
HUGE_HEX = "0x" + "f" * 5000
"""Parsed at once, and then too long to be written in decimals, in a message too."""
NESTED = "[" * DEEP


# --- text that a user writes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [HUGE, HUGE_FLOAT, HUGE_HEX, NESTED])
@pytest.mark.parametrize("field", ["calendar", "tick_size", "max_gap_minutes"])
def test_instruments_with_values_beyond_all_bounds(field: str, value: str) -> None:
    fields = {"calendar": '"CME_EQUITY"', "tick_size": "1", "tick_value": "1", field: value}
    text = "[MES]\n" + "\n".join(f"{name} = {word}" for name, word in fields.items())
    with pytest.raises(SettingError):
        parse_instruments(text)


@pytest.mark.parametrize("value", [HUGE, HUGE_FLOAT, HUGE_HEX, NESTED])
@pytest.mark.parametrize("key", ["seed", "learning_rate", "num_leaves"])
def test_configs_with_values_beyond_all_bounds(tmp_path: Path, key: str, value: str) -> None:
    table = "" if key == "seed" else "[params]\n"
    (tmp_path / "c.toml").write_text(f'model = "lightgbm"\nhorizon = 5\n{table}{key} = {value}\n')
    words = ["train", "--config", str(tmp_path / "c.toml"), "--workspace", str(tmp_path)]
    done = CliRunner().invoke(main, words)
    assert isinstance(done.exception, SystemExit), repr(done.exception)
    assert done.exit_code == 2
    assert done.stderr.startswith(("error: ", "Usage: "))


@pytest.mark.parametrize("value", [HUGE, HUGE_FLOAT, HUGE_HEX, NESTED, f"[{HUGE_HEX}]"])
@pytest.mark.parametrize("key", ["timeframe", "k-up", "max-bars", "start"])
def test_presets_with_values_beyond_all_bounds(tmp_path: Path, key: str, value: str) -> None:
    (tmp_path / "presets.toml").write_text(f"[mine]\n{key} = {value}\n")
    words = ["pipeline", "run", "--symbols", "MES", "--preset", "mine", "--workspace", str(tmp_path)]
    done = CliRunner().invoke(main, words)
    assert isinstance(done.exception, SystemExit), repr(done.exception)
    assert done.exit_code == 2
    assert done.stderr.startswith(("error: ", "Usage: "))


# --- small JSON files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        '{"pid": 1e999, "host": "x"}',
        "[" * 1000,
        '{"pid": 1, "host": "a\\nb"}',
        '{"pid": 1, "host": "\\ud800"}',
    ],
)
def test_a_lock_of_any_words_names_an_owner_in_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / ".lock").write_text(content)
    told = owner(tmp_path)
    assert "\n" not in told
    told.encode()


@pytest.mark.parametrize("word", ["1e999", "-1e999"])
def test_settings_of_a_simulation_without_end(word: str) -> None:
    text = Simulation("MES", 8, 7, 0.05, date(2022, 1, 3)).as_json()
    for spoilt in (text.replace("8", word), "[" * DEEP):
        with pytest.raises(SettingError):
            Simulation.from_json(spoilt)


@pytest.mark.parametrize("key", ["max_bars", "cuts"])
def test_a_recipe_with_an_endless_number(workspaces: Workspaces, tmp_path: Path, key: str) -> None:
    found = json.loads((only(workspaces.at("dataset").workspace.datasets) / "recipe.json").read_bytes())
    if key == "cuts":
        found["cuts"][0] = "ENDLESS"
    else:
        found["horizons"][str(HORIZON)]["max_bars"] = "ENDLESS"
    (tmp_path / "recipe.json").write_text(json.dumps(found).replace('"ENDLESS"', "1e999"))
    with pytest.raises(DataError):
        Recipe.read(tmp_path / "recipe.json")


# --- tables ---------------------------------------------------------------------------------------------------------


def test_a_parquet_table_that_lost_bytes_in_its_middle(tmp_path: Path) -> None:
    """Its footer is whole and speaks of more bytes than there are."""
    path = tmp_path / "x.parquet"
    write_table(pl.DataFrame({"a": range(5000), "b": [str(i) * 3 for i in range(5000)]}), path)
    content = path.read_bytes()
    path.write_bytes(content[:100] + content[-2000:])
    with pytest.raises(DataError):
        read_table(path)
    assert read_metadata(path) == {}


def test_a_feature_that_is_no_number() -> None:
    with pytest.raises(DataError):
        feature_matrix(pl.DataFrame({"a": [time(1)]}), ("a",))


def test_a_feature_that_is_listed_twice() -> None:
    with pytest.raises(DataError):
        feature_matrix(pl.DataFrame({"a": [1.0]}), ("a", "a"))


# --- the ledger -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"entries_kept", b"\xf4\xf4tries_kept"),
        (b"BEGIN SELECT", b"BEGIN \xf4ELECT"),
        (b'"manifest"', b'"ianifest"'),
    ],
)
def test_a_ledger_with_a_spoilt_word(tmp_path: Path, old: bytes, new: bytes) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger(path).record_published("run", "model", "c", "m")
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    ledger = Ledger(path)
    for call in (ledger.check, ledger.published, ledger.looks, lambda: ledger.manifest_hashes("run")):
        told = None
        try:
            call()
        except FoldsmithError as error:
            told = error
        assert told is None or isinstance(told, IntegrityError)
    with pytest.raises(IntegrityError):
        ledger.check()


# --- runs from elsewhere, whose hashes fit what they hold -----------------------------------------------------------


@pytest.fixture
def elsewhere(workspaces: Workspaces, tmp_path: Path) -> Desk:
    """The workspace with everything in it, without its ledger."""
    desk = workspaces.fresh("model", tmp_path / "desk")
    for path in desk.workspace.ledger.parent.glob("*ledger*"):
        path.unlink()
    return desk


def done_or_told(ended: Ended) -> None:
    """A command that worked, or said in one sentence why not."""
    if ended.status:
        one_sentence(ended)


@pytest.mark.parametrize("horizons", ["5,10", 5, None, ["5"]])
def test_a_dataset_that_does_not_say_its_horizons(elsewhere: Desk, horizons: Any) -> None:
    run = only(elsewhere.workspace.datasets)
    extra = json.loads((run / "manifest.json").read_bytes())["extra"]
    signed(run, {"extra": {**extra, "horizons": horizons}})
    done_or_told(elsewhere.run("train", "--model", "logistic", "--horizon", HORIZON, "--workers", 1))
    done_or_told(elsewhere.run("cv", "--models", "logistic", "--n-splits", 2, "--workers", 1))


@pytest.mark.parametrize("n_splits", ["2", 1e300, 2.5, [2], None])
def test_stored_predictions_with_strange_settings(elsewhere: Desk, n_splits: Any) -> None:
    run = elsewhere.workspace.stacking / BASE
    path = run / "stacking" / f"stacking_dataset_h{HORIZON}.parquet"
    metadata = read_metadata(path)
    metadata["validation"]["n_splits"] = n_splits
    write_table(read_table(path), path, metadata=metadata)
    signed(run)
    done_or_told(elsewhere.run(*STACK, "--stacking-data", BASE))


@pytest.mark.parametrize("findings", [[], {}, {"cleaning": {}, "blocks": {}, "labels": {}}])
def test_a_dataset_whose_findings_are_others(elsewhere: Desk, findings: Any) -> None:
    run, model = only(elsewhere.workspace.datasets), only(elsewhere.workspace.runs)
    (run / "findings.json").write_text(json.dumps(findings))
    signed(run)
    content = json.loads((run / "manifest.json").read_bytes())["content"]
    parents = json.loads((model / "manifest.json").read_bytes())["parents"]
    signed(model, {"parents": [{**p, "content": content} if p["kind"] == "dataset" else p for p in parents]})
    shutil.rmtree(elsewhere.workspace.raw)
    done_or_told(elsewhere.run("evaluate", "--run-id", model.name, "--split", "test"))
