"""Phase 1: raw bars of one symbol -> cleaned bars, features and labels, published as one dataset run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from foldsmith.config import (
    NEUTRAL_SHARE,
    VOLATILITY_WINDOW,
    PrepareSettings,
    default_workers,
    parameters,
)
from foldsmith.contracts import BARS, LABELS
from foldsmith.errors import DataError
from foldsmith.features import FEATURES
from foldsmith.features import compute as compute_features
from foldsmith.features.fitted import FITTED, inputs_of
from foldsmith.features.own import Loaded
from foldsmith.features.summary import summarise
from foldsmith.labels.barrier_payoff import Choice, Costs, choose_by_payoff
from foldsmith.labels.barrier_tuning import choose_barriers
from foldsmith.labels.range_volatility import range_volatility
from foldsmith.labels.scheme import FIXED_HORIZON, TREND_SCANNING, TRIPLE_BARRIER, LabelScheme
from foldsmith.labels.trend_scanning import LEVELS, choose_threshold, trend_labels, trend_values
from foldsmith.labels.triple_barrier import Barriers, Floats, triple_barrier, volatility
from foldsmith.labels.window_end import Windows, fixed_horizon
from foldsmith.market.instruments import Instrument
from foldsmith.market.readers import RawBars, read_bars
from foldsmith.market.roll_rule import RollRule
from foldsmith.market.timeframe import Timeframe, parse_timeframe
from foldsmith.runs.store import Run, Workspace, write_json
from foldsmith.splits import cut_instants
from foldsmith.stages.features_file import chosen, load_named
from foldsmith.stages.market_bars import MarketBars, market_bars
from foldsmith.stages.publish import Building, Provenance, publishing, raw_parent
from foldsmith.stages.raw_bars import file_state, findings_lines, raw_file
from foldsmith.stages.recipe import DEFAULT_LABELLING, HorizonRecipe, Recipe
from foldsmith.stages.tables import write_table
from foldsmith.validation.tune import COMPLETE, Trial

LABELLING = "labels"
"""What stands in the ledger for the model of a trial of label settings; its fingerprint is the raw file's hash."""
SIMULATION_KEY = "foldsmith_simulation"

Say = Callable[[str], None]


def bar_features(market: MarketBars, names: Sequence[str], own: Sequence[Loaded] = ()) -> pl.DataFrame:
    """Features of every bar by these names, `datetime` first; those that the user wrote come last.

    Of features that each fold fits, those that they are made of.
    """
    inputs = inputs_of(name for name in names if name in FITTED)
    catalogued = [name for name in (*names, *inputs) if name in FEATURES]
    made = compute_features(market.bars, market.timeframe.slot_seconds, catalogued, threads=default_workers())
    return made.with_columns(each.compute(market.bars) for each in own)


def label_bars(
    market: MarketBars,
    sigma: Floats,
    horizon: int,
    made: HorizonRecipe,
    instrument: Instrument,
    scheme: LabelScheme = DEFAULT_LABELLING,
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Labels of one horizon and their counts."""
    settings: dict[str, Any] = {
        "max_bars": made.max_bars,
        "barriers": made.barriers,
        "tick_size": instrument.tick_size,
        "least_ticks": _least_ticks(scheme, instrument),
    }
    if scheme.name == TRIPLE_BARRIER:
        labels, counts = triple_barrier(
            market.bars, market.base, (market.first, market.stop), sigma, horizon=horizon, **settings
        )
        return labels, counts.as_dict()
    windows = Windows.of(market.bars, sigma, **settings)
    if made.threshold is None:
        labels, counts = windows.labels(horizon, fixed_horizon(windows))
    else:
        values = trend_values(windows, scheme.trend_min_bars)
        labels, counts = windows.labels(horizon, trend_labels(values, made.threshold))
    return labels, counts.as_dict()


def label_volatility(bars: pl.DataFrame, window: int, scheme: LabelScheme) -> Floats:
    """The volatility that scales barriers, one a bar, known at its close."""
    if scheme.barrier_volatility == "close":
        return volatility(bars, window)
    return range_volatility(bars, window, scheme.barrier_volatility)


def _least_ticks(scheme: LabelScheme, instrument: Instrument) -> float:
    return scheme.least_ticks(instrument.commission, instrument.slippage_ticks, instrument.tick_value)


def prepare(
    workspace: Workspace,
    settings: PrepareSettings,
    instrument: Instrument,
    provenance: Provenance,
    say: Say,
    *,
    folder: Path | None = None,
) -> Run:
    """Make and publish the dataset of one symbol in `folder` (the workspace's datasets unless given)."""
    path = raw_file(workspace, settings.symbol)
    before = file_state(path)
    timeframe = parse_timeframe(settings.timeframe)
    names = chosen(workspace, settings.features)
    own = load_named(workspace, names)
    with publishing(workspace.datasets if folder is None else folder, "dataset", provenance) as run:
        raw = read_bars(
            path,
            file_format=settings.format,
            timezone=settings.timezone,
            stamp=settings.stamp,
            symbol=settings.symbol,
        )
        say(f"read {path.name}: {raw.frame.height:,} bars")
        for sentence in raw.assumptions:
            say(f"  assumed: {sentence}")
        market = market_bars(
            raw.frame,
            instrument,
            timeframe,
            settings.start,
            settings.end,
            rules=settings.rules,
            roll=RollRule(settings.roll, settings.roll_days),
        )
        for line in findings_lines(market.findings):
            say(line)
        write_table(market.base, run.path / "bars_1m.parquet", BARS)
        write_table(market.bars, run.path / "bars.parquet", BARS)
        for each in own:
            each.probe(market.bars)
        features = bar_features(market, names, own)
        write_table(features, run.path / "features.parquet")
        say(f"computed {features.width - 1} features on {market.bars.height:,} bars of {settings.timeframe}")
        if any(name in FITTED for name in names):
            say(f"  and {sum(name in FITTED for name in names)} more are fitted inside each fold, from these")
        cuts = cut_instants(market.closes, settings.ratios)
        made, label_counts, choices = _write_labels(run.path, market, settings, instrument, cuts, say)
        recipe = _recipe(settings, instrument, timeframe, raw, cuts, made, names, own)
        recipe.write(run.path / "recipe.json")
        write_json(
            run.path / "findings.json",
            {
                **market.findings,
                "features": _training_findings(market, features, cuts[0]),
                "labels": label_counts,
                **({"barrier_objective": choices} if choices else {}),
                "assumptions": list(raw.assumptions),
            },
        )
        parent = raw_parent(path)
        if file_state(path) != before:
            raise DataError(f"{path} was changed while it was read; run again when it is whole.")
        _record_labels(run, parent.content, recipe, settings)
        return run.publish(
            parameters=parameters(settings),
            parents=[parent],
            extra={
                "symbol": settings.symbol,
                "horizons": list(settings.horizons),
                "timeframe": settings.timeframe,
                "bars": market.bars.height,
                "first": str(market.bars["datetime"][0]),
                "last": str(market.bars["close_time"][-1]),
                "assumptions": list(raw.assumptions),
            },
        )


def _training_findings(market: MarketBars, features: pl.DataFrame, until: int) -> dict[str, Any]:
    """What is known of the features on bars that closed in the training segment; later rows are not looked at."""
    training = features.filter(pl.Series(market.closes <= until)).drop("datetime")
    return summarise(training.to_numpy().astype(np.float32), training.columns)


def _record_labels(run: Building, raw: str, recipe: Recipe, settings: PrepareSettings) -> None:
    """A way to label these raw bars is a thing tried on them, whatever is made of it later."""
    recorder = run.recorder(raw)
    said = {} if recipe.labelling == DEFAULT_LABELLING else {"labelling": asdict(recipe.labelling)}
    if settings.assumed_edge is not None:
        said["barrier_objective"] = {settings.barrier_objective: settings.assumed_edge}
    for horizon, labels in recipe.horizons.items():
        tried = {"timeframe": recipe.timeframe, "features": len(recipe.features), **labels.as_dict(), **said}
        recorder.record(LABELLING, horizon, "dataset", [Trial(0, tried, None, COMPLETE)])


def _write_labels(
    folder: Path,
    market: MarketBars,
    settings: PrepareSettings,
    instrument: Instrument,
    cuts: tuple[int, int],
    say: Say,
) -> tuple[dict[int, HorizonRecipe], dict[str, Any], dict[str, Any]]:
    """Labels of each horizon, with barrier widths from the flags or chosen on rows that end in the training segment.

    Returns how they were made, what became of every bar, and what an objective found, each by horizon.
    """
    scheme = settings.scheme
    sigma = label_volatility(market.bars, VOLATILITY_WINDOW, scheme)
    made: dict[int, HorizonRecipe] = {}
    counts: dict[str, Any] = {}
    choices: dict[str, Any] = {}
    for horizon in settings.horizons:
        max_bars = settings.vertical_barrier(horizon)
        made[horizon], choice = _widths(market, sigma, horizon, settings, instrument, cuts[0])
        if choice is not None:
            choices[str(horizon)] = choice.as_dict()
        labels, counts[str(horizon)] = label_bars(market, sigma, horizon, made[horizon], instrument, scheme)
        if labels.is_empty():
            raise DataError(
                f"no label of horizon {horizon} is left: every window of {max_bars} bars crosses a roll, a hole or the "
                f"end of the data ({counts[str(horizon)]}); use a shorter horizon or longer data."
            )
        write_table(labels, folder / f"labels_h{horizon}.parquet", LABELS)
        y = labels["y"].to_numpy()
        shares = "/".join(f"{float(np.mean(y == label)):.0%}" for label in (-1, 0, 1))
        say(
            f"labelled horizon {horizon}: {labels.height:,} events, short/neutral/long {shares}, "
            f"{_told(made[horizon])}"
        )
    return made, counts, choices


def _widths(
    market: MarketBars,
    sigma: Floats,
    horizon: int,
    settings: PrepareSettings,
    instrument: Instrument,
    until: int,
) -> tuple[HorizonRecipe, Choice | None]:
    """What tells a move from none: given, or chosen on rows that end by the instant `until`; and how it was chosen."""
    max_bars, scheme = settings.vertical_barrier(horizon), settings.scheme
    aim: dict[str, Any] = {
        "horizon": horizon,
        "max_bars": max_bars,
        "until": until,
    }
    share: dict[str, Any] = {"neutral_share": NEUTRAL_SHARE, "tick_size": instrument.tick_size}
    if scheme.name == TREND_SCANNING:
        threshold = settings.trend_threshold
        if threshold is None:
            threshold = choose_threshold(market.bars, sigma, min_bars=scheme.trend_min_bars, **(aim | share))
        return HorizonRecipe(max_bars, LEVELS, threshold), None
    if settings.k_up is not None and settings.k_down is not None:
        return HorizonRecipe(max_bars, Barriers(settings.k_up, settings.k_down)), None
    paths = market.bars, market.base, (market.first, market.stop), sigma
    aim["least_ticks"] = _least_ticks(scheme, instrument)
    if settings.assumed_edge is not None:
        choice = choose_by_payoff(*paths, edge=settings.assumed_edge, costs=_costs(instrument), **aim)
        return HorizonRecipe(max_bars, choice.barriers), choice
    barriers = choose_barriers(*paths, at_end=scheme.name == FIXED_HORIZON, **(aim | share))
    return HorizonRecipe(max_bars, barriers), None


def _costs(instrument: Instrument) -> Costs:
    return Costs(
        instrument.tick_size,
        instrument.tick_value,
        instrument.commission,
        instrument.slippage_ticks,
        instrument.currency,
    )


def _told(made: HorizonRecipe) -> str:
    if made.threshold is not None:
        return f"trends of |t| above {made.threshold:.3f}"
    return f"barriers {made.barriers.up:.3f}/{made.barriers.down:.3f} x volatility"


def _recipe(
    settings: PrepareSettings,
    instrument: Instrument,
    timeframe: Timeframe,
    raw: RawBars,
    cuts: tuple[int, int],
    made: dict[int, HorizonRecipe],
    names: tuple[str, ...],
    own: Sequence[Loaded],
) -> Recipe:
    return Recipe(
        symbol=settings.symbol,
        instrument=instrument,
        timezone=settings.timezone,
        stamp=settings.stamp,
        rules=dict(settings.rules),
        timeframe=settings.timeframe,
        bar_microseconds=timeframe.microseconds,
        volatility_window=VOLATILITY_WINDOW,
        features=tuple(name for name in names if name not in FITTED),
        fitted=tuple(name for name in names if name in FITTED),
        own_features=tuple(each.feature for each in own),
        cuts=cuts,
        horizons=made,
        roll=RollRule(settings.roll, settings.roll_days),
        simulation=raw.metadata.get(SIMULATION_KEY),
        labelling=settings.scheme,
    )
