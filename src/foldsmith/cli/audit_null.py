"""`foldsmith audit null`: the workflow in many markets without an edge, and in some with one."""

from __future__ import annotations

from pathlib import Path

import click

from foldsmith.cli.command import Command, check_outputs, say
from foldsmith.errors import LeakError, SettingError

NAMED = 5
"""Failed proofs that the last line names."""


@click.command("null", cls=Command)
@click.option(
    "--markets",
    type=int,
    default=200,
    show_default=True,
    help="Markets without edge of each kind; a quarter as many with each edge, a fifth with each leak.",
)
@click.option(
    "--edges",
    default="0.04,0.08,0.16",
    show_default=True,
    help="Sizes of the edge to plant, comma-separated.",
)
@click.option(
    "--raw",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Raw bars, SYMBOL_1m.*, to make markets without edge from as well; may be repeated.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of all that is drawn.")
@click.option(
    "--workers", type=int, default=2, show_default=True, help="Processes; they leave no trace in results."
)
@click.option(
    "--keep",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep each market's result here, and go on from it.",
)
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), help="Write the proofs to this JSON file."
)
@click.option("--html", "page", type=click.Path(path_type=Path), help="Write the proofs to this page.")
def null(
    markets: int,
    edges: str,
    raw: tuple[Path, ...],
    seed: int,
    workers: int,
    keep: Path | None,
    json_file: Path | None,
    page: Path | None,
) -> None:
    """Prove that markets without an edge show none and a planted edge is found: exit status 0 only if both hold."""
    check_outputs(json_file, page)
    from foldsmith.stages.audit import line
    from foldsmith.stages.audit_null import NullSettings, audit_null
    from foldsmith.stages.audit_output import NULL_NOT_PROVED, summary, write_audit
    from foldsmith.stages.executors import Executor

    settings = NullSettings(markets, _numbers(edges), raw, seed)
    proofs = audit_null(settings, executor=Executor(workers=workers), kept=keep, say=say)
    for proof in proofs:
        say(line(proof))
    audited = [f"{markets} markets of each kind without edge", *(path.name for path in raw)]
    write_audit(audited, proofs, False, json_file, page, NULL_NOT_PROVED)
    for path in (json_file, page):
        if path is not None:
            say(f"wrote {path}")
    say(f"{len(proofs)} proofs: {summary(proofs)}")
    failed = [f"{proof.name} ({proof.outcome})" for proof in proofs if not proof.held]
    if failed or not proofs:
        more = f" and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
        raise LeakError(f"{len(failed)} of {len(proofs)} proofs failed: {'; '.join(failed[:NAMED])}{more}.")


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise SettingError(
            f"--edges {text!r:.60} are no numbers; give sizes such as 0.04,0.08,0.16."
        ) from None
