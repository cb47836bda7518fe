from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.oracles import retention as oracle

from foldsmith.runs.registry import DAMAGED, FINISHED, KINDS, MAKING, UNFINISHED, Entry, Origin
from foldsmith.runs.retention import kept_runs

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
FOLDERS = {"dataset": "data/datasets", "cv": "data/stacking", "model": "experiments/runs"}


def entry(
    number: int, kind: str, parents: tuple[Origin, ...] | None = (), inside: Entry | None = None, **more: Any
) -> Entry:
    """A run of the minute `number`; its content is another for every number unless it is given."""
    name = f"run{number}"
    folder = FOLDERS[kind] if inside is None else f"{inside.folder}/evaluations"
    given: dict[str, Any] = {"state": FINISHED, "symbol": "MES", "content": f"content{number}"} | more
    return Entry(
        id=name, kind=kind, folder=f"{folder}/{name}", time=BEGUN + timedelta(minutes=number), parents=parents,
        of=None if inside is None else inside.id, **given,
    )  # fmt: skip


def origin(run: Entry) -> Origin:
    return Origin(run.kind, run.id, str(run.content))


def kept(runs: list[Entry], keep_last: int | None = None, partial: bool = False) -> set[str]:
    found = kept_runs(runs, keep_last=keep_last, partial=partial, pinned=lambda run: None)
    return {str(path) for path in found}


@st.composite
def lineages(draw: st.DrawFn) -> list[Entry]:
    """Workspaces of any shape: runs of all kinds and states, some of equal content, made from any before them."""
    runs: list[Entry] = []
    for number in range(draw(st.integers(0, 12))):
        models = [run for run in runs if run.kind == "model"]
        kind = draw(st.sampled_from(KINDS if models else KINDS[:3]))
        state = draw(st.sampled_from([FINISHED] * 6 + [DAMAGED, MAKING, UNFINISHED]))
        below = [run for run in runs if KINDS.index(run.kind) < KINDS.index(kind)]
        chosen = draw(st.lists(st.sampled_from(below), max_size=3)) if below else []
        parents: tuple[Origin, ...] | None = tuple(map(origin, chosen))
        if parents and draw(st.integers(0, 4)) == 0:
            parents = (parents[0]._replace(id="gone"), *parents[1:])
        if parents and draw(st.integers(0, 4)) == 0:
            parents = (parents[0]._replace(content="other"), *parents[1:])
        inside = draw(st.sampled_from(models)) if kind == "evaluation" else None
        if inside is not None and draw(st.booleans()):
            parents = (origin(inside), *(parents or ()))
        if state == DAMAGED or (state != FINISHED and draw(st.booleans())):
            parents = None
        runs.append(
            entry(
                number,
                kind,
                parents,
                inside,
                state=state,
                symbol=draw(st.sampled_from(["MES", "CL"])) if state == FINISHED else None,
                content=draw(st.sampled_from([f"content{number}", "twin"])) if state == FINISHED else None,
                tags=draw(st.sampled_from([(), (), (), ("good",)])),
            )
        )
    return draw(st.permutations(runs))


@settings(max_examples=200)
@given(lineages(), st.none() | st.integers(0, 3), st.booleans())
def test_what_is_kept_is_what_the_slow_rule_keeps(
    runs: list[Entry], keep_last: int | None, partial: bool
) -> None:
    assert kept(runs, keep_last, partial) == oracle.kept(runs, keep_last, partial)


@settings(max_examples=200)
@given(lineages(), st.none() | st.integers(0, 3), st.booleans())
def test_nothing_that_is_kept_loses_an_ancestor_a_tag_or_its_place(
    runs: list[Entry], keep_last: int | None, partial: bool
) -> None:
    """The promises one by one, without any loop that follows a chain."""
    found = kept(runs, keep_last, partial)
    removed = [run for run in runs if run.folder not in found]
    gone = {(run.kind, run.id, run.content) for run in removed}
    for run in runs:
        if run.folder in found:
            assert not gone.intersection(run.parents or ()), (
                f"{run.id} is kept and what it was made from is not"
            )
            assert not any(run.folder.startswith(f"{other.folder}/") for other in removed)
    for run in removed:
        assert not run.tags
        assert run.state == FINISHED or (run.state == UNFINISHED and partial)
        if run.state == FINISHED:
            newer = [
                other
                for other in runs
                if (other.kind, other.symbol, other.state) == (run.kind, run.symbol, FINISHED)
                and (other.time or BEGUN) > (run.time or BEGUN)
            ]
            assert keep_last is not None
            assert len(newer) >= keep_last


def test_the_reason_is_told_of_each() -> None:
    data = [entry(number, "dataset") for number in range(4)]
    other = entry(4, "dataset", symbol="CL")
    model = entry(5, "model", (origin(data[1]),))
    look = entry(6, "evaluation", (origin(model),), model, tags=("final",))
    live = entry(7, "model", None, state=MAKING, note="process 5 on here makes it", content=None)
    runs = [*data, other, model, look]
    found = kept_runs(runs, keep_last=0, partial=False, pinned=lambda run: None)
    assert found == {
        look.path: "tagged final",
        model.path: f"{look.id} was made from it",
        data[1].path: f"{model.id} was made from it",
    }
    found = kept_runs([*data, other], keep_last=1, partial=False, pinned=lambda run: None)
    assert found == dict.fromkeys([other.path, data[3].path], "number 1 of the last 1 of its kind and symbol")
    found = kept_runs(data[:1], keep_last=0, partial=False, pinned=lambda run: "a link")
    assert found == {data[0].path: "a link"}
    # What a run that is being made is made from is not known yet: any dataset may be it.
    found = kept_runs([*data, live], keep_last=0, partial=False, pinned=lambda run: None)
    assert found.pop(live.path) == "process 5 on here makes it"
    assert set(found.values()) == {f"{live.id} (being made) does not say what it was made from"}
    assert len(found) == 4


def test_a_run_that_holds_the_same_stands_for_an_origin_that_is_gone() -> None:
    twins = [entry(number, "dataset", content="same") for number in range(2)]
    model = entry(5, "model", (Origin("dataset", "gone", "same"),), tags=("good",))
    assert kept([*twins, model], keep_last=0) == {run.folder for run in (*twins, model)}
    # The one that is named is enough where it is there.
    model = entry(5, "model", (origin(twins[0]),), tags=("good",))
    assert kept([*twins, model], keep_last=0) == {twins[0].folder, model.folder}
    # One of that name with another content is no origin.
    model = entry(5, "model", (origin(twins[0])._replace(content="other"),), tags=("good",))
    assert kept([*twins, model], keep_last=0) == {model.folder}


def test_an_unfinished_run_that_cannot_be_gone_on_with_keeps_no_dataset() -> None:
    data = entry(0, "dataset")
    dead = entry(1, "cv", None, state=UNFINISHED, content=None)
    assert kept([data, dead], keep_last=0) == {dead.folder}
    assert kept([data, dead], keep_last=0, partial=True) == set()
    resumable = entry(1, "cv", (origin(data),), state=UNFINISHED, content=None)
    assert kept([data, resumable], keep_last=0) == {data.folder, resumable.folder}
