"""Spoilt files of every kind that a command reads: a clear error or a right answer, never anything else.

More than ten thousand files; see `targets` for what they are and `mutate` for how they are spoilt. A case that fails is
run again by its number: `TARGETS[name](source, scratch).case(random.Random(f"{name} {number}"))`.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from tests.crash.desk import FOLDS, TUNED, Desk, Workspaces, counted, outside
from tests.crash.fuzzed import TARGETS
from tests.crash.targets import UNFINISHED, WHOLE
from tests.crash.zygote import Child, Zygote

pytestmark = pytest.mark.crash

BATCH = 400
"""Cases that one process goes through before it is replaced by a new one."""
assert sum(target.cases for target in TARGETS.values()) >= 10_000


@pytest.fixture(scope="session")
def source(workspaces: Workspaces, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A workspace with a dataset, a CV run, an ensemble, and one CV run whole and one that was killed."""
    desk = workspaces.fresh("model", tmp_path_factory.mktemp("fuzz") / "source")
    desk.done("cv", *FOLDS, *TUNED, "--workers", 1, "--output-name", WHOLE)
    child = desk.start("cv", *FOLDS, *TUNED, "--workers", 1, "--output-name", UNFINISHED)
    until = time.monotonic() + 60
    while "[7/8]" not in child.printed("out"):
        assert time.monotonic() < until
        assert child.poll() is None, "it ended before it could be killed"
        time.sleep(0.001)
    child.kill()
    child.wait()
    return desk


@pytest.mark.parametrize("name", TARGETS)
def test_spoilt_files_are_refused_in_one_sentence_or_read(
    zygote: Zygote, source: Desk, tmp_path: Path, record_property: Any, name: str
) -> None:
    target = TARGETS[name]
    before = _contents(source.path)
    refused = read = 0
    problems: list[str] = []
    first = 0
    while first < target.cases:
        last = min(first + BATCH, target.cases)
        report = tmp_path / f"report {first}"
        scratch = tmp_path / f"scratch {first}"
        watching = Desk(scratch, zygote, source.notes)
        variables = watching.watched()
        arguments = {
            "name": name, "first": first, "last": last, "source": str(source.path), "scratch": str(scratch),
            "report": str(report),
        }  # fmt: skip
        child = zygote.call("tests.crash.fuzzed:run_batch", arguments, cwd=tmp_path, **variables)
        stopped = _watch(child, report, target.seconds)
        problems += [line for line in outside(watching.log, zygote) if str(tmp_path / "report") not in line]
        if stopped is not None:
            if not Path(f"{report}.at").exists():
                problems.append(f"no case was begun: {stopped}")
                break
            number = _at(report)
            problems.append(f"case {number}: {stopped}")
            first = number + 1  # what the cases before it found is lost with the process
            continue
        found = json.loads(report.with_suffix(".json").read_text())
        refused, read = refused + found["refused"], read + found["read"]
        problems += [f"case {number}: {told}" for number, told in found["problems"]]
        first = last
    counted(
        record_property, {"mutated files": target.cases, "of them refused": refused, "of them read": read}
    )
    assert _contents(source.path) == before, "a case changed another workspace"
    kinds = _by_kind(problems)
    assert not problems, f"{len(problems)} of {target.cases} cases, {len(kinds)} kinds:\n\n" + "\n\n".join(
        kinds
    )
    assert refused or target.mends, "no case was refused: nothing was spoilt"


def _watch(child: Child, report: Path, seconds: float) -> str | None:
    """Wait for the end of a batch; what is wrong if it crashes, or sits on one case for too long."""
    last, since = -1, time.monotonic()
    while (status := child.poll()) is None:
        at = _at(report)
        if at != last:
            last, since = at, time.monotonic()
        elif time.monotonic() - since > seconds:
            child.kill()
            child.wait()
            return f"hangs for {seconds:g} s"
        time.sleep(0.02)
    return None if status == 0 else f"the process ended with {status}: {child.printed('err')[-2000:]}"


def _at(report: Path) -> int:
    path = Path(f"{report}.at")
    return int.from_bytes(path.read_bytes()[:8], "little") if path.exists() else 0


def _by_kind(problems: list[str]) -> list[str]:
    """One of each kind of problem, by its last line, with how many there are."""
    kinds: dict[str, list[str]] = {}
    for problem in problems:
        lines = problem.strip().splitlines()
        where = [line for line in lines if line.lstrip().startswith("File ")]
        kinds.setdefault(f"{where[-1:]} {lines[-1].split(':')[0]}", []).append(problem)
    return [f"[{len(found)} times] {found[0]}" for found in kinds.values()]


def _contents(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in sorted(folder.rglob("*")) if path.is_file()}
