"""`audit`: every proof of "nothing leaks", on the user's own runs, and what they come to."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from foldsmith.audit import causality, intervals, seal
from foldsmith.audit.proof import Proof, attempted, failed_to_run, judged
from foldsmith.errors import IntegrityError
from foldsmith.runs import manifest as manifests
from foldsmith.runs import verification
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.lineage import SAME, Link, trace
from foldsmith.runs.manifest import MANIFEST
from foldsmith.runs.store import Run, Workspace
from foldsmith.stages import (
    audit_chain,
    audit_evaluations,
    audit_fresh,
    audit_models,
    audit_paths,
    audit_splits,
)
from foldsmith.stages.audit_splits import Folds
from foldsmith.stages.audit_subjects import Subject

Say = Callable[[str], None]
PROVENANCE = "provenance"


def audit(workspace: Workspace, subjects: list[Subject], *, quick: bool, say: Say) -> list[Proof]:
    """Every proof of these subjects, each said as it ends."""
    proofs = []
    for subject in subjects:
        for proof in _proofs(workspace, subject, quick):
            say(line(proof))
            proofs.append(proof)
    return proofs


def line(proof: Proof) -> str:
    """A proof in one line of a terminal."""
    marks = {"held": "ok"}
    planted = f" [planted: {proof.planted}]" if proof.planted else ""
    return f"{marks.get(proof.outcome, proof.outcome.upper()):>4}  {proof.group}: {proof.name}: {proof.said}{planted}"


def _proofs(workspace: Workspace, subject: Subject, quick: bool) -> Iterator[Proof]:
    dataset = subject.dataset
    yield from _provenance(workspace, subject)
    folds = list(_folds_of(workspace, subject))
    for each in folds:
        if isinstance(each, Proof):
            yield each
        else:
            yield from audit_splits.interval_proofs(each)
    yield from audit_paths.path_proofs(subject.cvs, folds, quick)
    metas = [model for model in subject.models if model.id in subject.cv_of]
    for model in metas:
        yield attempted(
            intervals.GROUP,
            f"model {model.id}: meta-level folds, intervals",
            partial(_meta_intervals, workspace, subject, model),
        )
    try:
        source = audit_chain.load_source(workspace, dataset)
    except Exception as error:  # noqa: BLE001 - whatever stopped it, what did not run must not pass
        yield failed_to_run(causality.GROUP, f"dataset {dataset.id}: the chain", error)
    else:
        yield from audit_chain.causality_proofs(dataset, source, quick)
    known = [each for each in folds if isinstance(each, Folds) and each.models]
    # Quick: each model at one horizon of its run.
    for turn, each in enumerate(known):
        yield from audit_splits.seal_proofs(_thinned(each, known, quick), quick, turn)
        yield from audit_models.fold_proofs(_thinned(each, known, True), quick, turn)
    for model in subject.models:
        yield from _model_seals(workspace, subject, model, quick)
        yield from audit_evaluations.evaluation_proofs(workspace, model, subject.evaluations[model.id])


def _thinned(folds: Folds, every: list[Folds], quick: bool) -> Folds:
    """Of a run with several horizons, a quick audit takes each model at one of them, in turn."""
    if not quick:
        return folds
    run = folds.what.rpartition(" h")[0]
    siblings = [each for each in every if each.what.rpartition(" h")[0] == run]
    place = siblings.index(folds)
    return replace(folds, models=tuple(m for i, m in enumerate(folds.models) if i % len(siblings) == place))


def _folds_of(workspace: Workspace, subject: Subject) -> Iterator[Folds | Proof]:
    """Every horizon of the CV runs, else of the dataset; a proof that could not run for what cannot be read."""
    loads: list[tuple[str, Callable[[], list[Folds]]]] = [
        (f"cv {run.id}", partial(audit_splits.of_cv, workspace, subject.dataset, run)) for run in subject.cvs
    ]
    if not loads:
        loads = [(f"dataset {subject.dataset.id}", partial(audit_splits.of_dataset, subject.dataset))]
    for name, load in loads:
        try:
            yield from load()
        except Exception as error:  # noqa: BLE001 - whatever stopped it, what did not run must not pass
            yield failed_to_run(intervals.GROUP, f"{name}: splits", error)


def _meta(workspace: Workspace, subject: Subject, model: Run) -> audit_splits.Meta:
    cv_run = next(run for run in subject.cvs if run.id == subject.cv_of[model.id])
    return audit_splits.load_meta(workspace, cv_run, model)


def _meta_intervals(workspace: Workspace, subject: Subject, model: Run) -> Proof:
    return audit_splits.prove_meta_intervals(_meta(workspace, subject, model))


def _model_seals(workspace: Workspace, subject: Subject, model: Run, quick: bool) -> Iterator[Proof]:
    known = model.manifest.parameters
    if model.id in subject.cv_of:
        which = [1] if quick else None
        yield attempted(
            seal.GROUP,
            f"model {model.id}: meta-level folds",
            lambda: seal.prove_meta(_meta(workspace, subject, model).case, which),
        )
        yield from _meta_paths(workspace, subject, model, quick)
    elif "base_models" in known:
        yield from audit_fresh.fresh_proofs(workspace, subject.dataset, model, quick)
    else:
        yield attempted(
            seal.GROUP,
            f"model {model.id}: training segment",
            lambda: seal.prove_case(audit_splits.whole_case(workspace, subject.dataset, model, quick)),
        )
        yield from audit_models.whole_proofs(workspace, subject.dataset, model, quick)


def _meta_paths(workspace: Workspace, subject: Subject, model: Run, quick: bool) -> Iterator[Proof]:
    cv_run = next(run for run in subject.cvs if run.id == subject.cv_of[model.id])
    yield from audit_paths.meta_path_proofs(
        workspace, cv_run, model, lambda: _meta(workspace, subject, model), quick
    )


def _provenance(workspace: Workspace, subject: Subject) -> Iterator[Proof]:
    yield attempted(PROVENANCE, "the ledger", lambda: _prove_ledger(workspace))
    for run in subject.runs():
        yield attempted(PROVENANCE, f"{run.manifest.kind} {run.id}", partial(_prove_run, workspace, run))


def _prove_ledger(workspace: Workspace) -> Proof:
    ledger = Ledger(workspace.ledger)
    ledger.check()
    entries = len(ledger.published())
    problems = (
        [] if entries else ["the ledger knows of no run; is this the workspace that they were made in?"]
    )
    return judged(
        PROVENANCE, "the ledger", problems=problems, did=f"its chain of entries is whole; {entries} runs are entered",
        counts={"published runs": entries},
    )  # fmt: skip


def _prove_run(workspace: Workspace, run: Run) -> Proof:
    """Every file has the hash that the manifest says, the manifest the one in the ledger, and parents are there."""
    problems = verification.problems_of_run(run.path, workspace.ledger)
    links: list[Link] = trace(workspace, run)
    problems += [
        f"{link.named.kind} {link.named.id} is {link.state} ({link.note})"
        for link in links
        if link.state != SAME
    ]
    unseen = (
        []
        if _flipped_byte_is_seen(run)
        else ["a flipped byte in a copy of one of its files would not be seen"]
    )
    return judged(
        PROVENANCE,
        f"{run.manifest.kind} {run.id}",
        problems=problems,
        unseen=unseen,
        did=f"{len(run.manifest.files)} files and {len(links) - 1} ancestors are what they were",
        counts={"files": len(run.manifest.files), "ancestors": len(links) - 1},
        planted="" if unseen else "a byte flipped in a copy: seen",
    )


def _flipped_byte_is_seen(run: Run) -> bool:
    """Whether the check of hashes tells a file of the run from one that differs in a bit."""
    sizes = {name: (run.path / name).stat().st_size for name in run.manifest.files if name != MANIFEST}
    name = min((name for name, size in sizes.items() if size), key=lambda each: sizes[each])
    with tempfile.TemporaryDirectory(prefix="foldsmith-audit-") as folder:
        copy = Path(folder) / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(run.path / name, copy)
        manifests.verify(Path(folder), [name], manifest=run.manifest)
        content = bytearray(copy.read_bytes())
        content[len(content) // 2] ^= 1
        copy.write_bytes(content)
        try:
            manifests.verify(Path(folder), [name], manifest=run.manifest)
        except IntegrityError:
            return True
    return False
