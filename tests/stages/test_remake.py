"""Runs made again from their manifests alone: equal where nothing changed, told apart where something did."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from foldsmith.config import CrossValidateSettings, PrepareSettings, ValidationSettings
from foldsmith.errors import DataError, FoldsmithError, IntegrityError, MissingError
from foldsmith.market.instruments import instrument
from foldsmith.market.simulate import Simulation
from foldsmith.runs import claim
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.store import Run, Workspace, published
from foldsmith.stages import remake
from foldsmith.stages.cross_validate import cross_validate
from foldsmith.stages.ensemble import train_fresh, train_stored
from foldsmith.stages.evaluate import evaluate
from foldsmith.stages.executors import Executor
from foldsmith.stages.prepare import prepare
from foldsmith.stages.publish import Provenance
from foldsmith.stages.simulated import write_market
from foldsmith.stages.train import train_base

VALIDATION = ValidationSettings(n_splits=3, tune=True, n_trials=2, sample_weight="uniqueness", seed=7)
PLAIN = ValidationSettings(n_splits=3, purge_bars=2)


def quiet(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Desk:
    """A workspace with a run of every kind."""

    workspace: Workspace
    runs: dict[str, Run]

    @property
    def provenance(self) -> Provenance:
        return Provenance(("test",), Ledger(self.workspace.ledger))

    def trials(self) -> int:
        return Ledger(self.workspace.ledger).trial_count(self.runs["dataset"].manifest.content)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    workspace = Workspace(tmp_path_factory.mktemp("desk"))
    write_market(workspace, Simulation("MES", 16, 5, 0.05, date(2024, 2, 12)), instrument("MES"), quiet)
    say, source = quiet, Provenance(("test",), Ledger(workspace.ledger))
    runs: dict[str, Run] = {}
    settings = PrepareSettings("MES", horizons=(5, 10), ratios=(0.6, 0.2, 0.2))
    runs["dataset"] = prepare(workspace, settings, instrument("MES"), source, say)
    cv = CrossValidateSettings(("lightgbm", "logistic"), (5,), VALIDATION)
    runs["cv"] = cross_validate(
        runs["dataset"], cv, source, say, folder=workspace.stacking, name="base", executor=Executor()
    )
    runs["base"] = train_base(
        runs["dataset"],
        "lightgbm",
        10,
        PLAIN,
        {"num_leaves": 7},
        source,
        say,
        folder=workspace.runs,
        threads=1,
    )
    runs["stored"] = train_stored(
        workspace, "base", 5, "stacking", "greedy", source, say,
        phase3_folder=workspace.stacking, folder=workspace.runs,
    )  # fmt: skip
    runs["fresh"] = train_fresh(
        runs["dataset"], CrossValidateSettings(("logistic",), (10,), PLAIN), "voting", None, source, say,
        folder=workspace.runs, executor=Executor(),
    )  # fmt: skip
    runs["evaluation"] = evaluate(
        workspace, runs["stored"].id, "test", source, say, folder=workspace.runs
    ).run
    return Desk(workspace, runs)


def everything(root: Path) -> set[Path]:
    return {path for path in root.rglob("*") if "ledger" not in path.name}


@pytest.mark.parametrize("name", ["dataset", "cv", "base", "stored", "fresh", "evaluation"])
def test_every_kind_is_made_again_with_equal_content_and_nothing_is_left(desk: Desk, name: str) -> None:
    before, trials = everything(desk.workspace.root), desk.trials()
    (made,) = remake.reproduce(desk.workspace, desk.runs[name], ("test",), quiet, workers=1)
    assert made.equal
    assert made.differing() == []
    assert made.now.id != made.before.id
    assert everything(desk.workspace.root) == before
    assert desk.trials() == trials  # nothing new was tried


@pytest.mark.proof
def test_a_whole_chain_is_made_again_from_the_raw_bars_and_its_look_is_counted(desk: Desk) -> None:
    ledger = Ledger(desk.workspace.ledger)
    looks = len(ledger.looks(split="test"))
    made = remake.reproduce(
        desk.workspace, desk.runs["evaluation"], ("test",), quiet, workers=1, from_raw=True
    )
    assert [each.before.id for each in made] == [
        desk.runs[name].id for name in ("dataset", "cv", "stored", "evaluation")
    ]
    assert all(each.equal for each in made)
    assert len(ledger.looks(split="test")) == looks + 1


def test_what_differs_is_named(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from foldsmith.stages import prepare as stage

    monkeypatch.setattr(stage, "NEUTRAL_SHARE", 0.5)
    made = remake.reproduce(desk.workspace, desk.runs["stored"], ("test",), quiet, workers=1, from_raw=True)
    assert not any(each.equal for each in made)
    dataset, cv, model = (each.differing() for each in made)
    assert {"labels_h5.parquet", "labels_h10.parquet", "recipe.json"} <= set(dataset)
    assert "bars.parquet" not in dataset
    assert "its dataset" in cv
    assert "stacking/stacking_dataset_h5.parquet" in cv
    assert {"its dataset", "its cv"} <= set(model)


def moved(desk: Desk, tmp_path: Path) -> Desk:
    """A copy of the desk, to be spoilt."""
    root = tmp_path / "copy"
    shutil.copytree(desk.workspace.root, root)
    workspace = Workspace(root)
    runs = {
        name: Run(root / run.path.relative_to(desk.workspace.root), run.manifest)
        for name, run in desk.runs.items()
    }
    return Desk(workspace, runs)


@pytest.mark.proof
def test_other_raw_bars_are_refused_and_rerun_takes_them(desk: Desk, tmp_path: Path) -> None:
    desk = moved(desk, tmp_path)
    raw = desk.workspace.raw / "MES_1m.parquet"
    frame = pl.read_parquet(raw)
    frame.head(frame.height - 2000).write_parquet(raw, metadata=pl.read_parquet_metadata(raw))
    with pytest.raises(
        IntegrityError, match=r"cannot be made as it was: raw MES_1m\.parquet is another content"
    ):
        remake.reproduce(desk.workspace, desk.runs["dataset"], ("test",), quiet, workers=1)
    # From its parents it still can.
    assert remake.reproduce(desk.workspace, desk.runs["stored"], ("test",), quiet, workers=1)[0].equal
    made = remake.rerun(
        desk.workspace, desk.runs["evaluation"], desk.provenance, quiet, first="dataset", workers=1
    )
    assert [each.now.kind for each in made] == ["dataset", "cv", "model", "evaluation"]
    assert not any(each.equal for each in made)
    folders = [desk.workspace.datasets, desk.workspace.stacking, desk.workspace.runs]
    for folder, each in zip(folders, made, strict=False):
        assert each.now.id in published(folder)
        desk.workspace.open_run(folder, each.now.id).verify()
    assert made[0].now.parameters == made[0].before.parameters
    assert made[1].now.parents[0].content == made[0].now.content
    assert {p.content for p in made[2].now.parents} == {made[0].now.content, made[1].now.content}
    evaluations = desk.workspace.runs / made[2].now.id / "evaluations"
    assert published(evaluations) == [made[3].now.id]


def test_rerun_from_a_later_stage_keeps_what_is_before(desk: Desk, tmp_path: Path) -> None:
    desk = moved(desk, tmp_path)
    made = remake.rerun(
        desk.workspace, desk.runs["evaluation"], desk.provenance, quiet, first="model", workers=1
    )
    assert [each.now.kind for each in made] == ["model", "evaluation"]
    assert all(each.equal for each in made)
    with pytest.raises(MissingError, match=r"has no cv in its chain; it was made from dataset, raw"):
        remake.rerun(desk.workspace, desk.runs["base"], desk.provenance, quiet, first="cv", workers=1)


def test_a_parent_that_was_changed_is_refused(desk: Desk, tmp_path: Path) -> None:
    desk = moved(desk, tmp_path)
    path = desk.runs["cv"].path / "manifest.json"
    path.write_text(path.read_text().replace('"seed": 7', '"seed": 8'))
    with pytest.raises(IntegrityError, match=r"cv base is damaged"):
        remake.reproduce(desk.workspace, desk.runs["stored"], ("test",), quiet, workers=1)
    shutil.rmtree(desk.runs["cv"].path)
    with pytest.raises(IntegrityError, match=r"cv base is gone"):
        remake.reproduce(desk.workspace, desk.runs["stored"], ("test",), quiet, workers=1)


def test_an_evaluation_does_not_leave_its_run_through_a_link(desk: Desk, tmp_path: Path) -> None:
    desk = moved(desk, tmp_path)
    model, outside = desk.runs["base"], tmp_path / "outside"
    outside.mkdir()
    (model.path / "evaluations").symlink_to(outside)
    with pytest.raises(DataError, match="is a link, and evaluations stay inside their run"):
        evaluate(desk.workspace, model.id, "test", desk.provenance, quiet, folder=desk.workspace.runs)
    assert not list(outside.iterdir())


def test_a_run_that_could_not_be_put_in_place_is_not_missed(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(claim, "rename_without_replacing", fail)
    with pytest.raises(FoldsmithError, match="the disk reports an error"):
        train_base(
            desk.runs["dataset"], "logistic", 5, PLAIN, {}, desk.provenance, quiet,
            folder=tmp_path / "runs", threads=1,
        )  # fmt: skip
    ledger = Ledger(desk.workspace.ledger)
    assert ledger.removed()[-1].run_id == ledger.published()[-1].run_id
    assert list((tmp_path / "runs").iterdir()) == []
