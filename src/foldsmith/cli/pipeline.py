"""`foldsmith pipeline`: phase 1, and a look around the workspace."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foldsmith.cli.command import (
    Command,
    format_option,
    instrument_of,
    open_workspace,
    provenance,
    say,
    workspace_option,
)
from foldsmith.cli.continuous import continuous
from foldsmith.cli.inspect import inspect_file
from foldsmith.cli.market_options import (
    roll_days_option,
    roll_option,
    rules_option,
    stamp_option,
    timezone_option,
)
from foldsmith.cli.presets import preset_lines, with_preset
from foldsmith.cli.remake import rerun
from foldsmith.cli.runs import clean, list_runs, status_lines
from foldsmith.config import (
    DEFAULT_FEATURES,
    DEFAULT_HORIZONS,
    PrepareSettings,
    parse_horizons,
    parse_instant,
    parse_list,
    parse_words,
)
from foldsmith.errors import FoldsmithError, MissingError
from foldsmith.labels.scheme import LABELS, NEUTRAL, OBJECTIVES, VOLATILITIES, LabelScheme
from foldsmith.market.roll_rule import RollRule
from foldsmith.market.rules import RULES, parse_rules

if TYPE_CHECKING:
    from foldsmith.runs.store import Workspace

_DEFAULTS = LabelScheme()


@click.group()
def pipeline() -> None:
    """Phase 1: raw bars -> dataset; and what the workspace holds."""


@pipeline.command(cls=Command)
@click.option("--symbols", required=True, help="Symbols with a file in data/raw, such as MES,CL, or all.")
@click.option(
    "--timeframe",
    default="5m",
    show_default=True,
    help="What closes a bar: a time such as 5m or 1h, or a sum: tick:500, volume:20000, dollar:5e6.",
)
@format_option
@timezone_option
@stamp_option
@rules_option
@roll_option
@roll_days_option
@click.option("--start", help="First instant to use (UTC), such as 2024-01-31.")
@click.option("--end", help="Instant (UTC) before which bars are used.")
@click.option(
    "--horizons",
    default=",".join(map(str, DEFAULT_HORIZONS)),
    show_default=True,
    help="Horizons in bars, or all.",
)
@click.option(
    "--train-ratio", type=float, default=0.70, show_default=True, help="Share of the training segment."
)
@click.option(
    "--val-ratio", type=float, default=0.15, show_default=True, help="Share of the validation segment."
)
@click.option("--test-ratio", type=float, default=0.15, show_default=True, help="Share of the test segment.")
@click.option(
    "--k-up",
    type=float,
    help="Upper barrier in volatilities over the horizon.  [default: chosen on training rows]",
)
@click.option("--k-down", type=float, help="Lower barrier; goes with --k-up.")
@click.option(
    "--max-bars", type=int, help="Vertical barrier of the one horizon named.  [default: the horizon]"
)
@click.option(
    "--features",
    metavar="NAME,...",
    default=",".join(DEFAULT_FEATURES),
    show_default=True,
    help="Features by set, family or name; see `foldsmith features list`.",
)
@click.option(
    "--label", type=click.Choice(LABELS), default=_DEFAULTS.name, show_default=True, help="Kind of label."
)
@click.option(
    "--barrier-volatility",
    type=click.Choice(VOLATILITIES),
    default=_DEFAULTS.barrier_volatility,
    show_default=True,
    help="Volatility that scales barriers.",
)
@click.option(
    "--min-barrier-cost",
    type=float,
    default=_DEFAULTS.min_barrier_cost,
    show_default=True,
    help="Barriers are at least so many round-trip costs from the entry.",
)
@click.option(
    "--barrier-objective",
    type=click.Choice(OBJECTIVES),
    default=NEUTRAL,
    show_default=True,
    help="What barrier widths are chosen for where they are not given.",
)
@click.option(
    "--assumed-edge",
    type=float,
    metavar="E",
    help="Hit rate above one half for which after-cost widths are best, such as 0.05.",
)
@click.option("--trend-min-bars", type=int, help="Shortest window of a trend scan.  [default: 5]")
@click.option(
    "--trend-threshold",
    type=float,
    help="Size of t above which a trend is one.  [default: chosen on training rows]",
)
@click.option(
    "--preset", metavar="NAME", help="Flags by a name, for those not typed; see `pipeline presets`."
)
@click.option("--yes", is_flag=True, help="Do not ask before starting.")
@workspace_option
@click.pass_context
def run(
    ctx: click.Context, /, workspace_dir: Path, symbols: str, preset: str | None, yes: bool, **flags: Any
) -> None:
    """Make one dataset for each symbol: bars, features, and labels for each horizon."""
    workspace = open_workspace(workspace_dir)
    flags = with_preset(ctx, workspace, preset, flags)
    wanted = _symbols(workspace, symbols)
    features = _features(workspace, flags["features"])
    jobs = [(settings_of(symbol, flags, features), instrument_of(workspace, symbol)) for symbol in wanted]
    from foldsmith.stages.prepare import prepare
    from foldsmith.stages.raw_bars import raw_file

    files = [raw_file(workspace, symbol) for symbol in wanted]
    if not yes and sys.stdin.isatty():
        for path in files:
            sizes = [item.stat().st_size for item in (path.iterdir() if path.is_dir() else [path])]
            say(f"{path} ({sum(sizes) / 2**20:,.1f} MiB)")
        click.confirm(f"Make {len(files)} dataset(s) in {workspace.datasets}?", default=True, abort=True)
    failed = []
    for settings, instrument in jobs:
        try:
            made = prepare(workspace, settings, instrument, provenance(workspace), say)
        except FoldsmithError as error:
            if len(jobs) == 1:
                raise
            failed.append(settings.symbol)
            click.echo(f"error: {settings.symbol}: {error}", err=True)
            continue
        say(f"Dataset ID: {made.id}")
        say(f"Dataset saved to: {made.path}")
    if failed:
        raise FoldsmithError(f"{len(failed)} of {len(jobs)} datasets were not made: {', '.join(failed)}.")
    say(
        f"Cross-validate models on it: python scripts/run_cv.py --models xgboost,lightgbm --symbol {wanted[-1]}"
    )


def _features(workspace: Workspace, text: str) -> tuple[str, ...]:
    """What the dataset shall hold, in the shortest names that mean it wherever they are read."""
    words = parse_words(text)
    if tuple(words) == DEFAULT_FEATURES:
        return DEFAULT_FEATURES
    from foldsmith.features.sets import shortest
    from foldsmith.stages.features_file import chosen

    return shortest(chosen(workspace, words))


def settings_of(symbol: str, flags: dict[str, Any], features: tuple[str, ...]) -> PrepareSettings:
    """Phase 1's settings from its flags."""
    return PrepareSettings(
        symbol=symbol,
        timeframe=flags["timeframe"],
        format=flags["file_format"],
        timezone=flags["timezone"],
        stamp=flags["stamp"],
        rules=parse_rules(flags["rules"]),
        start=None if flags["start"] is None else parse_instant(flags["start"], "--start"),
        end=None if flags["end"] is None else parse_instant(flags["end"], "--end"),
        horizons=parse_horizons(flags["horizons"]),
        ratios=(flags["train_ratio"], flags["val_ratio"], flags["test_ratio"]),
        k_up=flags["k_up"],
        k_down=flags["k_down"],
        max_bars=flags["max_bars"],
        roll=flags["roll"],
        roll_days=flags["roll_days"],
        features=features,
        label=flags["label"],
        barrier_volatility=flags["barrier_volatility"],
        min_barrier_cost=flags["min_barrier_cost"],
        trend_min_bars=flags["trend_min_bars"],
        trend_threshold=flags["trend_threshold"],
        barrier_objective=flags["barrier_objective"],
        assumed_edge=flags["assumed_edge"],
    )


def _symbols(workspace: Workspace, text: str) -> tuple[str, ...]:
    """Symbols by name; `all` stands for those with raw bars. Whether a named one has any is asked later."""
    from foldsmith.stages.raw_bars import raw_symbols

    there = raw_symbols(workspace)
    if text.strip() == "all" and not there:
        raise MissingError(
            f"no raw bars are in {workspace.raw}; copy your files there as SYMBOL_1m.parquet or .csv."
        )
    named = [part.strip() for part in text.split(",") if part.strip()]
    return parse_list(text, [*there, *named], "symbol", every=there)


pipeline.add_command(list_runs, "list-runs")
pipeline.add_command(clean)
pipeline.add_command(continuous)
pipeline.add_command(rerun)
pipeline.add_command(inspect_file)


@pipeline.command(cls=Command)
@workspace_option
def presets(workspace_dir: Path) -> None:
    """List the presets of `run --preset`; a workspace adds its own in presets.toml."""
    for line in preset_lines(open_workspace(workspace_dir)):
        say(line)


@pipeline.command("rules", cls=Command)
def list_rules() -> None:
    """List the rules of cleaning, what each does by itself, and what else `--rules` may tell it to do."""
    width = max(map(len, RULES))
    for name, rule in RULES.items():
        others = [action for action in rule.actions if action != rule.action]
        say(f"{name:<{width}}  {rule.action:<6}  {rule.looks_for} (or {', '.join(others)})")


@pipeline.command(cls=Command)
@workspace_option
def status(workspace_dir: Path) -> None:
    """Say what the workspace holds: raw bars, runs, unfinished runs, trials and looks."""
    for line in status_lines(open_workspace(workspace_dir)):
        say(line)


@pipeline.command(cls=Command)
@click.option(
    "--symbols",
    default="all",
    show_default=True,
    help="Symbols with a file in data/raw, such as MES,CL, or all.",
)
@format_option
@timezone_option
@stamp_option
@rules_option
@roll_option
@roll_days_option
@workspace_option
def validate(
    symbols: str,
    file_format: str | None,
    timezone: str | None,
    stamp: str | None,
    rules: str,
    roll: str,
    roll_days: int | None,
    workspace_dir: Path,
) -> None:
    """Read and clean raw bars as `run` would, and verify the datasets made from them; nothing is written."""
    from foldsmith.runs.registry import DAMAGED, FINISHED, Place, read_registry
    from foldsmith.runs.verification import problems_of_run
    from foldsmith.stages.raw_bars import check_raw, raw_file

    rule = RollRule(roll, roll_days)
    workspace = open_workspace(workspace_dir)
    actions = parse_rules(rules)
    wrong = []
    wanted = _symbols(workspace, symbols)
    for symbol in wanted:
        try:
            path, instrument = raw_file(workspace, symbol), instrument_of(workspace, symbol)
            check_raw(path, instrument, file_format, timezone, stamp, say, rules=actions, roll=rule)
        except FoldsmithError as error:
            wrong.append(symbol)
            click.echo(f"error: {symbol}: {error}", err=True)
    datasets = read_registry(workspace, [Place(workspace.datasets, "dataset")]).entries
    for run in datasets:
        if run.state not in (FINISHED, DAMAGED) or run.symbol not in (None, *wanted):
            continue
        problems = problems_of_run(run.path, workspace.ledger)
        wrong += [run.id] if problems else []
        for problem in problems or ["whole"]:
            say(f"dataset {run.id}: {problem}")
    if wrong:
        raise FoldsmithError(f"{len(wrong)} raw files or datasets cannot be used: {', '.join(wrong)}.")


@pipeline.command(cls=Command)
def models() -> None:
    """List models, ensembles and meta-learners."""
    from foldsmith.cli.listing import model_lines

    for line in model_lines():
        say(line)
