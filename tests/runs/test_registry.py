from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.runs.made_runs import FROZEN, FROZEN_ID, frozen_claim, make_run
from tests.runs.test_claim import left_by_the_dead

from foldsmith.cli import runs as cli
from foldsmith.errors import FoldsmithError, IntegrityError, MissingError, SettingError
from foldsmith.runs import registry
from foldsmith.runs.claim import claim, partial_folder
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.manifest import MANIFEST, Kind, Parent, read
from foldsmith.runs.registry import (
    DAMAGED,
    FINISHED,
    MAKING,
    UNFINISHED,
    Entry,
    Origin,
    Wanted,
    find_folder,
    find_run,
    gone_runs,
    ordered,
    places,
    read_registry,
)
from foldsmith.runs.store import Workspace, ensure_folder


def parent_of(path: Path) -> Parent:
    known = read(path)
    return Parent(kind=known.kind, id=known.id, content=known.content)


def make(
    workspace: Workspace, kind: Kind, folder: Path, minute: int = 0, name: str | None = None, **more: Any
) -> Path:
    """A published run of that minute; its files are another for every minute."""
    ensure_folder(folder)
    moment = FROZEN + timedelta(minutes=minute)
    claimed = claim(folder, name=name, clock=lambda: moment, entropy=lambda: 0)
    return make_run(workspace, claimed, str(minute), kind=kind, created=moment, **more)


class Small:
    """A workspace with one run of each kind, each made from the one before."""

    def __init__(self, workspace: Workspace) -> None:
        self.dataset = make(
            workspace,
            "dataset",
            workspace.datasets,
            0,
            extra={"symbol": "MES", "horizons": [5, 20], "timeframe": "5m"},
        )
        data = parent_of(self.dataset)
        self.cv = make(
            workspace, "cv", workspace.stacking, 1, "base", parents=[data],
            extra={"symbol": "MES", "models": ["xgboost", "logistic"], "horizons": [20]},
        )  # fmt: skip
        self.model = make(
            workspace, "model", workspace.runs, 2, parents=[parent_of(self.cv), data],
            extra={"symbol": "MES", "model": "stacking", "horizon": 20},
        )  # fmt: skip
        self.evaluation = make(
            workspace, "evaluation", self.model / "evaluations", 3, parents=[parent_of(self.model), data],
            extra={"symbol": "MES", "horizon": 20}, parameters={"split": "test"},
        )  # fmt: skip


def listed(workspace: Workspace, *also: Path) -> list[Entry]:
    found = read_registry(workspace, places(workspace, also))
    assert found.trouble is None
    return found.entries


def test_words_that_stand_in_several_places_are_the_same() -> None:
    assert cli.KINDS == registry.KINDS
    assert tuple(registry.SORTS) == cli.SORTS


def test_every_kind_is_found_newest_first_with_what_it_holds(workspace: Workspace) -> None:
    made = Small(workspace)
    found = listed(workspace)
    assert [run.path for run in found] == [made.evaluation, made.model, made.cv, made.dataset]
    assert {run.state for run in found} == {FINISHED}
    look, model, cv, data = found
    assert [run.kind for run in found] == ["evaluation", "model", "cv", "dataset"]
    assert (look.of, look.split, look.models, look.horizons) == (model.id, "test", ("stacking",), (20,))
    assert (cv.models, cv.horizons, cv.symbol) == (("xgboost", "logistic"), (20,), "MES")
    assert (data.models, data.horizons) == ((), (5, 20))
    assert model.parents == tuple(Origin(run.kind, run.id, str(run.content)) for run in (cv, data))
    assert all(run.content == read(run.path).content for run in found)
    # The time of a made id is the one in it; of a chosen name, the one at which it was published.
    assert [run.time for run in found] == [FROZEN + timedelta(minutes=minute) for minute in (3, 2, 1, 0)]
    assert json.loads(json.dumps([run.as_dict() for run in found]))[2]["id"] == "base"


def test_what_is_no_run_is_passed_over(workspace: Workspace) -> None:
    made = Small(workspace)
    (workspace.runs / "notes.txt").write_text("x")
    (workspace.runs / "folder").mkdir()
    (workspace.runs / ".hidden").mkdir()
    (workspace.runs / ".x.0.abandoned").mkdir()
    (made.model / "evaluations" / "notes").mkdir()
    assert len(listed(workspace)) == 4
    assert listed(Workspace(workspace.root / "nowhere")) == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is not the JSON"),
        (b"{", "is not the JSON"),
        (b"\xff\xfe", "is not the JSON"),
        (b"[]", "is not a manifest but a list"),
        (b"{}", "has format None"),
        (b'{"format": 1}', "use the version of Foldsmith that wrote it"),
        (b"[" * 100_000, "is not the JSON"),
        (None, "is not there"),
    ],
)
def test_a_damaged_manifest_is_an_entry_that_says_so(
    workspace: Workspace, content: bytes | None, sentence: str
) -> None:
    made = Small(workspace)
    (made.cv / MANIFEST).unlink()
    if content is not None:
        (made.cv / MANIFEST).write_bytes(content)
    run = next(run for run in listed(workspace) if run.id == "base")
    assert (run.state, run.kind, run.path) == (DAMAGED, "cv", made.cv)
    assert sentence in run.note
    assert (run.symbol, run.models, run.content, run.parents) == (None, None, None, None)
    assert len(listed(workspace)) == 4
    with pytest.raises(FoldsmithError, match="base"):
        find_run(workspace, "base")


def edited(path: Path, **changed: Any) -> None:
    content = json.loads((path / MANIFEST).read_text())
    (path / MANIFEST).write_text(json.dumps(content | changed))


@pytest.mark.parametrize(
    "changed",
    [
        {"extra": None}, {"extra": {"models": 3}}, {"extra": {"horizons": ["x"]}}, {"parents": [3]},
        {"parents": None}, {"kind": "nope"}, {"id": "other"}, {"created": "soon", "id": "base"},
        {"parameters": []}, {"seed": 43},
    ],
)  # fmt: skip
def test_an_edited_manifest_is_never_taken_for_a_run(workspace: Workspace, changed: dict[str, Any]) -> None:
    made = Small(workspace)
    edited(made.cv, **changed)
    run = next(run for run in listed(workspace) if run.path == made.cv)
    assert run.state == DAMAGED
    assert run.note
    # A workspace without its ledger still tells what cannot be read.
    for path in (workspace.ledger.parent).glob("*ledger*"):
        path.unlink()
    for path in (workspace.ledger.parent).glob(".ledger*"):
        path.unlink()
    run = next(run for run in listed(workspace) if run.path == made.cv)
    assert (run.state == DAMAGED) == (changed != {"seed": 43})


@pytest.mark.parametrize("kind", ["pipe", "link", "folder", "large"])
def test_a_manifest_that_is_no_ordinary_file_never_hangs_the_list(workspace: Workspace, kind: str) -> None:
    made = Small(workspace)
    path = made.model / MANIFEST
    path.rename(path.with_name("kept"))
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to("kept")
    elif kind == "folder":
        path.mkdir()
    else:
        with path.open("wb") as file:
            file.truncate(1 << 30)
    run = next(run for run in listed(workspace) if run.path == made.model)
    assert run.state == DAMAGED
    assert MANIFEST in run.note


def test_a_damaged_ledger_is_told_and_the_runs_are_listed_all_the_same(workspace: Workspace) -> None:
    Small(workspace)
    workspace.ledger.write_bytes(b"no ledger")
    found = read_registry(workspace, places(workspace))
    assert len(found.entries) == 4
    assert isinstance(found.trouble, FoldsmithError)


def test_unfinished_runs_say_whether_their_owner_lives(workspace: Workspace) -> None:
    made = Small(workspace)
    with frozen_claim(workspace.runs) as live:
        dead = left_by_the_dead(ensure_folder(workspace.stacking), "dead")
        settings = {"dataset": "d", "content": "c" * 64, "models": ["xgboost"], "horizons": [5]}
        (partial_folder(workspace.stacking, dead) / registry.SETTINGS).write_text(json.dumps(settings))
        inside = claim(made.model / "evaluations", prefix="test_")
        with inside:
            found = {run.id: run for run in listed(workspace) if run.state != FINISHED}
            assert found.keys() == {live.id, "dead", inside.id}
            assert (found[live.id].state, found[live.id].kind) == (MAKING, "model")
            assert f"process {os.getpid()} on" in found[live.id].note
            assert (found["dead"].state, found["dead"].kind) == (UNFINISHED, "cv")
            assert "ended" in found["dead"].note
            assert (found["dead"].models, found["dead"].horizons) == (("xgboost",), (5,))
            assert found["dead"].parents == (Origin("dataset", "d", "c" * 64),)
            assert (found[inside.id].of, found[inside.id].models) == (made.model.name, ("stacking",))
            for content in ("{", "[]", '{"dataset": 3}'):
                (partial_folder(workspace.stacking, dead) / registry.SETTINGS).write_text(content)
                assert next(run for run in listed(workspace) if run.id == "dead").parents is None
    with frozen_claim(workspace.runs, prefix="xgboost_h20_"):
        run = next(run for run in listed(workspace) if run.state == MAKING)
        assert (run.models, run.horizons) == (("xgboost",), (20,))


def test_each_filter_hides_what_is_known_to_be_another(workspace: Workspace) -> None:
    made = Small(workspace)
    oil = make(workspace, "dataset", workspace.datasets, 9, extra={"symbol": "CL", "horizons": [7]})
    Ledger(workspace.ledger).record_tag("base", "good", True)
    edited(made.model, seed=5)
    names = {
        path: name
        for name, path in (("data", made.dataset), ("cv", made.cv), ("model", made.model), ("look", made.evaluation))
    } | {oil: "oil"}  # fmt: skip

    def chosen(**wanted: Any) -> set[str]:
        return {names[run.path] for run in filter(Wanted(**wanted), listed(workspace))}

    assert chosen() == {"data", "cv", "model", "look", "oil"}
    # The model is damaged: what is not known of it does not hide it.
    assert chosen(symbol="CL") == {"oil", "model"}
    assert chosen(model="logistic") == {"cv", "model", "look"}
    assert chosen(horizon=5) == {"data", "model"}
    assert chosen(horizon=20) == {"data", "cv", "model", "look"}
    assert chosen(kind="evaluation") == {"look"}
    assert chosen(kind="model") == {"model"}
    assert chosen(tag="good") == {"cv"}
    third = FROZEN + timedelta(minutes=3)
    assert chosen(since=third) == {"look", "oil"}
    assert chosen(until=third) == {"data", "cv", "model"}
    assert chosen(since=third, until=third + timedelta(seconds=1)) == {"look"}


def test_each_order_and_its_ties() -> None:
    def run(name: str, minute: int | None, kind: str = "cv", **more: Any) -> Entry:
        time = None if minute is None else FROZEN + timedelta(minutes=minute)
        return Entry(name, kind, more.pop("state", FINISHED), f"x/{name}", time, **more)

    a, b, c = run("a", 2, symbol="MES"), run("b", 1, "dataset", models=("m",)), run("c", None, state=DAMAGED)
    runs = [b, c, a]

    def names(by: str) -> str:
        return "".join(run.id for run in ordered(runs, by))

    assert names("newest") == "abc"
    assert names("oldest") == "cba"
    assert names("id") == "abc"
    assert names("kind") == "bac"
    assert names("symbol") == "bca"
    assert names("model") == "acb"
    assert names("state") == "abc"


def test_a_run_is_found_by_its_id_wherever_it_lies(workspace: Workspace) -> None:
    made = Small(workspace)
    for path in (made.dataset, made.cv, made.model, made.evaluation):
        assert find_run(workspace, path.name).path == path
        assert find_folder(workspace, str(path)) == path
    elsewhere = make(workspace, "cv", workspace.root / "mine", 5, "far")
    with pytest.raises(MissingError, match=r"it was published on .* and is gone"):
        find_run(workspace, "far")
    assert find_run(workspace, "far", [workspace.root / "mine"]).path == elsewhere
    with pytest.raises(SettingError, match="is no folder"):
        find_run(workspace, "far", [workspace.root / "nowhere"])
    with pytest.raises(MissingError, match=rf"run nope is not in .*; there are {made.evaluation.name}, "):
        find_run(workspace, "nope")
    for name in ("", "..", "../base", "/etc/passwd", "a\nb", "-x", "x" * 300):
        with pytest.raises((SettingError, MissingError)):
            find_run(workspace, name)


def test_two_runs_of_one_id_are_named_by_their_folders(workspace: Workspace) -> None:
    made = Small(workspace)
    twin = make(workspace, "model", workspace.runs, 4, "base")
    with pytest.raises(SettingError, match=rf"2 runs are called base: {made.cv}, {twin}"):
        find_run(workspace, "base")
    assert find_run(workspace, str(twin)).path == twin


def test_what_became_of_a_run_is_told(workspace: Workspace) -> None:
    made = Small(workspace)
    ledger = Ledger(workspace.ledger)
    with (
        frozen_claim(workspace.runs) as claimed,
        pytest.raises(MissingError, match="is not finished: process"),
    ):
        find_run(workspace, claimed.id)
    known = read(made.cv)
    ledger.record_removed(known.id, known.kind, known.content)
    made.cv.rename(workspace.root / "away")
    with pytest.raises(MissingError, match="it was removed on 2"):
        find_run(workspace, "base")
    (made.dataset / MANIFEST).unlink()
    with pytest.raises(MissingError, match="is damaged"):
        find_run(workspace, made.dataset.name)
    edited(made.model, seed=4)
    with pytest.raises(IntegrityError, match=r"manifest\.json was changed"):
        find_run(workspace, made.model.name)


def test_runs_that_are_gone_are_those_published_and_neither_there_nor_removed(workspace: Workspace) -> None:
    made = Small(workspace)
    ledger = Ledger(workspace.ledger)

    def gone() -> list[str]:
        return [entry.run_id for entry in gone_runs(ledger, listed(workspace))]

    assert gone() == []
    known = read(made.cv)
    made.cv.rename(workspace.root / "away")
    assert gone() == ["base"]
    ledger.record_removed("base", "cv", known.content)
    assert gone() == []
    # The same name and content again is another run, and missed again.
    (workspace.root / "away").rename(made.cv)
    ledger.record_published("base", "cv", known.content, "0" * 64)
    assert gone() == []
    made.cv.rename(workspace.root / "away")
    assert gone() == ["base"]
    # A damaged run and one that was killed before its last rename are there.
    (workspace.root / "away").rename(made.cv)
    (made.cv / MANIFEST).write_text("{}")
    assert gone() == []
    made.model.rename(partial_folder(workspace.runs, made.model.name))
    assert gone() == [made.evaluation.name]


def test_a_link_to_a_run_is_listed_and_folders_of_ones_own_once(workspace: Workspace) -> None:
    made = Small(workspace)
    (workspace.root / "mine").mkdir()
    made.model.rename(workspace.root / "mine" / made.model.name)
    made.model.symlink_to(workspace.root / "mine" / made.model.name)
    assert {run.id for run in listed(workspace)} >= {made.model.name, made.evaluation.name}
    assert (
        len(listed(workspace, workspace.runs, workspace.root / "experiments" / ".." / "experiments" / "runs"))
        == 4
    )
    both = listed(workspace, workspace.root / "mine")
    assert sorted(run.kind for run in both).count("model") == 2


@pytest.mark.parametrize("name", ["99999999_999999_999999_0000", FROZEN_ID, "mine"])
def test_a_time_that_is_none_is_not_taken_from_a_name(workspace: Workspace, name: str) -> None:
    make(workspace, "model", workspace.runs, 7, name)
    (run,) = listed(workspace)
    assert run.time == (FROZEN if name == FROZEN_ID else FROZEN + timedelta(minutes=7))
    assert isinstance(run.time, datetime)
    assert run.time.tzinfo == UTC
