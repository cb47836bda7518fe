"""`foldsmith evaluate`: phase 5."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from foldsmith.cli.command import Command, open_workspace, provenance, say, workspace_option
from foldsmith.cli.tracking import track as track_run
from foldsmith.cli.tracking import track_option
from foldsmith.errors import SettingError
from foldsmith.evaluation.trading_rule import OVERLAPS, SIZINGS, TradingRule


@click.command(cls=Command)
@click.option("--run-id", required=True, help="Run id of a trained model.")
@click.option("--split", type=click.Choice(["test", "validation"]), required=True, help="Segment to open.")
@click.option(
    "--runs-dir", type=click.Path(path_type=Path), help="Where models lie.  [default: experiments/runs]"
)
@click.option(
    "--snooping", is_flag=True, help="Also run SPA, StepM and MCS, which need arch (extra `stats`)."
)
@click.option(
    "--importance",
    type=click.Choice(["none", "shap", "mda"]),
    default="mda",
    show_default=True,
    help="Weigh features on validation rows: what a model loses without one (any model), or SHAP values (boosters).",
)
@click.option(
    "--learning-curve",
    is_flag=True,
    help="Fit the model again on growing recent shares of its training rows, scored on validation rows.",
)
@click.option(
    "--sizing",
    type=click.Choice(SIZINGS),
    default="fixed",
    show_default=True,
    help="Contracts of a signal: all, or as many as the probability of its side is worth (against three classes, "
    "or against that side being wrong).",
)
@click.option(
    "--contracts", type=click.IntRange(1), default=1, show_default=True, help="Most contracts held."
)
@click.option(
    "--overlap",
    type=click.Choice(OVERLAPS),
    default="skip",
    show_default=True,
    help="A signal while a position is open: passed over, a lot of its own (a side within --contracts), or the "
    "position is the mean size of all signals that are not over.",
)
@click.option(
    "--slippage",
    metavar="TICKS",
    help="Ticks a side: one number, or three for calm, usual and wild times.  [default: the instrument's]",
)
@click.option("--flat-overnight", is_flag=True, help="Leave at the close of each session's last bar.")
@track_option
@workspace_option
def evaluate(
    run_id: str,
    split: str,
    runs_dir: Path | None,
    snooping: bool,
    importance: str,
    learning_curve: bool,
    sizing: str,
    contracts: int,
    overlap: str,
    slippage: str | None,
    flat_overnight: bool,
    track: str | None,
    workspace_dir: Path,
) -> None:
    """Phase 5: score and trade a model on a held-out segment; the look is counted in the ledger."""
    from foldsmith.cli.listing import path_lines, score_line
    from foldsmith.cli.validation_options import worker_count
    from foldsmith.stages.evaluate import evaluate as run_evaluation

    rule = TradingRule(sizing, contracts, overlap, _ticks(slippage), flat_overnight)
    workspace = open_workspace(workspace_dir)
    folder = workspace.runs if runs_dir is None else runs_dir
    found = run_evaluation(
        workspace, run_id, split, provenance(workspace), say,
        folder=folder, rule=rule, snooping=snooping, importances=importance, curve=learning_curve,
        threads=worker_count(None),
    )  # fmt: skip
    say(score_line(split, found.metrics))
    for name, scores in found.metrics["members"].items():
        say(score_line(f"  base model {name}", scores))
    for line in (
        *_curve_lines(found.metrics),
        *_trading_lines(found.metrics["backtest"]),
        *path_lines(found.metrics["significance"]["paths"]),
        *_verdict_lines(found.metrics),
    ):
        say(line)
    say(f"Evaluation saved to: {found.run.path}")
    say(f"Report: {found.report}")
    track_run(found.run, track, workspace)


def _ticks(text: str | None) -> tuple[float, float, float] | None:
    """One number for all times, or three."""
    if text is None:
        return None
    try:
        ticks = [float(part) + 0.0 for part in text.split(",")]  # -0 is 0: one rule has one name
    except ValueError:
        ticks = []
    if len(ticks) not in (1, 3):
        raise SettingError(
            f"--slippage {text!r:.40} is neither a number of ticks nor three, such as 0.5,1,2."
        )
    return (ticks[0], ticks[0], ticks[0]) if len(ticks) == 1 else (ticks[0], ticks[1], ticks[2])


def _curve_lines(metrics: dict[str, Any]) -> list[str]:
    found = metrics.get("learning_curve")
    if found is None:
        return []
    if "skipped" in found:
        return [f"learning curve: none; {found['skipped']}"]
    lines = ["learning curve, log loss on validation rows by share of the training rows:"]
    for point in found["points"]:
        scores = point.get("skipped") or (
            f"{point['log_loss']:.4f} (base rate {point['log_loss_base']:.4f}; on rows fitted on "
            f"{point['training_log_loss']:.4f})"
        )
        lines.append(f"  {point['share']:4.0%} {point['rows']:,} rows: {scores}")
    return lines


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
