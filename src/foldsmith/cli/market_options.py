"""Options of the commands that read raw bars."""

from __future__ import annotations

import click

from foldsmith.market.roll_rule import ROLL_DAYS, ROLLS

timezone_option = click.option(
    "--timezone", help="Zone of the file's clock, such as America/Chicago.  [default: the format's, else UTC]"
)
stamp_option = click.option(
    "--stamp",
    type=click.Choice(["open", "close"]),
    help="End of the bar that its time stands for.  [default: the format's, else open]",
)
rules_option = click.option(
    "--rules",
    default="",
    metavar="NAME=ACTION,...",
    help="What rules of cleaning shall do: sort, drop, count, refuse or off; see `pipeline rules`.",
)
roll_option = click.option(
    "--roll",
    type=click.Choice(ROLLS),
    default=ROLLS[0],
    show_default=True,
    help="When the next contract replaces the front one, where bars of both are there.",
)
roll_days_option = click.option(
    "--roll-days",
    metavar="N",
    type=int,
    help=f"Sessions before the last trading day, of --roll calendar.  [default: {ROLL_DAYS}]",
)
