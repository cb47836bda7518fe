"""Enter a finished audit in the ledger: for each run, the proofs of it and of all that it was made from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import foldsmith
from foldsmith.audit.proof import Proof
from foldsmith.errors import FoldsmithError
from foldsmith.runs.audits import Audited, record
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.source import source_hash
from foldsmith.runs.store import Run, Workspace
from foldsmith.stages.audit_subjects import Subject


def enter_audit(
    workspace: Workspace, subjects: Sequence[Subject], proofs: Sequence[Proof], *, quick: bool
) -> str:
    """Enter what the proofs say of every run that was audited; returns what became of it, as a sentence.

    A ledger that cannot be written is told and stops nothing: what was proved is proved. None is begun for an audit.
    """
    ledger = Ledger(workspace.ledger)
    try:
        if not ledger.published():
            return "not entered in the ledger, which knows of no run"
        made = audits_of(subjects, proofs, quick=quick)
        record(ledger, made)
    except FoldsmithError as error:
        return f"not entered in the ledger: {error}"
    return f"entered in the ledger as the audit of {len(made)} runs"


def audits_of(subjects: Sequence[Subject], proofs: Sequence[Proof], *, quick: bool) -> list[Audited]:
    """An entry for each run that was audited.

    A run has the proofs that name it or a run it was made from, those of a model's evaluations for the model too, and
    those that name none, such as that of the ledger: so of several models one that fails fails alone.
    """
    runs = {_name(run): run for subject in subjects for run in subject.runs()}
    below = {
        f"model {model}": [_name(run) for run in each]
        for subject in subjects
        for model, each in subject.evaluations.items()
    }
    named = [{name for name in runs if _names(proof.name, name)} for proof in proofs]
    found = []
    for name, run in runs.items():
        concerned = {*_lineage(run, runs), *below.get(name, ())}
        # The proof of the ledger is made once a dataset and says the same each time.
        mine = {
            (proof.group, proof.name): proof
            for proof, names in zip(proofs, named, strict=True)
            if not names or names & concerned
        }
        found.append(
            Audited(
                run.id,
                run.manifest.content,
                quick,
                dict(Counter(proof.outcome for proof in mine.values())),
                tuple(f"{proof.name} ({proof.outcome})" for proof in mine.values() if not proof.held),
                foldsmith.__version__,
                source_hash(),
            )
        )
    return found


def _name(run: Run) -> str:
    return f"{run.manifest.kind} {run.id}"


def _names(said: str, name: str) -> bool:
    """Whether a proof's name has the name of a run in it, and not that of one whose id goes on."""
    return re.search(rf"(?<!\w){re.escape(name)}(?![\w.-])", said) is not None


def _lineage(run: Run, runs: dict[str, Run]) -> set[str]:
    """A run and all among `runs` that it was made from."""
    found, ahead = set(), [_name(run)]
    while ahead:
        name = ahead.pop()
        if name in runs and name not in found:
            found.add(name)
            ahead += [f"{parent.kind} {parent.id}" for parent in runs[name].manifest.parents]
    return found
