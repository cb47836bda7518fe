from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from foldsmith.stages.units import Result, Unit, UnitStore, run_units


def make(*, number: int) -> Result:
    """A unit's work: pure, and different for each number."""
    return Result(
        {"number": number}, {"values": np.arange(number, dtype=np.float32)}, {"model.bin": bytes([number])}
    )


def fail(**_: int) -> Result:
    raise ValueError("this unit cannot be made")


def units(count: int) -> list[Unit]:
    return [Unit(f"unit_{i}", make, {"number": i}) for i in range(count)]


def same(a: Result, b: Result) -> bool:
    arrays = all(np.array_equal(a.arrays[name], b.arrays[name]) for name in a.arrays)
    return a.record == b.record and a.files == b.files and set(a.arrays) == set(b.arrays) and arrays


@pytest.mark.parametrize("workers", [1, 2])
def test_results_are_those_of_the_calls_in_the_order_of_the_units(tmp_path: Path, workers: int) -> None:
    told: list[str] = []
    found = run_units(units(5), UnitStore(tmp_path), workers=workers, done=lambda key, _: told.append(key))
    assert list(found) == [f"unit_{i}" for i in range(5)]
    assert sorted(told) == list(found)
    assert all(same(found[f"unit_{i}"], make(number=i)) for i in range(5))


def test_what_is_kept_is_not_run_again(tmp_path: Path) -> None:
    store = UnitStore(tmp_path)
    run_units(units(3), store, workers=1, done=lambda *_: None)
    told: list[str] = []
    again = [Unit(f"unit_{i}", fail, {"number": i}) for i in range(3)] + units(5)[3:]
    found = run_units(again, UnitStore(tmp_path), workers=1, done=lambda key, _: told.append(key))
    assert told == ["unit_3", "unit_4"]
    assert same(found["unit_1"], make(number=1))


def test_a_unit_half_written_by_a_kill_is_run_again(tmp_path: Path) -> None:
    store = UnitStore(tmp_path)
    half = store.folder / "_unit_0"
    half.mkdir()
    (half / "record.json").write_text("{")
    assert "unit_0" not in store
    found = run_units(units(1), store, workers=1, done=lambda *_: None)
    assert same(found["unit_0"], make(number=0))


def test_finished_units_stay_when_a_later_one_fails(tmp_path: Path) -> None:
    store = UnitStore(tmp_path)
    with pytest.raises(ValueError, match="cannot be made"):
        run_units([*units(2), Unit("bad", fail, {"number": 9})], store, workers=1, done=lambda *_: None)
    assert "unit_0" in store
    assert "unit_1" in store
    assert "bad" not in store


def test_a_trial_is_told_before_its_unit_is_kept(tmp_path: Path) -> None:
    store = UnitStore(tmp_path)
    kept: list[bool] = []
    run_units(units(2), store, workers=1, done=lambda key, _: kept.append(key in store))
    assert kept == [False, False]
