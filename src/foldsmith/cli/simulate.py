"""`foldsmith simulate`: a market whose truth is known, among the raw bars."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click

from foldsmith.cli.command import Command, instrument_of, open_workspace, say, workspace_option


@click.command(cls=Command)
@click.option(
    "--symbol", default="MES", show_default=True, help="Instrument whose tick, costs and hours it has."
)
@click.option("--sessions", type=int, default=250, show_default=True, help="Trading days.")
@click.option("--edge", type=float, default=0.0, show_default=True, help="Planted edge: 0 none, 0.05 strong.")
@click.option("--seed", type=int, default=42, show_default=True, help="All randomness comes from it.")
@click.option("--start", default="2022-01-03", show_default=True, help="First trading day.")
@workspace_option
def simulate(symbol: str, sessions: int, edge: float, seed: int, start: str, workspace_dir: Path) -> None:
    """Simulate a market of known truth and write it to data/raw/{SYMBOL}_1m.parquet."""
    from foldsmith.market.simulate import Simulation
    from foldsmith.stages.simulated import write_market

    workspace = open_workspace(workspace_dir)
    settings = Simulation(symbol, sessions, seed, edge, _day(start))
    write_market(workspace, settings, instrument_of(workspace, symbol), say)
    say(f"Make a dataset of it: ./pipeline run --symbols {symbol}")


def _day(text: str) -> date:
    from foldsmith.config import parse_instant

    return parse_instant(text, "--start").date()
