"""The sweep, and what purge and embargo hold back, against every pair and against the slow oracle of splits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.oracles.splits import why_barred

from foldsmith.audit.intervals import Apart, Pair, barred, meeting, meeting_by_pairs, prove_pairs
from foldsmith.splits import PurgedKFold, certify


@st.composite
def labels(draw: st.DrawFn) -> tuple[Any, Any]:
    """Sorted t0 with ties and gaps, and ends in no order."""
    t0 = np.sort(np.array(draw(st.lists(st.integers(0, 60), min_size=2, max_size=40)), dtype=np.int64))
    lengths = draw(st.lists(st.integers(0, 15), min_size=len(t0), max_size=len(t0)))
    return t0, t0 + np.array(lengths, dtype=np.int64)


@given(labels(), labels())
def test_the_sweep_finds_what_looking_at_every_pair_finds(one: Any, other: Any) -> None:
    np.testing.assert_array_equal(meeting(*one, *other), meeting_by_pairs(*one, *other))


@settings(deadline=None)
@given(labels(), st.data())
def test_purge_and_embargo_are_those_of_the_oracle(made: Any, data: st.DataObject) -> None:
    t0, t1 = made
    first = data.draw(st.integers(0, len(t0) - 1))
    last = data.draw(st.integers(first, len(t0) - 1))
    embargo, purge = data.draw(st.integers(0, 6)), data.draw(st.integers(0, 4))
    closes = np.arange(0, 80, dtype=np.int64)
    purged, embargoed = barred(t0, t1, np.arange(first, last + 1), Apart(embargo, purge, closes))
    for row in range(len(t0)):
        why = why_barred(row, t0, t1, range(first, last + 1), embargo, purge, closes.tolist())  # type: ignore[arg-type]
        assert ("purge" if purged[row] else "embargo" if embargoed[row] else None) == why


def folds(embargo: int) -> tuple[list[Pair], Apart]:
    rng = np.random.default_rng(3)
    closes = np.arange(400, dtype=np.int64)
    t0 = closes[:300]
    t1 = t0 + rng.integers(1, 9, 300)
    split = PurgedKFold(4, t0=t0, t1=t1, embargo=embargo, bars=closes)
    pairs = list(split.split(t0))
    stored = [one.to_dict() for one in certify(pairs, t0=t0, t1=t1, embargo=embargo, bars=closes)]
    made = [
        Pair(f"fold {k}", t0, t1, train, test, stored[k], whole=True) for k, (train, test) in enumerate(pairs)
    ]
    return made, Apart(embargo, 0, closes)


def test_folds_that_are_apart_hold_and_their_certificates_agree() -> None:
    pairs, apart = folds(5)
    proof = prove_pairs("folds", pairs, apart)
    assert proof.held, proof.said
    assert proof.counts["certificates compared"] == 4
    assert proof.planted.endswith("4 of 4")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"overlaps": 1}, "certificate says overlaps 1"),
        ({"n_train": 7}, "certificate says n_train 7"),
        ({"embargoed": 0}, "certificate says embargoed 0"),
    ],
)
def test_a_certificate_that_says_otherwise_breaks_the_proof(change: dict[str, int], said: str) -> None:
    pairs, apart = folds(5)
    one = pairs[1]
    pairs[1] = Pair(
        one.name, one.t0, one.t1, one.fitted, one.scored, {**dict(one.certificate or {}), **change}, True
    )
    proof = prove_pairs("folds", pairs, apart)
    assert proof.outcome == "broken"
    assert said in proof.said


def test_an_embargo_shorter_than_it_should_be_is_found_and_nothing_is_no_proof() -> None:
    pairs, _ = folds(0)
    proof = prove_pairs("folds", pairs, Apart(5, 0, np.arange(400, dtype=np.int64)))
    assert proof.outcome == "broken"
    assert "within the purge or the embargo" in proof.said
    assert prove_pairs("none", [], Apart(5, 0, np.arange(9))).outcome == "broken"
