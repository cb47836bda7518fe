"""What every command shares: errors as one sentence, the workspace, and flags that do not apply being refused."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from foldsmith.errors import FoldsmithError, SettingError

if TYPE_CHECKING:
    from foldsmith.market.instruments import Instrument
    from foldsmith.runs.store import Run, Workspace
    from foldsmith.stages.publish import Provenance

INTERRUPTED = 130

# Before any library reads it: threads that spin while they wait make boosters on a busy machine 5 to 10 times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


class Command(click.Command):
    """A command whose errors are one sentence on stderr and an exit status that is not 0."""

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Parse; a flag's own check (that of --config) tells its error like the command does."""
        try:
            return super().make_context(*args, **options)
        except FoldsmithError as error:
            click.echo(f"error: {error}", err=True)
            raise click.exceptions.Exit(error.exit_code) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; no traceback for what a user can cause."""
        try:
            return super().invoke(ctx)
        except FoldsmithError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("\nerror: stopped by Ctrl-C; nothing of this run is left. Run again.", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            # The reader of our output (head, less) has seen enough.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)


workspace_option = click.option(
    "--workspace",
    "workspace_dir",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Folder that holds data/ and experiments/.  [default: the current folder]",
)

format_option = click.option(
    "--format",
    "file_format",
    metavar="NAME",
    help="Format of the raw bars, such as ninjatrader; docs/data.md lists them.  [default: told from the content]",
)


def say(text: str) -> None:
    """One line of progress."""
    click.echo(text)


def open_workspace(folder: Path) -> Workspace:
    """The workspace at `folder`, which must be there."""
    from foldsmith.runs.store import Workspace

    if not folder.is_dir():
        raise SettingError(f"--workspace {folder} is no folder; make it, or name another.")
    return Workspace(folder)


def provenance(workspace: Workspace) -> Provenance:
    """The command as typed, and the workspace's ledger."""
    from foldsmith.runs.ledger import Ledger
    from foldsmith.stages.publish import Provenance

    return Provenance((Path(sys.argv[0]).name, *sys.argv[1:]), Ledger(workspace.ledger))


def instrument_of(workspace: Workspace, symbol: str) -> Instrument:
    """An instrument by symbol; those of the workspace's instruments.toml go first."""
    from foldsmith.market.instruments import instrument

    return instrument(symbol, _own_instruments(workspace))


def instruments_of(workspace: Workspace) -> dict[str, Instrument]:
    """All instruments by symbol, those of the workspace's instruments.toml before the built-in ones."""
    from foldsmith.market.instruments import INSTRUMENTS

    return {**INSTRUMENTS, **_own_instruments(workspace)}


def _own_instruments(workspace: Workspace) -> dict[str, Instrument]:
    from foldsmith.market.instruments import parse_instruments
    from foldsmith.runs.files import disk_errors_told

    path = workspace.root / "instruments.toml"
    if not path.is_file():
        return {}
    with disk_errors_told(f"read {path}"):
        try:
            return parse_instruments(path.read_text(encoding="utf-8"), str(path))
        except UnicodeDecodeError as error:
            raise SettingError(f"{path} is not UTF-8 text ({error}); save it as such.") from error


def chosen_dataset(workspace: Workspace, run_id: str | None, symbol: str | None) -> Run:
    """The dataset named, else the newest of the symbol; says which it took."""
    from foldsmith.runs.store import newest_dataset

    if run_id is None:
        dataset = newest_dataset(workspace, symbol)
        say(f"dataset {dataset.id}, the newest of {dataset.manifest.extra.get('symbol')}")
        return dataset
    dataset = workspace.open_run(workspace.datasets, run_id)
    found = dataset.manifest.extra.get("symbol")
    if symbol is not None and symbol != found:
        raise SettingError(
            f"dataset {run_id} is of {found}, not of {symbol}; leave out --symbol or --dataset."
        )
    return dataset


def given(ctx: click.Context, name: str) -> bool:
    """Whether a flag was given, on the command line or in --config."""
    return ctx.get_parameter_source(name) in (ParameterSource.COMMANDLINE, ParameterSource.DEFAULT_MAP)


def refuse(ctx: click.Context, names: Iterable[str], why: str) -> None:
    """Refuse flags that do not apply: a flag that is parsed and ignored would lie."""
    for name in names:
        if given(ctx, name):
            flag = next(p.opts[0] for p in ctx.command.params if p.name == name)
            raise SettingError(f"{flag} does not apply: {why}. Leave it out.")


def check_outputs(json_file: Path | None, page: Path | None) -> None:
    """SettingError for a --json or --html that could not be written at the end: hours of work may lie before it."""
    for flag, path in (("--json", json_file), ("--html", page)):
        if path is not None and not path.absolute().parent.is_dir():
            raise SettingError(f"{flag} {path}: the folder {path.parent} is not there; make it first.")
        if path is not None and path.is_dir():
            raise SettingError(f"{flag} {path} is a folder; give the name of a file.")
    if page is not None and page.suffix not in (".html", ".htm"):
        raise SettingError(f"--html {page} is no page; give a name that ends with .html.")
