"""`foldsmith audit`: prove on the user's own runs that nothing leaks."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from foldsmith.cli.audit_null import null
from foldsmith.cli.audit_residual import residual
from foldsmith.cli.audit_splitters import splitters
from foldsmith.cli.command import (
    Command,
    check_outputs,
    chosen_dataset,
    open_workspace,
    refuse,
    say,
    workspace_option,
)
from foldsmith.errors import LeakError, SettingError

if TYPE_CHECKING:
    from foldsmith.audit.proof import Proof

NAMED = 5
"""Failed proofs that the last line names."""


class CommandGroup(Command, click.Group):
    """A command that has others below it, and its errors told as every command's are."""


@click.group(cls=CommandGroup, invoke_without_command=True)
@click.option("--dataset", metavar="ID", help="Audit this dataset alone.")
@click.option("--cv", metavar="ID", help="Audit this CV run, and the dataset it was made from.")
@click.option("--run", metavar="ID", help="Audit this model, and all that it was made from.")
@click.option("--all", "every", is_flag=True, help="Audit every dataset, CV run and model of the workspace.")
@click.option("--quick", is_flag=True, help="Fewer cuts, one fold of each model, one trial of a search.")
@click.option(
    "--mutants", is_flag=True, help="Test the audit: plant known leaks in a small market, which it must see."
)
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), help="Write the proofs to this JSON file."
)
@click.option("--html", "page", type=click.Path(path_type=Path), help="Write the proofs to this page.")
@click.option("--plant", metavar="NAME", hidden=True, help="Plant a leak in the program while it is audited.")
@workspace_option
@click.pass_context
def audit(
    ctx: click.Context,
    dataset: str | None,
    cv: str | None,
    run: str | None,
    every: bool,
    quick: bool,
    mutants: bool,
    json_file: Path | None,
    page: Path | None,
    plant: str | None,
    workspace_dir: Path,
) -> None:
    """Prove that nothing leaks: exit status 0 only if every proof ran, saw what was planted for it, and held.

    Without --dataset, --cv, --run or --all: the newest model, or CV run, or dataset, and what it was made from.
    """
    if ctx.invoked_subcommand is not None:
        refuse(
            ctx,
            [str(each.name) for each in ctx.command.params],
            f"write flags after {ctx.invoked_subcommand}",
        )
        return
    chosen = [
        flag
        for flag, given in (("--dataset", dataset), ("--cv", cv), ("--run", run), ("--all", every))
        if given
    ]
    if len(chosen) > 1:
        raise SettingError(
            f"{' and '.join(chosen)} cannot go together; name one thing to audit, or say --all."
        )
    check_outputs(json_file, page)
    if mutants and (chosen or plant or quick):
        raise SettingError(
            "--mutants tests the audit itself, on a small market of its own; leave out --quick and what is to be "
            "audited."
        )
    from foldsmith.stages.audit_output import write_audit

    if mutants:
        proofs, audited = _mutants(), ["the audit itself"]
    else:
        proofs, audited = _audited(workspace_dir, dataset, cv, run, every, quick, plant)
    write_audit(audited, proofs, quick, json_file, page)
    for path in (json_file, page):
        if path is not None:
            say(f"wrote {path}")
    _conclude(proofs)


def _audited(
    folder: Path,
    dataset: str | None,
    cv: str | None,
    run: str | None,
    every: bool,
    quick: bool,
    plant: str | None,
) -> tuple[list[Proof], list[str]]:
    from foldsmith.stages.audit import audit as prove
    from foldsmith.stages.audit_entries import enter_audit
    from foldsmith.stages.audit_subjects import chosen_subjects

    workspace = open_workspace(folder)
    planted = nullcontext()
    if plant is not None:
        from foldsmith.stages.audit_mutants import mutant

        planted = mutant(plant).plant()  # type: ignore[assignment]
    subjects = chosen_subjects(workspace, dataset=dataset, cv=cv, run=run, every=every)
    runs = [f"{each.manifest.kind} {each.id}" for subject in subjects for each in subject.runs()]
    say(f"auditing {', '.join(runs)}")
    with planted:
        proofs = prove(workspace, subjects, quick=quick, say=say)
    # With a leak planted, what failed was the plant: it says nothing of the runs.
    if plant is None:
        say(enter_audit(workspace, subjects, proofs, quick=quick))
    return proofs, runs


def _mutants() -> list[Proof]:
    from foldsmith.stages.audit import line
    from foldsmith.stages.audit_mutants import prove_mutants

    proofs = []
    for proof in prove_mutants():
        say(line(proof))
        proofs.append(proof)
    return proofs


def _conclude(proofs: list[Proof]) -> None:
    from foldsmith.stages.audit_output import summary

    failed = [f"{proof.name} ({proof.outcome})" for proof in proofs if not proof.held]
    say(f"{len(proofs)} proofs: {summary(proofs)}")
    if failed or not proofs:
        more = f" and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
        raise LeakError(
            f"{len(failed)} of {len(proofs)} proofs failed: {'; '.join(failed[:NAMED])}{more}. What each found is said "
            "above."
        )


@audit.command("row", cls=Command)
@click.argument("time")
@click.option("--dataset", metavar="ID", help="Dataset that the bar is of.  [default: the newest]")
@click.option("--symbol", help="Symbol, where the workspace holds several.")
@click.option("--horizon", type=int, help="Horizon of the label.  [default: the first of the dataset]")
@workspace_option
def row(time: str, dataset: str | None, symbol: str | None, horizon: int | None, workspace_dir: Path) -> None:
    """Say why the bar that closes at TIME (UTC, like 2024-03-05T14:35) is, or is not, a row, and of which folds."""
    from foldsmith.stages.audit_rows import as_instant, bar_at, explain, told
    from foldsmith.stages.horizon import load_recipe

    at = as_instant(time)
    found = chosen_dataset(open_workspace(workspace_dir), dataset, symbol)
    explained = explain(found, horizon if horizon is not None else min(load_recipe(found).horizons))
    for line in told(explained, bar_at(explained, at)):
        say(line)


audit.add_command(splitters)
audit.add_command(residual)
audit.add_command(null)
