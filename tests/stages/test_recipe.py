from __future__ import annotations

import json
from pathlib import Path

import pytest

from foldsmith.errors import DataError, FoldsmithError
from foldsmith.labels.triple_barrier import Barriers
from foldsmith.market.instruments import instrument
from foldsmith.stages.recipe import HorizonRecipe, Recipe

RECIPE = Recipe(
    symbol="MES",
    instrument=instrument("MES"),
    timezone=None,
    stamp=None,
    timeframe="5m",
    bar_microseconds=300_000_000,
    volatility_window=48,
    features=("a", "b"),
    cuts=(1, 2),
    horizons={20: HorizonRecipe(20, Barriers(0.8, 0.8)), 5: HorizonRecipe(5, Barriers(0.7, 0.9))},
)


def test_a_recipe_comes_back_as_it_was(tmp_path: Path) -> None:
    RECIPE.write(tmp_path / "recipe.json")
    assert Recipe.read(tmp_path / "recipe.json") == RECIPE


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
