"""The page of `audit splitters`: who leaks how many training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from foldsmith.audit.splitters import ABSENT, APART, FAILED, Measured, counted
from foldsmith.report.markup import Markup, html, note, page, pairs, section, table

GENERATOR = "foldsmith audit splitters"
EXPLAINED = (
    "A training row leaks if its label, closed at both ends, meets that of a row it is scored on. Rows are counted "
    "over all splits, from the row numbers that a splitter yields and nothing else.",
    "Those that only touch end in the very instant in which the other begins: no leak to who reads labels as "
    "half-open.",
    "The gap is the fewest bars from a training label to a test label; 0 where they meet.",
    "A splitter that is not installed, or could not run, was not seen to keep rows apart.",
)


def render_splitters(facts: Mapping[str, Any], found: Sequence[Measured]) -> str:
    """The page as the text of one self-contained HTML file; all text is escaped, equal arguments give equal bytes."""
    body = "".join(
        (
            '<header><div class="brand">Foldsmith audit</div>',
            f"<h1>Which splitters leak?</h1>{pairs(facts, 'facts')}</header>",
            f'<div class="verdict"><p>{html(counted(found))}</p></div>',
            section("Splitters", *(note(sentence) for sentence in EXPLAINED), _table(found)),
        )
    )
    return page("Which splitters leak?", body, generator=GENERATOR)


def _table(found: Sequence[Measured]) -> Markup:
    head = [
        "of",
        "splitter",
        "outcome",
        "splits",
        "training rows",
        "leak",
        "of them touching",
        "under embargo",
        "smallest gap",
    ]
    return table(head, [_row(each) for each in found])


def _row(one: Measured) -> tuple[Any, ...]:
    state = one.state if one.state == APART else Markup(f"<b>{html(one.state)}</b>")
    if one.state in (ABSENT, FAILED):
        return one.library, one.name, state, one.said, "", "", "", "", ""
    counts = (f"{count:,}" for count in (one.train, one.overlaps, one.touching, one.embargoed))
    return one.library, one.name, state, one.splits, *counts, one.gap
