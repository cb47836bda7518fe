"""Files of the right outline and any content, made by hypothesis: refused in one sentence, or read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foldsmith.cli.main import main
from foldsmith.ensembles.base import FACTS_FILE as ENSEMBLE_FACTS
from foldsmith.ensembles.catalogue import ENSEMBLES, load_ensemble
from foldsmith.errors import FoldsmithError
from foldsmith.market.instruments import instrument, parse_instruments
from foldsmith.market.readers import read_bars
from foldsmith.models.base import FACTS_FILE
from foldsmith.models.catalogue import installed, load_model
from foldsmith.models.stored import pack
from foldsmith.runs import manifest
from foldsmith.runs.claim import claim
from foldsmith.stages.cross_validate import kept_settings
from foldsmith.stages.recipe import Recipe

pytestmark = pytest.mark.crash
many = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.integers(-5, 50) | st.floats() | st.text(max_size=20)
    | st.sampled_from(["5", "", "MES", "lightgbm", "CME_EQUITY", "complete", 10**30, 10**400, 2**63, 1e308, -0.0])
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)
HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)


def tolerant(read: Callable[[], Any]) -> None:
    """Read; an error is a FoldsmithError of one line."""
    told = "read"
    try:
        read()
    except FoldsmithError as error:
        told = str(error)
    assert told.strip()
    assert "\n" not in told


def shaped(**likely: Any) -> Any:
    """Objects with these entries, each as it should be or anything."""
    return st.fixed_dictionaries({name: made | VALUES for name, made in likely.items()})


MANIFESTS = shaped(
    format=st.just(1), kind=st.sampled_from(["dataset", "cv", "model"]), id=st.just("run"),
    created=st.just("2026-01-31T14:05:09Z"), command=st.just(["train"]), parameters=st.dictionaries(st.text(), VALUES),
    parents=st.lists(shaped(kind=st.just("dataset"), id=st.just("x"), content=HASHES), max_size=2),
    files=st.dictionaries(st.text(max_size=8), HASHES, max_size=3), content=HASHES, fingerprint=st.none(),
    code=st.fixed_dictionaries({"version": st.text(), "source": HASHES}), packages=st.just({}),
    python=st.just("3.11"), platform=st.just("Linux"), seed=st.just(1), wall_seconds=st.floats(0, 9),
    extra=st.dictionaries(st.text(), VALUES),
)  # fmt: skip


@many
@given(content=MANIFESTS)
def test_manifests(tmp_path: Path, content: dict[str, Any]) -> None:
    if isinstance(content["files"], dict) and isinstance(content["parents"], list):
        parents = [parent.get("content") for parent in content["parents"] if isinstance(parent, dict)]
        if all(isinstance(parent, str) for parent in parents):
            content["content"] = manifest.content_hash(content["files"], parents)  # type: ignore[arg-type]
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    tolerant(lambda: manifest.read(tmp_path))


BARRIERS = shaped(up=st.floats(0.1, 9), down=st.floats(0.1, 9))
RECIPES = shaped(
    symbol=st.just("MES"), timezone=st.none(), stamp=st.none(), timeframe=st.just("5m"),
    instrument=shaped(
        symbol=st.just("MES"), name=st.text(), calendar=st.just("CME_EQUITY"), tick_size=st.floats(0.1, 9),
        tick_value=st.floats(0.1, 9), currency=st.just("USD"), commission=st.floats(0, 9),
        slippage_ticks=st.floats(0, 9), max_gap_minutes=st.integers(1, 99),
    ),
    bar_microseconds=st.just(300_000_000), volatility_window=st.just(20), features=st.lists(st.text(), max_size=3),
    cuts=st.lists(st.integers(), min_size=2, max_size=2), simulation=st.none(),
    horizons=st.dictionaries(st.just("5"), shaped(max_bars=st.just(5), barriers=BARRIERS)),
)  # fmt: skip


@many
@given(content=RECIPES)
def test_recipes(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(content))
    tolerant(lambda: Recipe.read(path))


KEPT = shaped(
    models=st.just(["lightgbm"]), horizons=st.just([5]), dataset=st.just("run"), content=HASHES,
    validation=shaped(
        n_splits=st.just(2), purge_bars=st.just(0), embargo_bars=st.none(), tune=st.booleans(), n_trials=st.just(2),
        sample_weight=st.just("none"), seed=st.just(1),
    ),
)  # fmt: skip


@many
@given(content=KEPT | VALUES)
def test_settings_of_unfinished_runs(tmp_path: Path, content: Any) -> None:
    partial = tmp_path / ".run.partial"
    if not partial.exists():
        claim(tmp_path, name="run").release()
    (partial / ".settings.json").write_text(json.dumps(content))
    tolerant(lambda: kept_settings(tmp_path, "run"))


@many
@given(
    name=st.sampled_from(installed()),
    content=st.dictionaries(st.text(max_size=8), SCALARS | VALUES, max_size=5),
)
def test_facts_of_models(name: str, content: dict[str, Any]) -> None:
    common = {
        "model": name, "seed": 1, "params": {}, "n_features": 4, "best_iteration": None, "classes": [-1, 0, 1],
        **content,
    }  # fmt: skip
    tolerant(lambda: load_model(name, pack(FACTS_FILE, common, {})))


@many
@given(
    name=st.sampled_from(sorted(ENSEMBLES)),
    content=shaped(meta_learner=st.sampled_from(["logistic", "greedy", None]), models=st.just(["a"]), seed=st.just(1),
                   weights=st.lists(st.floats(0, 1), max_size=2), coef=st.lists(st.lists(st.floats()))),
)  # fmt: skip
def test_facts_of_ensembles(name: str, content: dict[str, Any]) -> None:
    tolerant(lambda: load_ensemble(name, pack(ENSEMBLE_FACTS, {"ensemble": name, **content}, {})))


def toml(value: Any) -> str:
    """A value as TOML, or something near it."""
    return json.dumps(value) if not isinstance(value, float) else repr(value)


KEYS = st.sampled_from([
    "name", "calendar", "tick_size", "tick_value", "currency", "commission", "slippage_ticks", "max_gap_minutes",
    "model", "horizon", "seed", "n_splits", "tune", "workers", "params", "config", "workspace", "x", "é", "",
])  # fmt: skip
LINES = st.lists(
    st.tuples(KEYS, VALUES).map(lambda pair: f"{pair[0]} = {toml(pair[1])}")
    | st.sampled_from(["[MES]", "[CL]", "[params]", "[[MES]]", '["A B"]', "# x", "", "]", "tick_size = 0x9"])
    | st.text(max_size=10),
    max_size=12,
)  # fmt: skip


@many
@given(lines=LINES)
def test_instruments(lines: list[str]) -> None:
    tolerant(lambda: instrument("MES", parse_instruments("\n".join(lines))))


@many
@given(lines=LINES)
def test_configs(tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "config.toml"
    path.write_text("\n".join(lines), errors="replace")
    done = CliRunner().invoke(main, ["train", "--config", str(path), "--workspace", str(tmp_path)])
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith(("error: ", "Usage: ")), done.stderr


CELLS = (
    st.sampled_from(["1", "2.5", "-3", "0", "", "nan", "inf", "1e999", "x", '"', '"1"', "1,000", "2022-01-03 10:01",
                     "2022-01-03T10:02:00Z", "03/01/2022 10:00", "1641204000", "1641204000000", "9" * 30, "é", " "])
    | st.text(max_size=6) | st.floats().map(str)
)  # fmt: skip
HEADERS = st.permutations(["timestamp", "open", "high", "low", "close", "volume"]) | st.lists(
    st.sampled_from(["timestamp", "date", "Open", "open ", "high", "low", "close", "volume", "contract", ""]),
    max_size=9,
)
TABLES = st.tuples(
    HEADERS, st.lists(st.lists(CELLS, min_size=5, max_size=7), max_size=5), st.sampled_from([",", ";", "\t"])
)


@many
@given(table=TABLES, zone=st.sampled_from([None, "America/Chicago"]), stamp=st.sampled_from([None, "close"]))
def test_csv_bars(tmp_path: Path, table: Any, zone: str | None, stamp: str | None) -> None:
    header, rows, separator = table
    path = tmp_path / "MES_1m.csv"
    path.write_text("\n".join(separator.join(row) for row in [header, *rows]), errors="replace")
    tolerant(lambda: read_bars(path, timezone=zone, stamp=stamp))
