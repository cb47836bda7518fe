"""The page of `audit`: every proof, what it did, and what was planted for it to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from foldsmith.audit.proof import HELD, Proof
from foldsmith.report.markup import Markup, html, note, page, pairs, section, table

GENERATOR = "foldsmith audit"
"""What a page of this kind says it was made by."""
SECTIONS = {
    "provenance": (
        "Provenance",
        "Every file has the hash that its manifest says, every manifest the one in the ledger.",
    ),
    "intervals": (
        "Intervals",
        "Labels fitted on and labels scored, counted against each other from the stored tables, by a road of its own.",
    ),
    "causality": (
        "Causality",
        "Raw bars after a cut were replaced and phase 1 run again: what was known at the cut must keep every bit.",
    ),
    "seal": (
        "Seal",
        "Rows that a fit must not see were poisoned and the fit made again: it must keep every bit. Poison in its own "
        "training rows must show.",
    ),
    "models": (
        "Models",
        "Each model was fitted again after a fit that saw the scored rows, and its rows predicted beside others and "
        "alone; one of the user's own in new processes, and where it can open no file.",
    ),
    "evaluations": (
        "Evaluations",
        "Each was made again from the stored model and dataset, and must keep every bit; its looks at held-out rows "
        "are in the ledger.",
    ),
    "mutants": (
        "Mutants",
        "Known leaks were planted in the program, one at a time: the audit must see each.",
    ),
    "null market": (
        "Markets without edge",
        "The workflow was run in many markets in which nothing can be told: its p-values must be those of chance. All "
        "statements together fail a sound program with chance 1%.",
    ),
    "planted in null markets": (
        "Leaks in markets without edge",
        "The same statements were made of a program that leaks: some must fail.",
    ),
    "power": (
        "Power",
        "An edge was planted in the market: it must be found, and not by predictions of other rows.",
    ),
}
"""Kinds of proofs in the order of the page: title, and what they do."""


def render_audit(
    title: str, facts: Mapping[str, Any], proofs: Sequence[Proof], not_proved: Sequence[str]
) -> str:
    """The page as the text of one self-contained HTML file.

    facts : name -> value, shown on top; not_proved : sentences on what an audit does not prove. All text is escaped;
    equal arguments give equal bytes.
    """
    failed = [proof for proof in proofs if not proof.held]
    verdict = (
        f"{len(failed)} of {len(proofs)} proofs failed."
        if failed
        else f"All {len(proofs)} proofs ran, saw what was planted for them, and held."
    )
    body = "".join(
        (
            '<header><div class="brand">Foldsmith audit</div>',
            f"<h1>{html(title)}</h1>{pairs(facts, 'facts')}</header>",
            f'<div class="verdict"><p>{html(verdict)}</p></div>',
            section("Failed", _table(failed)) if failed else "",
            *(
                section(name, note(said), _table([proof for proof in proofs if proof.group == group]))
                for group, (name, said) in SECTIONS.items()
                if any(proof.group == group for proof in proofs)
            ),
            section("Not proved here", *(note(sentence) for sentence in not_proved)),
        )
    )
    return page(title, body, generator=GENERATOR)


def _table(proofs: Sequence[Proof]) -> Markup:
    rows = [
        (
            _long(proof.name),
            proof.outcome if proof.outcome == HELD else Markup(f"<b>{html(proof.outcome)}</b>"),
            _long(proof.said),
            _long(", ".join(f"{name} {count:,}" for name, count in proof.counts.items())),
            _long(proof.planted),
        )
        for proof in proofs
    ]
    return table(["proof", "outcome", "what it found", "counts", "planted"], rows)


def _long(text: str) -> Markup:
    return Markup(f'<div class="long">{html(text)}</div>')
