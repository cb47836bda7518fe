"""A disk that fails at a chosen call of every phase: full, broken, writing less than asked, failing to sync.

faults.c makes one call fail (or, as a full disk does, all from one on) of those that a command makes to change its
workspace. A command that was hit ends with one sentence and a status that is not 0, or the fault hit something that
does not matter and all is well; in sight is only what is whole; and the same command, on a disk that works again,
makes what it makes in peace. Files that are mapped into memory (the index of SQLite's log) fail otherwise, by a signal
from the kernel, and are not covered here.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.crash.desk import PHASES, Desk, Fault, Phase, Workspaces, counted, one_sentence
from tests.crash.zygote import Ended

from foldsmith.runs.claim import partials
from foldsmith.runs.store import published

pytestmark = pytest.mark.crash

FAULTS = {
    "full once": Fault("enospc"),
    "full from then on": Fault("enospc", lasting=True),
    "broken once": Fault("eio"),
    "broken from then on": Fault("eio", lasting=True),
    "a short write": Fault("short"),
    "a short write on a full disk": Fault("short", lasting=True),
    "a failing sync": Fault("fsync"),
}
EACH = {"cv by two": 2}
USUALLY = 6
"""Calls that are hit of each phase by each kind of fault."""
SYNCS = ("fsync", "fdatasync")
WRITES = ("write", "pwrite", "writev", "pwritev", "fwrite")


def hittable(kind: str, calls: list[str]) -> list[str]:
    """The calls that a kind of fault counts, as faults.c does."""
    names = [call.split(" ", 1)[0] for call in calls]
    if kind == "eio":
        return calls
    counts = [(name in SYNCS) == (kind == "fsync") and (kind != "short" or name in WRITES) for name in names]
    return [call for call, hit in zip(calls, counts, strict=True) if hit]


def chosen(calls: list[str], count: int, draw: random.Random) -> Iterator[int]:
    """Numbers (from 1) of `count` calls, spread over as many kinds of calls and files as there are."""
    kinds: dict[str, list[int]] = {}
    for number, call in enumerate(calls, 1):
        name, _, path = call.partition(" ")
        # Ids, numbers of processes and drawn names make no kind of file of their own.
        kinds.setdefault(f"{name} {re.sub('[0-9a-f]*[0-9]+[0-9a-f]*', '#', Path(path).name)}", []).append(
            number
        )
    for kind in draw.sample(sorted(kinds), min(count, len(kinds))):
        yield draw.choice(kinds[kind])


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("name", PHASES)
def test_a_failing_disk_is_told_in_one_sentence_and_harms_nothing(
    workspaces: Workspaces, tmp_path: Path, record_property: Any, name: str, kind: str
) -> None:
    phase, fault, draw = PHASES[name], FAULTS[kind], random.Random(f"{name} {kind}")
    calls = hittable(fault.kind, workspaces.in_peace(phase).calls)
    found = [
        struck(workspaces, phase, replace(fault, at=at), tmp_path / f"desk {at}")
        for at in chosen(calls, EACH.get(name, USUALLY), draw)
    ]
    told, harmless = (sum(outcome == kind for outcome, _ in found) for kind in ("told", "harmless"))
    problems = [problem for _, problem in found if problem is not None]
    counted(record_property, {"faults": told + harmless, "faults that did not matter": harmless})
    assert not problems, f"{len(problems)} faults were not told or did harm:\n\n" + "\n\n".join(problems)
    assert told or kind == "a short write"  # all who write go on with the rest


KNOWN = {
    "a table on a broken disk": ("pipeline", "broken once", r"write .*/bars\.parquet"),
    "a model's folder on a broken disk": ("stored", "broken once", r"mkdir .*/model"),
    "a model's file on a broken disk": ("stored", "broken once", r"write .*/ensemble\.json"),
    "a report on a broken disk": ("evaluate", "broken once", r"open .*/report\.html"),
    "a unit on a broken disk": ("cv", "broken from then on", r"rename .*/\.units/[^/]*"),
    "the last sync on a broken disk": ("stored", "broken from then on", r"fsync .*\.partial"),
    "the last rename on a full disk": ("stored", "full from then on", r"rename .*/runs/stacking_[^/]*"),
}
"""Faults that were once answered by a traceback, or by a run that was told to be gone."""


@pytest.mark.parametrize("known", KNOWN)
def test_faults_that_were_not_told_once(workspaces: Workspaces, tmp_path: Path, known: str) -> None:
    name, kind, call = KNOWN[known]
    phase, fault = PHASES[name], FAULTS[kind]
    calls = hittable(fault.kind, workspaces.in_peace(phase).calls)
    at = next(number for number, found in enumerate(calls, 1) if re.fullmatch(call, found.rstrip("/")))
    outcome, problem = struck(workspaces, phase, replace(fault, at=at), tmp_path / "desk")
    assert problem is None, problem
    assert outcome == "told"


def struck(workspaces: Workspaces, phase: Phase, fault: Fault, path: Path) -> tuple[str, str | None]:
    """What came of a fault in a phase (told, harmless or missed), and what is wrong about that."""
    desk, content = workspaces.fresh(phase.start, path), workspaces.in_peace(phase).content
    before = desk.runs().keys()
    ended = desk.run(*phase.words, *named(phase), fault=fault)
    count, what = desk.struck()
    outcome = "missed" if not count else "told" if ended.status else "harmless"
    try:
        desk.check_outside()
        _check_end(ended, count)
        _check_and_mend(desk, phase, before, ended, content)
    except AssertionError as error:
        text = str(error)
        shown = text if len(text) < 1500 else f"{text[:300]}\n[...]\n{text[-1000:]}"
        return outcome, f"{fault} at {what}: {shown}"
    return outcome, None


def named(phase: Phase) -> list[str]:
    """A name for a CV run, so that it can be gone on with."""
    return ["--output-name", "mine"] if phase.name.startswith("cv") else []


def _check_end(ended: Ended, count: int) -> None:
    if ended.status == 0:
        assert "error" not in ended.err, ended.err
        return
    told = one_sentence(ended)
    assert count, f"failed without a fault: {told}"
    assert ended.status == 2, f"{ended.status}: {told}"


def _check_and_mend(desk: Desk, phase: Phase, before: Set[str], ended: Ended, content: str) -> None:
    """What a command left on a failing disk is whole; on a good one it makes what it makes in peace."""
    folder = desk.folder(phase)
    left = desk.check()
    desk.done("runs", "verify")
    new = [run.manifest.content for run_id, run in desk.runs().items() if run_id not in before]
    assert set(new) <= {content}
    if ended.status == 0:
        assert len(new) == 1
        assert left == []
    if not phase.name.startswith("cv"):
        desk.done(*phase.words)
    elif "mine" in partials(folder):
        _resume(desk, phase, folder)
    elif "mine" not in published(folder):
        desk.done(*phase.words, *named(phase))
    made = [run for run_id, run in desk.runs().items() if run_id not in before]
    assert made
    assert {run.manifest.content for run in made} == {content}
    desk.done("runs", "verify")


def _resume(desk: Desk, phase: Phase, folder: Path) -> None:
    """Go on with the stopped CV run, or begin another where it is told that it had not begun."""
    if (folder / ".mine.partial" / ".settings.json").exists():
        desk.done("cv", "--resume", "mine", "--workers", 1)
    else:
        assert "start a new one" in one_sentence(desk.run("cv", "--resume", "mine"))
        desk.done(*phase.words)
