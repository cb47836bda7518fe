"""Every bar has one reason, the one that a slow reading of the rules gives."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.properties.conftest import Made, small  # noqa: F401

from foldsmith.audit.intervals import Apart
from foldsmith.audit.reasons import FOLD_REASONS, REASONS, bar_reasons, counted, fold_reason
from foldsmith.config import ValidationSettings
from foldsmith.intervals import as_instants
from foldsmith.stages.audit_rows import bar_at, explain, told
from foldsmith.stages.horizon import load_horizons
from foldsmith.stages.out_of_fold import _folds


@settings(deadline=None)
@given(st.data())
def test_the_reason_of_a_bar_is_that_of_the_rules(data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 30))
    sigma = np.array(data.draw(st.lists(st.sampled_from([np.nan, 0.0, 1.0]), min_size=n, max_size=n)))
    block = np.cumsum(data.draw(st.lists(st.booleans(), min_size=n, max_size=n))).astype(np.int32)
    window = data.draw(st.integers(1, 5))

    def dropped(t: int) -> str | None:
        if np.isnan(sigma[t]):
            return "warm_up"
        if sigma[t] <= 0:
            return "no_volatility"
        if t + window >= n:
            return "end_of_data"
        return "crosses_block" if block[t + window] != block[t] else None

    free = [t for t in range(n) if dropped(t) is None]
    labelled = [t for t in free if data.draw(st.booleans())]
    known = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    rows = [t for t in labelled if known[t]]
    cuts = n // 3, 2 * n // 3
    kept = {name: [] for name in ("training", "validation", "test")}  # type: dict[str, list[int]]
    for t in rows:
        name = "training" if t <= cuts[0] else "validation" if t <= cuts[1] else "test"
        if name == "test" or data.draw(st.booleans()):
            kept[name].append(t)
    found = bar_reasons(
        sigma=sigma, block=block, max_bars=window, labelled=np.array(labelled, dtype=np.int64), known=known,
        t0=np.arange(n), cuts=cuts, segments={k: np.array(v, dtype=np.int64) for k, v in kept.items()},
    )  # fmt: skip
    for t in range(n):
        expected = dropped(t)
        if expected is None and t not in labelled:
            expected = "no_room"
        if expected is None and not known[t]:
            expected = "no_feature"
        if expected is None:
            segment = next((name for name, members in kept.items() if t in members), None)
            expected = segment or f"purged_from_{'training' if t <= cuts[0] else 'validation'}"
        assert found[t] == expected
    assert sum(counted(found).values()) == n


@pytest.mark.parametrize("horizon", [5, 10])
def test_the_reasons_of_a_dataset_are_what_it_counted_itself(small: Made, horizon: int) -> None:  # noqa: F811
    explained = explain(small.dataset, horizon)
    count = counted(explained.reasons)
    assert sum(count.values()) == explained.bars.height
    labels = json.loads((small.dataset.path / "findings.json").read_text())["labels"][str(horizon)]
    for name in ("warm_up", "no_volatility", "crosses_block", "end_of_data", "no_room"):
        assert count[name] == labels[name], name
    table = load_horizons(small.dataset, (horizon,), ValidationSettings())[horizon]
    for name, rows in table.segments.named().items():
        assert count[name] == len(rows)
    assert count["no_feature"] == labels["events"] - len(table.data)
    # Something to tell apart, and nothing without words.
    assert sum(value > 0 for value in count.values()) >= 6
    assert set(REASONS) == set(count)


def test_what_a_row_is_to_a_fold_partitions_its_rows(small: Made) -> None:  # noqa: F811
    settings = ValidationSettings(n_splits=3)
    table = load_horizons(small.dataset, (10,), settings)[10]
    rows = table.data.take(table.segments.training[:600])
    separation = table.separation
    apart = Apart(separation.embargo, separation.purge, separation.bars)
    for train, test in _folds(rows, separation, 3):
        what = np.array([fold_reason(rows.t0, rows.t1, row, test, apart) for row in range(len(rows))])
        assert set(what.tolist()) <= set(FOLD_REASONS)
        np.testing.assert_array_equal(np.flatnonzero(what == "trained on"), train)
        np.testing.assert_array_equal(np.flatnonzero(what == "tested"), test)
        assert {"purged", "under embargo"} & set(what.tolist())


def test_a_bar_is_found_by_its_close_and_while_it_is_open(small: Made) -> None:  # noqa: F811
    explained = explain(small.dataset, 10)
    closes: Any = explained.bars["close_time"]
    at = closes[100]
    assert bar_at(explained, at) == 100
    opens = as_instants(explained.bars["datetime"])
    assert opens[101] == as_instants(closes)[100]
    lines = told(explained, 1000)
    assert lines[1].endswith(REASONS[str(explained.reasons[1000])])
