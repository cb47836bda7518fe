"""Numbers of groups that paths may be asked for, as text and as a manifest holds them."""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import Any

import pytest

from foldsmith.errors import SettingError
from foldsmith.validation.path_groups import MOST_SPLITS, PathGroups


@pytest.mark.parametrize(
    ("text", "splits", "paths"), [("6,2", 15, 5), ("10,2", 45, 9), (" 10 , 8 ", 45, 36), ("5,2", 10, 4)]
)
def test_published_numbers_of_splits_and_paths(text: str, splits: int, paths: int) -> None:
    """Lopez de Prado (2018), section 12.3."""
    groups = PathGroups.parse(text)
    assert (groups.n_splits, groups.n_paths) == (splits, paths)
    chosen = list(combinations(range(groups.groups), groups.tested))
    assert len(chosen) == splits
    assert {sum(group in one for one in chosen) for group in range(groups.groups)} == {paths}


@pytest.mark.parametrize(
    "text", ["", "6", "6;2", "6,2,1", "6,-2", "6,2.0", "six,two", "6,", "²,2", "9" * 5000 + ",2", "1_0,2"]
)
def test_what_is_not_two_numbers_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="is not two whole numbers; write N,K") as told:
        PathGroups.parse(text)
    assert len(str(told.value)) < 200


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("6,1", "a single path"),
        ("6,6", "from 2 to N - 1 = 5"),
        ("6,0", "from 2 to N - 1 = 5"),
        ("2,1", "from 3 to 20"),
        ("21,2", "from 3 to 20"),
        ("20,10", f"184,756 splits, each a fit of every model; the most is {MOST_SPLITS}"),
    ],
)
def test_numbers_out_of_range_are_refused(text: str, sentence: str) -> None:
    with pytest.raises(SettingError, match=sentence):
        PathGroups.parse(text)


@pytest.mark.parametrize("kept", ["62", {"6": 2}, [6], [6, 2, 1], [6.0, 2], [6, True], ["6", "2"], 6])
def test_what_a_manifest_may_not_hold_is_refused(kept: Any) -> None:
    with pytest.raises(SettingError):
        PathGroups.stored(kept)


def test_every_choice_that_is_taken_has_paths_and_an_end() -> None:
    for n in range(25):
        for k in range(25):
            try:
                groups = PathGroups(n, k)
            except SettingError:
                continue
            assert 2 <= groups.n_paths == comb(n - 1, k - 1) < groups.n_splits <= MOST_SPLITS
    assert PathGroups.stored(None) is None
    assert PathGroups.stored([6, 2]) == PathGroups.stored((6, 2)) == PathGroups(6, 2)
