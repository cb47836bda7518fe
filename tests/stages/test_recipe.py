from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from foldsmith.errors import DataError, FoldsmithError
from foldsmith.features.own import OwnFeature
from foldsmith.labels.scheme import LabelScheme
from foldsmith.labels.triple_barrier import Barriers
from foldsmith.market.instruments import instrument
from foldsmith.market.roll_rule import RollRule
from foldsmith.market.timeframe import Timeframe
from foldsmith.stages.recipe import HorizonRecipe, Recipe

RECIPE = Recipe(
    symbol="MES",
    instrument=instrument("MES"),
    timezone=None,
    stamp=None,
    rules={"zero_volume": "drop"},
    timeframe="5m",
    bar_microseconds=300_000_000,
    volatility_window=48,
    features=("a", "b"),
    cuts=(1, 2),
    horizons={20: HorizonRecipe(20, Barriers(0.8, 0.8)), 5: HorizonRecipe(5, Barriers(0.7, 0.9))},
)
TREND = replace(
    RECIPE,
    horizons={20: HorizonRecipe(20, Barriers(1, 1), 4.5)},
    labelling=LabelScheme("trend-scanning", trend_min_bars=7),
)
OWN = OwnFeature("b", "b.py", "b", 3, "c / c[-2]", "0" * 64)


def test_a_recipe_comes_back_as_it_was(tmp_path: Path) -> None:
    for recipe in (
        RECIPE,
        replace(RECIPE, roll=RollRule("calendar", 3)),
        replace(RECIPE, own_features=(OWN,)),
        replace(RECIPE, fitted=("hmm_calm", "hmm_up")),
        TREND,
    ):
        recipe.write(tmp_path / "recipe.json")
        assert Recipe.read(tmp_path / "recipe.json") == recipe


def test_what_is_not_said_of_labels_is_the_default(tmp_path: Path) -> None:
    """Recipes written before there was a choice are read, and written again with the same bytes."""
    RECIPE.write(tmp_path / "recipe.json")
    content = json.loads((tmp_path / "recipe.json").read_text())
    assert "labelling" not in content
    assert content["horizons"]["5"] == {"barriers": {"down": 0.9, "up": 0.7}, "max_bars": 5}


@pytest.mark.parametrize("fitted", [["nope"], ["hmm_up", "hmm_up"], [["hmm_up"]], 5, None, {"hmm_up": 1}])
def test_fitted_features_are_said_where_there_are_some(tmp_path: Path, fitted: object) -> None:
    path = tmp_path / "recipe.json"
    RECIPE.write(path)
    content = json.loads(path.read_text())
    assert "fitted" not in content
    assert RECIPE.names == RECIPE.features
    assert replace(RECIPE, fitted=("hmm_up",)).names == ("a", "b", "hmm_up")
    path.write_text(json.dumps({**content, "fitted": fitted}))
    with pytest.raises(DataError, match="is no recipe"):
        Recipe.read(path)


def test_bars_that_a_sum_closes_have_no_length(tmp_path: Path) -> None:
    summed = replace(RECIPE, timeframe="volume:2e4", bar_microseconds=None)
    summed.write(tmp_path / "recipe.json")
    assert Recipe.read(tmp_path / "recipe.json").bars == Timeframe("volume", 20_000)
    assert RECIPE.bars == Timeframe("time", 300_000_000)


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r.pop("cuts"),
        lambda r: r.update(more=1),
        lambda r: r.update(cuts=[1]),
        lambda r: r.update(cuts="x"),
        lambda r: r.update(horizons={"x": {}}),
        lambda r: r.update(horizons={"5": {"max_bars": 5, "barriers": {"up": -1, "down": 1}}}),
        lambda r: r.update(instrument={"symbol": "MES"}),
        lambda r: r.update(instrument={**r["instrument"], "tick_size": -1}),
        lambda r: r.update(features=None),
        lambda r: r.update(rules={"missing_value": "off"}),
        lambda r: r.update(rules=["x"]),
        lambda r: r.update(own_features=[{"name": "b"}]),
        lambda r: r.update(own_features=3),
        lambda r: r.update(own_features=[{**asdict(OWN), "warmup": "3"}]),
        lambda r: r.pop("roll"),
        lambda r: r.update(roll="volume"),
        lambda r: r.update(roll={"name": "volume", "days": 3}),
        lambda r: r.update(roll={"name": "calendar", "days": "x"}),
        lambda r: r.update(timeframe="15m"),
        lambda r: r.update(timeframe="volume:100"),
        lambda r: r.update(timeframe="5 apples"),
        lambda r: r.update(timeframe=5),
        lambda r: r.update(bar_microseconds=None),
        lambda r: r.update(labelling=3),
        lambda r: r.update(labelling={"name": "x"}),
        lambda r: r.update(labelling={"name": "trend-scanning"}),
        lambda r: r.update(labelling={"min_barrier_cost": -1}),
        lambda r: r["horizons"]["5"].update(threshold=2.0),
    ],
)
def test_an_edited_recipe_is_refused_in_one_sentence(tmp_path: Path, change: object) -> None:
    path = tmp_path / "recipe.json"
    RECIPE.write(path)
    content = json.loads(path.read_text())
    change(content)  # type: ignore[operator]
    path.write_text(json.dumps(content))
    with pytest.raises(FoldsmithError):
        Recipe.read(path)
    path.write_text("[]")
    with pytest.raises(DataError):
        Recipe.read(path)


def test_differences_are_told_in_words() -> None:
    assert RECIPE.differences(RECIPE) == []
    other = replace(RECIPE, cuts=(1, 3_600_000_000), horizons={20: HorizonRecipe(10, Barriers(0.8, 1))})
    assert RECIPE.differences(other, 20) == [
        "end of validation 1970-01-01 00:00, now 1970-01-01 01:00",
        "label of horizon 20 20 bars and barriers 0.8/0.8, now 10 bars and barriers 0.8/1",
    ]
    told = RECIPE.differences(other)
    assert "horizons [5, 20], now [20]" in told
    assert "label of horizon 5 5 bars and barriers 0.7/0.9, now None" in told
    assert RECIPE.differences(replace(RECIPE, roll=RollRule("calendar", 3))) == [
        "roll volume, now calendar, 3 sessions before the last trading day"
    ]
    told = RECIPE.differences(TREND, 20)
    assert "name of labels triple-barrier, now trend-scanning" in told
    assert (
        "label of horizon 20 20 bars and barriers 0.8/0.8, now 20 bars and a trend of |t| above 4.5" in told
    )
    assert RECIPE.differences(replace(RECIPE, symbol="ES", timeframe="1h")) == [
        "symbol MES, now ES",
        "timeframe 5m, now 1h",
    ]
