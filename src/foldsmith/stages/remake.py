"""Make runs again from what their manifests say: to compare them with what they were, or from bars that have grown."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from foldsmith.config import CrossValidateSettings, PrepareSettings, ValidationSettings, stated
from foldsmith.ensembles.names import model_of
from foldsmith.errors import DataError, IntegrityError, MissingError
from foldsmith.features import FEATURES
from foldsmith.features.fitted import FITTED
from foldsmith.features.sets import resolve, set_names, shortest
from foldsmith.models.own import OwnModel
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.lineage import SAME, Link, trace
from foldsmith.runs.manifest import Manifest, counts_as_content
from foldsmith.runs.registry import KINDS, Origin
from foldsmith.runs.store import Run, Workspace
from foldsmith.runs.tried import Tried
from foldsmith.stages.cross_validate import cross_validate, features_by_model
from foldsmith.stages.ensemble import train_fresh, train_stored
from foldsmith.stages.ensemble_options import EnsembleOptions
from foldsmith.stages.evaluate import evaluate, flags_of
from foldsmith.stages.executors import Executor
from foldsmith.stages.horizon import load_recipe
from foldsmith.stages.models_file import check_named, load_as_recorded, records_of
from foldsmith.stages.prepare import prepare
from foldsmith.stages.publish import Provenance
from foldsmith.stages.recipe import Recipe
from foldsmith.stages.train import train_base

Say = Callable[[str], None]


@dataclass(frozen=True)
class Remade:
    """A run as it was, and as it was made now."""

    before: Manifest
    now: Manifest

    @property
    def equal(self) -> bool:
        """Whether both have one content hash."""
        return self.before.content == self.now.content

    def differing(self) -> list[str]:
        """Files of the content that are not the same or missing on one side, and parents that are others."""
        files = {name for name in {*self.before.files, *self.now.files} if counts_as_content(name)}
        changed = [name for name in sorted(files) if self.before.files.get(name) != self.now.files.get(name)]
        parents = [{(p.kind, p.content) for p in made.parents} for made in (self.before, self.now)]
        return [*changed, *(f"its {kind}" for kind, _ in sorted(parents[0] - parents[1]))]


def reproduce(
    workspace: Workspace,
    run: Run,
    command: tuple[str, ...],
    say: Say,
    *,
    workers: int,
    from_raw: bool = False,
    also: Sequence[Path] = (),
) -> list[Remade]:
    """Make a run again beside the workspace, from its parents or `from_raw` bars on, and return both, oldest first.

    Nothing is left of it. Trials made again are not counted; held-out rows opened again are, in the workspace's ledger.
    Raises IntegrityError where the raw file or a parent is not what it was.
    """
    with tempfile.TemporaryDirectory(prefix="foldsmith-reproduce-") as folder:
        target = Workspace(Path(folder))
        provenance = Provenance(command, Ledger(target.ledger))
        work = _Remaking(workspace, target, provenance, say, workers, as_it_was=True)
        return work.chain(run, first="dataset" if from_raw else run.manifest.kind, also=also)


def rerun(
    workspace: Workspace,
    run: Run,
    provenance: Provenance,
    say: Say,
    *,
    first: str,
    workers: int,
    also: Sequence[Path] = (),
) -> list[Remade]:
    """Make new runs in the workspace with the settings of a run and of those it was made from, from stage `first` on.

    Raw bars are read as they are now: this is how a chain is brought up to date.
    """
    work = _Remaking(workspace, workspace, provenance, say, workers, as_it_was=False)
    return work.chain(run, first=first, also=also)


@dataclass(frozen=True)
class _Remaking:
    source: Workspace
    target: Workspace
    provenance: Provenance
    say: Say
    workers: int
    as_it_was: bool

    def chain(self, run: Run, *, first: str, also: Sequence[Path]) -> list[Remade]:
        """Make every run of the chain from kind `first` on, in order; those before it are taken as they are."""
        links = trace(self.source, run, also)
        if first not in {link.named.kind for link in links}:
            raise MissingError(
                f"run {run.id} has no {first} in its chain; it was made from "
                f"{', '.join(link.named.kind for link in links[1:]) or 'nothing'}."
            )
        if self.as_it_was:
            _check_unchanged(links, run, first)
        found: dict[Origin, Run] = {}
        made: list[Remade] = []
        # A parent before what is made of it; an ensemble may join several runs of a kind.
        ordered = [link for kind in KINDS for link in links if link.named.kind == kind]
        for link in ordered:
            kind = link.named.kind
            if link.path is None or link.manifest is None:
                raise IntegrityError(
                    f"{kind} {link.named.id}, which run {run.id} was made from, is needed and {link.state}: "
                    f"{link.note}."
                )
            before = Run(link.path, link.manifest)
            if KINDS.index(kind) < KINDS.index(first):
                found[link.named] = before
                continue
            self.say(f"making {kind} {before.id} again")
            named = [Origin(one.kind, one.id, one.content) for one in before.manifest.parents]
            parents = [found[one] for one in named if one.kind != "raw"]
            found[link.named] = self._make(before, parents, remade=bool(made))
            made.append(Remade(before.manifest, found[link.named].manifest))
        return made

    def _make(self, before: Run, parents: Sequence[Run], *, remade: bool) -> Run:
        known = before.manifest.parameters
        try:
            if before.manifest.kind == "dataset":
                return prepare(
                    self.source,
                    _prepare_settings(known, load_recipe(before)),
                    load_recipe(before).instrument,
                    self.provenance,
                    self.say,
                    folder=self.target.datasets,
                )
            if before.manifest.kind == "cv":
                return cross_validate(
                    _of_kind(parents, "dataset")[0],
                    _cv_settings(known, known["models"], known["horizons"], known["validation"]),
                    self.provenance,
                    self.say,
                    folder=self.target.stacking,
                    executor=Executor(workers=self.workers),
                    own=self._own(known),
                )
            # Where parents are looked for by id: among those made now, if they were.
            where = self.target if remade else self.source
            if before.manifest.kind == "model":
                return self._model(known, parents, where)
            return self._evaluation(before, known, _of_kind(parents, "model")[0], where)
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise DataError(
                f"the manifest of run {before.id} does not say how it was made ({error}); make a new one."
            ) from error

    def _model(self, known: Mapping[str, Any], parents: Sequence[Run], where: Workspace) -> Run:
        name, horizon = known["model"], int(known["horizon"])
        options = EnsembleOptions.from_manifest(known)
        crossed, datasets = _of_kind(parents, "cv"), _of_kind(parents, "dataset")
        if crossed:
            return train_stored(
                where,
                crossed[0].id,
                horizon,
                name,
                known["meta_learner"],
                self.provenance,
                self.say,
                phase3_folder=crossed[0].path.parent,
                folder=self.target.runs,
                also=[run.id for run in crossed[1:]],
                options=options,
            )
        validation = stated(ValidationSettings, known)
        if "base_models" in known:
            plain = _without_joined(known)
            return train_fresh(
                datasets[0],
                _cv_settings(plain, plain["base_models"], [horizon], validation),
                name,
                known["meta_learner"],
                self.provenance,
                self.say,
                folder=self.target.runs,
                executor=Executor(workers=self.workers),
                own=self._own(known),
                options=options,
            )
        return train_base(
            datasets[0],
            name,
            horizon,
            ValidationSettings(**validation),
            dict(known["params"]),
            self.provenance,
            self.say,
            folder=self.target.runs,
            threads=self.workers,
            features=tuple(known["features"]) if "features" in known else None,
            own=self._own(known).get(name),
        )

    def _own(self, known: Mapping[str, Any]) -> dict[str, OwnModel]:
        """The user's own models of a run: as they were, or, to bring it up to date, as they are."""
        records = records_of(known)
        if self.as_it_was:
            return load_as_recorded(self.source, records)
        found = check_named(self.source, tuple(records), self.say)
        lacking = next((name for name in records if name not in found), None)
        if lacking is not None:
            raise MissingError(
                f"the run needs model {lacking}, which models.toml does not name; add it there."
            )
        return found

    def _evaluation(self, before: Run, known: Mapping[str, Any], model: Run, where: Workspace) -> Run:
        split, rule = str(known["split"]), flags_of(known)["rule"]
        beside, counted = self.target != self.source, before.manifest.extra.get("tried")
        if beside:
            looks = Ledger(self.source.ledger).record_look(
                run_id=before.path.parents[1].name,
                content=next(p.content for p in before.manifest.parents if p.kind == "model"),
                fingerprint=next(p.content for p in before.manifest.parents if p.kind == "dataset"),
                split=split,
                horizon=int(before.manifest.extra["horizon"]),
                rule=rule.name,
            )
            self.say(f"look {looks.of_dataset} at the {split} rows of its dataset, as the ledger counts")
        return evaluate(
            where,
            model.id,
            split,
            self.provenance,
            self.say,
            folder=model.path.parent,
            output=self.target.runs / model.id / "evaluations" if beside else None,
            code=self.source,
            **flags_of(known),
            threads=self.workers,
            # What is made again is judged as it was: by what had been tried by then.
            counted=Tried.from_dict(counted) if beside and counted is not None else None,
        ).run


def _of_kind(runs: Sequence[Run], kind: str) -> list[Run]:
    """Runs of a kind, in order."""
    return [run for run in runs if run.manifest.kind == kind]


def _without_joined(known: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of an ensemble without the base models that it joined of other horizons."""
    own: dict[str, Any] = {"base_models": [name for name in known["base_models"] if model_of(name) == name]}
    if "features" in known:
        own["features"] = {name: seen for name, seen in known["features"].items() if model_of(name) == name}
    return {**known, **own}


def _check_unchanged(links: Sequence[Link], run: Run, first: str) -> None:
    for link in links:
        needed = link.named.kind != "raw" or first == "dataset"
        if needed and link.state != SAME:
            raise IntegrityError(
                f"run {run.id} cannot be made as it was: {link.named.kind} {link.named.id} is {link.state} "
                f"({link.note}). Restore it."
            )


def _prepare_settings(known: Mapping[str, Any], recipe: Recipe) -> PrepareSettings:
    values = dict(known)
    # By feature, if the names of sets stand for others now, or had none in the manifest yet.
    words = tuple(values.get("features", ()))
    builtin = all(word in (*FEATURES, *FITTED, *set_names()) for word in words)
    same = bool(words) and builtin and resolve(words) == recipe.names
    values["features"] = words if same else shortest(recipe.names)
    for name in ("start", "end"):
        values[name] = None if values[name] is None else datetime.fromisoformat(values[name])
    for name in ("horizons", "ratios"):
        values[name] = tuple(values[name])
    return PrepareSettings(**values)


def _cv_settings(
    known: Mapping[str, Any], models: Sequence[str], horizons: Sequence[int], validation: Mapping[str, Any]
) -> CrossValidateSettings:
    return CrossValidateSettings(
        tuple(models),
        tuple(horizons),
        ValidationSettings(**validation),
        features_by_model(known),
        known.get("paths"),
    )
