"""Audits in the ledger: what was entered is what is read, and which of several says how a run stands."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldsmith.audit.proof import OUTCOMES as PROVED
from foldsmith.audit.proof import Proof
from foldsmith.errors import IntegrityError
from foldsmith.runs.audits import NAMED, OUTCOMES, Audited, audits, record, standing, stands, told
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.ledger_file import Entry, append
from foldsmith.stages.audit_entries import audits_of

NEW, OLD = "a" * 64, "b" * 64
FULL = Audited("model_h5", "c" * 64, False, {"held": 9}, (), "1.0", NEW)
FAILED = replace(FULL, outcomes={"held": 7, "broken": 2}, failed=("dataset d: late (broken)", "x (broken)"))


def test_what_is_entered_is_what_is_read_and_old_entries_stay(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite", now=lambda: "2024-03-05T09:00:00.000000+00:00")
    assert audits(ledger) == []
    ledger.record_published("run", "model", "c", "m")
    many = replace(FAILED, outcomes={"could not run": 30}, failed=tuple(f"proof {n}" for n in range(30)))
    record(ledger, [FULL, FAILED, many])
    at = "2024-03-05T09:00:00.000000+00:00"
    kept = replace(many, failed=many.failed[:NAMED])
    assert audits(ledger) == [replace(one, at=at) for one in (FULL, FAILED, kept)]
    assert [one.run_id for one in ledger.published()] == ["run"]
    ledger.check()
    # Taken out or turned round by somebody who goes around the program, an audit is missed as any entry is.
    with closing(sqlite3.connect(ledger.path)) as connection:
        connection.executescript(
            "DROP TRIGGER entries_unchanged; UPDATE entries SET body = replace(body, 'broken', 'held') WHERE id = 4"
        )
    with pytest.raises(IntegrityError):
        ledger.check()


@pytest.mark.parametrize(
    "changed",
    [
        {"quick": "no"}, {"outcomes": {"held": -1}}, {"outcomes": {"held": True}}, {"outcomes": {"odd": 1}},
        {"outcomes": []}, {"failed": "x"}, {"failed": [1]}, {"code": {"version": "1"}}, {"content": 1}, {"more": 1},
    ],
)  # fmt: skip
def test_an_entry_that_is_no_audit_is_refused_with_a_sentence(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    record(ledger, [FULL])
    body = {
        "content": "c",
        "quick": False,
        "outcomes": {"held": 1},
        "failed": [],
        "code": {"version": "1", "source": ""},
    }
    with closing(sqlite3.connect(ledger.path)) as connection:
        append(connection, [Entry("audit", "run", "", json.dumps(body | changed))], "now")
        connection.commit()
    with pytest.raises(IntegrityError, match="an entry of kind audit is none"):
        audits(ledger)


def test_what_says_how_a_run_stands() -> None:
    quick, old, old_failed = replace(FULL, quick=True), replace(FULL, source=OLD), replace(FAILED, source=OLD)
    other = replace(FAILED, content="d" * 64)
    for listed, found in (
        ([], None),
        ([other], None),
        ([FULL, other], FULL),
        ([FULL, FAILED], FAILED),
        ([FAILED, FULL], FULL),
        # A quick audit that held hides no failure of a full one, whatever the code, and no full one of this code.
        ([FAILED, quick], FAILED),
        ([old_failed, quick], old_failed),
        ([FULL, quick], FULL),
        ([old, quick], quick),
        ([replace(FAILED, quick=True), quick], quick),
        ([FULL, replace(FAILED, quick=True)], replace(FAILED, quick=True)),
    ):
        assert standing(listed, FULL.content) == found, listed


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=6))
def test_a_failure_stands_until_an_audit_as_thorough_holds(made: list[tuple[bool, bool, bool]]) -> None:
    listed = [
        replace(FULL if held else FAILED, quick=quick, source=NEW if new else OLD)
        for quick, held, new in made
    ]
    found = standing(listed, FULL.content)
    failures = [n for n, one in enumerate(listed) if not one.held]
    open_ = [
        n for n in failures
        if not any(one.held and (listed[n].quick or not one.quick) for one in listed[n + 1 :])
    ]  # fmt: skip
    assert (found is not None and not found.held) == bool(open_)


def test_sentences() -> None:
    dated = replace(FAILED, at="2024-03-05T09:00:00", source=OLD)
    assert told(None, NEW) == "never audited"
    assert told(dated, NEW) == (
        "audit FAILED on 2024-03-05: 2 of 9 proofs on this content, with other code (1.0, source bbbbbbbbbbbb), which "
        "has changed since: dataset d: late (broken); x (broken)"
    )
    assert "FAILED: 0 of 0 proofs on this content, with this code: no proof ran" in told(
        replace(FULL, outcomes={}), NEW
    )
    model = SimpleNamespace(kind="model", content=FULL.content, parents=[])
    evaluation = SimpleNamespace(kind="evaluation", content="e", parents=[model])
    assert stands([FULL], evaluation, lambda: NEW)["said"].startswith("its model: audited: 9 proofs held")  # type: ignore[arg-type]
    assert stands([], evaluation, lambda: NEW)["held"] is None  # type: ignore[arg-type]
    mine = replace(FAILED, content="e")
    assert stands([FULL, mine], evaluation, lambda: NEW)["held"] is False  # type: ignore[arg-type]


def made(kind: str, name: str, *parents: Any) -> Any:
    known = SimpleNamespace(
        kind=kind, content=f"content of {name}", parents=[p.manifest for p in parents], id=name
    )
    return SimpleNamespace(id=name, manifest=known)


def test_a_run_has_the_proofs_of_what_it_was_made_from() -> None:
    data = made("dataset", "d")
    cv = made("cv", "base", data)
    one, two = made("model", "m_h5_1", data, cv), made("model", "m_h5_12", data)
    looked = made("evaluation", "test_1", one, data)
    subject: Any = SimpleNamespace(
        runs=lambda: [data, cv, one, two, looked], evaluations={"m_h5_1": [looked]}
    )
    names = ("the ledger", "dataset d: phase 1 again", "cv base h5: base folds", "model m_h5_1 h5: looks",
             "model m_h5_12: training segment", "evaluation test_1: rows")  # fmt: skip
    concern = {
        "d": {0, 1}, "base": {0, 1, 2}, "m_h5_1": {0, 1, 2, 3, 5}, "m_h5_12": {0, 1, 4}, "test_1": {0, 1, 2, 3, 5}
    }  # fmt: skip
    for broken, outcome in product(range(len(names)), ("broken", "could not run")):
        proofs = [
            Proof("group", name, outcome if n == broken else "held", "") for n, name in enumerate(names)
        ]
        # A proof of the ledger is made for every dataset.
        found = {entry.run_id: entry for entry in audits_of([subject], [*proofs, proofs[0]], quick=True)}
        assert set(found) == set(concern)
        for run, mine in concern.items():
            assert found[run].proofs == len(mine)
            assert found[run].held == (broken not in mine)
            assert found[run].failed == ((f"{names[broken]} ({outcome})",) if broken in mine else ())
            assert found[run].content == f"content of {run}"


def test_outcomes_are_those_of_proofs() -> None:
    assert OUTCOMES == PROVED
