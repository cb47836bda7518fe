"""Runs in words: what `foldsmith runs` and its like print unless asked for JSON."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foldsmith.runs.lineage import Link
    from foldsmith.runs.manifest import Manifest
    from foldsmith.runs.registry import Entry
    from foldsmith.runs.removal import CleanPlan
    from foldsmith.runs.store import Run

SHORT = 12
"""Digits of a hash that are shown."""
NAMED = 10
"""How many runs a message names."""
_HASH = re.compile(r"[0-9a-f]{64}")


def listed(runs: Sequence[Entry]) -> Iterator[str]:
    """One line a run: its kind (or what is the matter), id, time, symbol, what it holds, tags."""
    wide = max((len(run.id) for run in runs), default=0)
    for run in runs:
        first = run.kind if run.state == "finished" else run.state
        time = f"{run.time:%Y-%m-%d %H:%M}" if run.time is not None else ""
        words = [f"{first:<10}", f"{run.id:<{wide}}", f"{time:<16}", f"{run.symbol or '':<5}", what(run)]
        words += [f"[{', '.join(run.tags)}]"] if run.tags else []
        yield "  ".join(words).rstrip()


def what(run: Entry) -> str:
    """What a run holds, or is."""
    if run.state == "damaged":
        return run.note
    parts = []
    if run.state != "finished":
        parts.append(f"{run.kind or 'run'}: {run.note}")
    if run.state == "unfinished" and run.kind == "cv":
        parts[0] += f"; go on with --resume {run.id}"
    if run.split:
        parts.append(run.split)
    if run.of:
        parts.append(f"of {run.of}")
    elif run.models:
        parts.append(f"{'models' if len(run.models) > 1 else 'model'} {','.join(run.models)}")
    if run.horizons and not run.of:
        parts.append(f"{'horizons' if len(run.horizons) > 1 else 'horizon'} {_joined(run.horizons)}")
    if "timeframe" in run.extra:
        parts.append(f"timeframe {run.extra['timeframe']}")
    return "  ".join(parts)


def shown(run: Run, tags: Sequence[str], size: int, audit: str) -> Iterator[str]:
    """A run's manifest in a few lines, and how it stands with audits."""
    from foldsmith.runs.comparison import scores_of

    known = run.manifest
    yield f"{known.kind} {known.id}"
    yield f"  folder      {run.path}"
    yield f"  content     {known.content}"
    yield f"  published   {known.created:%Y-%m-%d %H:%M:%S} UTC, after {known.wall_seconds:,.1f} s"
    if tags:
        yield f"  tags        {', '.join(tags)}"
    for parent in known.parents:
        yield f"  made from   {parent.kind} {parent.id}, content {parent.content[:SHORT]}"
    yield f"  parameters  {_parameters(known)}"
    if known.extra:
        yield f"  holds       {_short(known.extra)}"
    yield from _made_with(known)
    yield f"  files       {len(known.files)}, {bytes_of(size)}"
    yield f"  audit       {audit}"
    rows: dict[str, list[str]] = {}
    for name, value in scores_of(run).items():
        where, _, score = name.rpartition(": ")
        rows.setdefault(where, []).append(f"{score} {_number(value)}")
    for where, scores in rows.items():
        yield f"  {f'{where}: ' if where else ''}{', '.join(scores)}"


def compared(found: Mapping[str, Any]) -> Iterator[str]:
    """What differs between two runs, side by side."""
    one, two = found["runs"]
    yield from _columns({"": [one["id"], two["id"]], "content": [r["content"][:SHORT] for r in (one, two)]})
    yield "the same content" if found["same_content"] else "the contents differ"
    for part in ("parameters", "parents", "code", "packages", "machine"):
        if found[part]:
            yield f"{part} that differ:"
            yield from _columns(found[part])
        else:
            yield f"{part}: the same"
    differing = list(found["files"])
    if differing:
        more = f" and {len(differing) - NAMED} more" if len(differing) > NAMED else ""
        yield f"files that differ: {', '.join(differing[:NAMED])}{more}"
    else:
        yield "files: the same"
    if found["scores"]:
        yield "scores:"
        yield from _columns(found["scores"])


def explained(
    chain: Sequence[Link], commands: Mapping[str, tuple[str, str | None, str | None]]
) -> Iterator[str]:
    """A chain back to the raw file; `commands` by run id: what was typed, what to type again, its config file."""
    above: Manifest | None = None
    for link in chain:
        mark = "" if link is chain[0] else "made from "
        yield f"{mark}{link.named.kind} {link.named.id}"
        yield f"  content     {link.named.content}"
        if link is not chain[0]:
            yield f"  now         {link.state}{f': {link.note}' if link.note else ''}"
        if link.manifest is None:
            continue
        known = link.manifest
        yield f"  folder      {link.path}"
        yield f"  parameters  {_parameters(known)}"
        yield from (
            ["  made with   code, packages and machine as above"]
            if _alike(known, above)
            else _made_with(known)
        )
        above = known
        was, now, config = commands[known.id]
        yield f"  typed       {was}"
        yield f"  again       {now or 'its manifest does not say enough to type it again'}"
        if config is not None:
            yield "  where PARAMS.toml holds:"
            yield from (f"    {line}" for line in config.splitlines())


def planned(plan: CleanPlan) -> Iterator[str]:
    """What `clean` would remove, and why it would keep the rest."""
    for run in plan.runs:
        yield f"remove   {run.kind:<10}  {run.path}  {bytes_of(plan.sizes[run.path])}"
    for item in plan.rubbish:
        yield f"remove   {'left over':<10}  {item.path}  {bytes_of(item.bytes)}"
    for entry in plan.gone:
        yield f"enter    {entry.kind:<10}  {entry.run_id}, published on {entry.at[:10]} and gone, as removed"
    every = [(run, reason) for run, reason in plan.kept if reason != "--keep-last is not given"]
    for run, reason in every:
        yield f"keep     {run.kind:<10}  {run.path}: {reason}"
    if len(every) < len(plan.kept):
        yield f"keep     {len(plan.kept) - len(every)} finished runs: --keep-last is not given"
    if plan.not_found:
        names = [entry.run_id for entry in plan.not_found]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        yield (
            f"note: published, and in no folder that was looked at: {', '.join(names[:NAMED])}{more}; what they were "
            "made from is not known and not kept for them. Name their folders with --also, or, if they were deleted on "
            "purpose, enter that with --gone."
        )


def bytes_of(size: int) -> str:
    """A number of bytes for a reader."""
    return f"{size / 2**20:,.1f} MiB" if size >= 2**20 else f"{size / 2**10:,.1f} KiB"


def _made_with(known: Manifest) -> Iterator[str]:
    from foldsmith.runs.lineage import changed_packages
    from foldsmith.runs.source import source_hash

    same = "unchanged since" if known.code.source == source_hash() else "changed since"
    yield f"  code        {known.code.version}, source {known.code.source[:SHORT]} ({same})"
    now = changed_packages(known)
    packages = []
    for name, version in known.packages.items():
        packages.append(
            f"{name} {version} (now {now[name] or 'none'})" if name in now else f"{name} {version}"
        )
    yield f"  packages    {', '.join(packages)}"
    yield f"  machine     {known.platform}, Python {known.python}"


def _alike(one: Manifest, two: Manifest | None) -> bool:
    """Whether two runs were made with the same code, packages and machine."""
    if two is None:
        return False
    return (one.code, one.packages, one.platform, one.python) == (
        two.code, two.packages, two.platform, two.python,
    )  # fmt: skip


def _parameters(known: Manifest) -> str:
    return _short({name: value for name, value in known.parameters.items() if value is not None}) or "none"


def _short(values: Mapping[str, Any]) -> str:
    from foldsmith.runs.comparison import flattened

    return ", ".join(
        f"{name} {_plain(value)}" for name, value in flattened(values).items() if value is not None
    )


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return _joined(value)
    return value if isinstance(value, str) else json.dumps(value)


def _joined(values: Sequence[Any]) -> str:
    return ",".join(map(str, values))


def _number(value: Any) -> str:
    if isinstance(value, str) and _HASH.fullmatch(value):
        return value[:SHORT]
    return f"{value:.4f}" if isinstance(value, float) else _plain(value)


def _columns(rows: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    """Lines of a name and two values; `-` where one of them lacks it."""
    shown = {
        name: ["-" if value is None else _number(value) for value in pair] for name, pair in rows.items()
    }
    first = max(map(len, shown), default=0)
    second = max((len(pair[0]) for pair in shown.values()), default=0)
    for name, (one, two) in shown.items():
        yield f"  {name:<{first}}  {one:<{second}}  {two}".rstrip()


def quoted(words: Sequence[str]) -> str:
    """Words as a line to paste into a shell."""
    return shlex.join(words)
