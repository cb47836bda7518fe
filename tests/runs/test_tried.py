"""K is what is in the ledger, counted here again in another way, and nothing that happens later makes it less."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from foldsmith.errors import DataError
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.tried import Tried, tried

RAW, DATA, SIBLING, OTHER = "raw", "data", "sibling", "other"


def enter(ledger: Ledger, run: str, fingerprint: str, *states: str, model: str = "lightgbm") -> None:
    ledger.record_trials(
        {
            "run_id": run, "fingerprint": fingerprint, "model": model, "horizon": 5, "fold": 0, "number": number,
            "params": {}, "value": None if state == "failed" else 1.0, "state": state,
        }
        for number, state in enumerate(states)
    )  # fmt: skip


def look(ledger: Ledger, fingerprint: str, content: str, split: str = "test", rule: str = "") -> None:
    ledger.record_look(
        run_id=content, content=content, fingerprint=fingerprint, split=split, horizon=5, rule=rule
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Two datasets of one raw file and one of another, with trials that were pruned, failed, and of a removed run."""
    made = Ledger(tmp_path / "ledger.sqlite")
    for run, raw, content in (("d1", RAW, DATA), ("d2", RAW, SIBLING), ("d3", "else", OTHER)):
        enter(made, run, raw, "complete", model="labels")
        made.record_published(run, "dataset", content, "0" * 64)
    enter(made, "cv1", DATA, "complete", "pruned", "failed", "complete")
    enter(made, "cv2", SIBLING, "complete", "failed")
    enter(made, "cv3", OTHER, "complete")
    return made


def count(ledger: Ledger, **other: str) -> Tried:
    asked = {"dataset": DATA, "split": "test", "content": "model", **other}
    return tried(ledger, raw=[RAW], **asked)


def by_hand(ledger: Ledger) -> int:
    """Every entry read and sorted out in Python: trials of DATA and SIBLING, and models looked at there."""
    with sqlite3.connect(ledger.path) as connection:
        rows = connection.execute("SELECT kind, run_id, fingerprint, body FROM entries").fetchall()
    here = [(kind, run, json.loads(body)) for kind, run, data, body in rows if data in (DATA, SIBLING)]
    trials = {(run, json.dumps(body)) for kind, run, body in here if kind == "trial"}
    looked = {(body["content"], body.get("rule", "")) for kind, _, body in here if kind == "look"}
    return len(trials) + len(looked)


def test_pruned_failed_and_removed_trials_count(ledger: Ledger) -> None:
    look(ledger, DATA, "model")
    found = count(ledger)
    assert found == Tried(trials=7, trained=6, labellings=2, datasets=2, looks=1, place=1)
    assert found.trials == by_hand(ledger)
    ledger.record_removed("cv1", "cv", "0" * 64)
    ledger.record_removed("d2", "dataset", SIBLING)
    assert count(ledger) == found
    enter(ledger, "cv1", DATA, "complete")  # made again by a resumed run, equal in every value
    assert count(ledger) == found
    enter(ledger, "cv1", DATA, "failed")
    assert count(ledger).trials == 8 == by_hand(ledger)


def test_a_look_is_placed_by_what_was_looked_at_before(ledger: Ledger) -> None:
    look(ledger, SIBLING, "first")
    look(ledger, DATA, "unseen", split="validation")
    look(ledger, OTHER, "elsewhere")
    look(ledger, DATA, "model")
    assert (count(ledger).place, count(ledger).looks) == (2, 2)
    look(ledger, DATA, "model")
    # A second look at the same numbers is no second chance, and is counted all the same.
    assert (count(ledger).place, count(ledger).looks) == (2, 3)
    look(ledger, DATA, "model", rule="net")
    assert count(ledger, rule="net").place == 3
    assert count(ledger).place == 2
    assert count(ledger).trials == 6 + 4 == by_hand(ledger)


def test_without_a_ledger_the_trial_itself_is_one(tmp_path: Path) -> None:
    assert count(Ledger(tmp_path / "none.sqlite")) == Tried(1, 0, 0, 1, 0, 1)


def test_kept_counts_are_read_or_refused() -> None:
    one = Tried(7, 6, 2, 2, 1, 1)
    assert Tried.from_dict(one.as_dict()) == one
    for wrong in (None, {}, {**one.as_dict(), "trials": 0}, {**one.as_dict(), "place": -1},
                  {**one.as_dict(), "looks": 1.5}, {**one.as_dict(), "more": 1}):  # fmt: skip
        with pytest.raises(DataError, match="evaluate the model anew"):
            Tried.from_dict(wrong)
