"""What a proof comes to: broken, blind, not run and held are told apart, and only the last is no failure."""

from __future__ import annotations

from foldsmith.audit.proof import Proof, attempted, judged
from foldsmith.errors import DataError
from foldsmith.report.audit import render_audit


def made(problems: list[str], unseen: list[str]) -> Proof:
    return judged("seal", "one", problems=problems, unseen=unseen, did="done", counts={"rows": 3})


def test_outcomes() -> None:
    assert made([], []).held
    assert made([], ["not seen"]).outcome == "blind"
    assert made(["wrong"], ["not seen"]).outcome == "broken"
    assert not made([], ["not seen"]).held
    many = made([f"wrong {k}" for k in range(9)], [])
    assert many.said.endswith("and 5 more")


def test_a_proof_that_stops_is_a_failure_and_says_why() -> None:
    def stop() -> Proof:
        raise DataError("the raw file is gone.")

    def fault() -> Proof:
        raise ZeroDivisionError("by 0")

    assert attempted("seal", "a", stop).said == "the raw file is gone."
    found = attempted("seal", "b", fault)
    assert (found.outcome, found.said, found.held) == ("could not run", "ZeroDivisionError: by 0", False)
    assert attempted("seal", "c", lambda: made([], [])).held


def test_the_page_escapes_what_it_is_given_and_says_what_failed() -> None:
    bad = Proof("seal", "<script>", "broken", "a & b")
    page = render_audit("title", {"audited": "x"}, [bad, made([], [])], ["nothing"])
    assert "<script>" not in page
    assert "1 of 2 proofs failed" in page
    assert "All 1 proofs ran" in render_audit("title", {}, [made([], [])], [])
    assert "http" not in page.replace("http-equiv", "")
