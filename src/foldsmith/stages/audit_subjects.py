"""What an audit is of: datasets, and the runs that were made from them."""

from __future__ import annotations

from dataclasses import dataclass, field

from foldsmith.errors import IntegrityError, MissingError
from foldsmith.runs.lineage import SAME, trace
from foldsmith.runs.registry import FINISHED, find_run, places, read_registry
from foldsmith.runs.store import Run, Workspace, newest_dataset
from foldsmith.stages.audit_evaluations import evaluations_of


@dataclass
class Subject:
    """A dataset, and those of the runs made from it that are audited with it.

    cv_of : by the id of a model, that of the CV run whose labels are its own; evaluations : a model's, by its id.
    """

    dataset: Run
    cvs: list[Run] = field(default_factory=list)
    models: list[Run] = field(default_factory=list)
    cv_of: dict[str, str] = field(default_factory=dict)
    evaluations: dict[str, list[Run]] = field(default_factory=dict)

    def runs(self) -> list[Run]:
        """All of them."""
        evaluations = [run for runs in self.evaluations.values() for run in runs]
        return [self.dataset, *self.cvs, *self.models, *evaluations]


def chosen_subjects(
    workspace: Workspace, *, dataset: str | None, cv: str | None, run: str | None, every: bool
) -> list[Subject]:
    """What is audited: a run with all that it was made from, or all finished runs of the workspace.

    Without a choice, the newest model, else the newest CV run, else the newest dataset.
    """
    if every:
        found: dict[str, Subject] = {}
        entries = read_registry(workspace, places(workspace)).entries
        damaged = [entry.id for entry in entries if entry.state != FINISHED]
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
    """Enter a run, all that it was made from, each under its own dataset, and the evaluations of a model."""
    made_from = []
    for link in trace(workspace, run):
        if link.named.kind == "raw":
            continue
        if link.path is None or link.manifest is None or link.state != SAME:
            raise IntegrityError(
                f"the {link.named.kind} {link.named.id} that run {run.id} was made from is {link.state} ({link.note}), "
                f"so nothing can be proved of it; see: foldsmith runs explain {run.id}"
            )
        made_from.append(Run(link.path, link.manifest))
    for each in made_from:
        if each.manifest.kind == "dataset":
            found.setdefault(each.id, Subject(each))
    for each in made_from:
        if each.manifest.kind == "dataset":
            continue
        subject = found[next(one.id for one in each.manifest.parents if one.kind == "dataset")]
        runs = subject.cvs if each.manifest.kind == "cv" else subject.models
        if any(known.id == each.id for known in runs):
            continue
        runs.append(each)
        if each.manifest.kind == "model":
            subject.evaluations[each.id] = evaluations_of(workspace, each)
            crossed = [one.id for one in each.manifest.parents if one.kind == "cv"]
            subject.cv_of.update({each.id: crossed[0]} if crossed else {})
