"""The splits of stored runs, counted anew from their own tables; and what was fitted on them, sealed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from foldsmith.audit import intervals, seal
from foldsmith.audit.intervals import Apart, Pair, prove_pairs
from foldsmith.audit.proof import Proof, attempted
from foldsmith.config import TAIL_SHARE, CrossValidateSettings, ValidationSettings, stated
from foldsmith.contracts import probability_columns
from foldsmith.dataset import Dataset
from foldsmith.ensembles.catalogue import make_ensemble
from foldsmith.errors import DataError, IntegrityError
from foldsmith.intervals import Instants, Rows, as_instants
from foldsmith.models.base import Classifier
from foldsmith.runs.store import Run, Workspace, read_json
from foldsmith.stages import horizon as tables_stage
from foldsmith.stages import out_of_fold as engine
from foldsmith.stages.cross_validate import features_by_model
from foldsmith.stages.crossed import WHOLE
from foldsmith.stages.ensemble import stored_joined
from foldsmith.stages.ensemble_inputs import EnsembleInputs
from foldsmith.stages.ensemble_options import EnsembleOptions
from foldsmith.stages.horizon import HorizonTable
from foldsmith.stages.join import events, spans
from foldsmith.stages.models_file import classes, load_as_recorded, records_of
from foldsmith.stages.scores import probability_matrix
from foldsmith.stages.stacking_data import find_cv_run, read_stacking
from foldsmith.stages.tables import read_table
from foldsmith.stages.trained import parent_dataset
from foldsmith.stages.window import longest_window
from foldsmith.validation import cross_validate as fits
from foldsmith.validation.cross_validate import derived_seed

QUICK_TRIALS = 1
FULL_TRIALS = 2
"""Trials of each search that is made again, where a run was tuned."""


@dataclass(frozen=True)
class Folds:
    """One horizon, as a run trained it: its table, settings, folds, and what the run stored of them.

    oof, held : stored tables of out-of-fold and validation rows; certificates : stored ones by kind. own : classes
    of models that the user wrote.
    """

    what: str
    table: HorizonTable
    settings: ValidationSettings
    models: tuple[str, ...]
    features: Mapping[str, tuple[str, ...]]
    oof: pl.DataFrame | None = None
    held: pl.DataFrame | None = None
    certificates: Mapping[str, Any] | None = None
    own: Mapping[str, type[Classifier]] = field(default_factory=dict)

    @property
    def training(self) -> Dataset:
        """Rows of the training segment."""
        return self.table.data.take(self.table.segments.training)

    @property
    def apart(self) -> Apart:
        """How far rows are kept apart."""
        separation = self.table.separation
        return Apart(separation.embargo, separation.purge, separation.bars)

    def pairs(self) -> list[tuple[Rows, Rows]]:
        """The engine's folds of the training rows."""
        return engine._folds(self.training, self.table.separation, self.settings.n_splits)


def of_dataset(dataset: Run) -> list[Folds]:
    """Each horizon of a dataset, with the settings that `cv` has by itself; nothing of it is stored."""
    settings = ValidationSettings()
    found = tables_stage.load_horizons(dataset, tuple(load_horizons_of(dataset)), settings)
    return [Folds(f"dataset {dataset.id} h{h}", table, settings, (), {}) for h, table in found.items()]


def load_horizons_of(dataset: Run) -> list[int]:
    """The horizons that a dataset has labels for."""
    return list(tables_stage.load_recipe(dataset).horizons)


def cv_settings(run: Run) -> CrossValidateSettings:
    """What a CV run was made with, or DataError."""
    known = run.manifest.parameters
    try:
        return CrossValidateSettings(
            tuple(known["models"]),
            tuple(known["horizons"]),
            ValidationSettings(**known["validation"]),
            features_by_model(known),
            known.get("paths"),
        )
    except (KeyError, TypeError) as error:
        raise DataError(f"the manifest of run {run.id} does not say how it was made ({error}).") from error


def of_cv(workspace: Workspace, dataset: Run, run: Run) -> list[Folds]:
    """Each horizon of a CV run, with its stored tables and certificates."""
    settings = cv_settings(run)
    run.verify(["cv_results.json"])
    results = read_json(run.path / "cv_results.json")["horizons"]
    window = longest_window(settings.models)
    loaded = tables_stage.load_horizons(dataset, settings.horizons, settings.validation, window=window)
    own = classes(load_as_recorded(workspace, records_of(run.manifest.parameters)))
    found = []
    for h, table in loaded.items():
        stored = read_stacking(run, h)
        found.append(
            Folds(
                f"cv {run.id} h{h}",
                table,
                settings.validation,
                settings.models,
                settings.features,
                stored.data,
                stored.validation,
                results[str(h)].get("certificates"),
                own,
            )
        )
    return found


def interval_proofs(folds: Folds) -> list[Proof]:
    """Cuts between segments, base folds, and the tails inside them that fits stop on."""
    what = folds.what
    return [
        attempted(
            intervals.GROUP,
            f"{what}: segment cuts",
            lambda: prove_pairs(
                f"{what}: segment cuts", _segment_pairs(folds), folds.apart, _strangers(folds)
            ),
        ),
        attempted(intervals.GROUP, f"{what}: base folds", lambda: _prove_folds(folds)),
        attempted(
            intervals.GROUP,
            f"{what}: tails of folds",
            lambda: prove_pairs(f"{what}: tails of folds", _tails(folds), folds.apart),
        ),
    ]


def _segment_pairs(folds: Folds) -> list[Pair]:
    """Each segment against each later one: rows as the run stored them, and test rows by the labels and the cut."""
    table = folds.table
    if folds.oof is None or folds.held is None:
        named = {name: table.data.take(rows) for name, rows in table.segments.named().items()}
    else:
        named = {"training": events(folds.oof), "validation": events(folds.held)}
        named["test"] = table.data.take(np.flatnonzero(table.data.t0 > table.recipe.cuts[1]))
    stored = (folds.certificates or {}).get("segments", {})
    found = []
    for a, b in (("training", "validation"), ("training", "test"), ("validation", "test")):
        one, other = named[a], named[b]
        rows = np.arange(len(one) + len(other), dtype=np.int64)
        t0, t1 = np.r_[one.t0, other.t0], np.r_[one.t1, other.t1]
        certificate = stored.get(f"{a}_{b}") if folds.oof is not None else None
        found.append(Pair(f"{a} against {b}", t0, t1, rows[: len(one)], rows[len(one) :], certificate))
    return found


def _strangers(folds: Folds) -> list[str]:
    """Stored rows that are no rows of the dataset, or have another end or label there."""
    if folds.oof is None or folds.held is None:
        return []
    data = folds.table.data
    known = {int(t0): (int(t1), int(y)) for t0, t1, y in zip(data.t0, data.t1, data.y, strict=True)}
    found = []
    for name, frame in (("out-of-fold", folds.oof), ("validation", folds.held)):
        rows = events(frame)
        wrong = sum(
            known.get(int(t0)) != (int(t1), int(y))
            for t0, t1, y in zip(rows.t0, rows.t1, rows.y, strict=True)
        )
        if wrong:
            found.append(f"{wrong} {name} rows are not those of the dataset's labels")
    if folds.certificates is None:
        found.append("the run stored no certificates; it was made by an older version, so make it again")
    return found


def _prove_folds(folds: Folds) -> Proof:
    """Scored rows by the stored column `fold`; fitted rows by the engine, from the stored t0 and t1."""
    name = f"{folds.what}: base folds"
    rows = folds.training if folds.oof is None else events(folds.oof)
    pairs = engine._folds(rows, folds.table.separation, folds.settings.n_splits)
    problems = []
    if folds.oof is not None:
        fold = folds.oof["fold"].to_numpy()
        for k, (_, test) in enumerate(pairs):
            if not np.array_equal(np.flatnonzero(fold == k), test):
                problems.append(f"the rows stored as fold {k} are not those that the engine scores in it")
        if set(fold.tolist()) != set(range(len(pairs))):
            problems.append(f"the table holds folds {sorted(set(fold.tolist()))}, and there are {len(pairs)}")
    stored = list((folds.certificates or {}).get("folds", [])) if folds.oof is not None else []
    if folds.oof is not None and len(stored) != len(pairs):
        problems.append(f"there are {len(stored)} certificates of {len(pairs)} folds")
    return prove_pairs(
        name,
        [
            Pair(
                f"fold {k}", rows.t0, rows.t1, train, test, stored[k] if k < len(stored) else None, whole=True
            )
            for k, (train, test) in enumerate(pairs)
        ],
        folds.apart,
        problems,
    )


def _tails(folds: Folds) -> list[Pair]:
    rows, separation = folds.training, folds.table.separation
    found = []
    for k, (train, _) in enumerate(folds.pairs()):
        inner = rows.take(train)
        # The engine's own, as fits call it.
        head, tail = fits.purged_tail(inner.t0, inner.t1, TAIL_SHARE, **separation.options())  # type: ignore[attr-defined]
        found.append(Pair(f"tail of fold {k}", inner.t0, inner.t1, head, tail, whole=True))
    return found


def seal_proofs(folds: Folds, quick: bool, turn: int = 0) -> Iterator[Proof]:
    """Each model of a run, in each fold (quick: in one), fitted anew by the run's own settings."""
    n_splits, trials = folds.settings.n_splits, QUICK_TRIALS if quick else FULL_TRIALS
    for number, model in enumerate(folds.models):
        for k in [(number + turn + 1) % n_splits] if quick else range(n_splits):
            name = f"{folds.what} {model} fold {k}"
            yield attempted(seal.GROUP, name, partial(_prove_fold, folds, model, k, trials))


def _prove_fold(folds: Folds, model: str, k: int, trials: int) -> Proof:
    return seal.prove_case(fold_case(folds, model, k, folds.pairs()[k], trials))


def fold_case(folds: Folds, model: str, k: int | str, pair: tuple[Rows, Rows], trials: int) -> seal.Case:
    """One model and fold. The stored predictions are compared where the fit is made with all that the run's was."""
    settings, table = folds.settings, folds.table
    fewer = replace(settings, n_trials=min(trials, settings.n_trials))
    keys = (model, table.horizon, k)
    stored = None
    if folds.oof is not None and not (settings.tune and fewer.n_trials < settings.n_trials):
        stored = folds.oof.select(probability_columns(model)).to_numpy()[pair[1]].astype(np.float32)
    return seal.Case(
        name=f"{folds.what} {model} fold {k}",
        model=folds.own.get(model, model),
        data=folds.training.select(folds.features.get(model)),
        train=pair[0],
        test=pair[1],
        fitting=table.fitting,
        seed=derived_seed(settings.seed, *keys),
        keys=keys,
        search=engine.searching(fewer, lambda _: None),
        stored=stored,
    )


def whole_case(workspace: Workspace, dataset: Run, run: Run, quick: bool) -> seal.Case:
    """A base model trained alone: fitted on the training segment, scored on validation, all rows at hand."""
    known = run.manifest.parameters
    settings = ValidationSettings(**stated(ValidationSettings, known))
    horizon, model = int(known["horizon"]), str(known["model"])
    window = longest_window([model], dict(known["params"]))
    table = tables_stage.load_horizons(dataset, (horizon,), settings, window=window)[horizon]
    names = tuple(known["features"]) if "features" in known else None
    fewer = replace(settings, n_trials=min(settings.n_trials, QUICK_TRIALS if quick else FULL_TRIALS))
    return seal.Case(
        name=f"model {run.id}: training segment",
        model=classes(load_as_recorded(workspace, records_of(known))).get(model, model),
        data=table.data.select(names),
        train=table.segments.training,
        test=table.segments.validation,
        fitting=table.fitting,
        seed=derived_seed(settings.seed, model, horizon, WHOLE),
        keys=(model, horizon, WHOLE),
        search=engine.searching(fewer, lambda _: None),
        params=dict(known["params"]),
    )


@dataclass(frozen=True)
class Meta:
    """An ensemble run over the stored tables of CV runs, and what it stored of its own folds. decided : t0 by row."""

    case: seal.MetaCase
    decided: Instants
    held: Dataset
    apart: Apart
    certificates: Mapping[str, Any]
    scored: pl.DataFrame


def load_meta(workspace: Workspace, cv_run: Run, run: Run) -> Meta:
    """An ensemble and the table it was trained from, every hash checked."""
    known = run.manifest.parameters
    horizon = int(known["horizon"])
    if parent_dataset(workspace, run).manifest.content != parent_dataset(workspace, cv_run).manifest.content:
        raise IntegrityError(f"run {run.id} and CV run {cv_run.id} were made from different datasets.")
    options = EnsembleOptions.from_manifest(known)
    joined = [parent.id for parent in run.manifest.parents if parent.kind == "cv"]
    runs = [cv_run if one == cv_run.id else find_cv_run(workspace, one, cv_run.path.parent) for one in joined]
    inputs, _ = stored_joined(workspace, runs, horizon, options, lambda _: None)
    return meta_of(inputs, run)


def meta_of(inputs: EnsembleInputs, run: Run) -> Meta:
    """An ensemble and the table that it was trained from."""
    known = run.manifest.parameters
    horizon, name = int(known["horizon"]), str(known["model"])
    seed = derived_seed(inputs.settings.seed, name, horizon)
    run.verify(["metrics.json", "predictions/meta_out_of_fold.parquet"])
    separation = inputs.separation
    return Meta(
        seal.MetaCase(
            f"model {run.id}: meta-level folds",
            lambda: make_ensemble(name, known["meta_learner"], models=inputs.models, seed=seed),
            probability_matrix(inputs.oof, inputs.models),
            spans(inputs.oof),
            inputs.oof["fold"].to_numpy(),
            inputs.settings.n_splits,
            separation,
            EnsembleOptions.from_manifest(known).calibrate_ensemble,
            TAIL_SHARE,
        ),
        events(inputs.oof).t0,
        spans(inputs.validation),
        Apart(separation.embargo, separation.purge, separation.bars),
        read_json(run.path / "metrics.json").get("certificates", {}),
        read_table(run.path / "predictions" / "meta_out_of_fold.parquet"),
    )


def prove_meta_intervals(meta: Meta) -> Proof:
    """Meta-level folds as the engine makes them of the stored table, and the cut before validation."""
    case, data = meta.case, meta.case.data
    made, predicted = seal.meta_pairs(case)
    stored: Sequence[Any] = meta.certificates.get("meta_folds", [])
    problems = (
        [] if len(stored) == len(made) else [f"{len(stored)} certificates of {len(made)} meta-level folds"]
    )
    scored = np.sort(np.concatenate([test for _, test in made]))
    if not np.array_equal(meta.decided[scored], as_instants(meta.scored["datetime"])):
        problems.append("the stored meta-level predictions are of other rows than the engine scores")
    P = meta.scored.select("prob_short", "prob_neutral", "prob_long").to_numpy().astype(np.float32)
    for k, (_, test) in enumerate(made):
        if len(P) != len(scored) or P[np.searchsorted(scored, test)].tobytes() != predicted[k]:
            problems.append(f"meta-level fold {k}, made again, does not give the stored predictions")
    # A fold is one of the rows that the ensemble may fit on, so only these are there to be kept apart.
    inner = data.take(scored)
    pairs = [
        Pair(
            f"meta-level fold {k}", inner.t0, inner.t1, np.searchsorted(scored, train), np.searchsorted(scored, test),
            stored[k] if k < len(stored) else None, whole=True,
        )
        for k, (train, test) in enumerate(made)
    ]  # fmt: skip
    rows = np.arange(len(data) + len(meta.held), dtype=np.int64)
    t0, t1 = np.r_[data.t0, meta.held.t0], np.r_[data.t1, meta.held.t1]
    certificate = meta.certificates.get("training_validation")
    pairs.append(
        Pair("training against validation", t0, t1, rows[: len(data)], rows[len(data) :], certificate)
    )
    return prove_pairs(f"{case.name}, intervals", pairs, meta.apart, problems)
