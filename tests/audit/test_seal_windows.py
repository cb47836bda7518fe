"""The seal of a model of windows: it holds for a tiny network, and a fold that reads what it must not breaks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from tests.validation.rows import apart, grid

from foldsmith.audit import seal_windows
from foldsmith.audit.proof import BLIND, BROKEN, HELD
from foldsmith.audit.seal import Case, prove_case, sealed_off
from foldsmith.dataset import BarInputs, Dataset
from foldsmith.errors import DataError
from foldsmith.labels.weighting import Weighting
from foldsmith.models.preprocessing import Standardiser
from foldsmith.models.windows import Windows, seen_by
from foldsmith.splits import PurgedKFold
from foldsmith.validation.cross_validate import NO_SEARCH, Fitting, Search

torch_only = pytest.mark.skipif(
    find_spec("torch") is None, reason="needs the extra `neural`: torch is not installed"
)
LENGTH = 4
PARAMS = {"length": LENGTH, "n_epochs": 2, "learning_rate": 0.02, "width": 4}
FOLD = 1


def rows() -> tuple[Dataset, Any]:
    """A grid of events, the features of every bar beside them, and nothing in the way of a window."""
    data, closes = grid(260, 3, seed=4)
    values = np.random.default_rng(8).normal(size=(len(closes), 3)).astype(np.float32)
    bar = np.searchsorted(closes, data.t0).astype(np.int64)
    values[bar] = data.X
    history = BarInputs(values, data.names, np.zeros(len(closes), dtype=np.int32), bar)
    kept = np.flatnonzero(bar >= LENGTH - 1)
    return replace(data, history=history).take(kept), closes


DATA, CLOSES = rows()
SEPARATION = apart(CLOSES)
FITTING = Fitting(SEPARATION, Weighting("uniqueness", CLOSES), 0.25)


def case(model: str = "gru", search: Search = NO_SEARCH, **more: Any) -> Case:
    split = PurgedKFold(4, t0=DATA.t0, t1=DATA.t1, **SEPARATION.options())
    train, test = list(split.split(DATA.X))[FOLD]
    params = PARAMS if model == "gru" else {"n_estimators": 5}
    found = Case(model, model, DATA, train, test, FITTING, 3, (model, FOLD), search, params)
    return replace(found, **more)


def test_the_bars_read_are_those_of_the_windows() -> None:
    history = BarInputs(np.zeros((12, 1), np.float32), ("a",), np.zeros(12, np.int32), np.array([3, 4, 9]))
    assert seal_windows.bars_read(history, np.array([0, 1]), 3).tolist() == [1, 2, 3, 4]
    assert seal_windows.bars_read(history, np.array([2]), 2).tolist() == [8, 9]
    assert seal_windows.bars_read(history, np.arange(3), 0).tolist() == []


def test_poison_reaches_every_bar_but_those_that_may_be_read() -> None:
    found, one = sealed_off(case(), np.random.default_rng(1)), case()
    assert DATA.history is not None
    assert found.history is not None
    same = (found.history.values == DATA.history.values).all(axis=1)
    by_hand = {
        int(last) - back for last in DATA.history.bar[np.r_[one.train, one.test]] for back in range(LENGTH)
    }
    assert set(np.flatnonzero(same)) == by_hand
    counts = seal_windows.held_back_bars(DATA, one.train, one.test, LENGTH)
    # Some purged and embargoed bars lie in windows of later training rows, and most do not.
    assert min(counts.values()) > 0
    # A model of single bars reads none of it.
    alone = sealed_off(case("lightgbm"), np.random.default_rng(1))
    assert alone.history is not None
    assert not (alone.history.values == DATA.history.values).all(axis=1).any()


@torch_only
@pytest.mark.parametrize("search", [NO_SEARCH, Search(2, 2)])
def test_the_seal_of_a_tiny_network_holds(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    if search.n_trials:
        _small(monkeypatch)
    found = prove_case(case(search=search))
    assert found.outcome == HELD, found.said
    assert found.counts["held-back bars poisoned"] > 0


def test_the_seal_of_a_model_of_single_bars_holds_beside_it() -> None:
    assert prove_case(case("lightgbm")).outcome == HELD


def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search over tiny networks."""
    from foldsmith.models.parameters import Parameter
    from foldsmith.models.sequence import GRU

    table = {
        name: Parameter(PARAMS.get(name, entry.default), entry.low, entry.high)
        for name, entry in GRU.parameters.items()
    }
    monkeypatch.setattr(GRU, "parameters", {**table, "dropout": GRU.parameters["dropout"]})


def _a_bar_late(monkeypatch: pytest.MonkeyPatch) -> None:
    true = Windows.__getitem__

    def leaking(self: Windows, at: Any) -> Any:
        bar = np.minimum(self.bar + 1, len(self.values) - 1)
        return true(replace(self, bar=bar), at)

    monkeypatch.setattr(Windows, "__getitem__", leaking)


def _scaled_by_every_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Windows, "last", lambda self: self.values[np.resize(np.arange(len(self.values)), len(self))]
    )


def _scaled_by_what_is_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    from foldsmith.models.sequence import Sequence

    def leaking(self: Any, X: Windows) -> Any:
        known = np.isfinite(X.values).all(axis=1)
        self._standardiser = Standardiser.fit(X.values[known], np.ones(int(known.sum())))
        return self._probabilities(self._network, X)

    monkeypatch.setattr(Sequence, "_predict", leaking)


def _one_bar_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """No leak, but a model that does not look: it must not pass as proven."""
    monkeypatch.setattr(
        Windows, "__getitem__", lambda self, at: np.zeros((len(self.bar[at]), *self.shape[1:]), np.float32)
    )


@torch_only
@pytest.mark.parametrize(
    "plant", [_a_bar_late, _scaled_by_every_bar, _scaled_by_what_is_predicted, _one_bar_again_and_again]
)
def test_what_reads_other_bars_is_seen(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    assert prove_case(case()).outcome in (BROKEN, BLIND)


def test_rows_without_a_whole_window_or_a_history_are_refused() -> None:
    assert seen_by(0, DATA.X, DATA.names, None) is DATA.X
    with pytest.raises(DataError, match="without history"):
        seen_by(3, DATA.X, DATA.names, None)
    with pytest.raises(DataError, match="no whole window of 99 bars"):
        seen_by(99, DATA.X, DATA.names, DATA.history)
    with pytest.raises(DataError, match="history has"):
        replace(DATA.take(np.arange(5)), history=DATA.history)
    other = DATA.take(np.array([5, 3])).select(("x2", "x0"))
    assert other.history is not None
    assert DATA.history is not None
    # Taking and selecting copy no bar.
    assert other.history.values is DATA.history.values
    view = seen_by(2, other.X, other.names, other.history)
    assert view[:][:, -1].tobytes() == other.X.tobytes()
    assert view[:][:, 0].tolist() == DATA.history.values[DATA.history.bar[[5, 3]] - 1][:, [2, 0]].tolist()
