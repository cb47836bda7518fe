"""Slow, obvious twin of the rule by which `runs clean` keeps runs."""

from __future__ import annotations

from collections.abc import Sequence

from foldsmith.runs.registry import Entry

RANK = {"dataset": 0, "cv": 1, "model": 2, "evaluation": 3}


def kept(runs: Sequence[Entry], keep_last: int | None, partial: bool) -> set[str]:
    """Folders of the runs to keep: those with a reason of their own, then, again and again, what they came from."""
    found = {run.folder for run in runs if has_reason(run, runs, keep_last, partial)}
    while True:
        more = {
            old.folder
            for new in runs
            if new.folder in found
            for old in runs
            if old.folder not in found and came_from(new, old, runs)
        }
        if not more:
            return found
        found |= more


def has_reason(run: Entry, runs: Sequence[Entry], keep_last: int | None, partial: bool) -> bool:
    if run.tags or run.state in ("being made", "damaged"):
        return True
    if run.state == "unfinished":
        return not partial
    if keep_last is None:
        return True
    newer = [
        other
        for other in runs
        if other.state == "finished"
        and (other.kind, other.symbol) == (run.kind, run.symbol)
        and (other.time, other.id) > (run.time, run.id)
    ]
    return len(newer) < keep_last


def came_from(new: Entry, old: Entry, runs: Sequence[Entry]) -> bool:
    """Whether `new` was, or may have been, made from `old`."""
    if new.of is not None and new.folder.startswith(f"{old.folder}/"):
        return True
    if new.parents is None:
        lies_in_one = any(new.folder.startswith(f"{run.folder}/") for run in runs)
        return new.state != "unfinished" and not lies_in_one and RANK[old.kind] < RANK[new.kind]
    for kind, run_id, content in new.parents:
        if (old.kind, old.id, old.content) == (kind, run_id, content):
            return True
        named = any((run.kind, run.id, run.content) == (kind, run_id, content) for run in runs)
        if not named and (old.kind, old.content) == (kind, content):
            return True
    return False
