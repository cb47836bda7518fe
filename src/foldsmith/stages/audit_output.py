"""What an audit leaves: its proofs as JSON and as one page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import foldsmith
from foldsmith.audit.proof import OUTCOMES, Proof
from foldsmith.report.audit import render_audit
from foldsmith.runs.files import disk_errors_told
from foldsmith.runs.source import source_hash
from foldsmith.runs.store import write_json

NOT_PROVED = (
    "That a strategy makes money, that a score is large, or that few things were tried: the ledger and the report "
    "count those.",
    "How often a market without edge would pass for one with edge, and how small an edge would be seen: that is what "
    "`foldsmith audit null` is for.",
    "That the clock and the prices of the raw file are true: what comes before the file is not looked at.",
)
"""What no proof of an audit says."""
NULL_NOT_PROVED = (
    "That a real market has an edge, or none: these are markets whose truth is known because it was made.",
    "That each feature, model or setting is free of leaks: what runs is one small workflow with two models. The "
    "proofs of `foldsmith audit` are made on the runs at hand.",
    "That a small leak would be seen: one is known to be seen only if it moves scores as far as those planted here do.",
)
"""What no proof of `audit null` says."""


def summary(proofs: Sequence[Proof]) -> str:
    """How many proofs there are, by outcome."""
    found = Counter(proof.outcome for proof in proofs)
    return (
        ", ".join(f"{found[outcome]} {outcome}" for outcome in OUTCOMES if found[outcome]) or "no proof ran"
    )


def audit_as_dict(
    audited: Sequence[str], proofs: Sequence[Proof], quick: bool, not_proved: Sequence[str] = NOT_PROVED
) -> dict[str, Any]:
    """An audit as plain values."""
    return {
        "audited": list(audited),
        "quick": quick,
        "held": bool(proofs) and all(proof.held for proof in proofs),
        "outcomes": dict(Counter(proof.outcome for proof in proofs)),
        "code": {"version": foldsmith.__version__, "source": source_hash()},
        "proofs": [proof.as_dict() for proof in proofs],
        "not_proved": list(not_proved),
    }


def write_audit(
    audited: Sequence[str],
    proofs: Sequence[Proof],
    quick: bool,
    json_file: Path | None,
    page: Path | None,
    not_proved: Sequence[str] = NOT_PROVED,
) -> None:
    """Write the JSON and the page that are asked for; what was there before is replaced."""
    if json_file is not None:
        with disk_errors_told(f"write {json_file}"):
            write_json(json_file, audit_as_dict(audited, proofs, quick, not_proved))
    if page is not None:
        facts = {
            "audited": ", ".join(audited),
            "extent": "quick" if quick else "full",
            "proofs": summary(proofs),
            "code": f"foldsmith {foldsmith.__version__}, {source_hash()[:12]}",
        }
        text = render_audit("Does anything leak?", facts, proofs, not_proved)
        with disk_errors_told(f"write {page}"):
            page.write_text(text, encoding="utf-8")
