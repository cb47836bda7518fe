import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldsmith.errors import DataError
from foldsmith.evaluation.metrics import score
from foldsmith.evaluation.recovery import recovered_share

COUNTS = [[500, 300, 200], [300, 400, 300], [200, 300, 500]]


def market(counts):
    """One row per count, with its state."""
    table = np.array(counts)
    state = np.repeat(np.arange(len(table)), table.sum(axis=1))
    y = np.concatenate([np.repeat([-1, 0, 1], row) for row in table])
    return state, y


def shares(counts, P_of_state):
    state, y = market(counts)
    base = np.bincount(y + 1) / len(y)
    found = score(y, np.asarray(P_of_state)[state], None, base)
    names = ("log_loss", "log_loss_base", "direction_log_loss", "direction_log_loss_base")
    return recovered_share(counts, **{name: found[name] for name in names})


def test_who_sees_the_state_recovers_all_and_the_base_rate_nothing():
    table = np.array(COUNTS, dtype=float)
    all_of_it = shares(COUNTS, table / table.sum(axis=1, keepdims=True))
    none = shares(COUNTS, np.tile(table.sum(axis=0) / table.sum(), (3, 1)))
    for name in ("classes", "direction"):
        assert all_of_it[name]["share"] == pytest.approx(1)
        assert none[name]["share"] == pytest.approx(0, abs=1e-9)
    half = shares(
        COUNTS, 0.5 * table / table.sum(axis=1, keepdims=True) + 0.5 * table.sum(axis=0) / table.sum()
    )
    assert 0.3 < half["classes"]["share"] < 1


def test_values_by_hand():
    found = recovered_share([[80, 10, 10], [10, 10, 80]], log_loss=0.8)["classes"]
    base = -(0.9 * np.log(0.45) + 0.1 * np.log(0.1))
    best = -(0.8 * np.log(0.8) + 0.2 * np.log(0.1))
    assert found["base"] == pytest.approx(base)
    assert found["best"] == pytest.approx(best)
    assert found["share"] == pytest.approx((base - 0.8) / (base - best))


@given(st.lists(st.tuples(*[st.integers(0, 50)] * 3), min_size=1, max_size=6).filter(lambda t: np.sum(t) > 0))
def test_the_state_never_hurts(counts):
    found = recovered_share(counts, log_loss=1.0, direction_log_loss=0.7)
    for part in found.values():
        if part["best"] is not None:
            assert -1e-12 <= part["best"] <= part["base"] + 1e-12
    json.dumps(found, allow_nan=False)


def test_no_edge_has_no_share():
    found = recovered_share([[1000, 1001, 1000], [1000, 999, 1002]], log_loss=1.05)
    assert found["classes"]["share"] is None
    assert found["direction"]["gain"] is None


@pytest.mark.parametrize("counts", [[[1, 2]], [[0, 0, 0]], [[1, -1, 3]], [1, 2, 3]])
def test_refuses_what_is_no_table_of_counts(counts):
    with pytest.raises(DataError, match="counts"):
        recovered_share(counts, log_loss=1.0)
