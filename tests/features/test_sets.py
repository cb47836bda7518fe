"""Names of sets stand for what they say, and a feature has the same bits whichever others are asked for."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.features.conftest import make_bars

from foldsmith.errors import SettingError
from foldsmith.features import FEATURES, compute
from foldsmith.features.catalogue import families, members
from foldsmith.features.fitted import FAMILY, FITTED
from foldsmith.features.sets import DEFAULT_SET, EVERYTHING, SETS, holding, resolve, set_names, shortest

BARS = make_bars(11)
WHOLE = compute(BARS)
SUBSETS = st.lists(st.sampled_from(list(FEATURES)), min_size=1, max_size=12, unique=True)


def bits(frame: pl.DataFrame, names: list[str] | tuple[str, ...]) -> np.ndarray:
    return frame.select(names).to_numpy().astype(np.float32, order="C").view(np.uint32)


@settings(max_examples=25, deadline=None)
@given(SUBSETS)
def test_a_value_does_not_depend_on_what_else_is_asked_for(names: list[str]) -> None:
    made = compute(BARS, 1, names)
    assert made.columns == ["datetime", *(name for name in FEATURES if name in names)]
    np.testing.assert_array_equal(bits(made, names), bits(WHOLE, names))


@pytest.mark.parametrize("family", families())
def test_a_family_alone_is_what_it_is_among_all(family: str) -> None:
    names = members(family)
    np.testing.assert_array_equal(bits(compute(BARS, 1, names), names), bits(WHOLE, names))


def test_only_families_that_hold_a_wanted_feature_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("foldsmith.features.trend.trend", refuse)
    compute(BARS, 1, ["return_1", "time_sin"])
    with pytest.raises(AssertionError):
        compute(BARS, 1, ["return_1", "r2_48"])


def test_names_that_are_none_are_refused() -> None:
    with pytest.raises(SettingError, match="'nope' is not in the catalogue"):
        compute(BARS, 1, ["return_1", "nope"])
    assert compute(BARS, 1, []).columns == ["datetime"]


def test_core_is_what_it_was_on_its_first_day() -> None:
    """Datasets are made of it unless told otherwise: a feature more would change the content of every one."""
    core = resolve([DEFAULT_SET])
    assert len(core) == 76
    assert [len(members(family)) for family in SETS["core"]] == [17, 11, 14, 14, 11, 4, 5]
    assert core == tuple(name for name in FEATURES if FEATURES[name].family in SETS["core"])


def test_every_set_stands_for_features_in_the_order_of_the_catalogue() -> None:
    assert resolve([EVERYTHING]) == tuple(FEATURES)
    assert set(SETS).isdisjoint([*families(), FAMILY, *FEATURES, *FITTED, EVERYTHING])
    assert FAMILY not in families()
    for name in set_names():
        found = resolve([name])
        assert found == tuple(each for each in (*FEATURES, *FITTED) if each in found), name
        assert found, name


@settings(max_examples=50, deadline=None)
@given(SUBSETS, st.lists(st.sampled_from(set_names()), unique=True))
def test_the_shortest_names_stand_for_the_same(names: list[str], sets: list[str]) -> None:
    found = resolve([*names, *sets])
    words = shortest(found)
    assert resolve(words) == found
    assert len(words) <= len(found)
    assert set(names) <= set(found)


def test_fitted_features_stand_last() -> None:
    assert resolve(["regimes"]) == (*resolve(["core"]), *FITTED)
    assert shortest(resolve(["regimes"])) == ("regimes",)
    found = resolve(["hmm_up", "own", "time", "hmm"], own_features=("own",))
    assert found == (*members("time"), "own", *FITTED)
    assert shortest(found) == ("time", FAMILY, "own")
    assert shortest(("return_1", "hmm_up")) == ("return_1", "hmm_up")
    assert holding("hmm_up", {"mine": ("hmm_up",)}) == ("regimes", FAMILY, "mine")
    with pytest.raises(SettingError, match="'hmm_up' is not in the catalogue"):
        compute(BARS, 1, ["hmm_up"])


def test_own_sets_and_features_are_known_where_they_are_given() -> None:
    own = {"mine": ("return_1", "time", "own_one")}
    found = resolve(["mine", "gap"], own_sets=own, own_features=("own_two", "own_one"))
    assert found == ("return_1", "gap", *members("time"), "own_one")
    assert shortest(found) == ("return_1", "gap", "time", "own_one")
    assert holding("own_one", own, ("own_one",)) == ("mine",)
    assert holding("time_sin", own, ("own_one",))[-1] == "mine"
    for words, sentence in (
        (["mine"], "unknown feature or set 'mine'"),
        (["return_1", "return_1"], "named twice"),
        ([], "no feature is named"),
    ):
        with pytest.raises(SettingError, match=sentence):
            resolve(words)
