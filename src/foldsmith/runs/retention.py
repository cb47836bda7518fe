"""Which runs `clean` keeps: what is tagged, the last of each kind and symbol, and all that a kept run was made from.

A pure rule over entries: nothing here looks at a disk. Lineage is never broken: a run is removed only if every run made
from it goes too. Where it is not known what a kept run was made from, every run it may have been made from is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from foldsmith.runs.registry import DAMAGED, FINISHED, KINDS, MAKING, UNFINISHED, Entry, ordered


def kept_runs(
    runs: Sequence[Entry],
    *,
    keep_last: int | None,
    partial: bool,
    pinned: Callable[[Entry], str | None],
) -> dict[Path, str]:
    """The runs to keep, by folder, each with the reason; all others may go.

    keep_last : how many finished runs of each kind and symbol are kept for being the last; None: all of them.
    partial : whether unfinished runs, whose owner is dead, go. pinned : why a run cannot be removed, else None.
    """
    kept: dict[Path, str] = {}
    last: dict[tuple[str, str | None], int] = {}
    for run in ordered(runs):
        reason = pinned(run) or _reason_in_itself(run, partial)
        if run.state == FINISHED:
            place = last[run.kind, run.symbol] = last.get((run.kind, run.symbol), 0) + 1
            if keep_last is None:
                reason = reason or "--keep-last is not given"
            elif place <= keep_last:
                reason = reason or f"number {place} of the last {keep_last} of its kind and symbol"
        if reason is not None:
            kept[run.path] = reason
    _keep_origins(runs, kept)
    return kept


def _reason_in_itself(run: Entry, partial: bool) -> str | None:
    if run.tags:
        return f"tagged {', '.join(run.tags)}"
    if run.state == MAKING:
        return run.note
    if run.state == UNFINISHED and not partial:
        return f"unfinished ({run.note}); --partial is not given"
    if run.state == DAMAGED:
        return f"damaged ({run.note})"
    return None


def _keep_origins(runs: Iterable[Entry], kept: dict[Path, str]) -> None:
    """Add all that kept runs were made from, and what those were made from, and so on."""
    by_path = {run.path: run for run in runs}
    by_origin: dict[tuple[str, str, str | None], list[Entry]] = {}
    by_content: dict[tuple[str, str | None], list[Entry]] = {}
    for run in by_path.values():
        by_origin.setdefault((run.kind, run.id, run.content), []).append(run)
        by_content.setdefault((run.kind, run.content), []).append(run)
    waiting = [by_path[path] for path in kept]
    all_before = 0
    while waiting:
        run = waiting.pop()
        found: list[tuple[Entry, str]] = []
        for origin in run.parents or ():
            # The run of that name, or, should it be gone or another now, one that holds the same.
            same = by_origin.get((origin.kind, origin.id, origin.content))
            found += [
                (parent, f"{run.id} was made from it")
                for parent in same or by_content.get((origin.kind, origin.content), [])
            ]
        outer = None if run.of is None else by_path.get(run.path.parents[1])
        if outer is not None:
            found.append((outer, f"{run.id} lies in it"))
        if _may_have_origins(run):
            # A higher kind that is unknown covers the lower ones, so each kind is gone through once.
            rank = KINDS.index(run.kind) if run.kind in KINDS else len(KINDS)
            if outer is None and rank > all_before:
                why = f"{run.id} ({run.state}) does not say what it was made from"
                found += [
                    (parent, why) for parent in by_path.values() if parent.kind in KINDS[all_before:rank]
                ]
                all_before = rank
        for parent, reason in found:
            if parent.path not in kept:
                kept[parent.path] = reason
                waiting.append(parent)


def _may_have_origins(run: Entry) -> bool:
    """Whether a run was made from runs that are not known.

    One that was left unfinished without its settings is never gone on with: nothing will have been made from them.
    """
    return run.parents is None and run.state != UNFINISHED
