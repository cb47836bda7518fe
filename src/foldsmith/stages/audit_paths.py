"""Combinatorial paths of stored runs: their splits counted anew, their fits sealed, and ensembles' paths made again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from foldsmith.audit import intervals, seal
from foldsmith.audit.intervals import Apart, Pair, prove_pairs
from foldsmith.audit.proof import Proof, attempted
from foldsmith.dataset import Dataset
from foldsmith.errors import DataError
from foldsmith.intervals import Rows
from foldsmith.runs.store import Run, Workspace, read_json
from foldsmith.stages import paths as engine
from foldsmith.stages.audit_splits import FULL_TRIALS, QUICK_TRIALS, Folds, Meta, cv_settings, fold_case
from foldsmith.stages.ensemble_inputs import stored_inputs
from foldsmith.stages.ensemble_paths import base_paths
from foldsmith.stages.join import events
from foldsmith.stages.path_data import BASE, ENSEMBLE, StoredPaths, read_paths
from foldsmith.stages.path_profits import rows_of
from foldsmith.validation.cross_validate import Probabilities, Separation
from foldsmith.validation.path_groups import PathGroups


@dataclass(frozen=True)
class Paths:
    """What a CV run stored of one horizon's paths: by model, and a certificate of each split."""

    folds: Folds
    groups: PathGroups
    stored: Mapping[str, StoredPaths]
    certificates: Sequence[Any]

    def pairs(self) -> list[tuple[Rows, Rows]]:
        """The engine's splits of the stored out-of-fold rows."""
        return engine.path_pairs(self.rows, self.folds.table.separation, self.groups)

    @property
    def rows(self) -> Dataset:
        """The stored out-of-fold rows."""
        if self.folds.oof is None:
            raise DataError(f"{self.folds.what} stored no out-of-fold table.")
        return events(self.folds.oof)


def load_paths(run: Run, folds: Folds) -> Paths | None:
    """Paths of one horizon of a CV run, every hash checked; None where it has none."""
    groups = cv_settings(run).path_groups
    if groups is None:
        return None
    h = folds.table.horizon
    results = read_json(run.path / "cv_results.json")["horizons"][str(h)]
    stored = {model: read_paths(run, BASE.format(model, h)) for model in folds.models}
    return Paths(folds, groups, stored, results.get("paths", {}).get("certificates", []))


def path_proofs(cvs: Sequence[Run], folds: Sequence[Folds | Proof], quick: bool) -> Iterator[Proof]:
    """Of each horizon of these CV runs that has paths: its splits, and each model in every split (quick: in one)."""
    for run in cvs:
        mine = [each for each in folds if isinstance(each, Folds) and each.what.startswith(f"cv {run.id} h")]
        for turn, each in enumerate(mine if "paths" in run.manifest.parameters else []):
            name = f"{each.what}: path splits"
            yield attempted(intervals.GROUP, name, partial(_prove_stored, run, each, name))
            yield from _seals(run, each, quick, turn)


def _prove_stored(run: Run, folds: Folds, name: str) -> Proof:
    paths = _loaded(run, folds)
    problems = []
    for model, each in paths.stored.items():
        if each.groups != paths.groups:
            problems.append(f"the paths of {model} are of {each.groups}, and the run's are of {paths.groups}")
        if folds.oof is None or not rows_of(each.rows).equals(rows_of(folds.oof)):
            problems.append(f"the paths of {model} hold other rows than the out-of-fold table")
    if len(paths.certificates) != paths.groups.n_splits:
        problems.append(f"there are {len(paths.certificates)} certificates of {paths.groups.n_splits} splits")
    separation = folds.table.separation
    return prove_splits(name, paths.rows, separation, paths.groups, paths.certificates, problems)


def prove_splits(
    name: str,
    rows: Dataset,
    separation: Separation,
    groups: PathGroups,
    certificates: Sequence[Any] = (),
    problems: Sequence[str] = (),
) -> Proof:
    """Every split of these rows, as the engine makes it, is apart, and tests the groups that it is to test."""
    pairs = engine.path_pairs(rows, separation, groups)
    found = list(problems)
    blocks = np.array_split(np.arange(len(rows)), groups.groups)
    chosen = list(combinations(range(groups.groups), groups.tested))
    if len(pairs) != len(chosen):
        found.append(f"the engine makes {len(pairs)} splits, and there are {len(chosen)} choices of groups")
    for number, ((_, test), group) in enumerate(zip(pairs, chosen, strict=False)):
        if not np.array_equal(test, np.concatenate([blocks[each] for each in group])):
            found.append(f"split {number} does not test groups {', '.join(map(str, group))}")
    return prove_pairs(
        name,
        [
            Pair(
                f"split {k}", rows.t0, rows.t1, train, test,
                certificates[k] if k < len(certificates) else None, whole=True,
            )
            for k, (train, test) in enumerate(pairs)
        ],
        Apart(separation.embargo, separation.purge, separation.bars),
        found,
    )  # fmt: skip


def _loaded(run: Run, folds: Folds) -> Paths:
    paths = load_paths(run, folds)
    if paths is None:
        raise DataError(f"the manifest of run {run.id} states paths, and it has none.")
    return paths


def _seals(run: Run, folds: Folds, quick: bool, turn: int) -> Iterator[Proof]:
    groups = cv_settings(run).path_groups
    n_splits = 0 if groups is None else groups.n_splits
    for number, model in enumerate(folds.models):
        for k in [(number + turn + 1) % n_splits] if quick else range(n_splits):
            name = f"{folds.what} {model} {engine.path_name(k)}"
            yield attempted(seal.GROUP, name, partial(_prove_seal, run, folds, model, k, quick))


def _prove_seal(run: Run, folds: Folds, model: str, k: int, quick: bool) -> Proof:
    paths = _loaded(run, folds)
    pair = paths.pairs()[k]
    case = fold_case(folds, model, engine.path_name(k), pair, QUICK_TRIALS if quick else FULL_TRIALS)
    if case.stored is not None:
        case = replace(case, stored=split_predictions(paths.stored[model], paths.groups, k))
    return seal.prove_case(case)


def split_predictions(stored: StoredPaths, groups: PathGroups, k: int) -> Probabilities:
    """What split k predicted of its test rows, found in the paths by counting: a group's p-th test is on path p."""
    chosen = list(combinations(range(groups.groups), groups.tested))
    blocks = np.array_split(np.arange(stored.rows.height), groups.groups)
    parts = [stored.P[sum(group in before for before in chosen[:k]), blocks[group]] for group in chosen[k]]
    return np.ascontiguousarray(np.concatenate(parts))


def meta_path_proofs(
    workspace: Workspace, cv_run: Run, model: Run, load: Callable[[], Meta], quick: bool
) -> Iterator[Proof]:
    """Of an ensemble that stored paths: each made again, and the meta-level folds of one (quick: one fold) sealed."""
    if ENSEMBLE not in model.manifest.files:
        return
    name = f"model {model.id}: paths, made again"
    yield attempted(intervals.GROUP, name, lambda: _prove_meta_paths(workspace, cv_run, model, load(), name))
    yield attempted(
        seal.GROUP,
        f"model {model.id}: meta-level folds of a path",
        lambda: seal.prove_meta(
            replace(
                load().case,
                name=f"model {model.id}: meta-level folds of a path",
                P=_base(workspace, cv_run, model)[0],
            ),
            [1] if quick else None,
        ),
    )


def _base(workspace: Workspace, cv_run: Run, model: Run) -> Any:
    inputs = stored_inputs(workspace, cv_run, int(model.manifest.parameters["horizon"])).inputs
    base = base_paths(cv_run, inputs)
    if base is None:
        raise DataError(f"run {model.id} stored paths, and CV run {cv_run.id} has none.")
    return base.P


def _prove_meta_paths(workspace: Workspace, cv_run: Run, model: Run, meta: Meta, name: str) -> Proof:
    """Folds of every path are apart, and give the stored bits from the CV run's paths."""
    stored, base = read_paths(model, ENSEMBLE), _base(workspace, cv_run, model)
    problems = [] if len(stored.P) == len(base) else [f"{len(stored.P)} paths are stored of {len(base)}"]
    made: list[tuple[Rows, Rows]] = []
    for number, (P, kept) in enumerate(zip(base, stored.P, strict=False)):
        made, predicted = seal.meta_pairs(meta.case, P=P)
        scored = np.sort(np.concatenate([test for _, test in made]))
        if len(kept) != len(scored) or any(
            kept[np.searchsorted(scored, test)].tobytes() != bits
            for (_, test), bits in zip(made, predicted, strict=True)
        ):
            problems.append(f"path {number}, made again, does not give the stored predictions")
    scored = np.sort(np.concatenate([test for _, test in made]))
    inner = meta.case.data.take(scored)
    pairs = [
        Pair(
            f"fold {k}", inner.t0, inner.t1, np.searchsorted(scored, train), np.searchsorted(scored, test), whole=True
        )
        for k, (train, test) in enumerate(made)
    ]  # fmt: skip
    return prove_pairs(name, pairs, meta.apart, problems)
