"""`foldsmith pipeline inspect`: look at a file of bars before anything is made of it."""

from __future__ import annotations

from pathlib import Path

import click

from foldsmith.cli.command import (
    Command,
    format_option,
    instruments_of,
    open_workspace,
    say,
    workspace_option,
)
from foldsmith.cli.market_options import (
    roll_days_option,
    roll_option,
    rules_option,
    stamp_option,
    timezone_option,
)
from foldsmith.errors import SettingError
from foldsmith.market.roll_rule import RollRule
from foldsmith.market.rules import parse_rules


@click.command("inspect", cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--symbol", help="Instrument that the bars are of.  [default: told from the contracts or the file's name]"
)
@format_option
@timezone_option
@stamp_option
@rules_option
@roll_option
@roll_days_option
@click.option(
    "--output", type=click.Path(path_type=Path), help="Page to write.  [default: inspection_FILE.html here]"
)
@workspace_option
def inspect_file(
    file: Path,
    symbol: str | None,
    file_format: str | None,
    timezone: str | None,
    stamp: str | None,
    rules: str,
    roll: str,
    roll_days: int | None,
    output: Path | None,
    workspace_dir: Path,
) -> None:
    """Summarise FILE (bars as in data/raw: a file, a folder or a pattern) and write a page on it."""
    if output is not None and output.suffix not in (".html", ".htm"):
        raise SettingError(f"--output {output} is no page; give a name that ends with .html.")
    actions, rule = parse_rules(rules), RollRule(roll, roll_days)
    known = instruments_of(open_workspace(workspace_dir))
    if symbol is not None and symbol not in known:
        from foldsmith.market.instruments import instrument

        instrument(symbol, known)  # says what is known
    from foldsmith.stages.inspect import default_output, inspect, summary, write_page

    found = inspect(
        file, known, symbol,
        file_format=file_format, timezone=timezone, stamp=stamp, rules=actions, roll=rule,
    )  # fmt: skip
    for line in summary(found):
        say(line)
    page = default_output(file) if output is None else output
    write_page(found, page)
    say(f"wrote {page}")
