"""`foldsmith evaluate`: phase 5."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from foldsmith.cli.command import Command, open_workspace, provenance, say, workspace_option


@click.command(cls=Command)
@click.option("--run-id", required=True, help="Run id of a trained model.")
@click.option("--split", type=click.Choice(["test", "validation"]), required=True, help="Segment to open.")
@click.option(
    "--runs-dir", type=click.Path(path_type=Path), help="Where models lie.  [default: experiments/runs]"
)
@click.option(
    "--snooping", is_flag=True, help="Also run SPA, StepM and MCS, which need arch (extra `stats`)."
)
@workspace_option
def evaluate(run_id: str, split: str, runs_dir: Path | None, snooping: bool, workspace_dir: Path) -> None:
    """Phase 5: score and trade a model on a held-out segment; the look is counted in the ledger."""
    from foldsmith.cli.listing import score_line
    from foldsmith.stages.evaluate import evaluate as run_evaluation

    workspace = open_workspace(workspace_dir)
    folder = workspace.runs if runs_dir is None else runs_dir
    found = run_evaluation(
        workspace, run_id, split, provenance(workspace), say, folder=folder, snooping=snooping
    )
    say(score_line(split, found.metrics))
    for name, scores in found.metrics["members"].items():
        say(score_line(f"  base model {name}", scores))
    for line in (*_trading_lines(found.metrics["backtest"]), *_verdict_lines(found.metrics)):
        say(line)
    say(f"Evaluation saved to: {found.run.path}")
    say(f"Report: {found.report}")


def _trading_lines(summary: dict[str, Any]) -> list[str]:
    if not summary["trades"]:
        return ["trading: no signal was given; always flat makes 0 too"]
    sharpe = summary["sharpe_annual"]
    t = summary["gross_t"]
    flat = {name: summary["yardsticks"][name]["net"] for name in ("always_long", "always_short")}
    return [
        f"trading: {summary['trades']:,} trades ({summary['skipped']:,} signals skipped), "
        f"before costs {summary['gross']:,.2f} (t {'none' if t is None else format(t, '.2f')}), "
        f"after costs {summary['net']:,.2f}, Sharpe a year {'none' if sharpe is None else format(sharpe, '.2f')}",
        f"  yardsticks after costs: always flat 0.00, always long {flat['always_long']:,.2f}, "
        f"always short {flat['always_short']:,.2f}",
    ]


def _verdict_lines(metrics: dict[str, Any]) -> list[str]:
    judged, tried = metrics["verdict"], metrics["significance"]["tried"]
    return [
        f"tried on these raw bars: {tried['trials']:,} trials; model {tried['place']} of those looked at on these rows",
        f"Verdict: {judged['verdict']}",
        *(f"  {reason}" for reason in judged["reasons"]),
    ]
