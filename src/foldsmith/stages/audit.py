"""`audit`: every proof of "nothing leaks", on the user's own runs, and what they come to."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from foldsmith.audit import causality, intervals, seal
from foldsmith.audit.proof import NOT_RUN, Proof, attempted, failed_to_run, judged
from foldsmith.errors import IntegrityError, MissingError
from foldsmith.runs import manifest as manifests
from foldsmith.runs import verification
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.lineage import SAME, Link, trace
from foldsmith.runs.manifest import MANIFEST
from foldsmith.runs.registry import FINISHED, find_run, places, read_registry
from foldsmith.runs.store import Run, Workspace, newest_dataset
from foldsmith.stages import audit_chain, audit_models, audit_splits
from foldsmith.stages.audit_splits import Folds

Say = Callable[[str], None]
PROVENANCE = "provenance"


@dataclass
class Subject:
    """A dataset, and those of the runs made from it that are audited with it; a model's CV run by the model's id."""

    dataset: Run
    cvs: list[Run] = field(default_factory=list)
    models: list[Run] = field(default_factory=list)
    cv_of: dict[str, str] = field(default_factory=dict)

    def runs(self) -> list[Run]:
        """All of them."""
        return [self.dataset, *self.cvs, *self.models]


def chosen_subjects(
    workspace: Workspace, *, dataset: str | None, cv: str | None, run: str | None, every: bool
) -> list[Subject]:
    """What is audited: a run with all that it was made from, or all finished runs of the workspace.

    Without a choice, the newest model, else the newest CV run, else the newest dataset.
    """
    if every:
        found: dict[str, Subject] = {}
        entries = read_registry(workspace, places(workspace)).entries
        damaged = [entry.id for entry in entries if entry.state != FINISHED and entry.kind != "evaluation"]
        if damaged:
            raise IntegrityError(
                f"{len(damaged)} runs are damaged or unfinished ({damaged[0]} ...), and cannot be audited; see: "
                "foldsmith runs verify, and foldsmith runs clean --partial"
            )
        for entry in reversed(entries):
            if entry.kind in ("dataset", "cv", "model"):
                _add(found, workspace, workspace.open_run(entry.path.parent, entry.id))
        if not found:
            raise MissingError("no run is there to audit; begin with: ./pipeline run --symbols SYMBOL")
        return list(found.values())
    name = dataset or cv or run
    one = find_run(workspace, name) if name is not None else _newest(workspace)
    kind = "dataset" if dataset else "cv" if cv else "model" if run else one.manifest.kind
    if one.manifest.kind != kind:
        flags = {"dataset": "--dataset", "cv": "--cv", "model": "--run"}
        raise MissingError(
            f"run {one.id} is a {one.manifest.kind} run; name it with {flags.get(one.manifest.kind, '--run MODEL_ID')}."
        )
    made: dict[str, Subject] = {}
    _add(made, workspace, one)
    return list(made.values())


def _newest(workspace: Workspace) -> Run:
    entries = [
        entry for entry in read_registry(workspace, places(workspace)).entries if entry.state == FINISHED
    ]
    for kind in ("model", "cv"):
        for entry in entries:
            if entry.kind == kind:
                return workspace.open_run(entry.path.parent, entry.id)
    return newest_dataset(workspace)


def _add(found: dict[str, Subject], workspace: Workspace, run: Run) -> None:
    """Enter a run and all that it was made from."""
    by_kind: dict[str, Run] = {}
    for link in trace(workspace, run):
        if link.path is not None and link.manifest is not None and link.state == SAME:
            by_kind.setdefault(link.named.kind, Run(link.path, link.manifest))
    dataset = by_kind.get("dataset")
    if dataset is None:
        raise IntegrityError(
            f"the dataset that run {run.id} was made from is gone or another now, so nothing can be proved of it; see: "
            f"foldsmith runs explain {run.id}"
        )
    subject = found.setdefault(dataset.id, Subject(dataset))
    for kind, runs in (("cv", subject.cvs), ("model", subject.models)):
        if kind in by_kind and all(each.id != by_kind[kind].id for each in runs):
            runs.append(by_kind[kind])
    if "model" in by_kind and "cv" in by_kind:
        subject.cv_of[by_kind["model"].id] = by_kind["cv"].id


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
    elif "base_models" in known:
        yield Proof(
            seal.GROUP,
            f"model {model.id}: meta-level folds",
            NOT_RUN,
            "it made its out-of-fold predictions on the spot and kept none to prove anything by; train it from a CV "
            "run with --stacking-data, which gives an equal model",
        )
    else:
        yield attempted(
            seal.GROUP,
            f"model {model.id}: training segment",
            lambda: seal.prove_case(audit_splits.whole_case(workspace, subject.dataset, model, quick)),
        )
        yield from audit_models.whole_proofs(workspace, subject.dataset, model, quick)


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
