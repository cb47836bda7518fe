from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldsmith.errors import SettingError
from foldsmith.runs.ids import MAX_NAME, RUN_ID, SUFFIXES, check_name, new_run_id, next_run_id

NOW = datetime(2026, 1, 31, 14, 5, 9, 42, tzinfo=UTC)


def test_an_id_is_the_utc_time_and_four_hex_digits() -> None:
    assert new_run_id(NOW, 0xBEEF) == "20260131_140509_000042_beef"
    assert new_run_id(NOW.astimezone(timezone(timedelta(hours=9))), 0xBEEF) == "20260131_140509_000042_beef"
    assert new_run_id(NOW, 7) == "20260131_140509_000042_0007"


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 30)), st.integers(0, 2**70))
def test_ids_sort_by_time_and_have_the_written_form(moment: datetime, entropy: int) -> None:
    first, second = moment.replace(tzinfo=UTC), moment.replace(tzinfo=UTC) + timedelta(microseconds=1)
    assert RUN_ID.fullmatch(new_run_id(first, entropy))
    assert new_run_id(first, entropy)[:-5] < new_run_id(second, entropy)[:-5]


@pytest.mark.parametrize("prefix", ["", "xgboost_h20_", "random_forest_h5_"])
def test_the_next_id_differs_in_its_suffix_alone_and_the_round_visits_all(prefix: str) -> None:
    first = run_id = f"{prefix}20260131_140509_000042_fff0"
    seen = set()
    for _ in range(SUFFIXES):
        seen.add(run_id)
        run_id = next_run_id(run_id)
        made = RUN_ID.fullmatch(run_id)
        assert made is not None
        assert made["prefix"] == prefix
    assert len(seen) == SUFFIXES
    assert run_id == first
    assert {run_id[:-4] for run_id in seen} == {first[:-4]}


def test_the_next_id_of_a_chosen_name_is_refused() -> None:
    with pytest.raises(SettingError, match="no run id"):
        next_run_id("my_experiment")


@pytest.mark.parametrize("name", ["a", "_x", "MES-5m.v2", "2026", "a" * MAX_NAME, "trailing.", "a..b"])
def test_good_names_pass_unchanged(name: str) -> None:
    assert check_name(name, "--output-name") == name


BAD = [
    "",
    ".",
    "..",
    ".hidden",
    "-flag",
    "../../etc",
    "a/b",
    "a\\b",
    "/abs",
    "a b",
    "a\n",
    "a\0",
    "naïve",
    "a:b",
    "~root",
    "a" * 129,
]


@pytest.mark.parametrize("name", BAD)
def test_bad_names_are_refused_in_one_sentence_that_names_the_flag(name: str) -> None:
    with pytest.raises(SettingError, match=r"^--output-name") as caught:
        check_name(name, "--output-name")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


@given(st.text(max_size=140))
def test_whatever_passes_is_a_child_of_the_folder_and_not_hidden(name: str) -> None:
    try:
        check_name(name, "the name")
    except SettingError:
        return
    parent = Path("/some/folder")
    assert (parent / name).parent == parent
    assert (parent / name).name == name
    assert not name.startswith(".")
